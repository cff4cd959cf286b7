#include "index/gallery/catalog.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "kernels/begins.h"

static void free_widened(lk_widened *widened) {
  free(widened->reciprocals);
  free(widened->bounds);
  free(widened->tiles);
  *widened = (lk_widened){0};
}

lk_status lk_catalog_open(lk_catalog *catalog, uint32_t segments, lk_error *error) {
  *catalog = (lk_catalog){.segments = calloc(segments + 1, sizeof *catalog->segments),
                          .widened = calloc(segments + 1, sizeof *catalog->widened),
                          .first_row = calloc(segments + 1, sizeof *catalog->first_row)};
  if (catalog->segments != NULL && catalog->widened != NULL && catalog->first_row != NULL) return LK_OK;
  lk_catalog_close(catalog);
  return lk_fail_memory(error);
}

void lk_catalog_add(lk_catalog *catalog) {
  const lk_segment *added = &catalog->segments[catalog->segments_count];
  catalog->first_row[catalog->segments_count++] = (uint32_t)catalog->rows;
  catalog->rows += added->block.rows;
  catalog->bytes += added->file.size;
}

void lk_catalog_close(lk_catalog *catalog) {
  for (uint32_t i = 0; i < catalog->segments_count; i++) {
    lk_segment_close(&catalog->segments[i]);
    free_widened(&catalog->widened[i]);
  }
  free(catalog->segments);
  free(catalog->widened);
  free(catalog->first_row);
  *catalog = (lk_catalog){0};
}

const lk_segment *lk_catalog_segment_at(const lk_catalog *catalog, uint64_t row, uint32_t *inside) {
  uint32_t at = lk_last_begin(catalog->first_row, sizeof *catalog->first_row, catalog->segments_count, (uint32_t)row);
  *inside = (uint32_t)(row - catalog->first_row[at]);
  return &catalog->segments[at];
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

lk_status lk_catalog_block(lk_catalog *catalog, uint32_t number, lk_block *block, lk_error *error) {
  const lk_segment *segment = &catalog->segments[number];
  lk_widened *widened = &catalog->widened[number];
  *block = segment->block;
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

lk_status lk_catalog_check_files(const lk_catalog *catalog, lk_error *error) {
  lk_status status = LK_OK;
  for (uint32_t s = 0; status == LK_OK && s < catalog->segments_count; s++)
    status = lk_file_check(&catalog->segments[s].file, catalog->segments[s].path, error);
  return status;
}

lk_template lk_catalog_template(const lk_catalog *catalog, uint64_t row) {
  uint32_t inside;
  const lk_segment *segment = lk_catalog_segment_at(catalog, row, &inside);
  return lk_segment_template(segment, inside);
}

void lk_catalog_each_of_subject(const lk_catalog *catalog, lk_text subject, lk_each_row *each, void *context) {
  for (uint32_t s = 0; s < catalog->segments_count; s++)
    lk_segment_each_of_subject(&catalog->segments[s], subject, s, each, context);
}
