#include "index/live/same_rows.h"

#include <string.h>

#include "index/catalog/part.h"
#include "index/formats/vector.h"

typedef struct comparison {
  const lk_catalog *catalog;
  lk_shape shape;
  const lk_vectors *vectors;
} comparison;

/* Whether the template of this number has the vector of this row, as it would be stored. */
static bool is_same(const comparison *c, uint64_t number, uint64_t row) {
  float wanted[LK_DIM_MAX], room[LK_DIM_MAX];
  uint32_t part, at, dim = c->shape.dim;
  if (lk_vector_prepare(c->shape.metric, c->vectors, row, wanted) != NULL) return false;
  if (lk_vector_round(c->shape.metric, c->shape.store, wanted, dim) != NULL) return false;
  if (!lk_catalog_find_number(c->catalog, number, &part, &at)) return false;
  const lk_block *block = &c->catalog->parts[part]->segment.block;
  return memcmp(lk_stored_row(c->shape.store, block->exact, at, dim, room), wanted, dim * sizeof *wanted) == 0;
}

bool lk_same_rows_find(const lk_catalog *catalog, lk_shape shape, const lk_vectors *vectors, uint64_t *number) {
  const comparison c = {catalog, shape, vectors};
  for (uint32_t i = 0; i < catalog->parts_count; i++) {
    const lk_part *part = catalog->parts[i];
    if (part->segment.block.rows == 0) continue;
    uint32_t first = lk_segment_row_at(&part->segment, 0);
    *number = part->segment.block.numbers[first];
    uint64_t same = 0;
    while (lk_part_lives(part, first) && same < vectors->rows && is_same(&c, *number + same, same)) same++;
    if (same == vectors->rows) return true;
  }
  return false;
}
