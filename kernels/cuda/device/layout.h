/* Where codes lie in a GPU's memory, and sums in a warp's product. Plain arithmetic, for host and device.
 *
 * Codes are packed in runs of rows: a run is a tile of the gallery, or a group of probes. A run is a sequence of
 * chunks, and a chunk has 64 bytes of each row of the run, one row after the other. So a chunk is one piece of memory,
 * and 32 lanes that read 16 bytes each read 8 whole rows of it. The tensor cores expect lane l to have bytes 4(l % 4)
 * .. and 16 + 4(l % 4) .. of row l / 4. Here it has bytes 16(l % 4) .. 16(l % 4) + 15 of that row instead, which serve
 * two instructions: the terms of a product may come in any order in which both sides agree, so nothing is shuffled.
 *
 * A row's four pieces of 16 bytes are permuted by the number of the row, so that the same piece of 8 rows lies in 8
 * different banks. wgmma calls this order a swizzle of 64 bytes. */
#ifndef KERNELS_CUDA_DEVICE_LAYOUT_H
#define KERNELS_CUDA_DEVICE_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/codes.h"
#include "kernels/plan.h"

#define LK_CHUNK 64                   /* bytes of each row */
#define LK_CHUNK_QUADS 4              /* the same in pieces of 16 bytes */
#define LK_BLOCK_ROWS 128             /* rows that one block scans */
#define LK_GROUP_PROBES LK_PLAN_GROUP /* probes that one block scans for, at most */
#define LK_TILE_BLOCKS (LK_TILE_ROWS / LK_BLOCK_ROWS)
#define LK_FLOAT_PROBES 64 /* probes that one block of the float scan compares */
#define LK_PRODUCT_SIDE 64 /* rows and probes that one block multiplies, where no library does */

LK_INLINE uint32_t lk_chunks(uint32_t dim) { return (dim + LK_CHUNK - 1) / LK_CHUNK; }

LK_INLINE size_t lk_packed_chunk(uint32_t chunks, uint32_t run_rows, size_t run, uint32_t chunk) {
  return (run * chunks + chunk) * run_rows * LK_CHUNK;
}

/* Where a row's 64 bytes of a chunk lie. */
LK_INLINE size_t lk_packed_at(uint32_t chunks, uint32_t run_rows, size_t row, uint32_t chunk) {
  return lk_packed_chunk(chunks, run_rows, row / run_rows, chunk) + row % run_rows * LK_CHUNK;
}

/* Where piece `quad` of a row lies among its four. */
LK_INLINE uint32_t lk_packed_quad(uint32_t row, uint32_t quad) { return quad ^ (row / 2 % LK_CHUNK_QUADS); }

/* Packs one row's code, and zeros beyond it. */
LK_INLINE void lk_pack_row(uint32_t run_rows, uint32_t row, const int8_t *code, uint32_t dim, int8_t *packed) {
  uint32_t chunks = lk_chunks(dim);
  for (uint32_t quad = 0; quad < chunks * LK_CHUNK_QUADS; quad++) {
    int8_t *out = packed + lk_packed_at(chunks, run_rows, row, quad / LK_CHUNK_QUADS) +
                  lk_packed_quad(row, quad % LK_CHUNK_QUADS) * 16;
    for (uint32_t i = 0; i < 16; i++) out[i] = quad * 16 + i < dim ? code[quad * 16 + i] : 0;
  }
}

/* Probes in a group. Groups are small where probes are few, so that little is multiplied in vain; where one group has
 * them all, every code is read once. */
LK_INLINE uint32_t lk_group_probes(uint32_t probes) {
  uint32_t group = 16;
  while (group < probes && group < LK_GROUP_PROBES) group *= 2;
  return group;
}

LK_INLINE uint32_t lk_groups(uint32_t probes, uint32_t group) { return (probes + group - 1) / group; }

/* Blocks in a cluster of Hopper's scan: two groups of probes share the rows that they read, where no group is left
 * over.
 */
LK_INLINE uint32_t lk_hopper_cluster(uint32_t probes) { return lk_groups(probes, LK_GROUP_PROBES) % 2 == 0 ? 2 : 1; }

/* What one block of a scan has. Groups come first, so that blocks that run together read the same codes. */
typedef struct lk_scan_placement {
  uint32_t group;
  uint32_t item; /* of the round's tiles */
  uint32_t half; /* of the tile */
} lk_scan_placement;

LK_INLINE lk_scan_placement lk_scan_placement_of(uint32_t block, uint32_t groups) {
  uint32_t strip = block / groups;
  lk_scan_placement placement = {block % groups, strip / LK_TILE_BLOCKS, strip % LK_TILE_BLOCKS};
  return placement;
}

/* Row and column of sum i of the four that a lane has in a 16 x 8 product (mma.m16n8k32). */
LK_INLINE uint32_t lk_product_row(uint32_t lane, uint32_t i) { return lane / 4 + i / 2 * 8; }
LK_INLINE uint32_t lk_product_column(uint32_t lane, uint32_t i) { return lane % 4 * 2 + i % 2; }

#endif
