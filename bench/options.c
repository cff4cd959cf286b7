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

static uint32_t parse_list(char *list, uint32_t most, uint32_t numbers[OPTIONS_MOST]) {
  uint32_t count = 0;
  for (char *word = strtok(list, ","); word != NULL && count < OPTIONS_MOST; word = strtok(NULL, ","))
    numbers[count++] = parse_number(word, most);
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
                 {"--repeat", &o->repeat, 1000000},
                 {"--at-once", &o->at_once, OPTIONS_MOST},
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
    o->batches_count = parse_list(value, 1 << 20, o->batches);
  } else if (strcmp(name, "--k") == 0) {
    o->ks_count = parse_list(value, LK_K_MAX, o->ks);
  } else if (strcmp(name, "--device") == 0) {
    if (o->devices_count == OPTIONS_MOST) bench_fail("too many devices");
    o->devices[o->devices_count++] = value;
  } else if (strcmp(name, "--json") == 0) {
    o->json = value;
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
    } else if (strcmp(argv[i], "--filter") == 0) {
      o->filter = true;
    } else {
      if (i + 1 == argc) bench_fail("an option lacks its value");
      parse_option(o, argv[i], argv[i + 1]);
      i++;
    }
  }
  if (o->devices_count == 0) o->devices_count = 1; /* the program's own */
}
