/* Finds the rows that a search sees, and lists rows that are scored without a scan: the seed's and the exact scan's. */
#ifndef KERNELS_CUDA_DEVICE_ROWS_KERNEL_CUH
#define KERNELS_CUDA_DEVICE_ROWS_KERNEL_CUH

#include "kernels/cuda/device/append_kernel.cuh"

#define LK_ROWS_THREADS 256

/* Makes the bitmap of visible rows, a warp one word, and counts them. */
LK_KERNEL(LK_ROWS_THREADS, 1) lk_visible_kernel(const lk_cuda_pass pass) {
  uint32_t lane = lk_thread() % LK_WARP, warps = lk_threads() / LK_WARP;
  uint64_t count = 0;
  for (uint32_t word = lk_block() * warps + lk_thread() / LK_WARP; word < pass.words; word += lk_blocks() * warps) {
    const lk_cuda_placement *placement = lk_cuda_placement_of_word(&pass, word);
    uint32_t row = (word - placement->first_word) * 32 + lane;
    uint32_t seen =
        lk_ballot(row < placement->rows && lk_visible(&placement->visibility, &pass.filter, placement->allowed, row));
    if (lane == 0) pass.visible[word] = seen;
    count += lk_count_bits(seen);
  }
  if (lane == 0 && count > 0) lk_add(&pass.counters->rows, count);
}

/* Lists the seed's rows. Each thread has one of `seeds`, and lists the first visible row from there on and before the
 * next one. */
LK_KERNEL(LK_ROWS_THREADS, 1) lk_seed_kernel(const lk_cuda_pass pass) {
  uint32_t i = lk_block() * lk_threads() + lk_thread();
  bool found = false;
  uint32_t row = 0;
  if (i < pass.rows_count) {
    const lk_cuda_placement *placement = lk_cuda_placement_of_row(&pass, pass.seeds[i]);
    uint32_t end = placement->rows;
    if (i + 1 < pass.rows_count && pass.seeds[i + 1] - placement->first_row < end)
      end = pass.seeds[i + 1] - placement->first_row;
    row = pass.seeds[i] - placement->first_row;
    while (row < end && !lk_cuda_visible(&pass, placement, row)) row++;
    found = row < end;
    row += placement->first_row;
  }
  uint64_t at = lk_reserve(&pass.counters->rows, found);
  if (found) pass.rows[at] = row;
}

/* Lists the visible rows, a thread those of one word. */
LK_KERNEL(LK_ROWS_THREADS, 1) lk_list_kernel(const lk_cuda_pass pass) {
  uint32_t word = lk_block() * lk_threads() + lk_thread(), seen = 0, first = 0;
  if (word < pass.words) {
    const lk_cuda_placement *placement = lk_cuda_placement_of_word(&pass, word);
    uint32_t row = (word - placement->first_word) * 32, left = placement->rows - row;
    first = placement->first_row + row;
    seen = pass.visible != NULL ? pass.visible[word] : left >= 32 ? UINT32_MAX : (1u << left) - 1;
  }
  uint64_t at = lk_reserve(&pass.counters->rows, lk_count_bits(seen));
  for (; seen != 0; seen &= seen - 1) pass.rows[at++] = first + lk_lowest_bit(seen);
}

/* Pairs every probe with rows rows_first .. rows_first + rows_count - 1 of the list, which may end before. A row's
 * pairs lie side by side, so that the warps that rescore them find the row in a cache. */
LK_KERNEL(LK_ROWS_THREADS, 1) lk_pairs_kernel(const lk_cuda_pass pass) {
  uint64_t left = pass.counters->rows - pass.rows_first, rows = left < pass.rows_count ? left : pass.rows_count;
  uint64_t count = rows * pass.probes, step = (uint64_t)lk_blocks() * lk_threads();
  for (uint64_t i = (uint64_t)lk_block() * lk_threads() + lk_thread(); i < count; i += step)
    pass.pairs[i] = {(uint32_t)(i % pass.probes), pass.rows[pass.rows_first + (uint32_t)(i / pass.probes)]};
  if (lk_block() == 0 && lk_thread() == 0) pass.counters->pairs = count;
}

#endif
