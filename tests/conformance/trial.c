#include "tests/conformance/trial.h"

#include <criterion/criterion.h>
#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/reference.h"
#include "kernels/scan_order.h"

#define MOST_BLOCKS 64

static bool same_bits(const lk_hit *a, const lk_hit *b) {
  return memcmp(&a->score, &b->score, sizeof a->score) == 0 && a->number == b->number && a->row == b->row;
}

static uint64_t count_of(const lk_candidate_lists *lists, uint32_t list) {
  return lists->ends[list] - lk_candidate_lists_begin(lists, list);
}

void trial_compare(const struct trial *trial, const char *device, uint32_t threads, const lk_candidate_lists *got,
                   const lk_candidate_lists *want) {
  const struct conformance_case *c = &trial->c;
  cr_assert(got->count == want->count, "%s, %u threads: %u lists and not %u; %s", device, threads, got->count,
            want->count, case_describe(c));
  cr_assert(want->count == 0 || got->visible == want->visible, "%s, %u threads: %llu rows are visible and not %llu; %s",
            device, threads, (unsigned long long)got->visible, (unsigned long long)want->visible, case_describe(c));
  for (uint32_t p = 0; p < want->count; p++) {
    cr_assert(count_of(got, p) == count_of(want, p), "%s, %u threads: probe %u has %llu hits and not %llu; %s", device,
              threads, p, (unsigned long long)count_of(got, p), (unsigned long long)count_of(want, p),
              case_describe(c));
    const lk_hit *g = got->hits + lk_candidate_lists_begin(got, p), *w = want->hits + lk_candidate_lists_begin(want, p);
    for (uint32_t i = 0; i < count_of(want, p); i++)
      cr_assert(same_bits(&g[i], &w[i]), "%s, %u threads: probe %u rank %u: %a row %u and not %a row %u; %s", device,
                threads, p, i, (double)g[i].score, g[i].row, (double)w[i].score, w[i].row, case_describe(c));
  }
}

static uint64_t **make_allowed(const struct conformance_case *c, const corpus *data) {
  if (c->allowed_one_in == 0) return NULL;
  random_state random = random_fork(c->recipe.seed, 79);
  uint32_t one_in = c->allowed_one_in == UINT32_MAX ? data->rows / 5 + 1 : c->allowed_one_in;
  uint64_t **allowed = calloc(data->blocks_count + 1, sizeof *allowed);
  cr_assert(allowed != NULL);
  for (uint32_t b = 0; b < data->blocks_count; b++) {
    allowed[b] = calloc(data->blocks[b].rows / 64 + 1, sizeof **allowed);
    cr_assert(allowed[b] != NULL);
    for (uint32_t r = 0; r < data->blocks[b].rows; r++)
      allowed[b][r / 64] |= (uint64_t)random_one_in(&random, one_in) << r % 64;
  }
  return allowed;
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

static float *pick_thresholds(const struct conformance_case *c, const corpus *data) {
  if (c->bar == BAR_NONE) return NULL;
  random_state random = random_fork(c->recipe.seed, 77);
  float *thresholds = malloc((data->probes_count + 1) * sizeof *thresholds);
  cr_assert(thresholds != NULL);
  for (uint32_t p = 0; p < data->probes_count; p++) thresholds[p] = pick_threshold(c, data, &random, p);
  return thresholds;
}

struct trial trial_make(const struct conformance_case *c) {
  lk_error error;
  struct trial made = {.c = *c, .data = corpus_make(&c->recipe)};
  made.allowed = make_allowed(c, &made.data);
  made.thresholds = pick_thresholds(c, &made.data);
  made.batch = (lk_batch){.shape = made.data.shape,
                          .blocks_count = made.data.blocks_count,
                          .probes = made.data.probes,
                          .count = made.data.probes_count,
                          .k = c->k,
                          .thresholds = made.thresholds,
                          .by_subject = c->by_subject,
                          .filter = c->filter};
  made.batch.filter.allowed = (const uint64_t *const *)made.allowed;
  lk_status status = lk_reference_search(made.data.blocks, made.data.blocks_count, &made.batch, &made.want, &error);
  cr_assert(status == LK_OK, "%s", error.text);
  return made;
}

void trial_free(struct trial *trial) {
  for (uint32_t b = 0; trial->allowed != NULL && b < trial->data.blocks_count; b++) free(trial->allowed[b]);
  free(trial->allowed);
  free(trial->thresholds);
  lk_candidate_lists_free(&trial->want);
  corpus_free(&trial->data);
}

static void append(lk_candidate_lists *to, const lk_candidate_lists *from) {
  lk_error error;
  uint64_t begin = lk_candidate_lists_begin(to, to->count);
  to->visible = from->visible;
  cr_assert(lk_candidate_lists_reserve(to, from->count, lk_candidate_lists_begin(from, from->count), &error) == LK_OK,
            "%s", error.text);
  memcpy(to->hits + begin, from->hits, lk_candidate_lists_begin(from, from->count) * sizeof *to->hits);
  for (uint32_t p = 0; p < from->count; p++) to->ends[to->count++] = begin + from->ends[p];
}

lk_search_stats trial_search(const struct trial *trial, lk_device *device, uint32_t at_once,
                             lk_candidate_lists *lists) {
  lk_error error;
  lk_search_stats stats = {0};
  lk_candidate_lists part = {0};
  const corpus *data = &trial->data;
  lk_batch batch = trial->batch;
  lk_resident_block *residents[MOST_BLOCKS];
  cr_assert(data->blocks_count <= MOST_BLOCKS);
  for (uint32_t b = 0; b < data->blocks_count; b++)
    cr_assert(lk_device_load_block(device, data->shape, &data->blocks[b], &residents[b], &error) == LK_OK, "%s",
              error.text);
  batch.blocks = residents;
  lk_candidate_lists_clear(lists);
  for (uint32_t first = 0; first < data->probes_count; first += at_once) {
    batch.probes = data->probes + (size_t)first * data->shape.dim;
    batch.count = data->probes_count - first < at_once ? data->probes_count - first : at_once;
    batch.thresholds = trial->thresholds != NULL ? trial->thresholds + first : NULL;
    cr_assert(lk_search(device, &batch, &part, &stats, &error) == LK_OK, "%s", error.text);
    append(lists, &part);
  }
  for (uint32_t b = 0; b < data->blocks_count; b++) lk_device_unload_block(device, residents[b]);
  lk_candidate_lists_free(&part);
  return stats;
}

/* As many other values; NULL for NULL. */
static uint64_t *make_values(const uint64_t *of, uint32_t rows, uint64_t value) {
  if (of == NULL) return NULL;
  uint64_t *values = malloc(((size_t)rows + 1) * sizeof *values);
  cr_assert_not_null(values);
  for (uint32_t r = 0; r < rows; r++) values[r] = value;
  return values;
}

/* Updates a block piece by piece; where the rows had no visibility the first piece updates all. */
static void update(lk_device *device, lk_resident_block *resident, const lk_block *block, bool nothing) {
  lk_error error;
  uint32_t end = nothing && block->rows > 0 ? 1 : block->rows;
  for (uint32_t first = 0, count; first < end; first += count) {
    count = block->rows - first < 100 ? block->rows - first : 100;
    cr_assert(lk_device_update_block(device, resident, &block->visibility, first, count, &error) == LK_OK, "%s",
              error.text);
  }
}

void trial_search_updated(const struct trial *trial, lk_device *device, bool nothing, lk_candidate_lists *lists) {
  lk_error error;
  const corpus *data = &trial->data;
  lk_batch batch = trial->batch;
  lk_resident_block *residents[MOST_BLOCKS];
  uint64_t *values[MOST_BLOCKS][4];
  for (uint32_t b = 0; b < data->blocks_count; b++) {
    lk_block block = data->blocks[b];
    const lk_visibility *want = &block.visibility;
    const uint64_t *arrays[] = {want->born, want->died, want->expires_ms, want->tags};
    for (uint32_t i = 0; i < 4; i++) values[b][i] = make_values(nothing ? NULL : arrays[i], block.rows, i % 2 ? 1 : 5);
    block.visibility = (lk_visibility){values[b][0], values[b][1], values[b][2], values[b][3]};
    cr_assert(lk_device_load_block(device, data->shape, &block, &residents[b], &error) == LK_OK, "%s", error.text);
  }
  batch.blocks = residents;
  cr_assert(lk_search(device, &batch, lists, NULL, &error) == LK_OK, "%s", error.text);
  cr_assert(lk_device_begin_changes(device, &error) == LK_OK, "%s", error.text);
  for (uint32_t b = 0; b < data->blocks_count; b++) update(device, residents[b], &data->blocks[b], nothing);
  lk_device_end_changes(device);
  cr_assert(lk_search(device, &batch, lists, NULL, &error) == LK_OK, "%s", error.text);
  for (uint32_t b = 0; b < data->blocks_count; b++) {
    lk_device_unload_block(device, residents[b]);
    for (uint32_t i = 0; i < 4; i++) free(values[b][i]);
  }
}

/* Runs a round that overflows again in halves. */
static void round_in_float(lk_backend *backend, const lk_scan_order *order, uint32_t begin, uint32_t end) {
  lk_round done;
  uint32_t middle = begin + (end - begin) / 2;
  if (begin == end || backend->ops->rounds(backend, order, &(lk_run){begin, end}, 1, true, &done) == 1) return;
  cr_assert(end - begin > 1, "a single tile overflowed");
  round_in_float(backend, order, begin, middle);
  round_in_float(backend, order, middle, end);
}

void trial_search_wide(const struct trial *trial, lk_backend *backend, lk_candidate_lists *lists) {
  lk_error error;
  lk_search_stats stats = {0};
  const corpus *data = &trial->data;
  lk_batch batch = trial->batch;
  lk_scan_order order = {0};
  uint32_t count = 0;
  lk_resident_block *residents[MOST_BLOCKS];
  cr_assert(data->blocks_count <= MOST_BLOCKS);
  for (uint32_t b = 0; b < data->blocks_count; b++) {
    cr_assert(backend->ops->load(backend, data->shape, &data->blocks[b], &residents[b], &error) == LK_OK);
    count += residents[b]->tiles;
  }
  batch.blocks = residents;
  lk_plan plan = {.first_tiles = count, .growth = 1, .tile_stride = 1};
  cr_assert(lk_scan_order_make(&order, &plan, count, &error) == LK_OK);
  lk_candidate_lists_clear(lists);
  cr_assert(backend->ops->begin(backend, &batch, &lists->visible, &error) == LK_OK, "%s", error.text);
  round_in_float(backend, &order, 0, count / 2);
  round_in_float(backend, &order, count / 2, count);
  lk_scan_order_free(&order);
  cr_assert(backend->ops->finish(backend, lists, &stats, &error) == LK_OK, "%s", error.text);
  for (uint32_t b = 0; b < data->blocks_count; b++) backend->ops->unload(backend, residents[b]);
}
