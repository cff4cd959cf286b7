#include "kernels/outliers.h"

#include <stdlib.h>

static bool fits(const lk_block *block, uint32_t row) {
  return lk_row_fits(&block->tiles[row / LK_TILE_ROWS], &block->bounds[row]);
}

static uint32_t count_outliers(const lk_block *block) {
  uint32_t count = 0;
  for (uint32_t r = 0; r < block->rows; r++) count += !fits(block, r);
  return count;
}

bool lk_outliers_list(const lk_block *block, uint32_t run_rows, lk_outliers *outliers) {
  size_t runs = ((size_t)block->rows + run_rows - 1) / run_rows;
  *outliers = (lk_outliers){.rows = malloc(((size_t)count_outliers(block) + 1) * sizeof *outliers->rows),
                            .ends = malloc((runs + 1) * sizeof *outliers->ends)};
  if (outliers->rows == NULL || outliers->ends == NULL) return false;
  for (uint32_t r = 0; r < block->rows; r++) {
    if (!fits(block, r)) outliers->rows[outliers->count++] = r;
    outliers->ends[r / run_rows] = outliers->count;
  }
  return true;
}

void lk_outliers_free(lk_outliers *outliers) {
  free(outliers->rows);
  free(outliers->ends);
  *outliers = (lk_outliers){0};
}
