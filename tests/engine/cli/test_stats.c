#include "engine/cli/stats.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every field is there: numbers that are all different, the largest ones too wide for 32 bits. */
Test(stats, as_json) {
  lk_search_stats stats = {.scanned = 1099511627786,
                           .survivors = 1099511627778,
                           .rescored = 2199023255555,
                           .rounds = 44,
                           .float_rounds = 66,
                           .reruns = 55};
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  lk_stats_render(out, "cuda:0:generic", 1422, &stats);
  fclose(out);
  cr_assert_str_eq(
      text, "{\"device\":\"cuda:0:generic\",\"probes\":1422,\"scanned\":1099511627786,\"survivors\":1099511627778,"
            "\"rescored\":2199023255555,\"rounds\":44,\"float_rounds\":66,\"reruns\":55}\n");
  free(text);
}
