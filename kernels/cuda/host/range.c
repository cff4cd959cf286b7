/* Range search: the host reads the hits of each round, and sorts all of them when the pass is over. */
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/host/internal.h"

void lk_cuda_range_keep(lk_cuda *cuda, uint64_t hits) {
  size_t count = cuda->found_count + hits;
  lk_cuda_scored *found = lk_buffer_grow(&cuda->found_buffer, count, sizeof *found);
  if (found == NULL) {
    cuda->found_failed = true;
    return;
  }
  cuda->found = found;
  cuda->gpu->ops->read(cuda->gpu, found + cuda->found_count, cuda->pass.scored, hits * sizeof *found);
  cuda->gpu->ops->wait(cuda->gpu);
  cuda->found_count = count;
}

static int compare_hits(const void *a, const void *b) { return lk_hit_before(a, b) ? -1 : lk_hit_before(b, a); }

static void sort_list(void *context, uint32_t thread, uint32_t probe) {
  (void)thread;
  const lk_cuda *cuda = context;
  uint64_t begin = lk_candidate_lists_begin(cuda->lists, cuda->first_list + probe);
  qsort(cuda->lists->hits + begin, cuda->lists->ends[cuda->first_list + probe] - begin, sizeof(lk_hit), compare_hits);
}

static lk_hit complete(const lk_cuda *cuda, const lk_cuda_scored *scored) {
  const lk_cuda_placement *placement =
      lk_cuda_find(cuda->placements, cuda->pass.placements_count, offsetof(lk_cuda_placement, first_row), scored->row);
  const lk_cuda_resident_block *resident =
      (const lk_cuda_resident_block *)cuda->batch.blocks[placement - cuda->placements];
  return (lk_hit){.number = resident->block.numbers[scored->row - placement->first_row],
                  .score = scored->score,
                  .row = scored->row};
}

lk_status lk_cuda_range_finish(lk_cuda *cuda, lk_candidate_lists *lists, lk_error *error) {
  uint32_t probes = cuda->pass.probes;
  if (cuda->found_failed) return lk_fail(error, LK_ENOMEM, "out of memory for the hits of a range search");
  lk_status status = lk_candidate_lists_reserve(lists, probes, cuda->found_count, error);
  if (status != LK_OK) return status;
  uint64_t *ends = lists->ends + lists->count, end = lk_candidate_lists_begin(lists, lists->count);
  memset(ends, 0, probes * sizeof *ends);
  for (size_t i = 0; i < cuda->found_count; i++) ends[cuda->found[i].probe]++;
  for (uint32_t p = 0; p < probes; p++) {
    uint64_t count = ends[p];
    ends[p] = end; /* its begin, until its hits are written */
    end += count;
  }
  for (size_t i = 0; i < cuda->found_count; i++)
    lists->hits[ends[cuda->found[i].probe]++] = complete(cuda, &cuda->found[i]);
  cuda->lists = lists;
  cuda->first_list = lists->count;
  lists->count += probes;
  lk_pool_run(cuda->pool, probes, sort_list, cuda);
  return LK_OK;
}
