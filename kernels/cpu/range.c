/* Range search. Each thread keeps all hits that it finds until the pass is over; then each probe's hits are brought
 * together and sorted. */
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/internal.h"
#include "kernels/cpu/topk.h"

void lk_cpu_range_keep(lk_cpu *cpu, lk_cpu_thread *thread) {
  if (thread->pending_count == 0) return;
  size_t count = thread->found_count + thread->pending_count;
  lk_pending *found = lk_buffer_grow(&thread->found_buffer, count, sizeof *found);
  if (found == NULL) {
    atomic_store(&cpu->pass.failed, true);
  } else {
    thread->found = found;
    memcpy(found + thread->found_count, thread->pending, thread->pending_count * sizeof *found);
    thread->found_count = count;
  }
  thread->pending_count = 0;
}

/* A list may be as long as the gallery, so it is sorted piece by piece. */
enum { SORTED_AT_ONCE = 1 << 16 };

static void sort_list(void *context, uint32_t thread, uint32_t probe) {
  (void)thread;
  const lk_cpu_pass *pass = &((lk_cpu *)context)->pass;
  uint64_t begin = lk_candidate_lists_begin(pass->lists, pass->first_list + probe);
  uint32_t count = (uint32_t)(pass->lists->ends[pass->first_list + probe] - begin);
  lk_hit *list = pass->lists->hits + begin;
  for (uint32_t i = 1; i < count; i++) {
    if (i % SORTED_AT_ONCE == 0 && !lk_control_goes_on(pass->batch.control)) return;
    lk_topk_rise(list, i, list[i]);
  }
  for (; count > SORTED_AT_ONCE && lk_control_goes_on(pass->batch.control); count -= SORTED_AT_ONCE)
    lk_topk_sort_worst(list, count, SORTED_AT_ONCE);
  if (count <= SORTED_AT_ONCE) lk_topk_sort(list, count);
}

/* Counts the hits of each probe. */
static void count_hits(const lk_cpu *cpu, uint64_t *ends) {
  uint32_t probes = cpu->pass.batch.count;
  memset(ends, 0, probes * sizeof *ends);
  for (uint32_t t = 0; t < lk_pool_threads(cpu->pool); t++)
    for (size_t i = 0; i < cpu->threads[t].found_count; i++) ends[cpu->threads[t].found[i].probe]++;
}

static lk_status bring_together(lk_cpu *cpu, lk_candidate_lists *lists, uint64_t hits, lk_error *error) {
  uint32_t probes = cpu->pass.batch.count;
  lk_status status = lk_candidate_lists_reserve(lists, probes, hits, error);
  if (status != LK_OK) return status;
  uint64_t *ends = lists->ends + lists->count, end = lk_candidate_lists_begin(lists, lists->count);
  count_hits(cpu, ends);
  for (uint32_t p = 0; p < probes; p++) {
    uint64_t count = ends[p];
    ends[p] = end; /* its begin, until its hits are written */
    end += count;
  }
  for (uint32_t t = 0; t < lk_pool_threads(cpu->pool); t++)
    for (size_t i = 0; i < cpu->threads[t].found_count; i++) {
      if (i % SORTED_AT_ONCE == 0 && !lk_control_goes_on(cpu->pass.batch.control)) return LK_OK;
      lists->hits[ends[cpu->threads[t].found[i].probe]++] = cpu->threads[t].found[i].hit;
    }
  cpu->pass.lists = lists;
  cpu->pass.first_list = lists->count;
  lists->count += probes;
  lk_pool_run(cpu->pool, probes, sort_list, cpu);
  return LK_OK;
}

lk_status lk_cpu_range_finish(lk_cpu *cpu, lk_candidate_lists *lists, lk_error *error) {
  uint64_t hits = 0;
  for (uint32_t t = 0; t < lk_pool_threads(cpu->pool); t++) {
    lk_cpu_range_keep(cpu, &cpu->threads[t]);
    hits += cpu->threads[t].found_count;
  }
  return atomic_load(&cpu->pass.failed) ? lk_fail(error, LK_ENOMEM, "out of memory for the hits of a range search")
                                        : bring_together(cpu, lists, hits, error);
}
