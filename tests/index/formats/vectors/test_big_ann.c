#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "index/formats/vector.h"
#include "tests/index/formats/vectors/open_bytes.h"

static void check(const lk_vector_format *format, const char *body, size_t size, const float *wanted) {
  char image[64] = {2, 0, 0, 0, 3, 0, 0, 0};
  memcpy(image + 8, body, size);
  opened from = open_bytes(format, image, 8 + size);
  float got[6];
  cr_assert_eq(from.status, LK_OK, "%s", from.error.text);
  cr_assert(from.vectors.rows == 2 && from.vectors.dim == 3);
  lk_vector_to_f32(&from.vectors, 0, 2, got);
  cr_assert_arr_eq(got, wanted, sizeof got);
  close_bytes(&from);
}

Test(big_ann, every_element) {
  static const float floats[] = {1, -2, 0.5F, 4, 5, 6}, bytes[] = {1, 2, 255, 0, 128, 3},
                     small[] = {1, 2, -1, 0, -128, 3};
  static const int32_t whole[] = {1, -2, 70000, 0, 5, 6};
  static const float whole_floats[] = {1, -2, 70000, 0, 5, 6};
  check(&lk_fbin_format, (const char *)floats, sizeof floats, floats);
  check(&lk_ibin_format, (const char *)whole, sizeof whole, whole_floats);
  check(&lk_u8bin_format, "\1\2\xff\0\x80\3", 6, bytes);
  check(&lk_i8bin_format, "\1\2\xff\0\x80\3", 6, small);
}

Test(big_ann, refused_with_a_reason) {
  check_bytes_refused(&lk_fbin_format, "\1\0\0\0\1\0\0", 7, LK_EFORMAT, "the file has 7 bytes; it must begin with");
  check_bytes_refused(&lk_fbin_format, "\1\0\0\0\0\0\0\0", 8, LK_EDIM, "rows of 0 elements");
  check_bytes_refused(&lk_fbin_format, "\1\0\0\0\1\x10\0\0", 8, LK_EDIM, "rows of 4097 elements");
  check_bytes_refused(&lk_u8bin_format, "\2\0\0\0\3\0\0\0abcde", 13, LK_EFORMAT,
                      "promise 2 rows of 3 bytes, but 5 bytes follow");
  check_bytes_refused(&lk_u8bin_format, "\2\0\0\0\3\0\0\0abcdefg", 15, LK_EFORMAT, "but 7 bytes follow");
  check_bytes_refused(&lk_fbin_format, "\xff\xff\xff\xff\0\x10\0\0abcd", 12, LK_EFORMAT, "but 4 bytes follow");
}

Test(big_ann, no_rows) {
  opened from = open_bytes(&lk_fbin_format, "\0\0\0\0\3\0\0\0", 8);
  cr_assert(from.status == LK_OK && from.vectors.rows == 0);
  close_bytes(&from);
}
