/* Every device returns the bits of the reference, in random cases and pinned extremes. Environment: LIKENESS_SEED;
 * LIKENESS_CASES, the number of random cases; LIKENESS_DEVICES, the only devices to test (names with spaces between).
 */
#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cuda/host/cuda.h"
#include "kernels/plan.h"
#include "tests/conformance/trial.h"

#define CHUNKS 16
#define MAX_THREADS 3

static const char *const devices[] = {"cpu:amx", "cpu:avx512vnni", "cpu:avx2",      "cpu:portable",
                                      "cpu,cpu", "cuda:0:generic", "cuda:0:hopper", "cuda:0,cuda:0"};
#define DEVICES (sizeof devices / sizeof devices[0])

static bool is_chosen(const char *name) {
  const char *chosen = getenv("LIKENESS_DEVICES");
  size_t length = strlen(name);
  if (chosen == NULL) return true;
  for (const char *at = chosen; (at = strstr(at, name)) != NULL; at += length)
    if ((at == chosen || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0')) return true;
  return false;
}

ReportHook(PRE_ALL)(struct criterion_test_set *tests) {
  (void)tests;
  fprintf(stderr, "conformance: LIKENESS_SEED=%llu LIKENESS_CASES=%u\n", (unsigned long long)cases_seed(),
          cases_count());
  for (size_t d = 0; d < DEVICES; d++) {
    lk_error error;
    lk_device *device;
    if (!is_chosen(devices[d])) continue;
    if (lk_device_open(devices[d], 1, &device, &error) == LK_OK)
      lk_device_close(device);
    else
      fprintf(stderr, "conformance: %s is skipped: %s\n", devices[d], error.text);
  }
}

/* Devices by name and threads. They stay open from case to case: a pass must not depend on what ran before it. */
struct fleet {
  lk_device *opened[DEVICES][MAX_THREADS];
};

/* NULL where this machine does not have the device. */
static lk_device *fleet_get(struct fleet *fleet, size_t d, uint32_t threads) {
  lk_device **device = &fleet->opened[d][threads - 1];
  if (*device != NULL || !is_chosen(devices[d])) return *device;
  lk_error error;
  lk_status status = lk_device_open(devices[d], threads, device, &error);
  cr_assert(status == LK_OK || status == LK_ENODEVICE, "%s: %s", devices[d], error.text);
  return *device;
}

static void fleet_close(struct fleet *fleet) {
  for (size_t d = 0; d < DEVICES; d++)
    for (uint32_t t = 0; t < MAX_THREADS; t++) lk_device_close(fleet->opened[d][t]);
}

/* The stats are the sums over all devices. */
static lk_search_stats check(struct fleet *fleet, const struct conformance_case *c) {
  lk_search_stats sum = {0};
  lk_candidate_lists got = {0};
  struct trial trial = trial_make(c);
  random_state random = random_fork(c->recipe.seed, 78);
  for (size_t d = 0; d < DEVICES; d++) {
    uint32_t threads = 1 + random_below(&random, MAX_THREADS);
    lk_device *device = fleet_get(fleet, d, threads);
    if (device == NULL) continue;
    lk_search_stats stats = trial_search(&trial, device, c->recipe.probes + 1, &got);
    trial_compare(&trial, devices[d], threads, &got, &trial.want);
    sum.reruns += stats.reruns;
    sum.scanned += stats.scanned;
    sum.rescored += stats.rescored;
    sum.float_rounds += stats.float_rounds;
  }
  lk_candidate_lists_free(&got);
  trial_free(&trial);
  return sum;
}

/* ---- random cases ---- */

ParameterizedTestParameters(conformance, random_cases) {
  static uint32_t chunks[CHUNKS];
  for (uint32_t i = 0; i < CHUNKS; i++) chunks[i] = i;
  return cr_make_param_array(uint32_t, chunks, CHUNKS);
}

ParameterizedTest(uint32_t *chunk, conformance, random_cases) {
  struct fleet fleet = {0};
  for (uint32_t i = *chunk; i < cases_count(); i += CHUNKS) {
    struct conformance_case c = case_random(i);
    check(&fleet, &c);
  }
  fleet_close(&fleet);
}

/* ---- pinned extremes ---- */

ParameterizedTestParameters(conformance, pinned_extremes) {
  static uint32_t indexes[256];
  for (uint32_t i = 0; i < cases_pinned_count(); i++) indexes[i] = i;
  return cr_make_param_array(uint32_t, indexes, cases_pinned_count());
}

ParameterizedTest(uint32_t *index, conformance, pinned_extremes) {
  struct fleet fleet = {0};
  struct conformance_case c = case_pinned(*index);
  check(&fleet, &c);
  fleet_close(&fleet);
}

/* 1 to 257 rows: the last tile has every size, and so has its last strip. */
Test(conformance, every_tail) {
  struct fleet fleet = {0};
  struct conformance_case c = PIN("every tail", L2, NORMAL, 5, 0, 5, 300);
  for (c.recipe.rows = 1; c.recipe.rows <= LK_TILE_ROWS + 1; c.recipe.rows++) check(&fleet, &c);
  fleet_close(&fleet);
}

Test(conformance, every_small_dimension) {
  struct fleet fleet = {0};
  struct conformance_case c = PIN("every small dimension", COSINE, NORMAL, 0, 2500, 5, 3);
  for (c.recipe.dim = 1; c.recipe.dim <= 140; c.recipe.dim++) check(&fleet, &c);
  fleet_close(&fleet);
}

/* No bar rejects any of these rows, so a round has more hits than a thread can keep. */
Test(conformance, overflow) {
  struct fleet fleet = {0};
  struct conformance_case c = PIN("overflow", COSINE, ALL_EQUAL, 4, 10000, 300, 10);
  lk_search_stats stats = check(&fleet, &c);
  cr_assert(stats.reruns > 0, "nothing overflowed: %s", case_describe(&c));
  fleet_close(&fleet);
}

/* With hardly more than k rows the bar rises late and nearly every pair is a hit. */
Test(conformance, overflow_without_a_bar) {
  struct fleet fleet = {0};
  struct conformance_case c = PIN("overflow without a bar", IP, NORMAL, 4, 4000, 1000, 3999);
  lk_search_stats stats = check(&fleet, &c);
  cr_assert(stats.reruns > 0, "nothing overflowed: %s", case_describe(&c));
  fleet_close(&fleet);
}

Test(conformance, batching_changes_nothing) {
  struct fleet fleet = {0};
  struct conformance_case c = PIN("batching", COSINE, CLUSTERED, 48, 6000, 70, 15);
  struct trial trial = trial_make(&c);
  lk_candidate_lists together = {0}, apart = {0};
  for (size_t d = 0; d < DEVICES; d++) {
    lk_device *device = fleet_get(&fleet, d, 2);
    if (device == NULL) continue;
    trial_search(&trial, device, c.recipe.probes, &together);
    for (uint32_t at_once = 1; at_once < 10; at_once += 2) {
      trial_search(&trial, device, at_once, &apart);
      trial_compare(&trial, devices[d], 2, &apart, &together);
    }
  }
  lk_candidate_lists_free(&together);
  lk_candidate_lists_free(&apart);
  trial_free(&trial);
  fleet_close(&fleet);
}

/* A filtered search must leave nothing to the next one, nor an unfiltered search to a filtered one. */
Test(conformance, filters_come_and_go) {
  struct fleet fleet = {0};
  struct conformance_case c = PIN("filters come and go", L2, NORMAL, 24, 9000, 12, 20);
  c.recipe.carries = CORPUS_TAGS;
  for (c.filter.mask = 0; c.filter.mask < 4; c.filter.mask++)
    for (c.allowed_one_in = 0; c.allowed_one_in < 200; c.allowed_one_in += 66) check(&fleet, &c);
  fleet_close(&fleet);
}

Test(conformance, few_visible_rows_are_scored_without_a_scan) {
  struct fleet fleet = {0};
  struct conformance_case c = PIN("few visible", COSINE, NORMAL, 128, 40000, 20, 10);
  c.allowed_one_in = 1000;
  lk_search_stats stats = check(&fleet, &c);
  cr_assert(stats.scanned == 0 && stats.rescored > 0, "%llu pairs were scanned", (unsigned long long)stats.scanned);
  fleet_close(&fleet);
}

/* The same in a range search, which keeps more hits than a thread keeps in one round. */
Test(conformance, range_by_the_exact_scan) {
  struct fleet fleet = {0};
  struct conformance_case c = PIN("range by the exact scan", IP, NORMAL, 4, 100000, 1024, LK_K_ALL);
  c.allowed_one_in = 120;
  lk_search_stats stats = check(&fleet, &c);
  cr_assert(stats.scanned == 0 && stats.rescored > 0, "%llu pairs were scanned", (unsigned long long)stats.scanned);
  fleet_close(&fleet);
}

/* Every visible row is in the lists: the exact scan skips no row between slices and no probe between groups. */
Test(conformance, the_exact_scan_leaves_no_row_out) {
  struct fleet fleet = {0};
  struct conformance_case c = PIN("exact scan", COSINE, NORMAL, 8, 12000, 70, LK_K_MAX);
  c.recipe.blocks = 1;
  c.allowed_one_in = 3;
  lk_search_stats stats = check(&fleet, &c);
  cr_assert(stats.scanned == 0 && stats.rescored > 0, "%llu pairs were scanned", (unsigned long long)stats.scanned);
  fleet_close(&fleet);
}

/* A range search that finds all rows, many more than a round may keep. */
Test(conformance, range_overflow) {
  struct fleet fleet = {0};
  struct conformance_case c = PIN("range overflow", IP, NORMAL, 4, 4000, 300, LK_K_ALL);
  lk_search_stats stats = check(&fleet, &c);
  cr_assert(stats.reruns > 0, "nothing overflowed: %s", case_describe(&c));
  fleet_close(&fleet);
}

Test(conformance, one_subject_has_all_rows) {
  struct fleet fleet = {0};
  struct conformance_case c = PIN("one subject", COSINE, NORMAL, 16, 5000, 9, 10);
  c.by_subject = true;
  c.recipe.subject_rows = 10000;
  check(&fleet, &c);
  fleet_close(&fleet);
}

/* Opens the backends that this machine has; returns how many. */
static uint32_t open_backends(lk_backend **backends) {
  lk_error error;
  uint32_t count = 0;
  for (size_t d = 0; d < DEVICES; d++) {
    if (!is_chosen(devices[d])) continue;
    lk_status status = strncmp(devices[d], "cuda", 4) == 0
                           ? lk_cuda_open(devices[d], 1 + count, &backends[count], &error)
                           : lk_cpu_open(devices[d], 1 + count, &backends[count], &error);
    count += status == LK_OK;
  }
  return count;
}

static void check_in_float(lk_backend *backend, uint32_t threads, const struct conformance_case *c,
                           lk_candidate_lists *got) {
  struct trial trial = trial_make(c);
  trial_search_wide(&trial, backend, got);
  trial_compare(&trial, backend->name, threads, got, &trial.want);
  trial_free(&trial);
}

/* The last case overflows: no bar rejects any of its rows. */
Test(conformance, by_the_float_scan_alone) {
  struct conformance_case overflowing = PIN("float scan that overflows", COSINE, ALL_EQUAL, 4, 10000, 300, 10);
  lk_backend *backends[DEVICES];
  lk_candidate_lists got = {0};
  uint32_t count = open_backends(backends);
  for (uint32_t b = 0; b < count; b++) {
    for (uint32_t i = 0; i < cases_count() / 10; i++) {
      struct conformance_case c = case_random(cases_count() + i);
      if (c.recipe.probes <= LK_PASS_PROBES && c.k <= 1000 && c.recipe.rows <= 20000)
        check_in_float(backends[b], 1 + b, &c, &got);
    }
    check_in_float(backends[b], 1 + b, &overflowing, &got);
    backends[b]->ops->close(backends[b]);
  }
  lk_candidate_lists_free(&got);
}

/* Near-duplicates of one vector, closer than the codes can tell: the search changes to the float scan by itself. */
Test(conformance, near_duplicates_take_the_float_scan) {
  struct fleet fleet = {0};
  struct conformance_case c = PIN("near-duplicates", COSINE, NEAR, 512, 15000, 100, 10);
  lk_search_stats stats = check(&fleet, &c);
  cr_assert(stats.float_rounds > 0, "no round scanned in float: %llu of %llu rescored",
            (unsigned long long)stats.rescored, (unsigned long long)stats.scanned);
  fleet_close(&fleet);
}

Test(conformance, unstructured_data_does_not) {
  struct fleet fleet = {0};
  struct conformance_case c = PIN("unstructured", COSINE, NORMAL, 128, 30000, 40, 10);
  lk_search_stats stats = check(&fleet, &c);
  cr_assert(stats.float_rounds == 0, "%u rounds scanned in float", stats.float_rounds);
  fleet_close(&fleet);
}

/* The scan is worth its cost: of data without structure it has a small part rescored. */
Test(conformance, most_rows_are_never_rescored) {
  struct fleet fleet = {0};
  struct conformance_case c = PIN("few rescored", COSINE, NORMAL, 128, 40000, 20, 10);
  lk_search_stats stats = check(&fleet, &c);
  cr_assert(stats.rescored * 20 < stats.scanned, "%llu of %llu were rescored", (unsigned long long)stats.rescored,
            (unsigned long long)stats.scanned);
  fleet_close(&fleet);
}

Test(conformance, visibility_is_updated_in_place) {
  struct fleet fleet = {0};
  struct conformance_case c = PIN("updated", COSINE, NORMAL, 40, 3000, 20, 9);
  c.filter = (lk_filter){.epoch = 4, .now_ms = 4, .tags = 5, .mask = 1};
  struct trial trial;
  lk_candidate_lists got = {0};
  c.recipe.blocks = 3;
  for (c.recipe.carries = 1; c.recipe.carries < 16; c.recipe.carries++) {
    trial = trial_make(&c);
    for (size_t d = 0; d < DEVICES; d++) {
      lk_device *device = fleet_get(&fleet, d, 2);
      for (int nothing = 0; device != NULL && nothing < 2; nothing++) {
        trial_search_updated(&trial, device, nothing == 1, &got);
        trial_compare(&trial, devices[d], 2, &got, &trial.want);
      }
    }
    trial_free(&trial);
  }
  lk_candidate_lists_free(&got);
  fleet_close(&fleet);
}

/* Segments whose rows were normalised before they were stored, among those that have them as they came. */
Test(conformance, stored_and_unit_codes_mix) {
  struct fleet fleet = {0};
  struct conformance_case c = PIN_LAYOUT("mixed coding", COSINE, NORMAL, 40, 4000, 6, OWN, NONE, SCATTERED);
  for (int kind = 0; kind < CORPUS_KINDS; kind++)
    for (int store = LK_STORE_F32; store <= LK_STORE_F16; store++)
      for (int coding = CODING_STORED; coding <= CODING_MIXED; coding++) {
        c.recipe.kind = (corpus_kind)kind, c.recipe.store = (lk_store)store;
        c.recipe.coding = (corpus_coding)coding;
        check(&fleet, &c);
      }
  fleet_close(&fleet);
}

/* There are more blocks than devices, and fewer; each device has rows of every subject. */
Test(conformance, several_devices) {
  lk_error error;
  lk_candidate_lists got = {0};
  lk_device *device;
  cr_assert(lk_device_open("cpu,cpu:portable,cpu", 2, &device, &error) == LK_OK, "%s", error.text);
  struct conformance_case c = PIN("several devices", COSINE, TIES, 24, 9000, 40, 50);
  c.recipe.subject_rows = 20;
  for (uint32_t i = 0; i < 24; i++) {
    c.recipe.blocks = (uint32_t[]){1, 2, 3, 8}[i % 4];
    c.by_subject = i / 4 % 2;
    c.allowed_one_in = (uint32_t[]){0, 3, 500}[i / 8];
    struct trial trial = trial_make(&c);
    trial_search(&trial, device, 40, &got);
    trial_compare(&trial, lk_device_name(device), 2, &got, &trial.want);
    trial_free(&trial);
  }
  lk_candidate_lists_free(&got);
  lk_device_close(device);
}

Test(conformance, unknown_device) {
  lk_error error;
  lk_device *device;
  char many[LK_DEVICE_BACKENDS_MAX * 4 + 4];
  for (size_t i = 0; i < sizeof many; i += 4) memcpy(many + i, "cpu,", 4);
  many[sizeof many - 1] = '\0';
  cr_assert(lk_device_open(many, 1, &device, &error) == LK_ENODEVICE);
  cr_assert(lk_device_open("cpu,", 1, &device, &error) == LK_ENODEVICE);
  cr_assert(lk_device_open("cpu,abacus", 1, &device, &error) == LK_ENODEVICE);
  cr_assert_str_eq(error.text, "device 'abacus': this build does not know it, or this machine does not have it");
  cr_assert(lk_device_open("cpu:abacus", 1, &device, &error) == LK_ENODEVICE);
  cr_assert(lk_device_open("abacus", 1, &device, NULL) == LK_ENODEVICE);
  cr_assert(lk_device_open("cuda:999", 1, &device, &error) == LK_ENODEVICE);
  cr_assert(lk_device_open("cuda:0:abacus", 1, &device, &error) == LK_ENODEVICE);
  cr_assert(lk_device_open("cudagra", 1, &device, &error) == LK_ENODEVICE);
}
