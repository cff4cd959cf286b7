#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "index/formats/vector.h"
#include "tests/support/random.h"

#define DIM 4

static const char *prepare_f32(lk_metric metric, const float *row, float *out) {
  lk_vectors vectors = {.name = "v", .data = row, .rows = 1, .dim = DIM, .element = LK_F32};
  return lk_vector_prepare(metric, &vectors, 0, out);
}

static const char *prepare_f64(lk_metric metric, double first, float *out) {
  double row[DIM] = {first, 0, 0, 0};
  lk_vectors vectors = {.name = "v", .data = row, .rows = 1, .dim = DIM, .element = LK_F64};
  return lk_vector_prepare(metric, &vectors, 0, out);
}

static const char *prepare_one(lk_metric metric, float first) { return prepare_f64(metric, first, (float[DIM]){0}); }

static void check_fault(lk_metric metric, const float *row, const char *words) {
  float out[DIM];
  const char *fault = prepare_f32(metric, row, out);
  cr_assert_not_null(fault, "%s", words);
  cr_assert_not_null(strstr(fault, words), "%s", fault);
}

Test(vector, no_numbers_and_infinities) {
  for (lk_metric metric = LK_COSINE; metric <= LK_L2; metric++) {
    check_fault(metric, (float[]){1, NAN, 0, 0}, "NaN");
    check_fault(metric, (float[]){1, INFINITY, NAN, 0}, "NaN");
    check_fault(metric, (float[]){1, 0, 0, INFINITY}, "infinite");
    check_fault(metric, (float[]){-INFINITY, 0, 0, 1}, "infinite");
  }
}

Test(vector, a_double_too_large_for_a_float) {
  float out[DIM];
  for (lk_metric metric = LK_COSINE; metric <= LK_L2; metric++) {
    cr_assert_str_eq(prepare_f64(metric, 1e300, out), "has a length outside 2^-40 .. 2^40");
    cr_assert_str_eq(prepare_f64(metric, -1e39, out), "has a length outside 2^-40 .. 2^40");
    cr_assert_str_eq(prepare_f64(metric, (double)NAN, out), "has a NaN");
    cr_assert_str_eq(prepare_f64(metric, (double)INFINITY, out), "has an infinite element");
    cr_assert_str_eq(prepare_f64(metric, (double)-INFINITY, out), "has an infinite element");
  }
}

Test(vector, zeros_have_no_direction) {
  float out[DIM];
  check_fault(LK_COSINE, (float[]){0, 0, -0.0f, 0}, "zeros");
  cr_assert_not_null(prepare_f64(LK_COSINE, 1e-300, out), "rounds to zero");
  for (lk_metric metric = LK_IP; metric <= LK_L2; metric++) {
    cr_assert_null(prepare_f32(metric, (float[]){0, 0, 0, 0}, out));
    for (int i = 0; i < DIM; i++) cr_assert_eq(out[i], 0);
  }
}

Test(vector, lengths) {
  for (lk_metric metric = LK_COSINE; metric <= LK_L2; metric++) {
    cr_assert_null(prepare_one(metric, 0x1p-40f));
    cr_assert_null(prepare_one(metric, -0x1p40f));
    cr_assert_not_null(prepare_one(metric, nextafterf(0x1p-40f, 0)));
    cr_assert_not_null(prepare_one(metric, nextafterf(0x1p40f, INFINITY)));
    cr_assert_not_null(prepare_one(metric, FLT_MAX));
    cr_assert_not_null(prepare_one(metric, 0x1p-149f));
    check_fault(metric, (float[]){0x1p40f, 0x1p40f, 0, 0}, "2^-40 .. 2^40");
  }
}

Test(vector, stays_as_it_came) {
  float row[DIM] = {3, -4, 0, 12}, out[DIM];
  for (lk_metric metric = LK_COSINE; metric <= LK_L2; metric++) {
    cr_assert_null(prepare_f32(metric, row, out));
    cr_assert_arr_eq(out, row, sizeof row);
  }
}

Test(vector, takes_the_row_that_is_asked_for) {
  uint8_t rows[3 * DIM] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 255};
  float out[DIM];
  lk_vectors vectors = {.name = "v", .data = rows, .rows = 3, .dim = DIM, .element = LK_U8};
  cr_assert_null(lk_vector_prepare(LK_L2, &vectors, 2, out));
  cr_assert_arr_eq(out, ((float[]){9, 10, 11, 255}), sizeof out);
}

/* Rows with something between them, at odd addresses: none of it comes through. */
Test(vector, rows_a_stride_apart) {
  enum { STRIDE = DIM * sizeof(float) + 3 };
  char bytes[1 + 3 * STRIDE];
  float wanted[3 * DIM], out[3 * DIM];
  memset(bytes, 0xff, sizeof bytes);
  for (int i = 0; i < 3 * DIM; i++) wanted[i] = (float)i + 0.5F;
  for (int r = 0; r < 3; r++) memcpy(bytes + 1 + r * STRIDE, wanted + r * DIM, DIM * sizeof(float));
  lk_vectors vectors = {
      .name = "v", .data = bytes + 1, .rows = 3, .dim = DIM, .element = LK_F32, .stride_bytes = STRIDE};
  lk_vector_to_f32(&vectors, 0, 3, out);
  cr_assert_arr_eq(out, wanted, sizeof wanted);
  lk_vector_to_f32(&vectors, 1, 2, out);
  cr_assert_arr_eq(out, wanted + DIM, 2 * DIM * sizeof(float));
  cr_assert_null(lk_vector_prepare(LK_L2, &vectors, 2, out));
  cr_assert_arr_eq(out, wanted + 2 * DIM, DIM * sizeof(float));
}

Test(vector, elements_need_no_alignment) {
  double values[DIM] = {1, -2, 0.5, 1e9};
  char *bytes = malloc(sizeof values + 1);
  memcpy(bytes + 1, values, sizeof values);
  lk_vectors vectors = {.name = "v", .data = bytes + 1, .rows = 1, .dim = DIM, .element = LK_F64};
  float out[DIM];
  lk_vector_to_f32(&vectors, 0, 1, out);
  for (int i = 0; i < DIM; i++) cr_assert_eq(out[i], (float)values[i]);
  free(bytes);
}

/* All 65536 halves, against what the format says, in another arithmetic. */
Test(vector, halves_are_exact) {
  for (uint32_t bits = 0; bits < 65536; bits++) {
    uint16_t half = (uint16_t)bits;
    lk_vectors vectors = {.name = "v", .data = &half, .rows = 1, .dim = 1, .element = LK_F16};
    float out;
    lk_vector_to_f32(&vectors, 0, 1, &out);
    uint32_t exponent = bits >> 10 & 31, fraction = bits & 1023, out_bits;
    memcpy(&out_bits, &out, sizeof out_bits);
    cr_assert_eq(out_bits >> 31, bits >> 15, "%x", bits);
    double wanted = exponent == 0 ? fraction / 16777216.0 : (1 + fraction / 1024.0) * exp2((double)exponent - 15);
    if (exponent == 31)
      cr_assert(fraction == 0 ? isinf(out) : isnan(out), "%x", bits);
    else
      cr_assert_eq(fabsf(out), wanted, "%x", bits);
  }
}

Test(vector, rounded_for_an_f16_gallery) {
  float v[3] = {1 + 0x1p-11f, -65504, 0x1p-26f}, same[3];
  memcpy(same, v, sizeof v);
  cr_assert_null(lk_vector_round(LK_IP, LK_STORE_F32, v, 3));
  cr_assert_arr_eq(v, same, sizeof v);
  cr_assert_null(lk_vector_round(LK_IP, LK_STORE_F16, v, 3));
  cr_assert(v[0] == 1 && v[1] == -65504 && v[2] == 0);
  float large[2] = {1, 65520}, small[2] = {0x1p-26f, 0}, zero[2] = {0, 0};
  cr_assert_not_null(strstr(lk_vector_round(LK_IP, LK_STORE_F16, large, 2), "65504"));
  cr_assert_not_null(strstr(lk_vector_round(LK_IP, LK_STORE_F16, small, 2), "too small"));
  cr_assert_null(lk_vector_round(LK_IP, LK_STORE_F16, zero, 2));
}

/* Halves come back as they are, however small; what halves would cut off is stored times a power of two. */
Test(vector, an_f16_cosine_gallery_takes_vectors_of_all_lengths) {
  float halves[] = {0x1p-24f, -0x1.8p-23f, 0}, same[3], large[] = {98304, -3 * 65536, 5 * 65536},
        small[] = {0x1.554p-30f, -0x1.554p-31f, 0x1p-60f};
  memcpy(same, halves, sizeof halves);
  cr_assert_null(lk_vector_round(LK_COSINE, LK_STORE_F16, halves, 3));
  cr_assert_arr_eq(halves, same, sizeof same);
  cr_assert_null(lk_vector_round(LK_COSINE, LK_STORE_F16, large, 3));
  cr_assert_arr_eq(large, ((float[]){0.1875f, -0.375f, 0.625f}), sizeof large);
  cr_assert_null(lk_vector_round(LK_COSINE, LK_STORE_F16, small, 3));
  cr_assert_arr_eq(small, ((float[]){0x1.554p-1f, -0x1.554p-2f, 0}), sizeof small);
}

Test(vector, a_part) {
  static const uint16_t bytes[] = {0, 1, 9, 2, 3, 9, 4, 5, 9};
  lk_vectors all = {.name = "v", .data = bytes, .rows = 3, .dim = 2, .element = LK_F16, .stride_bytes = 6};
  lk_vectors part = lk_vector_part(&all, 1, 5);
  cr_assert(part.rows == 2 && part.data == bytes + 3 && part.stride_bytes == 6);
  cr_assert_eq(lk_vector_part(&all, 1, 3).rows, 2);
  part = lk_vector_part(&all, 0, 2);
  cr_assert(part.rows == 2 && part.data == bytes);
}
