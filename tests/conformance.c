/* Every device gives the bits of the reference: random cases and pinned extremes. Environment: LIKENESS_SEED, and
 * LIKENESS_CASES for how many random cases. */
#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <criterion/parameterized.h>
#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/reference.h"
#include "kernels/plan.h"
#include "kernels/search.h"
#include "tests/cases.h"

#define CHUNKS 16
#define MAX_THREADS 3

static const char *const devices[] = {"cpu:avx512vnni", "cpu:avx2", "cpu:portable"};
#define DEVICES (sizeof devices / sizeof devices[0])

ReportHook(PRE_ALL)(struct criterion_test_set *tests) {
  (void)tests;
  fprintf(stderr, "conformance: LIKENESS_SEED=%llu LIKENESS_CASES=%u\n", (unsigned long long)cases_seed(),
          cases_count());
  for (size_t d = 0; d < DEVICES; d++) {
    lk_error error;
    lk_device *device;
    if (lk_device_open(devices[d], 1, &device, &error) == LK_OK)
      lk_device_close(device);
    else
      fprintf(stderr, "conformance: %s is skipped: %s\n", devices[d], error.text);
  }
}

/* Devices by name and threads, kept from case to case: a pass must not depend on what ran before it. */
struct fleet {
  lk_device *opened[DEVICES][MAX_THREADS];
};

/* NULL where this machine does not have the device. */
static lk_device *fleet_get(struct fleet *fleet, size_t d, uint32_t threads) {
  lk_device **device = &fleet->opened[d][threads - 1];
  if (*device != NULL) return *device;
  lk_error error;
  lk_status status = lk_device_open(devices[d], threads, device, &error);
  cr_assert(status == LK_OK || status == LK_ENODEVICE, "%s: %s", devices[d], error.text);
  return *device;
}

static void fleet_close(struct fleet *fleet) {
  for (size_t d = 0; d < DEVICES; d++)
    for (uint32_t t = 0; t < MAX_THREADS; t++) lk_device_close(fleet->opened[d][t]);
}

static bool same_bits(const lk_hit *a, const lk_hit *b) {
  return memcmp(&a->score, &b->score, sizeof a->score) == 0 && a->number == b->number && a->row == b->row;
}

static uint64_t count_of(const lk_lists *lists, uint32_t list) {
  return lists->ends[list] - lk_lists_begin(lists, list);
}

static void compare(const struct conformance_case *c, const char *device, uint32_t threads, const lk_lists *got,
                    const lk_lists *want) {
  cr_assert(got->count == want->count, "%s, %u threads: %u lists and not %u; %s", device, threads, got->count,
            want->count, case_describe(c));
  for (uint32_t p = 0; p < want->count; p++) {
    cr_assert(count_of(got, p) == count_of(want, p), "%s, %u threads: probe %u has %llu hits and not %llu; %s", device,
              threads, p, (unsigned long long)count_of(got, p), (unsigned long long)count_of(want, p),
              case_describe(c));
    const lk_hit *g = got->hits + lk_lists_begin(got, p), *w = want->hits + lk_lists_begin(want, p);
    for (uint32_t i = 0; i < count_of(want, p); i++)
      cr_assert(same_bits(&g[i], &w[i]), "%s, %u threads: probe %u rank %u: %a row %u and not %a row %u; %s", device,
                threads, p, i, (double)g[i].score, g[i].row, (double)w[i].score, w[i].row, case_describe(c));
  }
}

/* Bitmaps of the rows that the case allows, a block each. */
struct allowance {
  uint64_t **bitmaps;
};

static struct allowance allowance_make(const struct conformance_case *c, const corpus *data) {
  struct allowance made = {NULL};
  if (c->allowed_one_in == 0) return made;
  random_state random = random_fork(c->recipe.seed, 79);
  uint32_t one_in = c->allowed_one_in == UINT32_MAX ? data->rows / 5 + 1 : c->allowed_one_in;
  made.bitmaps = calloc(data->blocks_count + 1, sizeof *made.bitmaps);
  cr_assert(made.bitmaps != NULL);
  for (uint32_t b = 0; b < data->blocks_count; b++) {
    made.bitmaps[b] = calloc(data->blocks[b].rows / 64 + 1, sizeof **made.bitmaps);
    cr_assert(made.bitmaps[b] != NULL);
    for (uint32_t r = 0; r < data->blocks[b].rows; r++)
      made.bitmaps[b][r / 64] |= (uint64_t)random_one_in(&random, one_in) << r % 64;
  }
  return made;
}

static void allowance_free(struct allowance *made, const corpus *data) {
  for (uint32_t b = 0; made->bitmaps != NULL && b < data->blocks_count; b++) free(made->bitmaps[b]);
  free(made->bitmaps);
}

static lk_batch batch_of(const struct conformance_case *c, const corpus *data, const float *thresholds,
                         const struct allowance *allowed) {
  lk_batch batch = {.shape = data->shape,
                    .holds_count = data->blocks_count,
                    .probes = data->probes,
                    .count = data->probes_count,
                    .k = c->k,
                    .thresholds = thresholds,
                    .by_subject = c->by_subject,
                    .filter = c->filter};
  batch.filter.allowed = (const uint64_t *const *)allowed->bitmaps;
  return batch;
}

static void append(lk_lists *to, const lk_lists *from) {
  lk_error error;
  uint64_t begin = lk_lists_begin(to, to->count);
  cr_assert(lk_lists_reserve(to, from->count, lk_lists_begin(from, from->count), &error) == LK_OK, "%s", error.text);
  memcpy(to->hits + begin, from->hits, lk_lists_begin(from, from->count) * sizeof *to->hits);
  for (uint32_t p = 0; p < from->count; p++) to->ends[to->count++] = begin + from->ends[p];
}

/* Searches for the batch's probes, `at_once` of them at a time. */
static lk_search_stats search(lk_device *device, const corpus *data, lk_batch batch, uint32_t at_once,
                              lk_lists *lists) {
  lk_error error;
  lk_search_stats stats = {0};
  lk_lists part = {0};
  const float *thresholds = batch.thresholds;
  lk_hold **holds = calloc(data->blocks_count + 1, sizeof *holds);
  cr_assert(holds != NULL);
  for (uint32_t b = 0; b < data->blocks_count; b++)
    cr_assert(lk_device_hold(device, data->shape, &data->blocks[b], &holds[b], &error) == LK_OK, "%s", error.text);
  batch.holds = holds;
  lk_lists_clear(lists);
  for (uint32_t first = 0; first < data->probes_count; first += at_once) {
    batch.probes = data->probes + (size_t)first * data->shape.dim;
    batch.count = data->probes_count - first < at_once ? data->probes_count - first : at_once;
    batch.thresholds = thresholds != NULL ? thresholds + first : NULL;
    cr_assert(lk_search(device, &batch, &part, &stats, &error) == LK_OK, "%s", error.text);
    append(lists, &part);
  }
  for (uint32_t b = 0; b < data->blocks_count; b++) lk_device_release(device, holds[b]);
  free(holds);
  lk_lists_free(&part);
  return stats;
}

static float pick_threshold(const struct conformance_case *c, const corpus *data, random_state *random, uint32_t p) {
  uint32_t dim = c->recipe.dim;
  float score = 0;
  if (data->rows > 0)
    score = lk_score(data->shape.metric, data->probes + (size_t)p * dim,
                     data->exact + (size_t)random_below(random, data->rows) * dim, dim);
  switch (c->bar) {
    case BAR_SCORE:
      return score;
    case BAR_ABOVE_SCORE:
      return nextafterf(score, INFINITY);
    case BAR_ABOVE_ALL:
      return FLT_MAX;
    case BAR_ZERO:
      return 0.0f;
    case BAR_MINUS_ZERO:
      return -0.0f;
    default:
      return -INFINITY;
  }
}

/* A threshold for each probe; NULL where the case has none. */
static float *pick_thresholds(const struct conformance_case *c, const corpus *data) {
  if (c->bar == BAR_NONE) return NULL;
  random_state random = random_fork(c->recipe.seed, 77);
  float *thresholds = malloc((data->probes_count + 1) * sizeof *thresholds);
  cr_assert(thresholds != NULL);
  for (uint32_t p = 0; p < data->probes_count; p++) thresholds[p] = pick_threshold(c, data, &random, p);
  return thresholds;
}

/* The stats are the sums over all devices. */
static lk_search_stats check(struct fleet *fleet, const struct conformance_case *c) {
  lk_error error;
  lk_search_stats sum = {0};
  corpus data = corpus_make(&c->recipe);
  struct allowance allowed = allowance_make(c, &data);
  float *thresholds = pick_thresholds(c, &data);
  lk_batch batch = batch_of(c, &data, thresholds, &allowed);
  lk_lists want = {0}, got = {0};
  lk_status status = lk_reference_search(data.blocks, data.blocks_count, &batch, &want, &error);
  cr_assert(status == LK_OK, "%s", error.text);
  random_state random = random_fork(c->recipe.seed, 78);
  for (size_t d = 0; d < DEVICES; d++) {
    uint32_t threads = 1 + random_below(&random, MAX_THREADS);
    lk_device *device = fleet_get(fleet, d, threads);
    if (device == NULL) continue;
    lk_search_stats stats = search(device, &data, batch, data.probes_count + 1, &got);
    compare(c, devices[d], threads, &got, &want);
    sum.reruns += stats.reruns;
    sum.scanned += stats.scanned;
    sum.settled += stats.settled;
    sum.wide_rounds += stats.wide_rounds;
  }
  lk_lists_free(&want);
  lk_lists_free(&got);
  free(thresholds);
  allowance_free(&allowed, &data);
  corpus_free(&data);
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

/* The rows of 1 to 257: every size of a last tile, and of a last strip in it. */
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

/* No bar rejects any of these rows, so a round's hits outgrow what a thread can keep. */
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
  struct conformance_case c = PIN("overflow without a bar", IP, NORMAL, 4, 4000, 300, 3999);
  lk_search_stats stats = check(&fleet, &c);
  cr_assert(stats.reruns > 0, "nothing overflowed: %s", case_describe(&c));
  fleet_close(&fleet);
}

Test(conformance, batching_changes_nothing) {
  struct fleet fleet = {0};
  struct conformance_case c = PIN("batching", COSINE, CLUSTERED, 48, 6000, 70, 15);
  corpus data = corpus_make(&c.recipe);
  struct allowance all = {NULL};
  lk_batch batch = batch_of(&c, &data, NULL, &all);
  lk_lists together = {0}, apart = {0};
  for (size_t d = 0; d < DEVICES; d++) {
    lk_device *device = fleet_get(&fleet, d, 2);
    if (device == NULL) continue;
    search(device, &data, batch, data.probes_count, &together);
    for (uint32_t at_once = 1; at_once < 10; at_once += 2) {
      search(device, &data, batch, at_once, &apart);
      compare(&c, devices[d], 2, &apart, &together);
    }
  }
  lk_lists_free(&together);
  lk_lists_free(&apart);
  corpus_free(&data);
  fleet_close(&fleet);
}

/* Nothing may be kept from a filtered search for the next one, nor the other way round. */
Test(conformance, filters_come_and_go) {
  struct fleet fleet = {0};
  struct conformance_case c = PIN("filters come and go", L2, NORMAL, 24, 9000, 12, 20);
  c.recipe.carries = CORPUS_TAGS;
  for (c.filter.mask = 0; c.filter.mask < 4; c.filter.mask++)
    for (c.allowed_one_in = 0; c.allowed_one_in < 200; c.allowed_one_in += 66) check(&fleet, &c);
  fleet_close(&fleet);
}

Test(conformance, few_visible_rows_are_gathered) {
  struct fleet fleet = {0};
  struct conformance_case c = PIN("gathered", COSINE, NORMAL, 128, 40000, 20, 10);
  c.allowed_one_in = 1000;
  lk_search_stats stats = check(&fleet, &c);
  cr_assert(stats.scanned == 0 && stats.settled > 0, "%llu pairs were scanned", (unsigned long long)stats.scanned);
  fleet_close(&fleet);
}

/* The same in a range search, which keeps what it gathers: more than a thread keeps in one round. */
Test(conformance, range_that_is_gathered) {
  struct fleet fleet = {0};
  struct conformance_case c = PIN("range that is gathered", IP, NORMAL, 4, 100000, 1024, LK_K_ALL);
  c.allowed_one_in = 120;
  lk_search_stats stats = check(&fleet, &c);
  cr_assert(stats.scanned == 0 && stats.settled > 0, "%llu pairs were scanned", (unsigned long long)stats.scanned);
  fleet_close(&fleet);
}

/* Every visible row is in the lists: none is left out between slices of rows, nor a probe between groups of them. */
Test(conformance, all_visible_rows_are_gathered) {
  struct fleet fleet = {0};
  struct conformance_case c = PIN("all gathered", COSINE, NORMAL, 8, 12000, 70, LK_K_MAX);
  c.recipe.blocks = 1;
  c.allowed_one_in = 3;
  lk_search_stats stats = check(&fleet, &c);
  cr_assert(stats.scanned == 0 && stats.settled > 0, "%llu pairs were scanned", (unsigned long long)stats.scanned);
  fleet_close(&fleet);
}

/* All rows of a range search, many more than a round may keep. */
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

/* Drives the rounds itself, all of them wide: halves of the tiles, then what overflowed in single tiles. */
static void round_wide(lk_backend *backend, const uint32_t *tiles, uint32_t count) {
  lk_round done;
  if (count == 0 || backend->ops->round(backend, tiles, count, true, &done)) return;
  cr_assert(count > 1, "a single tile overflowed");
  round_wide(backend, tiles, count / 2);
  round_wide(backend, tiles + count / 2, count - count / 2);
}

static void search_wide(lk_backend *backend, const corpus *data, lk_batch batch, lk_lists *lists) {
  lk_error error;
  lk_search_stats stats = {0};
  uint64_t visible;
  uint32_t tiles[LK_TILE_ROWS], count = 0;
  lk_hold *holds[8];
  for (uint32_t b = 0; b < data->blocks_count; b++) {
    cr_assert(backend->ops->hold(backend, data->shape, &data->blocks[b], &holds[b], &error) == LK_OK);
    for (uint32_t t = 0; t < holds[b]->tiles; t++, count++) tiles[count] = count;
  }
  batch.holds = holds;
  lk_lists_clear(lists);
  cr_assert(backend->ops->begin(backend, &batch, &visible, &error) == LK_OK, "%s", error.text);
  round_wide(backend, tiles, count / 2);
  round_wide(backend, tiles + count / 2, count - count / 2);
  cr_assert(backend->ops->finish(backend, lists, &stats, &error) == LK_OK, "%s", error.text);
  for (uint32_t b = 0; b < data->blocks_count; b++) backend->ops->release(backend, holds[b]);
}

static void check_wide(lk_backend *backend, const struct conformance_case *c) {
  lk_error error;
  corpus data = corpus_make(&c->recipe);
  struct allowance allowed = allowance_make(c, &data);
  float *thresholds = pick_thresholds(c, &data);
  lk_batch batch = batch_of(c, &data, thresholds, &allowed);
  lk_lists want = {0}, got = {0};
  cr_assert(lk_reference_search(data.blocks, data.blocks_count, &batch, &want, &error) == LK_OK, "%s", error.text);
  search_wide(backend, &data, batch, &got);
  compare(c, backend->name, 2, &got, &want);
  lk_lists_free(&want);
  lk_lists_free(&got);
  free(thresholds);
  allowance_free(&allowed, &data);
  corpus_free(&data);
}

/* The last case overflows: no bar rejects any of its rows. */
Test(conformance, by_the_wide_scan_alone) {
  struct conformance_case overflowing = PIN("wide overflow", COSINE, ALL_EQUAL, 4, 10000, 300, 10);
  for (size_t d = 0; d < DEVICES; d++) {
    lk_backend *backend;
    if (lk_cpu_open(devices[d], 2, &backend, NULL) != LK_OK) continue;
    for (uint32_t i = 0; i < cases_count() / 10; i++) {
      struct conformance_case c = case_random(cases_count() + i);
      if (c.recipe.probes <= LK_PASS_PROBES && c.k <= 1000 && c.recipe.rows <= 20000) check_wide(backend, &c);
    }
    check_wide(backend, &overflowing);
    backend->ops->close(backend);
  }
}

/* Near-duplicates of one vector, closer than the codes can tell: the search itself takes to the wide scan. */
Test(conformance, near_duplicates_take_the_wide_scan) {
  struct fleet fleet = {0};
  struct conformance_case c = PIN("near-duplicates", COSINE, NEAR, 512, 15000, 100, 10);
  lk_search_stats stats = check(&fleet, &c);
  cr_assert(stats.wide_rounds > 0, "no round was wide: %llu of %llu settled", (unsigned long long)stats.settled,
            (unsigned long long)stats.scanned);
  fleet_close(&fleet);
}

Test(conformance, unstructured_data_does_not) {
  struct fleet fleet = {0};
  struct conformance_case c = PIN("unstructured", COSINE, NORMAL, 128, 30000, 40, 10);
  lk_search_stats stats = check(&fleet, &c);
  cr_assert(stats.wide_rounds == 0, "%u rounds were wide", stats.wide_rounds);
  fleet_close(&fleet);
}

/* What makes the scan worth its while: on data without structure it settles a small part. */
Test(conformance, most_rows_are_never_settled) {
  struct fleet fleet = {0};
  struct conformance_case c = PIN("few settled", COSINE, NORMAL, 128, 40000, 20, 10);
  lk_search_stats stats = check(&fleet, &c);
  cr_assert(stats.settled * 20 < stats.scanned, "%llu of %llu were settled", (unsigned long long)stats.settled,
            (unsigned long long)stats.scanned);
  fleet_close(&fleet);
}

Test(conformance, unknown_device) {
  lk_error error;
  lk_device *device;
  cr_assert(lk_device_open("cpu:abacus", 1, &device, &error) == LK_ENODEVICE);
  cr_assert(lk_device_open("abacus", 1, &device, NULL) == LK_ENODEVICE);
}
