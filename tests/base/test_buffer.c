#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "base/buffer.h"

Test(buffer, reserve_is_aligned_and_kept) {
  lk_buffer buffer = {0};
  void *first = lk_buffer_reserve(&buffer, 100, 8);
  cr_assert(first != NULL && (uintptr_t)first % 64 == 0 && buffer.size >= 800);
  cr_assert_eq(lk_buffer_reserve(&buffer, 0, 8), first, "what is large enough stays");
  cr_assert_eq(lk_buffer_reserve(&buffer, 800, 1), first);
  void *larger = lk_buffer_reserve(&buffer, 1 << 20, 8);
  cr_assert(larger != NULL && (uintptr_t)larger % 64 == 0);
  memset(larger, 1, (size_t)8 << 20);
  lk_buffer_free(&buffer);
  cr_assert(buffer.data == NULL && buffer.size == 0);
}

Test(buffer, no_elements_are_some_memory) {
  lk_buffer reserved = {0}, grown = {0};
  cr_assert(lk_buffer_reserve(&reserved, 0, 8) != NULL && lk_buffer_grow(&grown, 0, 8) != NULL);
  lk_buffer_free(&reserved);
  lk_buffer_free(&grown);
}

Test(buffer, growing_keeps_what_is_there) {
  lk_buffer buffer = {0};
  size_t grown = 0;
  for (uint32_t i = 0; i < 100000; i++) {
    size_t before = buffer.size;
    uint32_t *numbers = lk_buffer_grow(&buffer, i + 1, sizeof *numbers);
    cr_assert(numbers != NULL && buffer.size >= (i + 1) * sizeof *numbers);
    numbers[i] = i;
    grown += buffer.size != before;
  }
  for (uint32_t i = 0; i < 100000; i++) cr_assert_eq(((uint32_t *)buffer.data)[i], i);
  cr_assert_lt(grown, 30, "by half of itself each time");
  lk_buffer_free(&buffer);
}

/* Sizes that wrap would be small ones. */
Test(buffer, sizes_that_overflow_are_refused) {
  lk_buffer buffer = {0};
  void *data = lk_buffer_grow(&buffer, 10, 8);
  cr_assert(lk_buffer_grow(&buffer, SIZE_MAX / 8 + 2, 8) == NULL && lk_buffer_grow(&buffer, SIZE_MAX, 1) == NULL);
  cr_assert(buffer.data == data && buffer.size >= 80, "the buffer is as it was");
  lk_buffer_free(&buffer);
  cr_assert(lk_buffer_reserve(&buffer, 10, 8) != NULL);
  cr_assert(lk_buffer_reserve(&buffer, SIZE_MAX / 8 + 2, 8) == NULL && buffer.data == NULL && buffer.size == 0);
  cr_assert(lk_buffer_reserve(&buffer, SIZE_MAX, 1) == NULL);
  lk_buffer_free(&buffer);
}
