#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/isa.h"
#include "kernels/half.h"

enum { HALVES = 1 << 16, LARGEST = 0x7bff, INFINITE = 0x7c00 };

Test(half, known_values) {
  cr_assert_eq(lk_half_to_float(0x3c00), 1);
  cr_assert_eq(lk_half_to_float(0xc000), -2);
  cr_assert_eq(lk_half_to_float(1), 0x1p-24f);
  cr_assert_eq(lk_half_to_float(0x0400), 0x1p-14f);
  cr_assert_eq(lk_half_to_float(LARGEST), 65504);
  cr_assert_eq(lk_half_to_float(INFINITE), INFINITY);
  cr_assert(isnan(lk_half_to_float(0x7e00)) && isnan(lk_half_to_float(0x7c01)));
  cr_assert(signbit(lk_half_to_float(0x8000)) && lk_half_to_float(0x8000) == 0);
}

Test(half, every_half_comes_back) {
  for (uint32_t h = 0; h < HALVES; h++) {
    float value = lk_half_to_float((uint16_t)h);
    if (isnan(value))
      cr_assert(isnan(lk_half_to_float(lk_half_from_float(value))));
    else
      cr_assert_eq(lk_half_from_float(value), h, "%x", h);
  }
}

/* Numbers between two neighbours become the nearer one, and the middle becomes the even one. */
Test(half, rounds_to_nearest_even) {
  for (uint32_t h = 0; h < INFINITE; h++) {
    float low = lk_half_to_float((uint16_t)h), high = h == LARGEST ? 65536 : lk_half_to_float((uint16_t)(h + 1));
    float middle = (low + high) / 2;
    uint32_t even = h % 2 == 0 ? h : h + 1;
    cr_assert_eq(lk_half_from_float(middle), even, "%x", h);
    cr_assert_eq(lk_half_from_float(nextafterf(middle, 0)), h, "%x", h);
    cr_assert_eq(lk_half_from_float(nextafterf(middle, INFINITY)), h + 1, "%x", h);
    cr_assert_eq(lk_half_from_float(-middle), even | 0x8000, "%x", h);
  }
  cr_assert_eq(lk_half_from_float(3e38f), INFINITE);
  cr_assert_eq(lk_half_from_float(0x1p-149f), 0);
}

Test(half, every_instruction_set_widens_the_same) {
  static const char *const names[] = {"portable", "avx2", "avx512vnni", "amx"};
  static uint16_t halves[HALVES];
  static float got[HALVES];
  for (uint32_t h = 0; h < HALVES; h++) halves[h] = (uint16_t)h;
  for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
    const lk_isa *isa = lk_isa_find(names[n]);
    for (uint32_t count = 1; isa != NULL && count < 20; count++) {
      got[count] = -7;
      isa->widen(halves, count, got);
      cr_assert_eq(got[count], -7, "%s writes beyond %u", names[n], count);
    }
    if (isa != NULL) isa->widen(halves, HALVES, got);
    for (uint32_t h = 0; isa != NULL && h < HALVES; h++) {
      float want = lk_half_to_float((uint16_t)h);
      cr_assert((isnan(want) && isnan(got[h])) || memcmp(&want, &got[h], sizeof want) == 0, "%s: %x", names[n], h);
    }
  }
}
