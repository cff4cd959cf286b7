#include "bench/options.h"

#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

static uint32_t parse_number(const char *text, uint32_t most) {
  char *end;
  unsigned long long value = strtoull(text, &end, 10);
  if (end == text || *end != '\0' || value < 1 || value > most) bench_fail("a number is missing, 0 or too large");
  return (uint32_t)value;
}

static uint32_t parse_batches(char *list, uint32_t batches[OPTIONS_MOST_BATCHES]) {
  uint32_t count = 0;
  for (char *word = strtok(list, ","); word != NULL && count < OPTIONS_MOST_BATCHES; word = strtok(NULL, ","))
    batches[count++] = parse_number(word, 1 << 20);
  return count;
}

static lk_metric parse_metric(const char *text) {
  if (strcmp(text, "ip") == 0) return LK_IP;
  if (strcmp(text, "l2") == 0) return LK_L2;
  if (strcmp(text, "cosine") != 0) bench_fail("no such metric");
  return LK_COSINE;
}

static bool parse_number_option(options *o, const char *name, const char *value) {
  const struct {
    const char *name;
    uint32_t *number, most;
  } numbers[] = {{"--rows", &o->rows, UINT32_MAX},
                 {"--dim", &o->data.dim, LK_DIM_MAX},
                 {"--k", &o->k, LK_K_MAX},
                 {"--threads", &o->threads, 1024}};
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
    if (strcmp(name, numbers[i].name) == 0) {
      *numbers[i].number = parse_number(value, numbers[i].most);
      return true;
    }
  return false;
}

static void parse_option(options *o, const char *name, char *value) {
  if (parse_number_option(o, name, value)) return;
  if (strcmp(name, "--batches") == 0) {
    o->batches_count = parse_batches(value, o->batches);
  } else if (strcmp(name, "--device") == 0) {
    o->device = value;
  } else if (strcmp(name, "--metric") == 0) {
    o->data.metric = parse_metric(value);
    o->data.metric_given = true;
  } else if (strcmp(name, "--data") == 0) {
    o->all_kinds = strcmp(value, "all") == 0;
    if (!o->all_kinds && !data_kind_find(value, &o->data.kind)) bench_fail("no such data");
  } else if (strcmp(name, "--file") == 0) {
    o->data.file = value;
    o->all_kinds = false;
  } else {
    bench_fail("no such option; the head of the program's source lists them");
  }
}

void options_parse(options *o, int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--views") == 0) {
      o->views = true;
    } else {
      if (i + 1 == argc) bench_fail("an option lacks its value");
      parse_option(o, argv[i], argv[i + 1]);
      i++;
    }
  }
}
