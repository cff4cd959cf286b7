/* Select: it brings each probe's hits of a round together, behind the probe's best of the rounds before. Then a block
 * for each probe sorts them, keeps the best k and raises the bar. It does not matter which thread found what first,
 * since the order of candidates is total. */
#ifndef KERNELS_CUDA_DEVICE_SELECT_KERNEL_CUH
#define KERNELS_CUDA_DEVICE_SELECT_KERNEL_CUH

#include "kernels/cuda/device/append_kernel.cuh"
#include "kernels/plan.h"

#define LK_SELECT_THREADS 256
#define LK_SELECT_SHARED 1024 /* so many hits are sorted in shared memory; more of them in global memory */

/* Leaves the next round out where this one overflowed or speaks for the float scan; the host (round.c) decides the
 * same.
 */
LK_DEVICE void lk_starts_go_on(const lk_cuda_pass &pass) {
  const lk_cuda_counters *own = pass.counters;
  bool wants_float =
      pass.rescreens && lk_plan_wants_float_scan(pass.tiles_count, pass.probes, own->rescored, own->hits);
  if (lk_overflowed(pass) || wants_float) pass.next->pairs = LK_CUDA_LEFT_OUT;
}

/* Finds where each probe's hits begin in `sorted`, with one block. */
LK_KERNEL(LK_SELECT_THREADS, 1) lk_starts_kernel(const lk_cuda_pass pass) {
  lk_shared<uint64_t> sums = lk_shared_array<uint64_t>(0, LK_SELECT_THREADS);
  uint32_t each = (pass.probes + LK_SELECT_THREADS - 1) / LK_SELECT_THREADS, first = lk_thread() * each;
  uint32_t last = first + each < pass.probes ? first + each : pass.probes;
  uint64_t sum = 0;
  for (uint32_t p = first; p < last; p++) sum += pass.best_counts[p] + pass.new_counts[p];
  uint64_t end = sum;
  sums.store(lk_thread(), end);
  for (uint32_t step = 1; step < LK_SELECT_THREADS; step *= 2) {
    lk_barrier();
    uint64_t before = lk_thread() >= step ? sums.load(lk_thread() - step) : 0;
    lk_barrier();
    end += before;
    sums.store(lk_thread(), end);
  }
  uint64_t start = end - sum;
  if (lk_thread() == 0 && pass.next != nullptr) lk_starts_go_on(pass);
  for (uint32_t p = first; p < last; p++) {
    pass.starts[p] = start;
    start += pass.best_counts[p] + pass.new_counts[p];
  }
}

/* Puts each new hit among its probe's, behind the room for the best so far. */
LK_KERNEL(LK_SELECT_THREADS, 1) lk_scatter_kernel(const lk_cuda_pass pass) {
  uint64_t hits = pass.counters->hits;
  for (uint64_t i = (uint64_t)lk_block() * lk_threads() + lk_thread(); i < hits;
       i += (uint64_t)lk_blocks() * lk_threads()) {
    lk_cuda_scored scored = pass.scored[i];
    const lk_cuda_placement *placement = lk_cuda_placement_of_row(&pass, scored.row);
    uint32_t row = scored.row - placement->first_row;
    lk_hit hit = {placement->numbers[row], scored.score, scored.row, pass.by_subject ? placement->subjects[row] : 0};
    pass.sorted[pass.starts[scored.probe] + pass.best_counts[scored.probe] + scored.slot] = hit;
  }
}

/* Hits in shared memory, or in global memory. Other threads may write a hit's score while its subject is read. */
struct lk_near_hits {
  lk_shared<lk_hit> hits;
  LK_MEMBER lk_hit load(uint32_t i) const { return hits.load(i); }
  LK_MEMBER void store(uint32_t i, const lk_hit &hit) const { hits.store(i, hit); }
  LK_MEMBER uint32_t subject(uint32_t i) const {
    return hits.as<uint32_t>().load((i * sizeof(lk_hit) + offsetof(lk_hit, subject)) / 4);
  }
  LK_MEMBER void drop(uint32_t i) const {
    hits.as<float>().store((i * sizeof(lk_hit) + offsetof(lk_hit, score)) / 4, -INFINITY);
  }
};

struct lk_far_hits {
  lk_hit *hits;
  LK_MEMBER lk_hit load(uint32_t i) const { return hits[i]; }
  LK_MEMBER void store(uint32_t i, const lk_hit &hit) const { hits[i] = hit; }
  LK_MEMBER uint32_t subject(uint32_t i) const { return hits[i].subject; }
  LK_MEMBER void drop(uint32_t i) const { hits[i].score = -INFINITY; }
};

/* By subject first, so that each subject's hits lie together, the best of them first. */
LK_DEVICE bool lk_select_before(bool by_subject, const lk_hit &a, const lk_hit &b) {
  if (by_subject && a.subject != b.subject) return a.subject < b.subject;
  return lk_hit_before(&a, &b);
}

template <typename HITS>
LK_DEVICE void lk_select_exchange(HITS hits, bool by_subject, uint32_t i, uint32_t j) {
  lk_hit a = hits.load(i), b = hits.load(j);
  if (!lk_select_before(by_subject, b, a)) return;
  hits.store(i, b);
  hits.store(j, a);
}

/* Batcher's bitonic sort, in the form in which every exchange puts the earlier hit first. Hits beyond the last would
 * stay where they are, so any count can be sorted. */
template <typename HITS>
LK_DEVICE void lk_select_sort(HITS hits, uint32_t count, bool by_subject) {
  for (uint32_t size = 2; size / 2 < count; size *= 2) {
    uint32_t half = size / 2;
    for (uint32_t t = lk_thread();; t += lk_threads()) {
      uint32_t i = t / half * size + t % half, j = t / half * size + size - 1 - t % half;
      if (i >= count) break;
      if (j < count) lk_select_exchange(hits, by_subject, i, j);
    }
    lk_barrier();
    for (half /= 2; half > 0; half /= 2) {
      for (uint32_t t = lk_thread();; t += lk_threads()) {
        uint32_t i = t / half * 2 * half + t % half;
        if (i >= count) break;
        if (i + half < count) lk_select_exchange(hits, by_subject, i, i + half);
      }
      lk_barrier();
    }
  }
}

/* Drops all but the first hit of each subject from hits that are sorted by subject. Returns how many are left. It gives
 * the others a score of minus infinity, which no row has, so that they go to the end. */
template <typename HITS>
LK_DEVICE uint32_t lk_select_subjects(HITS hits, uint32_t count, lk_shared<uint32_t> left) {
  if (lk_thread() == 0) left.store(0, 0);
  lk_barrier();
  uint32_t own = 0;
  for (uint32_t i = lk_thread(); i < count; i += lk_threads()) {
    if (i > 0 && hits.subject(i) == hits.subject(i - 1))
      hits.drop(i);
    else
      own++;
  }
  lk_add_shared(left, 0, own);
  lk_barrier();
  return left.load(0);
}

/* Sorts `count` hits; returns how many may be candidates. */
template <typename HITS>
LK_DEVICE uint32_t lk_select_order(HITS hits, uint32_t count, bool by_subject, lk_shared<uint32_t> left) {
  if (by_subject) {
    lk_select_sort(hits, count, true);
    uint32_t all = count;
    count = lk_select_subjects(hits, count, left);
    lk_select_sort(hits, all, false);
    return count;
  }
  lk_select_sort(hits, count, false);
  return count;
}

/* Keeps the best k of the sorted hits, and raises the bar. */
template <typename HITS>
LK_DEVICE void lk_select_keep(const lk_cuda_pass &pass, uint32_t probe, HITS hits, uint32_t count) {
  if (count > pass.k) count = pass.k;
  for (uint32_t i = lk_thread(); i < count; i += lk_threads()) pass.best[(size_t)probe * pass.k + i] = hits.load(i);
  if (lk_thread() != 0) return;
  pass.best_counts[probe] = count;
  pass.new_counts[probe] = 0;
  if (count < pass.k) return;
  float last = hits.load(count - 1).score;
  if (last > pass.bars[probe]) pass.bars[probe] = last;
}

/* A block a probe. */
LK_KERNEL(LK_SELECT_THREADS, 1) lk_select_kernel(const lk_cuda_pass pass) {
  lk_shared<lk_hit> room = lk_shared_array<lk_hit>(0, LK_SELECT_SHARED);
  lk_shared<uint32_t> left = lk_shared_array<uint32_t>(LK_SELECT_SHARED * sizeof(lk_hit), 1);
  uint32_t probe = lk_block(), before = pass.best_counts[probe], fresh = pass.new_counts[probe];
  uint32_t count = before + fresh;
  lk_barrier(); /* the counts are written at the end */
  if (fresh == 0) return;
  lk_hit *sorted = pass.sorted + pass.starts[probe];
  const lk_hit *best = pass.best + (size_t)probe * pass.k;
  bool near = count <= LK_SELECT_SHARED;
  for (uint32_t i = lk_thread(); i < (near ? count : before); i += lk_threads()) {
    lk_hit hit = i < before ? best[i] : sorted[i];
    if (near)
      room.store(i, hit);
    else
      sorted[i] = hit;
  }
  lk_barrier();
  if (near) {
    lk_near_hits hits = {room};
    lk_select_keep(pass, probe, hits, lk_select_order(hits, count, pass.by_subject, left));
  } else {
    lk_far_hits hits = {sorted};
    lk_select_keep(pass, probe, hits, lk_select_order(hits, count, pass.by_subject, left));
  }
}

#endif
