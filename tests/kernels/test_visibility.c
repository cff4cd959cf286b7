/* The rule itself against numbers that are written here. Conformance cannot test it, since the reference uses it too.
 */
#include "kernels/visibility.h"
#include "tests/support/random.h"

#include <criterion/criterion.h>

static bool sees(lk_visibility rows, lk_filter filter) { return lk_visible(&rows, &filter, NULL, 0); }

Test(visibility, a_row_that_carries_nothing_is_seen) {
  cr_assert(sees((lk_visibility){0}, (lk_filter){0}));
  cr_assert(sees((lk_visibility){0}, (lk_filter){.epoch = UINT64_MAX, .now_ms = UINT64_MAX}));
  cr_assert(lk_all_visible(&(lk_visibility){0}, &(lk_filter){.epoch = 7, .now_ms = 7}, NULL));
}

Test(visibility, born_with_its_epoch) {
  const uint64_t born = 5;
  lk_visibility rows = {.born = &born};
  cr_assert_not(sees(rows, (lk_filter){.epoch = 4}));
  cr_assert(sees(rows, (lk_filter){.epoch = 5}));
  cr_assert(sees(rows, (lk_filter){.epoch = 6}));
  cr_assert_not(lk_all_visible(&rows, &(lk_filter){.epoch = 6}, NULL));
}

Test(visibility, gone_from_the_epoch_that_took_it) {
  const uint64_t died[] = {5, UINT64_MAX};
  cr_assert(sees((lk_visibility){.died = &died[0]}, (lk_filter){.epoch = 4}));
  cr_assert_not(sees((lk_visibility){.died = &died[0]}, (lk_filter){.epoch = 5}));
  cr_assert(sees((lk_visibility){.died = &died[1]}, (lk_filter){.epoch = UINT64_MAX - 1}));
  cr_assert_not(lk_all_visible(&(lk_visibility){.died = died}, &(lk_filter){0}, NULL));
}

Test(visibility, gone_from_the_moment_of_expiry) {
  const uint64_t expires[] = {1000, UINT64_MAX};
  cr_assert(sees((lk_visibility){.expires_ms = &expires[0]}, (lk_filter){.now_ms = 999}));
  cr_assert_not(sees((lk_visibility){.expires_ms = &expires[0]}, (lk_filter){.now_ms = 1000}));
  cr_assert(sees((lk_visibility){.expires_ms = &expires[1]}, (lk_filter){.now_ms = UINT64_MAX - 1}));
  cr_assert_not(lk_all_visible(&(lk_visibility){.expires_ms = expires}, &(lk_filter){0}, NULL));
}

Test(visibility, tags_are_as_asked_where_the_mask_has_ones) {
  const uint64_t tags = 0x6;
  lk_visibility rows = {.tags = &tags};
  cr_assert(sees(rows, (lk_filter){.tags = 0x2, .mask = 0x2}));
  cr_assert(sees(rows, (lk_filter){.tags = 0x2, .mask = 0xa}), "8 must be off, and is");
  cr_assert_not(sees(rows, (lk_filter){.tags = 0x2, .mask = 0x6}), "4 must be off");
  cr_assert_not(sees(rows, (lk_filter){.tags = 0x9, .mask = 0x9}));
  cr_assert(sees(rows, (lk_filter){.tags = 0xff, .mask = 0}), "tags outside the mask do not count");
  cr_assert_not(sees((lk_visibility){0}, (lk_filter){.tags = 1, .mask = 1}), "a row without tags has none");
  cr_assert_not(lk_all_visible(&(lk_visibility){0}, &(lk_filter){.mask = 1}, NULL));
}

Test(visibility, bitmap) {
  const uint64_t allowed[] = {UINT64_C(1) << 63, 1};
  lk_visibility rows = {0};
  lk_filter filter = {0};
  for (uint32_t r = 0; r < 128; r++) cr_assert_eq(lk_visible(&rows, &filter, allowed, r), r == 63 || r == 64);
  cr_assert_not(lk_all_visible(&rows, &filter, allowed));
}

Test(visibility, all_of_it_must_hold) {
  const uint64_t born = 2, died = 8, expires = 100, tags = 1, allowed = 1;
  lk_visibility rows = {.born = &born, .died = &died, .expires_ms = &expires, .tags = &tags};
  lk_filter filter = {.epoch = 5, .now_ms = 50, .tags = 1, .mask = 1};
  cr_assert(lk_visible(&rows, &filter, &allowed, 0));
  for (int fault = 0; fault < 5; fault++) {
    lk_filter wrong = filter;
    const uint64_t none = 0;
    if (fault == 0) wrong.epoch = 1;
    if (fault == 1) wrong.epoch = 8;
    if (fault == 2) wrong.now_ms = 100;
    if (fault == 3) wrong.tags = 0;
    cr_assert_not(lk_visible(&rows, &wrong, fault == 4 ? &none : &allowed, 0), "%d", fault);
  }
}

/* Every combination of arrays, and every count of rows. */
Test(visibility, a_word_holds_what_the_rule_says_of_each_row) {
  enum { ROWS = 192 };
  uint64_t carried[4][ROWS], allowed[ROWS / 64];
  random_state random = random_fork(1, 0);
  for (uint32_t r = 0; r < 4 * ROWS; r++) carried[r / ROWS][r % ROWS] = random_below(&random, 8);
  for (uint32_t w = 0; w < ROWS / 64; w++) allowed[w] = random_bits(&random) | random_bits(&random);
  for (uint32_t c = 0; c < 64; c++) {
    lk_visibility rows = {.born = c & 1 ? carried[0] : NULL,
                          .died = c & 2 ? carried[1] : NULL,
                          .expires_ms = c & 4 ? carried[2] : NULL,
                          .tags = c & 8 ? carried[3] : NULL};
    lk_filter filter = {.epoch = 4, .now_ms = 4, .tags = 1, .mask = c & 16 ? 1 : 0};
    const uint64_t *listed = c & 32 ? allowed : NULL;
    for (uint32_t first = 0, count = 64 - c; first < ROWS; first += 64) {
      uint64_t word = lk_visible_word(&rows, &filter, listed, first, count);
      for (uint32_t i = 0; i < 64; i++)
        cr_assert_eq(word >> i & 1, i < count && lk_visible(&rows, &filter, listed, first + i), "row %u, case %u",
                     first + i, c);
    }
  }
}
