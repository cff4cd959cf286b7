#include "bench/queue/options.h"

#include <stdlib.h>
#include <string.h>

#include <likeness/types.h>
#include "bench/bench.h"
#include "bench/queue/faces.h"
#include "bench/queue/serving.h"

static bool parse_number(queue_options *o, const char *name, const char *value) {
  const struct {
    const char *name;
    uint32_t *number, most;
  } numbers[] = {{"--rows", &o->rows, UINT32_MAX},
                 {"--small-rows", &o->small_rows, UINT32_MAX},
                 {"--large-rows", &o->large_rows, UINT32_MAX},
                 {"--dim", &o->dim, LK_DIM_MAX},
                 {"--k", &o->k, LK_K_MAX},
                 {"--workers", &o->workers, SERVING_WORKERS_MOST},
                 {"--threads", &o->threads, 1024},
                 {"--batch", &o->batch, 65536},
                 {"--job-probes", &o->job_probes, FACES_PROBES},
                 {"--window", &o->window, 1 << 20},
                 {"--rate", &o->rate, 10000000},
                 {"--seed", &o->seed, UINT32_MAX},
                 {"--seconds", &o->seconds, 3600}};
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    if (strcmp(name, numbers[i].name) != 0) continue;
    char *end;
    unsigned long long number = strtoull(value, &end, 10);
    if (end == value || *end != '\0' || number < 1 || number > numbers[i].most)
      bench_fail("a number is missing, 0 or too large");
    *numbers[i].number = (uint32_t)number;
    return true;
  }
  return false;
}

static void parse_option(queue_options *o, const char *name, const char *value) {
  if (parse_number(o, name, value)) return;
  if (strcmp(name, "--measure") == 0) {
    o->measures = value;
  } else if (strcmp(name, "--submit") == 0) {
    o->way = strcmp(value, "function") == 0 ? SUBMISSION_FUNCTION : SUBMISSION_XADD;
    if (o->way == SUBMISSION_XADD && strcmp(value, "xadd") != 0) bench_fail("--submit is xadd or function");
  } else {
    bench_fail("no such option; the head of bench/bench_queue.c lists them");
  }
}

void queue_options_parse(queue_options *o, int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--poisson") == 0) {
      o->poisson = true;
    } else if (strcmp(argv[i], "--aof") == 0) {
      o->aof = true;
    } else {
      if (i + 1 == argc) bench_fail("an option lacks its value");
      parse_option(o, argv[i], argv[i + 1]);
      i++;
    }
  }
}

bool queue_options_has(const queue_options *o, const char *measure) {
  size_t length = strlen(measure);
  for (const char *at = o->measures; at != NULL; at = strchr(at, ',') != NULL ? strchr(at, ',') + 1 : NULL)
    if (strncmp(at, measure, length) == 0 && (at[length] == ',' || at[length] == '\0')) return true;
  return o->measures == NULL;
}
