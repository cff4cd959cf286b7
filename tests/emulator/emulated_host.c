/* The host's side of the CUDA backend on emulated GPUs: several GPUs, searches side by side, recorded rounds, and
 * memory that is full. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#include "kernels/search/backend_search.h"
#include "tests/emulator/emulated.h"

/* ---- several ---- */

Test(emulated, several_gpus_share_a_gallery) {
  lk_error error;
  lk_backend *backends[] = {open_backend(plenty), open_backend(plenty)};
  lk_device *device;
  cr_assert(lk_device_make(backends, 2, &device, &error) == LK_OK, "%s", error.text);
  cr_assert_str_eq(lk_device_name(device), "emulated:generic,emulated:generic");
  struct conformance_case c = PIN("several GPUs", COSINE, NORMAL, 40, 2600, 20, 9);
  c.recipe.subject_rows = 30;
  for (c.recipe.blocks = 1; c.recipe.blocks < 5; c.recipe.blocks++)
    for (c.k = 9; c.k != 0; c.k = c.k == 9 ? LK_K_ALL : 0) {
      c.bar = c.k == LK_K_ALL ? BAR_SCORE : BAR_NONE;
      c.by_subject = c.k != LK_K_ALL && c.recipe.blocks % 2 == 0;
      check_on(device, &c);
    }
  lk_device_close(device);
}

/* ---- updates ---- */

static void check_updates(lk_device *device, struct conformance_case c) {
  struct trial trial = trial_make(&c);
  lk_candidate_lists got = {0};
  for (int nothing = 0; nothing < 2; nothing++) {
    trial_search_updated(&trial, device, nothing == 1, &got);
    trial_compare(&trial, lk_device_name(device), 1, &got, &trial.want);
  }
  lk_candidate_lists_free(&got);
  trial_free(&trial);
}

Test(emulated, visibility_is_updated_in_place) {
  lk_device *device = open_device(plenty);
  struct conformance_case c = PIN("updated", COSINE, NORMAL, 12, 1500, 5, 9);
  c.filter = (lk_filter){.epoch = 4, .now_ms = 4, .tags = 5, .mask = 1};
  c.recipe.blocks = 3;
  for (c.recipe.carries = 1; c.recipe.carries < 16; c.recipe.carries++) check_updates(device, c);
  lk_device_close(device);
}

/* ---- searches side by side ---- */

struct searcher {
  lk_device *device;
  const struct trial *trial;
  lk_batch batch;
  pthread_t thread;
};

static void *search_often(void *argument) {
  struct searcher *searcher = argument;
  lk_candidate_lists lists = {0};
  lk_error error;
  for (int i = 0; i < 6; i++) {
    cr_assert(lk_search(searcher->device, &searcher->batch, &lists, NULL, &error) == LK_OK, "%s", error.text);
    trial_compare(searcher->trial, lk_device_name(searcher->device), 1, &lists, &searcher->trial->want);
  }
  lk_candidate_lists_free(&lists);
  return NULL;
}

/* Three threads search two galleries on a device that runs two searches at a time, and updates in between. */
Test(emulated, searches_side_by_side) {
  lk_device *device = open_device(plenty);
  cr_assert_eq(lk_device_searches(device), 2);
  struct conformance_case cases[] = {PIN("side by side", COSINE, NORMAL, 40, 1800, 12, 9),
                                     PIN("the other side", L2, NORMAL, 9, 2600, 5, 3)};
  struct trial trials[2];
  lk_resident_block *residents[2];
  lk_error error;
  for (int i = 0; i < 2; i++) {
    cases[i].recipe.carries = CORPUS_DIED | CORPUS_TAGS;
    cases[i].filter = (lk_filter){.epoch = 6};
    trials[i] = trial_make(&cases[i]);
    cr_assert_eq(trials[i].data.blocks_count, 1);
    cr_assert_eq(lk_device_load_block(device, trials[i].data.shape, trials[i].data.blocks, &residents[i], &error),
                 LK_OK);
  }
  struct searcher searchers[3];
  for (int i = 0; i < 3; i++) {
    searchers[i] = (struct searcher){.device = device, .trial = &trials[i % 2], .batch = trials[i % 2].batch};
    searchers[i].batch.blocks = &residents[i % 2];
    cr_assert_eq(pthread_create(&searchers[i].thread, NULL, search_often, &searchers[i]), 0);
  }
  for (int i = 0; i < 10; i++) {
    const lk_block *block = trials[i % 2].data.blocks;
    cr_assert_eq(lk_device_begin_changes(device, &error), LK_OK);
    cr_assert_eq(lk_device_update_block(device, residents[i % 2], &block->visibility, 0, block->rows, &error), LK_OK);
    lk_device_end_changes(device);
  }
  for (int i = 0; i < 3; i++) pthread_join(searchers[i].thread, NULL);
  for (int i = 0; i < 2; i++) {
    lk_device_unload_block(device, residents[i]);
    trial_free(&trials[i]);
  }
  lk_device_close(device);
}

/* An emulated GPU does what it is asked only when it is waited for: the load must have waited. */
Test(emulated, a_twin_reads_what_has_been_loaded) {
  struct conformance_case c = PIN("twin", COSINE, NORMAL, 64, 2000, 4, 10);
  emulated_recipe lending = plenty;
  lending.bytes_in_reserve = lending.memory_bytes;
  struct trial trial = trial_make(&c);
  lk_backend *backend = open_backend(lending), *twin;
  lk_backend_search search = {0};
  lk_resident_block *resident;
  lk_candidate_lists lists = {0};
  lk_search_stats stats = {0};
  lk_error error;
  cr_assert_eq(backend->ops->twin(backend, &twin, &error), LK_OK);
  cr_assert_str_eq(twin->name, backend->name);
  cr_assert_eq(backend->ops->load(backend, trial.data.shape, trial.data.blocks, &resident, &error), LK_OK);
  lk_batch batch = trial.batch;
  batch.blocks = &resident;
  search.backend = twin;
  cr_assert(lk_backend_search_run(&search, &batch, &lists, &stats, &error) == LK_OK, "%s", error.text);
  trial_compare(&trial, "the twin", 1, &lists, &trial.want);
  lk_backend_search_free(&search);
  twin->ops->close(twin);
  backend->ops->unload(backend, resident);
  backend->ops->close(backend);
  lk_candidate_lists_free(&lists);
  trial_free(&trial);
}

/* ---- rounds that are asked for again ---- */

/* Searches for five probes at a time; returns how many of these searches replayed a recording, and how many rounds
 * overflowed. */
static uint64_t count_replays(lk_device *device, const struct conformance_case *c, uint32_t *reruns) {
  lk_candidate_lists got = {0};
  struct trial trial = trial_make(c);
  uint64_t before = emulated_replays();
  *reruns = trial_search(&trial, device, 5, &got).reruns;
  trial_compare(&trial, lk_device_name(device), 1, &got, &trial.want);
  trial_free(&trial);
  lk_candidate_lists_free(&got);
  return emulated_replays() - before;
}

Test(emulated, searches_of_one_shape_are_recorded_once) {
  lk_device *device = open_device(plenty);
  struct conformance_case c = PIN("recorded", COSINE, NORMAL, 40, 2600, 20, 9);
  uint32_t reruns;
  uint64_t before = emulated_recordings();
  cr_assert_eq(count_replays(device, &c, &reruns), 3, "all but the first of four searches");
  cr_assert_eq(emulated_recordings() - before, 1);
  c.recipe.probes = 19;
  cr_assert_eq(count_replays(device, &c, &reruns), 3, "all but the last, of four probes");
  c.k = LK_K_ALL;
  c.bar = BAR_SCORE;
  cr_assert_eq(count_replays(device, &c, &reruns), 0, "one round is not worth it");
  lk_device_close(device);
}

Test(emulated, recordings_of_rounds_that_overflow) {
  lk_device *device = open_device((emulated_recipe){.memory_bytes = PLENTY, .pairs_room = 3000});
  struct conformance_case c = PIN("recorded overflow", COSINE, ALL_EQUAL, 4, 2600, 20, 9);
  uint32_t reruns;
  cr_assert_eq(count_replays(device, &c, &reruns), 3);
  cr_assert_gt(reruns, 0);
  lk_device_close(device);
}

/* A search of a larger gallery needs more room for tiles, and for nothing else: its rows are so long that the float
 * scan takes few of them at once. It passes so few rows that it has no rounds, so the order of the smaller one's tiles
 * and its recording are still there. */
Test(emulated, a_recording_ends_with_the_memory_that_it_reads) {
  lk_device *device = open_device(plenty);
  struct conformance_case small = PIN("recorded in memory that goes", COSINE, NORMAL, 1024, 4400, 10, 9);
  struct conformance_case large = PIN("takes that memory", COSINE, NORMAL, 1024, 12000, 1, 3);
  large.allowed_one_in = 200;
  uint32_t reruns;
  cr_assert_eq(count_replays(device, &small, &reruns), 1, "the second of two searches");
  cr_assert_eq(count_replays(device, &large, &reruns), 0);
  cr_assert_eq(count_replays(device, &small, &reruns), 1, "the second again");
  lk_device_close(device);
}

/* Fewer rounds, and a larger seed. */
Test(emulated, a_gpu_of_many_processors) {
  emulated_recipe recipe = plenty;
  recipe.processors = 40;
  lk_device *device = open_device(recipe);
  struct conformance_case c = PIN("many processors", COSINE, NORMAL, 8, 6000, 5, 9);
  uint32_t rounds = check(&c).rounds;
  cr_assert_lt(check_on(device, &c).rounds, rounds);
  lk_device_close(device);
}

/* ---- full memory ---- */

static const emulated_recipe narrow = {.memory_bytes = PLENTY, .pairs_room = 1, .lends = true};

/* No bar rejects any of these rows: a round leaves more pairs than find room, and is run again in halves. */
Test(emulated, overflow) {
  lk_device *device = open_device(narrow);
  struct conformance_case c = PIN("overflow", COSINE, ALL_EQUAL, 4, 2600, 3, 10);
  lk_search_stats stats = check_on(device, &c);
  cr_assert(stats.reruns > 0, "nothing overflowed");
  lk_device_close(device);
}

Test(emulated, range_overflow) {
  lk_device *device = open_device(narrow);
  struct conformance_case c = PIN("range overflow", IP, NORMAL, 4, 1200, 5, LK_K_ALL);
  c.recipe.blocks = 2;
  lk_search_stats stats = check_on(device, &c);
  cr_assert(stats.reruns > 0, "nothing overflowed");
  lk_device_close(device);
}

Test(emulated, near_duplicates_take_the_float_scan) {
  struct conformance_case c = PIN("near-duplicates", L2, NEAR, 512, 4000, 20, 10);
  c.recipe.blocks = 3;
  c.recipe.means = MEANS_MIXED;
  lk_search_stats stats = check(&c);
  cr_assert(stats.float_rounds > 0, "no round scanned in float: %llu of %llu rescored",
            (unsigned long long)stats.rescored, (unsigned long long)stats.scanned);
}

/* Exact rows that do not fit stay where they are. */
Test(emulated, exact_rows_in_the_hosts_memory) {
  struct conformance_case c = PIN("lent", IP, NORMAL, 64, 2000, 4, 10);
  emulated_recipe small = plenty;
  small.bytes_in_reserve = small.memory_bytes - (300 << 10);
  struct trial trial = trial_make(&c);
  lk_device *device = open_device(small);
  lk_resident_block *resident;
  lk_error error;
  cr_assert(lk_device_load_block(device, trial.data.shape, trial.data.blocks, &resident, &error) == LK_OK);
  cr_assert(emulated_bytes_lent() == 2000 * 64 * 4);
  lk_device_unload_block(device, resident);
  cr_assert(emulated_bytes_lent() == 0);
  check_on(device, &c);
  trial_free(&trial);
  lk_device_close(device);
}

/* The error says how much memory was needed, and nothing stays allocated: closing the GPU checks that. */
Test(emulated, memory_that_runs_out) {
  struct conformance_case c = PIN("out of memory", L2, NORMAL, 64, 600, 4, 10);
  struct trial trial = trial_make(&c);
  lk_batch batch = trial.batch;
  lk_candidate_lists lists = {0};
  bool enough = false;
  for (size_t bytes = 1000; !enough; bytes += bytes / 4 + 1) {
    lk_error error = {""};
    lk_resident_block *resident = NULL;
    lk_device *device = open_device((emulated_recipe){.memory_bytes = bytes, .pairs_room = 1});
    lk_status status = lk_device_load_block(device, trial.data.shape, trial.data.blocks, &resident, &error);
    batch.blocks = &resident;
    if (status == LK_OK) status = lk_search(device, &batch, &lists, NULL, &error);
    enough = status == LK_OK;
    cr_assert(enough || status == LK_ENOMEM);
    cr_assert(enough || (strstr(error.text, "MiB needed") != NULL && strstr(error.text, "MiB left") != NULL), "%s",
              error.text);
    lk_device_unload_block(device, resident);
    lk_device_close(device);
  }
  trial_compare(&trial, "emulated", 1, &lists, &trial.want);
  lk_candidate_lists_free(&lists);
  trial_free(&trial);
}

/* An update of no rows takes the memory that later updates of the same arrays would need. */
Test(emulated, an_update_that_found_room_needs_no_more) {
  struct conformance_case c = PIN("room", L2, NORMAL, 64, 600, 4, 10);
  c.recipe.carries = CORPUS_DIED;
  struct trial trial = trial_make(&c);
  lk_error error;
  lk_resident_block *resident, *others[64];
  uint32_t count = 0;
  lk_block plain = trial.data.blocks[0];
  plain.visibility = (lk_visibility){0};
  lk_device *device = open_device((emulated_recipe){.memory_bytes = 2 << 20, .pairs_room = 1});
  cr_assert_eq(lk_device_load_block(device, trial.data.shape, &plain, &resident, &error), LK_OK);
  const lk_visibility *died = &trial.data.blocks[0].visibility;
  cr_assert_eq(lk_device_begin_changes(device, &error), LK_OK);
  cr_assert_eq(lk_device_update_block(device, resident, died, 0, 0, &error), LK_OK);
  lk_device_end_changes(device);
  while (count < 64 && lk_device_load_block(device, trial.data.shape, &plain, &others[count], &error) == LK_OK) count++;
  cr_assert(count < 64, "the memory is not full");
  cr_assert_eq(lk_device_begin_changes(device, &error), LK_OK);
  for (int i = 0; i < 1000; i++)
    cr_assert_eq(lk_device_update_block(device, resident, died, 0, 600, &error), LK_OK, "%s", error.text);
  lk_device_end_changes(device);
  while (count > 0) lk_device_unload_block(device, others[--count]);
  lk_device_unload_block(device, resident);
  lk_device_close(device);
  trial_free(&trial);
}
