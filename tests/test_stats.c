#include "engine/stats.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every field is there: sums of a search's numbers that are all different, the largest ones too wide for 32 bits. */
Test(stats, sums_as_json) {
  lk_search_stats sum = {0};
  lk_search_stats a = {.scanned = 1ULL << 40, .survivors = 2, .settled = 3, .rounds = 4, .wide_rounds = 6, .reruns = 5};
  lk_search_stats b = {
      .scanned = 10, .survivors = 1ULL << 40, .settled = 1ULL << 41, .rounds = 40, .wide_rounds = 60, .reruns = 50};
  lk_stats_add(&sum, &a);
  lk_stats_add(&sum, &b);
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  lk_stats_render(out, 1422, &sum);
  fclose(out);
  cr_assert_str_eq(text, "{\"probes\":1422,\"scanned\":1099511627786,\"survivors\":1099511627778,"
                         "\"settled\":2199023255555,\"rounds\":44,\"wide_rounds\":66,\"reruns\":55}\n");
  free(text);
}
