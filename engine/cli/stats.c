#include "engine/cli/stats.h"

#include <inttypes.h>

#define STATS_MAP(X) \
  X(scanned)         \
  X(survivors)       \
  X(rescored)        \
  X(rounds)          \
  X(float_rounds)    \
  X(reruns)

void lk_stats_render(FILE *out, const char *device, uint64_t probes, const lk_search_stats *stats) {
  fprintf(out, "{\"device\":\"%s\",\"probes\":%" PRIu64, device, probes);
#define RENDER(field) fprintf(out, ",\"" #field "\":%" PRIu64, (uint64_t)stats->field);
  STATS_MAP(RENDER)
#undef RENDER
  fputs("}\n", out);
}
