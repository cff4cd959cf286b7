#include <criterion/criterion.h>

#include "kernels/cpu/topk.h"
#include "kernels/order.h"
#include "tests/support/random.h"

#define MOST 300

Test(order, score_descending_then_number_ascending) {
  lk_hit best = {.number = 9, .score = 2}, early = {.number = 3, .score = 1}, late = {.number = 4, .score = 1};
  cr_assert(lk_hit_before(&best, &early) && !lk_hit_before(&early, &best));
  cr_assert(lk_hit_before(&early, &late) && !lk_hit_before(&late, &early));
  cr_assert(!lk_hit_before(&late, &late));
}

Test(order, a_total_order) {
  random_state random = {1};
  for (int i = 0; i < 100000; i++) {
    lk_hit hit[3];
    for (int h = 0; h < 3; h++)
      hit[h] = (lk_hit){.number = random_below(&random, 3), .score = (float)random_below(&random, 3)};
    bool same = hit[0].score == hit[1].score && hit[0].number == hit[1].number;
    cr_assert_eq(lk_hit_before(&hit[0], &hit[1]) + lk_hit_before(&hit[1], &hit[0]), !same);
    if (lk_hit_before(&hit[0], &hit[1]) && lk_hit_before(&hit[1], &hit[2])) cr_assert(lk_hit_before(&hit[0], &hit[2]));
  }
}

static void check_topk(random_state *random, uint32_t count, uint32_t k) {
  lk_hit all[MOST], heap[MOST];
  uint32_t kept = 0;
  for (uint32_t i = 0; i < count; i++) {
    all[i] = (lk_hit){.number = i * UINT64_C(7919) % 10007, .score = (float)random_below(random, 9)};
    lk_topk_push(heap, &kept, k, all[i]);
  }
  lk_topk_sort(heap, kept);
  cr_assert_eq(kept, count < k ? count : k);
  for (uint32_t i = 0; i < kept; i++) {
    uint32_t better = 0;
    for (uint32_t j = 0; j < count; j++) better += lk_hit_before(&all[j], &heap[i]);
    cr_assert_eq(better, i, "%u of %u: rank %u has %u better hits", k, count, i, better);
  }
}

Test(order, topk_is_the_head_of_the_sorted_list) {
  random_state random = {2};
  for (uint32_t count = 0; count < MOST; count += 1 + count / 3)
    for (uint32_t k = 1; k <= MOST; k += 1 + k / 3) check_topk(&random, count, k);
}
