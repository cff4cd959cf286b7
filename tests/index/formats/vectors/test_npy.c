#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "index/formats/element.h"
#include "index/formats/vector.h"
#include "index/formats/vectors/npy.h"

typedef struct image {
  char bytes[17000];
  size_t size, body; /* body: where it starts */
} image;

static image make_as(int version, const char *header, size_t body_size) {
  image made = {0};
  size_t length = strlen(header);
  memcpy(made.bytes, "\x93NUMPY", 6);
  made.bytes[6] = (char)version;
  made.bytes[8] = (char)length;
  made.bytes[9] = (char)(length >> 8);
  size_t start = version == 1 ? 10 : 12;
  memcpy(made.bytes + start, header, length);
  made.body = start + length;
  made.size = made.body + body_size;
  for (size_t i = made.body; i < made.size; i++) made.bytes[i] = (char)(i * 7);
  return made;
}

static image make(const char *header, size_t body_size) { return make_as(1, header, body_size); }

/* Parses a copy of exactly that many bytes, so that a sanitizer sees a read past them. */
static lk_status parse_bytes(const image *from, size_t size, lk_vectors *vectors, lk_error *error) {
  char *copy = malloc(size > 0 ? size : 1);
  memcpy(copy, from->bytes, size);
  lk_status status = lk_npy_parse("file", copy, size, vectors, error);
  if (status == LK_OK) vectors->data = from->bytes + ((const char *)vectors->data - copy);
  free(copy);
  return status;
}

static lk_status parse(const image *from, lk_vectors *vectors, lk_error *error) {
  return parse_bytes(from, from->size, vectors, error);
}

#define RECORDS(fields, shape) "{'descr': [" fields "], 'fortran_order': False, 'shape': " shape ", }"
#define HEADER(descr, shape) "{'descr': '" descr "', 'fortran_order': False, 'shape': " shape ", }"

static void check_good(const image *from, lk_element element, uint64_t rows, uint32_t dim) {
  lk_vectors vectors;
  lk_error error = {0};
  cr_assert_eq(parse(from, &vectors, &error), LK_OK, "%s", error.text);
  cr_assert_eq(vectors.element, element);
  cr_assert_eq(vectors.rows, rows);
  cr_assert_eq(vectors.dim, dim);
  cr_assert_eq((const char *)vectors.data - from->bytes, (ptrdiff_t)from->body);
  cr_assert_str_eq(vectors.name, "file");
}

Test(npy, every_element_type) {
  image f4 = make(HEADER("<f4", "(3, 2)"), 24), f8 = make(HEADER("<f8", "(3, 2)"), 48);
  image f2 = make(HEADER("<f2", "(3, 2)"), 12), u1 = make(HEADER("|u1", "(3, 2)"), 6);
  check_good(&f4, LK_F32, 3, 2);
  check_good(&f8, LK_F64, 3, 2);
  check_good(&f2, LK_F16, 3, 2);
  check_good(&u1, LK_U8, 3, 2);
}

Test(npy, every_version) {
  for (int version = 1; version <= 3; version++) {
    image from = make_as(version, HEADER("<f4", "(1, 4)") "          \n", 16);
    check_good(&from, LK_F32, 1, 4);
  }
}

Test(npy, a_header_longer_than_256_bytes) {
  char header[600];
  snprintf(header, sizeof header, "%-590s\n", HEADER("<f4", "(1, 4)"));
  for (int version = 1; version <= 3; version++) {
    image from = make_as(version, header, 16);
    check_good(&from, LK_F32, 1, 4);
  }
}

Test(npy, other_ways_to_write_the_header) {
  static const char *const headers[] = {
      "{'shape': (2, 3), 'descr': '<f4', 'fortran_order': False}",
      "{\"descr\": \"<f4\", \"fortran_order\": False, \"shape\": (2, 3)}",
      "{'descr':'<f4','fortran_order':False,'shape':(2,3)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L), }",
      "  {  'descr' :  '<f4' , 'fortran_order' : False , 'shape' : ( 2 , 3 , ) , }  \n",
  };
  for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
    image from = make(headers[i], 24);
    check_good(&from, LK_F32, 2, 3);
  }
}

/* The elements of a file whose bytes are 0, 7, 14, ... as floats. */
static void check_values(const char *header, size_t body, uint64_t rows, uint32_t dim, const float *wanted) {
  image from = make(header, body);
  for (size_t i = 0; i < body; i++) from.bytes[from.body + i] = (char)(i + 0x3c);
  lk_vectors vectors;
  lk_error error = {0};
  float got[64];
  cr_assert_eq(parse(&from, &vectors, &error), LK_OK, "%s: %s", header, error.text);
  cr_assert(vectors.rows == rows && vectors.dim == dim && rows * dim <= 64, "%s", header);
  cr_assert_eq(lk_vectors_check(&vectors, NULL), LK_OK);
  lk_vector_to_f32(&vectors, 0, rows, got);
  cr_assert_arr_eq(got, wanted, rows * dim * sizeof *got, "%s", header);
}

#define FORTRAN(descr, shape) "{'descr': '" descr "', 'fortran_order': True, 'shape': " shape ", }"

Test(npy, orders_and_shapes) {
  static const float rows[] = {60, 61, 62, 63, 64, 65}, columns[] = {60, 63, 61, 64, 62, 65};
  check_values(HEADER("|u1", "(3, 2)"), 6, 3, 2, rows);
  check_values(HEADER("|u1", "(6,)"), 6, 1, 6, rows);
  check_values(HEADER("|u1", "(3, 1, 2)"), 6, 3, 2, rows);
  check_values(HEADER("|u1", "(1, 3, 2)"), 6, 3, 2, rows);
  check_values(FORTRAN("|u1", "(3, 2)"), 6, 3, 2, columns);
  check_values(FORTRAN("|u1", "(3, 1, 2)"), 6, 3, 2, columns);
  check_values(FORTRAN("|u1", "(1, 3, 2)"), 6, 3, 2, columns);
  check_values(FORTRAN("|u1", "(1, 6)"), 6, 1, 6, rows);
}

Test(npy, integers_and_byte_orders) {
  static const float pairs[] = {0x3d3c, 0x3f3e}, swapped[] = {0x3c3d, 0x3e3f};
  check_values(HEADER("<u2", "(1, 2)"), 4, 1, 2, pairs);
  check_values(HEADER(">u2", "(1, 2)"), 4, 1, 2, swapped);
  check_values(HEADER("<i2", "(2, 1)"), 4, 2, 1, pairs);
  check_values(HEADER(">i2", "(2, 1)"), 4, 2, 1, swapped);
  check_values(HEADER("|i1", "(1, 2)"), 2, 1, 2, (float[]){60, 61});
  check_values(HEADER("<i4", "(1, 1)"), 4, 1, 1, (float[]){0x3f3e3d3c});
  check_values(HEADER(">u4", "(1, 1)"), 4, 1, 1, (float[]){0x3c3d3e3f});
  check_values(HEADER("<i8", "(1, 1)"), 8, 1, 1, (float[]){0x434241403f3e3d3c});
  check_values(HEADER(">u8", "(1, 1)"), 8, 1, 1, (float[]){0x3c3d3e3f40414243});
  check_values(HEADER(">f4", "(1, 1)"), 4, 1, 1, (float[]){0x1.7a7c7ep-7F});
  check_values(HEADER(">f2", "(1, 1)"), 2, 1, 1, (float[]){0x1.0f4p0F});
  check_values(HEADER(">f8", "(1, 1)"), 8, 1, 1, (float[]){(float)0x1.d3e3f40414243p-60});
}

Test(npy, negative_integers) {
  static const char *const descrs[] = {"|i1", "<i2", ">i2", "<i4", ">i4", "<i8", ">i8"};
  for (size_t i = 0; i < sizeof descrs / sizeof descrs[0]; i++) {
    char header[128];
    size_t size = (size_t)(descrs[i][2] - '0');
    snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (1, 1), }", descrs[i]);
    image from = make(header, size);
    memset(from.bytes + from.body, 0xff, size);
    lk_vectors vectors;
    float got;
    cr_assert_eq(parse(&from, &vectors, NULL), LK_OK);
    lk_vector_to_f32(&vectors, 0, 1, &got);
    cr_assert_eq(got, -1, "%s", descrs[i]);
  }
}

Test(npy, records) {
  static const float pairs[] = {0x1.7a7c7ep-7F, 0x1.828486p1F};
  check_values(RECORDS("('x', '>f4'), ('y', '>f4')", "(1,)"), 8, 1, 2, pairs);
  check_values(RECORDS("('x', '>f4'), ('y', '>f4')", "()"), 8, 1, 2, pairs);
  check_values(RECORDS("(('title', 'x'), '>f4', (2,))", "(1, 1)"), 8, 1, 2, pairs);
  check_values(RECORDS("('it\\'s', '|S2'), ('y', '>f2', (1, 2)), ('', '|V1')", "(2,)"), 14, 2, 2,
               (float[]){0x1.8fcp0F, 0x1.104p1F, 0x1.518p2F, 0x1.d2p2F});
}

Test(npy, widest_and_empty) {
  image wide = make(HEADER("<f4", "(1, 4096)"), 16384), empty = make(HEADER("<f4", "(0, 7)"), 0);
  check_good(&wide, LK_F32, 1, 4096);
  check_good(&empty, LK_F32, 0, 7);
}

static const struct {
  const char *header;
  size_t body;
  lk_status status;
  const char *words;
} refused[] = {
    {HEADER("<f4", "(3, 2)"), 25, LK_EFORMAT, "25 bytes follow"},
    {HEADER("<f4", "(3, 2)"), 23, LK_EFORMAT, "23 bytes follow"},
    {HEADER("<f4", "(3, 2)"), 32, LK_EFORMAT, "promises 6 items of 4 bytes, but 32 bytes follow"},
    {HEADER("<f4", "(3, 2)"), 16, LK_EFORMAT, "16 bytes follow"},
    {HEADER("<f4", "(3, 2)"), 0, LK_EFORMAT, "0 bytes follow"},
    {HEADER("<f4", "(0, 2)"), 4, LK_EFORMAT, "4 bytes follow"},
    {HEADER("|b1", "(3, 2)"), 6, LK_EFORMAT, "unsupported element type '|b1': truth values (bool)"},
    {HEADER("<f16", "(3, 2)"), 96, LK_EFORMAT, "'<f16'"},
    {HEADER("|O", "(3, 2)"), 48, LK_EFORMAT, "Python objects"},
    {HEADER("<U4", "(3, 2)"), 96, LK_EFORMAT, "texts"},
    {HEADER("<c8", "(3, 2)"), 48, LK_EFORMAT, "complex"},
    {HEADER("<i3", "(3, 2)"), 18, LK_EFORMAT, "'<i3'"},
    {RECORDS("('x', '<f4'), ('y', '<f8')", "(3,)"), 36, LK_EFORMAT, "a structured dtype"},
    {RECORDS("('x', '<i4'), ('y', '<i4')", "(3,)"), 24, LK_EFORMAT, "a structured dtype"},
    {RECORDS("('x', '<f4', (2,)), ('y', '<f4', (2,))", "(3,)"), 48, LK_EFORMAT, "a structured dtype"},
    {RECORDS("('x', [('y', '<f4')])", "(3,)"), 12, LK_EFORMAT, "a structured dtype"},
    {RECORDS("('x', [('[', [('z', '<f4')]), ('y', '<i4')]), ('v', '<f4', (2,))", "(1,)"), 8, LK_EFORMAT,
     "a structured dtype"},
    {RECORDS("('x', 'f4'), ('v', '<f4', (2,))", "(1,)"), 8, LK_EFORMAT, "a structured dtype"},
    {"{'descr': [('x', [('y', '<f4')", 12, LK_EFORMAT, "malformed"},
    {RECORDS("('x', '<f4')", "(3, 2)"), 24, LK_EFORMAT, "has 2 dimensions of records"},
    {RECORDS("('x', '<f4', (4097,))", "(1,)"), 16388, LK_EDIM, "rows of 4097 elements"},
    {RECORDS("('x', '<f4', (4294967296, 4294967296))", "(1,)"), 4, LK_EFORMAT, "malformed"},
    {RECORDS("", "(1,)"), 4, LK_EFORMAT, "a structured dtype"},
    {HEADER("Ef2", "(211, )"), 0, LK_EFORMAT, "unsupported element type 'Ef2'"},
    {HEADER("", "(3, 2)"), 24, LK_EFORMAT, "''"},
    {HEADER("<f4", "()"), 4, LK_EFORMAT, "has 0 dimensions"},
    {HEADER("<f4", "(3, 2, 1)"), 24, LK_EFORMAT, "has 3 dimensions;"},
    {HEADER("<f4", "(1, 3, 2, 1)"), 24, LK_EFORMAT, "at least 4 dimensions"},
    {HEADER("<f4", "(3, 0)"), 0, LK_EDIM, "rows of 0 elements"},
    {HEADER("<f4", "(1, 4097)"), 16388, LK_EDIM, "rows of 4097 elements"},
    /* Each of these is right modulo 2^64. */
    {HEADER("<f4", "(4611686018427387905, 1)"), 4, LK_EFORMAT, "4 bytes follow"},
    {HEADER("<f4", "(1, 4611686018427387905)"), 4, LK_EDIM, "rows of"},
    {HEADER("<f4", "(18446744073709551617, 1)"), 4, LK_EFORMAT, "malformed"},
    {HEADER("<f4", "(1, 18446744073709551617)"), 4, LK_EFORMAT, "malformed"},
    {HEADER("<f4", "(99999999999999999999999999999999, 1)"), 4, LK_EFORMAT, "malformed"},
    {HEADER("<f4", "(-1, 2)"), 8, LK_EFORMAT, "malformed"},
    {HEADER("<f4", "(3 2)"), 24, LK_EFORMAT, "malformed"},
    {HEADER("<f4", "(,)"), 24, LK_EFORMAT, "malformed"},
    {HEADER("<f4", "[3, 2]"), 24, LK_EFORMAT, "malformed"},
    {HEADER("<f4", "(3, 2"), 24, LK_EFORMAT, "malformed"},
    {HEADER("<f4", "(3, 2)") "x", 24, LK_EFORMAT, "malformed"},
    {HEADER("a very long element type", "(3, 2)"), 24, LK_EFORMAT, "malformed"},
    {"{'descr': '<f4', 'fortran_order': False, }", 24, LK_EFORMAT, "malformed"},
    {"{'descr': '<f4', 'shape': (3, 2), }", 24, LK_EFORMAT, "malformed"},
    {"{'fortran_order': False, 'shape': (3, 2), }", 24, LK_EFORMAT, "malformed"},
    {"{'descr': '<f4', 'fortran_order': Falsch, 'shape': (3, 2), }", 24, LK_EFORMAT, "malformed"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), 'more': 1}", 24, LK_EFORMAT, "malformed"},
    {"{'descr': '<f4' 'fortran_order': False, 'shape': (3, 2), }", 24, LK_EFORMAT, "malformed"},
    {"{'descr': '<f4\", 'fortran_order': False, 'shape': (3, 2), }", 24, LK_EFORMAT, "malformed"},
    {"{'descr': [('p', '|V4000'), ('v', '<f4', (2,))], 'descr': '<f4', 'fortran_order': False, 'shape': (4,), }", 16,
     LK_EFORMAT, "malformed"},
    {"{'descr': '<f4', 'fortran_order': False, 'fortran_order': True, 'shape': (3, 2), }", 24, LK_EFORMAT, "malformed"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), 'shape': (2, 3), }", 24, LK_EFORMAT, "malformed"},
    {"{}", 24, LK_EFORMAT, "malformed"},
    {"", 24, LK_EFORMAT, "malformed"},
};

Test(npy, refused_with_a_reason) {
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    image from = make(refused[i].header, refused[i].body);
    lk_vectors vectors;
    lk_error error = {0};
    lk_status status = parse(&from, &vectors, &error);
    cr_assert_eq(status, refused[i].status, "%s: %s", refused[i].header, lk_status_name(status));
    cr_assert_not_null(strstr(error.text, refused[i].words), "%s: %s", refused[i].header, error.text);
    cr_assert_eq(strncmp(error.text, "file: ", 6), 0, "%s", error.text);
  }
}

Test(npy, other_versions_and_magics) {
  lk_vectors vectors;
  image from = make(HEADER("<f4", "(3, 2)"), 24);
  for (int version = 0; version < 256; version++) {
    from.bytes[6] = (char)version;
    if (version < 1 || version > 3) cr_assert_eq(parse(&from, &vectors, NULL), LK_EFORMAT);
  }
  from.bytes[6] = 1;
  from.bytes[5] = 'Z';
  cr_assert_eq(parse(&from, &vectors, NULL), LK_EFORMAT);
  cr_assert_eq(lk_npy_parse("text", "row,key\n0,a\n0123456789", 21, &vectors, NULL), LK_EFORMAT);
}

Test(npy, cut_off_anywhere) {
  for (int version = 1; version <= 3; version++) {
    image from = make_as(version, HEADER("<f4", "(3, 2)"), 24);
    for (size_t size = 0; size < from.size; size++) {
      lk_vectors vectors;
      cr_assert_eq(parse_bytes(&from, size, &vectors, NULL), LK_EFORMAT, "version %d, %zu bytes", version, size);
    }
  }
}

/* Whatever a damaged header says, what comes out lies within the file. */
Test(npy, every_changed_byte) {
  for (int version = 1; version <= 3; version++) {
    image from = make_as(version, HEADER("<f4", "(3, 2)") "  \n", 24);
    for (size_t at = 0; at < from.body; at++)
      for (int value = 0; value < 256; value++) {
        image changed = from;
        changed.bytes[at] = (char)value;
        lk_vectors v;
        if (parse(&changed, &v, NULL) != LK_OK) continue;
        size_t begin = (size_t)((const char *)v.data - changed.bytes), size = lk_element_bytes(v.element);
        cr_assert_eq(begin + v.rows * v.dim * size, changed.size);
      }
  }
}
