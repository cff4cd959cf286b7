#include "index/formats/vectors/decimal.h"

#include <criterion/criterion.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/random.h"

static void check(const char *text, size_t taken) {
  float got = 42, wanted = strtof(text, NULL);
  char *copy = malloc(taken + 1); /* of exactly the bytes */
  memcpy(copy, text, taken);
  cr_assert_eq(lk_decimal_read(copy, copy + taken, &got) - copy, (ptrdiff_t)taken, "%s", text);
  cr_assert_eq(memcmp(&got, &wanted, sizeof got), 0, "%s: %a, not %a", text, (double)got, (double)wanted);
  free(copy);
}

Test(decimal, as_strtof) {
  static const char *const texts[] = {"0",
                                      "-0",
                                      "1",
                                      "+1",
                                      "-1.5",
                                      ".5",
                                      "5.",
                                      "1e3",
                                      "1E-3",
                                      "1e+3",
                                      "00012",
                                      "0.1",
                                      "16777217",
                                      "16777219",
                                      "16777217.0000000000000001",
                                      "9007199254740993",
                                      "3.4028235e38",
                                      "3.4028236e38",
                                      "1e39",
                                      "-1e300",
                                      "1e-45",
                                      "7e-46",
                                      "1e-320",
                                      "1.17549435e-38",
                                      "0.000000000000000000000000000000000000011754944",
                                      "123456789012345678901234567890",
                                      "0.30000001192092895507812500000000000000000000001",
                                      "1e99999999999",
                                      "0e99999999999",
                                      "1e-99999999999",
                                      "inf",
                                      "-Infinity",
                                      "nan",
                                      "8388608.5",
                                      "8388609.5",
                                      "1.00000005960464477539"};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) check(texts[i], strlen(texts[i]));
}

Test(decimal, no_numbers) {
  static const char *const texts[] = {"", "-", "+", ".", "e5", "x", "-.", "--1", "in", " 1"};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    float value;
    cr_assert_eq(lk_decimal_read(texts[i], texts[i] + strlen(texts[i]), &value), texts[i], "'%s'", texts[i]);
  }
}

Test(decimal, what_follows_is_left) {
  static const struct {
    const char *text;
    ptrdiff_t taken;
  } cases[] = {{"1,2", 1}, {"1e", 1}, {"1e+", 1}, {"1e,", 1}, {"1.2.3", 3}, {"0x10", 1}, {"1-", 1}, {"nans", 3}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    float value;
    const char *text = cases[i].text;
    cr_assert_eq(lk_decimal_read(text, text + strlen(text), &value) - text, cases[i].taken, "%s", text);
  }
}

/* As many ways of writing as there are, most of them near the middle between two floats. */
Test(decimal, random_numbers) {
  random_state random = {7};
  for (int i = 0; i < 400000; i++) {
    uint64_t bits = random_bits(&random);
    uint32_t low = (uint32_t)bits;
    float f;
    memcpy(&f, &low, sizeof f);
    if (!isfinite(f)) continue;
    double middle = ((double)f + (double)nextafterf(f, INFINITY)) / 2, shift = 1 + ((double)(bits >> 60) - 8) * 0x1p-52;
    char text[64];
    int digits = (int)(bits >> 32) % 25;
    snprintf(text, sizeof text, (bits >> 50) & 1 ? "%.*e" : "%.*g", digits,
             (bits >> 51) & 1 ? middle * shift : (double)f);
    check(text, strlen(text));
  }
}

Test(decimal, any_locale) {
  if (setlocale(LC_NUMERIC, "de_DE.UTF-8") == NULL) cr_skip_test("the machine has no locale with a comma");
  float value;
  const char *text = "16777217.5";
  cr_assert_eq(lk_decimal_read(text, text + 10, &value), text + 10);
  cr_assert_eq(value, 16777218);
}
