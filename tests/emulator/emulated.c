/* The CUDA backend against the reference: the block emulator runs its device code unchanged, on small shapes, on shapes
 * one off each edge of a tile, and in rare situations. Environment: LIKENESS_SEED; LIKENESS_CASES, of which a tenth run
 * here. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <string.h>

#include "kernels/cuda/host/cuda.h"
#include "tests/emulator/emulated.h"
#include "tests/support/cancel.h"
#include "tests/support/damage.h"
#include "tests/support/near_mean.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

const emulated_recipe plenty = {.memory_bytes = PLENTY, .pairs_room = 1 << 18, .lends = true, .multiplies = true};

lk_backend *open_backend(emulated_recipe recipe) {
  lk_error error;
  lk_backend *backend;
  lk_gpu *gpu = emulated_gpu_open(recipe);
  emulated_resize(gpu, PLENTY);
  lk_status status = lk_cuda_make(gpu, recipe.hopper, 1, &backend, &error);
  cr_assert(status == LK_OK, "%s", error.text);
  emulated_resize(gpu, recipe.memory_bytes);
  if (!recipe.breaks) cr_assert_str_eq(backend->name, recipe.hopper ? "emulated:hopper" : "emulated:generic");
  return backend;
}

lk_device *open_device(emulated_recipe recipe) {
  lk_error error;
  lk_device *device;
  lk_backend *backend = open_backend(recipe);
  cr_assert(lk_device_make(&backend, 1, &device, &error) == LK_OK, "%s", error.text);
  return device;
}

lk_search_stats check_on(lk_device *device, const struct conformance_case *c) {
  lk_candidate_lists got = {0};
  struct trial trial = trial_make(c);
  lk_search_stats stats = trial_search(&trial, device, c->recipe.probes + 1, &got);
  trial_compare(&trial, lk_device_name(device), 1, &got, &trial.want);
  trial_free(&trial);
  lk_candidate_lists_free(&got);
  return stats;
}

lk_search_stats check(const struct conformance_case *c) {
  lk_device *device = open_device(plenty);
  lk_search_stats stats = check_on(device, c);
  lk_device_close(device);
  return stats;
}

/* ---- tails ---- */

/* A bar that some rows reach keeps the hits few; without a seed every row is scanned under it. */
static struct conformance_case tail(lk_metric metric, uint32_t rows, uint32_t probes, uint32_t dim) {
  struct conformance_case c = PIN_BAR("tail", COSINE, NORMAL, dim, rows, probes, 20, SCORE);
  c.recipe.metric = metric;
  c.recipe.blocks = 1;
  return c;
}

Test(emulated, rows_one_off_each_edge) {
  static const uint32_t rows[] = {1, 7, 8, 9, 31, 32, 33, 127, 128, 129, 255, 256, 257, 383, 384, 385, 511, 512, 513};
  lk_device *device = open_device(plenty);
  for (size_t i = 0; i < COUNT(rows); i++) {
    struct conformance_case c = tail((lk_metric)(i % 3), rows[i], 3, 40);
    check_on(device, &c);
  }
  lk_device_close(device);
}

Test(emulated, probes_one_off_each_edge) {
  static const uint32_t probes[] = {1, 2, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 256, 257};
  lk_device *device = open_device(plenty);
  for (size_t i = 0; i < COUNT(probes); i++) {
    struct conformance_case c = tail((lk_metric)(i % 3), 137, probes[i], 20);
    check_on(device, &c);
  }
  lk_device_close(device);
}

/* A chunk has 64 elements; four of them are on their way at once. */
Test(emulated, dimensions_one_off_each_edge) {
  static const uint32_t dims[] = {1,   2,   31,  32,  33,  63,  64,  65,  127, 128, 129, 191,
                                  192, 193, 255, 256, 257, 319, 320, 321, 449, 512, 513, 1025};
  lk_device *device = open_device(plenty);
  for (size_t i = 0; i < COUNT(dims); i++) {
    struct conformance_case c = tail((lk_metric)(i % 3), 300, 5, dims[i]);
    check_on(device, &c);
  }
  lk_device_close(device);
}

Test(emulated, largest_dimension) {
  struct conformance_case c = tail(LK_L2, 140, 3, LK_DIM_MAX);
  check(&c);
}

/* More rows than are on their way to the GPU at once. */
Test(emulated, rows_that_come_in_parts) {
  struct conformance_case c = PIN_BAR("in parts", IP, NORMAL, LK_DIM_MAX, 2400, 1, LK_K_ALL, ZERO);
  c.recipe.blocks = 1;
  check(&c);
}

/* ---- random and pinned cases, made small ---- */

static uint32_t at_most(uint32_t value, uint32_t limit) { return value < limit ? value : limit; }

static void make_small(struct conformance_case *c) {
  corpus_recipe *r = &c->recipe;
  r->rows = at_most(r->rows, 3000);
  r->dim = at_most(r->dim, r->rows > 600 ? 70 : 260);
  r->probes = at_most(r->probes, 1 + 9000 / (r->rows + 1));
}

#define CHUNKS 8

ParameterizedTestParameters(emulated, random_cases) {
  static uint32_t chunks[CHUNKS];
  for (uint32_t i = 0; i < CHUNKS; i++) chunks[i] = i;
  return cr_make_param_array(uint32_t, chunks, CHUNKS);
}

/* One device for all: a pass must not depend on what ran before it. */
ParameterizedTest(uint32_t *chunk, emulated, random_cases) {
  lk_device *device = open_device(plenty);
  for (uint32_t i = *chunk; i < cases_count() / 10; i += CHUNKS) {
    struct conformance_case c = case_random(i);
    make_small(&c);
    check_on(device, &c);
  }
  lk_device_close(device);
}

Test(emulated, pinned_extremes) {
  lk_device *device = open_device(plenty);
  for (uint32_t i = 0; i < cases_pinned_count(); i++) {
    struct conformance_case c = case_pinned(i);
    make_small(&c);
    check_on(device, &c);
  }
  lk_device_close(device);
}

static void check_in_float(emulated_recipe recipe, uint32_t cases) {
  lk_backend *backend = open_backend(recipe);
  lk_candidate_lists got = {0};
  for (uint32_t i = 0; i < cases; i++) {
    struct conformance_case c = case_random(cases_count() + i);
    make_small(&c);
    if (c.recipe.probes == 0) continue;
    struct trial trial = trial_make(&c);
    trial_search_wide(&trial, backend, &got);
    trial_compare(&trial, backend->name, 1, &got, &trial.want);
    trial_free(&trial);
  }
  lk_candidate_lists_free(&got);
  backend->ops->close(backend);
}

Test(emulated, by_the_float_scan_alone) { check_in_float(plenty, cases_count() / 40); }

Test(emulated, by_the_float_scan_near_the_mean) {
  lk_backend *backend = open_backend(plenty);
  near_mean_check(backend);
  backend->ops->close(backend);
}

Test(emulated, by_the_float_scan_without_a_library) {
  emulated_recipe bare = plenty;
  bare.multiplies = false;
  check_in_float(bare, cases_count() / 80);
  cr_assert(emulated_launches(LK_KERNEL_PRODUCT) > 0);
}

/* ---- rare situations ---- */

Test(emulated, a_row_that_was_written_over_is_named) {
  lk_device *device = open_device(plenty);
  damage_check(device);
  lk_device_close(device);
}

Test(emulated, a_search_that_is_cancelled) {
  lk_device *device = open_device(plenty);
  cancel_check(device, (cancel_sizes){.rows = 600, .dim = 40, .probes = 9});
  lk_device_close(device);
}

Test(emulated, most_k) {
  struct conformance_case c = PIN("most k", IP, NORMAL, 8, 4500, 2, LK_K_MAX);
  check(&c);
  c.recipe.kind = CORPUS_TIES;
  c.recipe.numbers = NUMBERS_REVERSED;
  check(&c);
}

/* More hits than select sorts in shared memory, by subject and not. */
Test(emulated, many_hits_of_few_subjects) {
  struct conformance_case c = PIN("few subjects", L2, TIES, 6, 3000, 3, 900);
  c.recipe.subject_rows = 3;
  check(&c);
  c.by_subject = true;
  check(&c);
  c.recipe.subject_rows = 100000;
  check(&c);
}

Test(emulated, a_seed_raises_the_bar) {
  struct conformance_case c = PIN("seed", COSINE, NORMAL, 32, 2600, 5, 4);
  lk_search_stats stats = check(&c);
  cr_assert(emulated_launches(LK_KERNEL_SEED) == 1);
  cr_assert(stats.rescored * 4 < stats.scanned, "%llu of %llu were rescored", (unsigned long long)stats.rescored,
            (unsigned long long)stats.scanned);
}

/* The codes lose nothing, so a row at the bar is at its threshold, but for what rounding adds. */
Test(emulated, a_sum_at_its_threshold) {
  lk_device *device = open_device(plenty);
  for (uint32_t seed = 0; seed < 30; seed++) {
    struct conformance_case c = PIN_BAR("at the threshold", IP, ONE_HOT, 16, 600, 9, 200, SCORE);
    c.recipe.means = MEANS_ZERO;
    c.recipe.seed = seed;
    check_on(device, &c);
  }
  lk_device_close(device);
}

Test(emulated, outliers_are_always_looked_at) {
  struct conformance_case c = PIN("outliers", IP, LOGNORMAL, 24, 1500, 9, 10);
  check(&c);
  c.recipe.metric = LK_L2;
  c.recipe.carries = CORPUS_TAGS;
  c.filter.mask = 3;
  check(&c);
}

Test(emulated, rows_of_halves) {
  struct conformance_case c = PIN("halves", COSINE, NORMAL, 90, 900, 20, 10);
  c.recipe.store = LK_STORE_F16;
  check(&c);
}

Test(emulated, filters_come_and_go) {
  lk_device *device = open_device(plenty);
  struct conformance_case c = PIN("filters come and go", L2, NORMAL, 24, 2500, 5, 3);
  c.recipe.blocks = 3;
  c.recipe.carries = CORPUS_TAGS | CORPUS_BORN | CORPUS_DIED | CORPUS_EXPIRES;
  c.filter.epoch = c.filter.now_ms = 5;
  for (c.filter.mask = 0; c.filter.mask < 3; c.filter.mask++)
    for (c.allowed_one_in = 0; c.allowed_one_in < 200; c.allowed_one_in += 66) check_on(device, &c);
  lk_device_close(device);
}

/* About 45 rows: for some k the first round finds one too few. */
Test(emulated, every_k_below_the_visible_rows) {
  lk_device *device = open_device(plenty);
  struct conformance_case c = PIN("every k", IP, NORMAL, 8, 700, 2, 1);
  c.recipe.carries = CORPUS_TAGS;
  c.recipe.order = ORDER_DESCENDING; /* the rows that are missing come last */
  c.filter.mask = 15;
  for (c.recipe.blocks = 1; c.recipe.blocks < 6; c.recipe.blocks += 4)
    for (c.k = 1; c.k < 40; c.k++) check_on(device, &c);
  lk_device_close(device);
}

Test(emulated, few_visible_rows_are_scored_without_a_scan) {
  struct conformance_case c = PIN("few visible", COSINE, NORMAL, 64, 3000, 20, 3);
  c.recipe.blocks = 3;
  c.allowed_one_in = 200;
  lk_search_stats stats = check(&c);
  cr_assert(stats.scanned == 0 && stats.rescored > 0, "%llu pairs were scanned", (unsigned long long)stats.scanned);
  c.k = LK_K_ALL;
  check(&c);
}

/* ---- Hopper ---- */

static const emulated_recipe hopper = {.memory_bytes = PLENTY, .pairs_room = 1 << 18, .lends = true, .hopper = true};

Test(emulated, hopper_one_off_each_edge) {
  static const uint32_t rows[] = {1, 127, 128, 129, 255, 256, 257}, probes[] = {65, 127, 128, 129, 257, 385};
  static const uint32_t dims[] = {1, 64, 65, 449, 512, 513, 1100, 1280, 1281};
  lk_device *device = open_device(hopper);
  uint64_t before = emulated_launches(LK_KERNEL_HOPPER);
  for (size_t i = 0; i < COUNT(rows); i++) {
    struct conformance_case c = tail((lk_metric)(i % 3), rows[i], 70, 40);
    check_on(device, &c);
  }
  for (size_t i = 0; i < COUNT(probes); i++) {
    struct conformance_case c = tail((lk_metric)(i % 3), 60, probes[i], 30);
    check_on(device, &c);
  }
  for (size_t i = 0; i < COUNT(dims); i++) {
    struct conformance_case c = tail((lk_metric)(i % 3), 70, 67, dims[i]);
    check_on(device, &c);
  }
  cr_assert(emulated_launches(LK_KERNEL_HOPPER) > before + COUNT(rows));
  lk_device_close(device);
}

Test(emulated, hopper_random_cases) {
  lk_device *device = open_device(hopper);
  for (uint32_t i = 0; i < cases_count() / 100; i++) {
    struct conformance_case c = case_random(i);
    make_small(&c);
    c.recipe.rows = at_most(c.recipe.rows, 300);
    c.recipe.probes = 65 + i * 7 % 80;
    if (c.k != LK_K_ALL) c.k = at_most(c.k, 10);
    check_on(device, &c);
  }
  lk_device_close(device);
}

/* All tiles are in one round, so a block has many turns. */
Test(emulated, hopper_many_turns) {
  lk_device *device = open_device(hopper);
  struct conformance_case c = PIN_BAR("many turns", COSINE, NORMAL, 90, 1500, 130, LK_K_ALL, SCORE);
  check_on(device, &c);
  lk_device_close(device);
}

Test(emulated, hopper_outliers_are_always_looked_at) {
  lk_device *device = open_device(hopper);
  struct conformance_case c = PIN("outliers", IP, LOGNORMAL, 24, 1500, 130, 10);
  check_on(device, &c);
  lk_device_close(device);
}

/* So few hits that they come one at a time. */
Test(emulated, hopper_few_hits) {
  lk_device *device = open_device(hopper);
  struct conformance_case c = PIN("few hits", COSINE, NORMAL, 60, 2600, 70, 1);
  check_on(device, &c);
  lk_device_close(device);
}

/* Probes that stay in shared memory are replaced by those of the next centre. */
Test(emulated, hopper_centres_come_and_go) {
  lk_device *device = open_device(hopper);
  struct conformance_case c = PIN_BAR("centres", L2, NORMAL, 150, 2000, 130, LK_K_ALL, SCORE);
  for (c.recipe.blocks = 2; c.recipe.blocks < 8; c.recipe.blocks += 4) check_on(device, &c);
  lk_device_close(device);
}

/* Hopper's kernel is not used where it fails the self-test. */
Test(emulated, a_hopper_that_errs_falls_back) {
  emulated_recipe broken = hopper;
  lk_device *device = open_device(hopper);
  cr_assert_str_eq(lk_device_name(device), "emulated:hopper");
  lk_device_close(device);
  broken.breaks = true;
  broken.broken = LK_KERNEL_HOPPER;
  device = open_device(broken);
  cr_assert_str_eq(lk_device_name(device), "emulated:generic (hopper failed its self-test)");
  struct conformance_case c = tail(LK_IP, 300, 100, 40);
  check_on(device, &c);
  lk_device_close(device);
}

/* A device whose generic kernels fail the self-test does not open. */
Test(emulated, a_gpu_that_errs_is_refused) {
  static const lk_kernel kernels[] = {LK_KERNEL_SCAN_16,  LK_KERNEL_SCAN_32, LK_KERNEL_SCAN_64,
                                      LK_KERNEL_SCAN_128, LK_KERNEL_FLOAT,   LK_KERNEL_PRODUCT};
  for (size_t i = 0; i < COUNT(kernels); i++) {
    lk_error error;
    lk_backend *backend;
    emulated_recipe broken = plenty;
    broken.breaks = true;
    broken.broken = kernels[i];
    lk_gpu *gpu = emulated_gpu_open(broken);
    cr_assert(lk_cuda_make(gpu, false, 1, &backend, &error) == LK_EINTERNAL, "kernel %d", (int)kernels[i]);
    cr_assert_str_eq(error.text,
                     "device 'emulated' failed its self-test: its kernels do not find what the reference finds");
    gpu->ops->close(gpu);
  }
}
