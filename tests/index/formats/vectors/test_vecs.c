#include "index/formats/vectors/vecs.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "index/formats/vector.h"

typedef struct image {
  char bytes[33000];
  size_t size;
} image;

/* A row of `dim` elements, whatever it says its dimension is. */
static void add_row(image *to, int32_t says, uint32_t dim, lk_element element) {
  memcpy(to->bytes + to->size, &says, sizeof says);
  to->size += sizeof says;
  for (uint32_t i = 0; i < dim; i++) {
    float f32 = (float)to->size + 0.5F;
    uint8_t u8 = (uint8_t)to->size;
    memcpy(to->bytes + to->size, element == LK_F32 ? (void *)&f32 : &u8, element == LK_F32 ? sizeof f32 : sizeof u8);
    to->size += element == LK_F32 ? sizeof f32 : sizeof u8;
  }
}

static image make(lk_element element, uint32_t rows, uint32_t dim) {
  image made = {0};
  for (uint32_t r = 0; r < rows; r++) add_row(&made, (int32_t)dim, dim, element);
  return made;
}

/* Parses a copy of exactly that many bytes, so that a sanitizer sees a read past them, and reads every row. */
static lk_status parse_bytes(const image *from, size_t size, lk_element element, lk_vectors *vectors, lk_error *error) {
  char *copy = malloc(size > 0 ? size : 1);
  float row[LK_DIM_MAX];
  memcpy(copy, from->bytes, size);
  lk_status status = lk_vecs_parse("file", copy, size, element, vectors, error);
  for (uint64_t r = 0; status == LK_OK && r < vectors->rows; r++) lk_vector_to_f32(vectors, r, 1, row);
  if (status == LK_OK) vectors->data = from->bytes + ((const char *)vectors->data - copy);
  free(copy);
  return status;
}

static void check_good(lk_element element, uint32_t rows, uint32_t dim) {
  image from = make(element, rows, dim);
  lk_vectors vectors;
  lk_error error = {0};
  cr_assert_eq(parse_bytes(&from, from.size, element, &vectors, &error), LK_OK, "%s", error.text);
  cr_assert(vectors.rows == rows && vectors.dim == dim && vectors.element == element);
  cr_assert_str_eq(vectors.name, "file");
  size_t size = element == LK_F32 ? 4 : 1, at = 0;
  float row[LK_DIM_MAX];
  for (uint32_t r = 0; r < rows; r++) {
    lk_vector_to_f32(&vectors, r, 1, row);
    at += 4;
    for (uint32_t i = 0; i < dim; i++, at += size)
      cr_assert_eq(row[i], element == LK_F32 ? (float)at + 0.5F : (float)(uint8_t)at, "row %u, element %u", r, i);
  }
}

Test(vecs, floats_and_bytes) {
  check_good(LK_F32, 3, 2);
  check_good(LK_U8, 3, 2);
  check_good(LK_U8, 7, 5);
  check_good(LK_F32, 1, 1);
  check_good(LK_U8, 1, 1);
  check_good(LK_F32, 2, 4096);
  check_good(LK_U8, 2, 4096);
}

static void check_refused(const image *from, lk_element element, lk_status status, const char *words) {
  lk_vectors vectors;
  lk_error error = {0};
  cr_assert_eq(parse_bytes(from, from->size, element, &vectors, &error), status, "%s", words);
  cr_assert_str_eq(error.text, words);
}

static void check_first(int32_t says, const char *words) {
  image from = {0};
  add_row(&from, says, 8, LK_F32);
  check_refused(&from, LK_F32, LK_EDIM, words);
  check_refused(&from, LK_U8, LK_EDIM, words);
}

Test(vecs, dimensions_that_cannot_be_searched) {
  check_first(0, "file: row 0 has dimension 0; 1 to 4096 can be searched");
  check_first(-1, "file: row 0 has dimension -1; 1 to 4096 can be searched");
  check_first(4097, "file: row 0 has dimension 4097; 1 to 4096 can be searched");
  check_first(INT32_MIN, "file: row 0 has dimension -2147483648; 1 to 4096 can be searched");
  check_first(INT32_MAX, "file: row 0 has dimension 2147483647; 1 to 4096 can be searched");
}

/* Row `bad` of five says and has another dimension than the first. */
static void check_other(uint32_t bad, int32_t says, uint32_t dim, const char *words) {
  for (int e = 0; e < 2; e++) {
    lk_element element = e == 0 ? LK_F32 : LK_U8;
    image from = {0};
    for (uint32_t r = 0; r < 5; r++) add_row(&from, r == bad ? says : 6, r == bad ? dim : 6, element);
    check_refused(&from, element, LK_EFORMAT, words);
  }
}

Test(vecs, every_row_has_the_dimension_of_the_first) {
  check_other(1, 5, 5, "file: row 1 has dimension 5; row 0 has 6");
  check_other(3, 7, 7, "file: row 3 has dimension 7; row 0 has 6");
  check_other(2, 0, 0, "file: row 2 has dimension 0; row 0 has 6");
  check_other(2, -6, 6, "file: row 2 has dimension -6; row 0 has 6");
  check_other(4, 1 << 30, 6, "file: row 4 has dimension 1073741824; row 0 has 6");
  /* The last row is shorter than the others, and seems cut off. */
  check_other(4, 5, 5, "file: row 4 has dimension 5; row 0 has 6");
  check_other(4, 0, 0, "file: row 4 has dimension 0; row 0 has 6");
}

Test(vecs, empty_and_cut_off) {
  image from = make(LK_F32, 3, 6);
  static const struct {
    size_t size;
    const char *words;
  } cuts[] = {
      {0, "file: the file is empty"},
      {3, "file: the file has 3 bytes; row 0 must begin with the 4 bytes of its dimension"},
      {4, "file: row 0 is cut off: a row has 28 bytes, the file has 4 of it (24 are missing, or 4 are too many)"},
      {27, "file: row 0 is cut off: a row has 28 bytes, the file has 27 of it (1 are missing, or 27 are too many)"},
      {29, "file: row 1 is cut off: a row has 28 bytes, the file has 1 of it (27 are missing, or 1 are too many)"},
      {60, "file: row 2 is cut off: a row has 28 bytes, the file has 4 of it (24 are missing, or 4 are too many)"},
      {83, "file: row 2 is cut off: a row has 28 bytes, the file has 27 of it (1 are missing, or 27 are too many)"},
  };
  for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
    from.size = cuts[i].size;
    check_refused(&from, LK_F32, LK_EFORMAT, cuts[i].words);
  }
  from = make(LK_U8, 2, 6);
  from.size++;
  check_refused(&from, LK_U8, LK_EFORMAT,
                "file: row 2 is cut off: a row has 10 bytes, the file has 1 of it (9 are missing, or 1 are too many)");
}

/* Only whole rows are read, wherever the file ends. */
Test(vecs, cut_off_anywhere) {
  for (int e = 0; e < 2; e++) {
    lk_element element = e == 0 ? LK_F32 : LK_U8;
    image from = make(element, 4, 3);
    for (size_t size = 0; size <= from.size; size++) {
      lk_vectors vectors;
      lk_status status = parse_bytes(&from, size, element, &vectors, NULL);
      bool whole = size > 0 && size % (from.size / 4) == 0;
      cr_assert_eq(status, whole ? LK_OK : LK_EFORMAT, "%zu bytes", size);
      if (whole) cr_assert_eq(vectors.rows, size / (from.size / 4));
    }
  }
}

/* Whatever a damaged dimension says, what comes out lies within the file. */
Test(vecs, every_changed_byte) {
  for (int e = 0; e < 2; e++) {
    lk_element element = e == 0 ? LK_F32 : LK_U8;
    image from = make(element, 4, 3);
    for (size_t at = 0; at < from.size; at++)
      for (int value = 0; value < 256; value++) {
        image changed = from;
        changed.bytes[at] = (char)value;
        lk_vectors v;
        if (parse_bytes(&changed, changed.size, element, &v, NULL) == LK_OK)
          cr_assert_eq(v.rows * (4 + v.dim * (element == LK_F32 ? 4 : 1)), changed.size);
      }
  }
}
