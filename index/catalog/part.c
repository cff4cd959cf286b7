#include "index/catalog/part.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"

lk_status lk_part_open(const lk_segment *segment, uint32_t file, lk_part **part, lk_error *error) {
  lk_part *opened = calloc(1, sizeof *opened);
  if (opened == NULL) return lk_fail_memory(error);
  opened->file = file;
  opened->segment = *segment;
  opened->segment.block.name = opened->segment.path;
  atomic_init(&opened->living, segment->block.rows);
  atomic_init(&opened->references, 1);
  *part = opened;
  return LK_OK;
}

lk_status lk_part_twin(lk_part *part, lk_part **twin, lk_error *error) {
  lk_status status = lk_part_open(&part->segment, part->file, twin, error);
  if (status != LK_OK) return status;
  atomic_fetch_add(&part->references, 1);
  (*twin)->lender = part;
  return LK_OK;
}

/* A change may be under way in another thread. */
#define LOAD(address) __atomic_load_n(address, __ATOMIC_RELAXED)
#define STORE(address, value) __atomic_store_n(address, value, __ATOMIC_RELAXED)

/* The arrays themselves appear once, when their first value is there. */
static uint64_t *array_of(uint64_t *const *array) { return __atomic_load_n(array, __ATOMIC_ACQUIRE); }

lk_visibility lk_part_visibility(const lk_part *part) {
  lk_visibility visibility = part->segment.block.visibility;
  const uint64_t *expires_ms = array_of(&part->expires_ms), *tags = array_of(&part->tags);
  visibility.died = array_of(&part->died);
  if (expires_ms != NULL) visibility.expires_ms = expires_ms;
  if (tags != NULL) visibility.tags = tags;
  return visibility;
}

static void free_widened(lk_widened *widened) {
  free(widened->reciprocals);
  free(widened->bounds);
  free(widened->tiles);
  *widened = (lk_widened){0};
}

void lk_part_release(lk_part *part) {
  if (part == NULL || atomic_fetch_sub(&part->references, 1) > 1) return;
  if (part->lender != NULL)
    lk_part_release(part->lender);
  else
    lk_segment_close(&part->segment);
  free_widened(&part->widened);
  free(part->died);
  free(part->expires_ms);
  free(part->tags);
  free(part->subjects);
  free(part);
}

struct widening {
  lk_widened *widened;
  const lk_segment *segment;
};

static void widen_tile(void *context, uint32_t thread, uint32_t tile) {
  (void)thread;
  struct widening *w = context;
  lk_shape shape = w->segment->shape;
  uint32_t first = tile * LK_TILE_ROWS, left = w->segment->block.rows - first;
  uint32_t rows = left < LK_TILE_ROWS ? left : LK_TILE_ROWS;
  float room[LK_DIM_MAX];
  for (uint32_t r = first; r < first + rows; r++) {
    const float *x = lk_stored_row(shape.store, w->segment->block.exact, r, shape.dim, room);
    w->widened->reciprocals[r] = lk_score_reciprocal(shape.metric, x, shape.dim);
  }
  lk_codes_widen(w->widened->reciprocals + first, rows, &w->widened->tiles[tile], w->widened->bounds + first);
}

static lk_status check_lengths(const lk_segment *segment, const double *reciprocals, lk_error *error) {
  uint32_t row = 0;
  while (row < segment->block.rows && lk_segment_is_unit(reciprocals[row])) row++;
  if (row == segment->block.rows) return LK_OK;
  lk_status status = lk_file_check(&segment->file, segment->path, error);
  return status == LK_OK ? lk_segment_fail_length(segment, row, error) : status;
}

static lk_status widen(struct widening *w, uint32_t tiles, lk_error *error) {
  lk_pool *pool;
  lk_status status = lk_pool_open(0, &pool, error);
  if (status != LK_OK) return status;
  lk_pool_run(pool, tiles, widen_tile, w);
  lk_pool_close(pool);
  return check_lengths(w->segment, w->widened->reciprocals, error);
}

static lk_status make_widened(lk_widened *widened, const lk_segment *segment, lk_error *error) {
  const lk_block *block = &segment->block;
  size_t rows = block->rows, tiles = (rows + LK_TILE_ROWS - 1) / LK_TILE_ROWS;
  *widened = (lk_widened){.reciprocals = malloc(rows * sizeof *widened->reciprocals),
                          .bounds = malloc(rows * sizeof *widened->bounds),
                          .tiles = malloc(tiles * sizeof *widened->tiles)};
  if (widened->reciprocals == NULL || widened->bounds == NULL || widened->tiles == NULL) return lk_fail_memory(error);
  memcpy(widened->bounds, block->bounds, rows * sizeof *widened->bounds);
  memcpy(widened->tiles, block->tiles, tiles * sizeof *widened->tiles);
  return widen(&(struct widening){.widened = widened, .segment = segment}, (uint32_t)tiles, error);
}

lk_status lk_part_block(lk_part *part, lk_block *block, lk_error *error) {
  const lk_segment *segment = &part->segment;
  lk_widened *widened = &part->widened;
  *block = segment->block;
  block->visibility = lk_part_visibility(part);
  block->subjects = part->subjects;
  if (segment->shape.metric != LK_COSINE || block->reciprocals != NULL) return LK_OK;
  lk_status status = widened->reciprocals == NULL ? make_widened(widened, segment, error) : LK_OK;
  if (status != LK_OK) {
    free_widened(widened);
    return status;
  }
  block->reciprocals = widened->reciprocals;
  block->bounds = widened->bounds;
  block->tiles = widened->tiles;
  return LK_OK;
}

lk_template lk_part_template(const lk_part *part, uint32_t row) {
  const uint64_t *tags = array_of(&part->tags), *expires_ms = array_of(&part->expires_ms);
  lk_template t = lk_segment_template(&part->segment, row);
  if (tags != NULL) t.tags = LOAD(&tags[row]);
  if (expires_ms != NULL) t.expires_ms = LOAD(&expires_ms[row]);
  return t;
}

uint64_t lk_part_died(const lk_part *part, uint32_t row) {
  const uint64_t *died = array_of(&part->died);
  return died != NULL ? LOAD(&died[row]) : UINT64_MAX;
}

bool lk_part_lives(const lk_part *part, uint32_t row) { return lk_part_died(part, row) == UINT64_MAX; }

bool lk_part_has_changed(const lk_part *part) {
  return part->living < part->segment.block.rows || array_of(&part->expires_ms) != NULL ||
         array_of(&part->tags) != NULL;
}

/* `from`: the segment's values; NULL: all are `value`. */
static lk_status have_array(const lk_part *part, uint64_t **array, const uint64_t *from, uint64_t value,
                            lk_error *error) {
  if (*array != NULL) return LK_OK;
  size_t rows = part->segment.block.rows;
  uint64_t *made = malloc(rows * sizeof *made);
  if (made == NULL) return lk_fail_memory(error);
  for (size_t r = 0; r < rows; r++) made[r] = from != NULL ? from[r] : value;
  __atomic_store_n(array, made, __ATOMIC_RELEASE);
  return LK_OK;
}

lk_status lk_part_reserve(lk_part *part, lk_record_kind kind, lk_error *error) {
  const lk_visibility *written = &part->segment.block.visibility;
  if (kind == LK_RECORD_DELETE_KEY) return have_array(part, &part->died, NULL, UINT64_MAX, error);
  if (kind == LK_RECORD_EXPIRE) return have_array(part, &part->expires_ms, written->expires_ms, LK_NEVER, error);
  return have_array(part, &part->tags, written->tags, 0, error);
}

void lk_part_kill(lk_part *part, uint32_t row, uint64_t epoch) {
  if (part->died[row] != UINT64_MAX) return;
  STORE(&part->died[row], epoch);
  part->living--;
}

void lk_part_expire(lk_part *part, uint32_t row, uint64_t expires_ms) { STORE(&part->expires_ms[row], expires_ms); }

void lk_part_tag(lk_part *part, uint32_t row, uint64_t tags, uint64_t mask) {
  STORE(&part->tags[row], (part->tags[row] & ~mask) | (tags & mask));
}

lk_status lk_part_set(lk_part *part, uint32_t row, uint64_t died, uint64_t expires_ms, uint64_t tags, lk_error *error) {
  lk_template before = lk_part_template(part, row);
  lk_status status = LK_OK;
  if (died != UINT64_MAX) {
    status = lk_part_reserve(part, LK_RECORD_DELETE_KEY, error);
    if (status == LK_OK) lk_part_kill(part, row, died);
  }
  if (status == LK_OK && expires_ms != before.expires_ms) {
    status = lk_part_reserve(part, LK_RECORD_EXPIRE, error);
    if (status == LK_OK) lk_part_expire(part, row, expires_ms);
  }
  if (status == LK_OK && tags != before.tags) {
    status = lk_part_reserve(part, LK_RECORD_TAG, error);
    if (status == LK_OK) lk_part_tag(part, row, tags, UINT64_MAX);
  }
  return status;
}

/* ---- twins ---- */

static uint64_t value_of(const uint64_t *values, uint32_t row, uint64_t usual) {
  return values != NULL ? LOAD(&values[row]) : usual;
}

static bool is_same(const lk_visibility *a, const lk_visibility *b, uint32_t r) {
  return value_of(a->died, r, UINT64_MAX) == value_of(b->died, r, UINT64_MAX) &&
         value_of(a->expires_ms, r, LK_NEVER) == value_of(b->expires_ms, r, LK_NEVER) &&
         value_of(a->tags, r, 0) == value_of(b->tags, r, 0);
}

lk_row_range lk_part_differences(const lk_part *part, const lk_part *twin) {
  lk_visibility a = lk_part_visibility(part), b = lk_part_visibility(twin);
  uint32_t first = 0, end = part->segment.block.rows;
  if (a.died == b.died && a.expires_ms == b.expires_ms && a.tags == b.tags) return (lk_row_range){0};
  while (first < end && is_same(&a, &b, first)) first++;
  while (end > first && is_same(&a, &b, end - 1)) end--;
  return (lk_row_range){.first = first, .count = end - first};
}

lk_status lk_part_reserve_as(lk_part *part, const lk_part *twin, lk_error *error) {
  lk_status status = LK_OK;
  if (twin->died != NULL) status = lk_part_reserve(part, LK_RECORD_DELETE_KEY, error);
  if (status == LK_OK && twin->expires_ms != NULL) status = lk_part_reserve(part, LK_RECORD_EXPIRE, error);
  if (status == LK_OK && twin->tags != NULL) status = lk_part_reserve(part, LK_RECORD_TAG, error);
  return status;
}

void lk_part_copy(lk_part *part, const lk_part *twin, lk_row_range rows) {
  lk_visibility from = lk_part_visibility(twin);
  for (uint32_t r = rows.first; r < rows.first + rows.count; r++) {
    if (part->died != NULL) STORE(&part->died[r], value_of(from.died, r, UINT64_MAX));
    if (part->expires_ms != NULL) STORE(&part->expires_ms[r], value_of(from.expires_ms, r, LK_NEVER));
    if (part->tags != NULL) STORE(&part->tags[r], value_of(from.tags, r, 0));
  }
  part->living = twin->living;
}
