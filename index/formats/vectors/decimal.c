/* The first 19 digits are an integer below 2^64. As a double, and scaled by one or two exact powers of ten, it is off
 * by less than NEAR units in its last place. Unless a float's midpoint is that near, rounding it to a float is rounding
 * the number itself. Where one is, and for what is very large, small or long, strtof decides. */
#include "index/formats/vectors/decimal.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

enum { DIGITS_MOST = 19, POWER_MOST = 22, TEXT_MOST = 1100, NEAR = 16 };

static const double powers[POWER_MOST + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                              1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

typedef struct decimal {
  uint64_t digits; /* the first 19 that are not leading zeros */
  int used;        /* of them */
  int exponent;    /* of the last of `digits` */
  bool any, negative;
} decimal;

static const char *take_digits(const char *at, const char *end, decimal *d, int each) {
  for (; at < end && *at >= '0' && *at <= '9'; at++) {
    d->any = true;
    if (d->used < DIGITS_MOST) {
      d->digits = d->digits * 10 + (uint64_t)(*at - '0');
      d->used += d->digits > 0;
      d->exponent += each;
    } else {
      d->exponent += each + 1;
    }
  }
  return at;
}

/* An exponent without digits belongs to no number: "1e" is 1, and an "e". */
static const char *take_exponent(const char *at, const char *end, decimal *d) {
  if (at == end || (*at != 'e' && *at != 'E')) return at;
  const char *digits = at + 1;
  bool negative = digits < end && *digits == '-';
  if (digits < end && (*digits == '-' || *digits == '+')) digits++;
  const char *last = digits;
  int exponent = 0;
  for (; last < end && *last >= '0' && *last <= '9'; last++)
    if (exponent < 100000) exponent = exponent * 10 + (*last - '0');
  if (last == digits) return at;
  d->exponent += negative ? -exponent : exponent;
  return last;
}

static double scale(double number, int exponent) {
  int size = exponent < 0 ? -exponent : exponent, first = size < POWER_MOST ? size : POWER_MOST;
  return exponent < 0 ? number / powers[first] / powers[size - first] : number * powers[first] * powers[size - first];
}

/* False: only strtof can tell. */
static bool round_near(const decimal *d, float *value) {
  if (d->digits == 0) return *value = d->negative ? -0.0F : 0.0F, true;
  if (d->exponent < -2 * POWER_MOST || d->exponent > 2 * POWER_MOST) return false;
  double number = scale((double)d->digits, d->exponent);
  uint64_t bits;
  memcpy(&bits, &number, sizeof bits);
  uint64_t low = bits & ((UINT64_C(1) << 29) - 1), middle = UINT64_C(1) << 28;
  if (low + NEAR > middle && low < middle + NEAR) return false;
  if (number < 0x1p-125 || number > 0x1p127) return false;
  *value = (float)(d->negative ? -number : number);
  return true;
}

static const char *round_slowly(const char *at, const char *last, float *value) {
  char text[TEXT_MOST];
  size_t length = (size_t)(last - at);
  if (length >= sizeof text) return at;
  memcpy(text, at, length);
  text[length] = '\0';
  char *stop;
  *value = lk_text_strtof(text, &stop);
  return at + (stop - text);
}

static const char *take_word(const char *at, const char *end, float *value) {
  const char *word = at < end && (*at == '-' || *at == '+') ? at + 1 : at;
  static const char *const words[] = {"infinity", "inf", "nan"};
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    size_t length = strlen(words[i]);
    if ((size_t)(end - word) >= length && strncasecmp(word, words[i], length) == 0)
      return round_slowly(at, word + length, value);
  }
  return at;
}

const char *lk_decimal_read(const char *at, const char *end, float *value) {
  decimal d = {.negative = at < end && *at == '-'};
  const char *last = at + (at < end && (*at == '-' || *at == '+'));
  last = take_digits(last, end, &d, 0);
  if (last < end && *last == '.') last = take_digits(last + 1, end, &d, -1);
  if (!d.any) return take_word(at, end, value);
  last = take_exponent(last, end, &d);
  return round_near(&d, value) ? last : round_slowly(at, last, value);
}
