/* A gallery in memory: rows in the order and with the codes that a segment gives them; a device loads them. */
#ifndef BENCH_GALLERY_H
#define BENCH_GALLERY_H

#include "base/pool.h"
#include "bench/data.h"
#include "kernels/search/device.h"

typedef struct gallery {
  const data *data;
  lk_shape shape;
  uint32_t rows, blocks_count;
  float *exact, *means;
  double *reciprocals; /* of the rows, under cosine; else NULL */
  int8_t *codes;
  lk_tile *tiles;
  lk_row_bound *bounds;
  lk_ordered_row *order; /* of the rows in their block, where lengths differ */
  uint64_t *numbers;     /* which of the data's rows each is */
  uint32_t *subjects;    /* of DATA_SUBJECT_ROWS rows each */
  lk_block *blocks;
  double *work; /* LK_TILE_ROWS x dim a thread */
} gallery;

gallery gallery_make(const data *data, uint32_t rows, lk_pool *pool);
void gallery_free(gallery *gallery);

/* Loads its blocks on the device. `carried`: tags and deaths of all rows, or NULL. The caller has gallery_unload unload
 * them. */
lk_resident_block **gallery_load(const gallery *gallery, lk_device *device, lk_visibility carried);
void gallery_unload(const gallery *gallery, lk_device *device, lk_resident_block **residents);

/* `count` probes for it; the caller frees them. */
float *gallery_probes(const gallery *gallery, uint32_t count);

#endif
