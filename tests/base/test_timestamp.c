#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "base/timestamp.h"
#include "tests/support/random.h"

static int64_t good(const char *text) {
  int64_t ms = -1;
  const char *fault = lk_timestamp_parse(lk_text_of(text), &ms);
  cr_assert_null(fault, "%s %s", text, fault);
  return ms;
}

static void check_refused(const char *text, const char *words) {
  int64_t ms = 77;
  const char *fault = lk_timestamp_parse(lk_text_of(text), &ms);
  cr_assert(fault != NULL && strstr(fault, words) != NULL, "'%s' is refused with: %s", text, fault);
  cr_assert_eq(ms, 77);
}

Test(timestamp, examples) {
  cr_assert_eq(good("1970-01-01"), 0);
  cr_assert_eq(good("1970-01-01T00:00:00Z"), 0);
  cr_assert_eq(good("1969-12-31T23:59:59.999Z"), -1);
  cr_assert_eq(good("2021-06-10T09:00:00+02:00"), 1623308400000);
  cr_assert_eq(good("2021-06-10 07:00:00z"), 1623308400000);
  cr_assert_eq(good("2021-06-10t01:30:00-05:30"), 1623308400000);
  cr_assert_eq(good("2021-06-10T07:00:00-00:00"), 1623308400000);
  cr_assert_eq(good("2021-06-10T07:00:00.5Z"), 1623308400500);
  cr_assert_eq(good("2021-06-10T07:00:00.05Z"), 1623308400050);
  cr_assert_eq(good("2021-06-10T07:00:00.125Z"), 1623308400125);
  cr_assert_eq(good("2020-02-29"), good("2020-03-01") - 86400000);
  cr_assert_eq(good("2020-12-31T23:30:00-01:00"), good("2021-01-01T00:30:00Z"), "the offset goes into the next year");
  cr_assert_eq(good("0000-01-01"), -62167219200000);
  cr_assert_eq(good("9999-12-31T23:59:59.999Z"), 253402300799999);
}

Test(timestamp, refused) {
  static const char *const no_days[] = {"2021-02-29", "2100-02-29", "1900-02-29", "2021-00-10",          "2021-13-01",
                                        "2021-04-31", "2021-01-32", "2021-01-00", "2023-02-29T00:00:00Z"};
  for (size_t i = 0; i < sizeof no_days / sizeof *no_days; i++) check_refused(no_days[i], "is not a valid date");
  check_refused("2021-06-10T24:00:00Z", "invalid time of day");
  check_refused("2021-06-10T23:60:00Z", "invalid time of day");
  check_refused("2016-12-31T23:59:60Z", "invalid time of day");
  check_refused("2021-06-10T09:00:00", "no time zone");
  check_refused("2021-06-10T09:00:00.5", "no time zone");
  check_refused("2021-06-10T09:00:00+24:00", "offset");
  check_refused("2021-06-10T09:00:00+02:60", "offset");
  check_refused("2021-06-10T09:00:00.1234Z", "finer");
  static const char *const malformed[] = {"",
                                          "2021",
                                          "2021-6-10",
                                          "2021-06-1",
                                          "21-06-10",
                                          "2021/06/10",
                                          "20210610",
                                          "2021-06-10T",
                                          "2021-06-10T09",
                                          "2021-06-10T09:00Z",
                                          "2021-06-10T9:00:00Z",
                                          "2021-06-10T09:00:00.Z",
                                          "2021-06-10T09:00:00+02",
                                          "2021-06-10T09:00:00+0200",
                                          "2021-06-10T09:00:00ZZ",
                                          "2021-06-10T09:00:00 Z",
                                          "2021-06-10Z",
                                          "2021-06-10T09:00:00+02:00 ",
                                          "+2021-06-10",
                                          "-2021-06-10",
                                          "now",
                                          "2021-06-10T09:00:00+2:00",
                                          "2021-06-1a",
                                          "2021-06-10X09:00:00Z"};
  for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) check_refused(malformed[i], "neither a timestamp");
}

static void format_civil(const struct tm *utc, char text[64]) { strftime(text, 64, "%Y-%m-%dT%H:%M:%SZ", utc); }

/* Every day of 1970 .. 2100, both ways. */
Test(timestamp, days_as_timegm_has_them) {
  char text[64], back[LK_TIMESTAMP_SIZE];
  for (time_t at = 0; at < 4133980800; at += 86400) {
    struct tm utc;
    gmtime_r(&at, &utc);
    format_civil(&utc, text);
    cr_assert_eq(good(text), (int64_t)at * 1000, "%s", text);
    text[10] = '\0';
    cr_assert_eq(good(text), (int64_t)at * 1000, "%s", text);
    text[10] = 'T';
    lk_timestamp_format((int64_t)at * 1000, back);
    cr_assert_str_eq(back, text);
  }
}

/* Random instants, written with a random offset. */
Test(timestamp, random_ones_as_timegm_has_them) {
  random_state random = random_fork(1, 0);
  for (int i = 0; i < 10000; i++) {
    int64_t ms = (int64_t)(random_uniform(&random) * 4133980800000), wall;
    int offset = (int)random_below(&random, 2879) - 1439, far = offset < 0 ? -offset : offset;
    wall = ms + (int64_t)offset * 60000;
    if (wall < 0) continue;
    time_t seconds = (time_t)(wall / 1000);
    struct tm local;
    gmtime_r(&seconds, &local);
    cr_assert_eq(timegm(&local), seconds);
    char text[64], instant[96], back[LK_TIMESTAMP_SIZE];
    format_civil(&local, text);
    snprintf(instant, sizeof instant, "%.19s.%03d%c%02d:%02d", text, (int)(wall % 1000), offset < 0 ? '-' : '+',
             far / 60, far % 60);
    cr_assert_eq(good(instant), ms, "seed 1, case %d: %s", i, instant);
    lk_timestamp_format(ms, back);
    cr_assert_eq(good(back), ms, "%s", back);
  }
}

Test(timestamp, format) {
  char text[LK_TIMESTAMP_SIZE];
  lk_timestamp_format(-1, text);
  cr_assert_str_eq(text, "1969-12-31T23:59:59.999Z");
  lk_timestamp_format(1623308400050, text);
  cr_assert_str_eq(text, "2021-06-10T07:00:00.050Z");
  lk_timestamp_format(INT64_MIN, text);
  lk_timestamp_format(INT64_MAX, text);
}
