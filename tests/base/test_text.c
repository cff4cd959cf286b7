#include <criterion/criterion.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tests/support/files.h"
#include "tests/support/process.h"

static const char *fault(const char *bytes) { return lk_text_fault(lk_text_of(bytes)); }

Test(text, equal_by_bytes) {
  cr_assert(lk_text_equal(lk_text_of("ab"), (lk_text){.bytes = "abc", .length = 2}));
  cr_assert(!lk_text_equal(lk_text_of("ab"), lk_text_of("abc")));
  cr_assert(!lk_text_equal(lk_text_of("ab"), lk_text_of("ac")));
  cr_assert(lk_text_equal((lk_text){0}, lk_text_of("")));
}

/* Just above the middle between two floats, where a double would fall on the middle and then to the even float. */
Test(text, the_nearest_float) {
  float value;
  cr_assert(lk_text_to_float("0.36", &value) && value == 0.36f);
  cr_assert(lk_text_to_float("-1e-3", &value) && value == -1e-3f);
  cr_assert(lk_text_to_float("1", &value) && value == 1);
  cr_assert(lk_text_to_float("-inf", &value) && value == -INFINITY);
  cr_assert(lk_text_to_float("1.0000000596046447753906251", &value) && value == 0x1.000002p0f, "%a", (double)value);
  cr_assert(lk_text_to_float("1.000000059604644775390625", &value) && value == 1);
  cr_assert(lk_text_to_float("3.4028235e38", &value) && value == FLT_MAX);
  cr_assert(lk_text_to_float("-1e-60", &value) && value == 0);
  static const char *const bad[] = {"",  " 1", "1 ", "1,5",      "0x1p3", "nan",   "-nan",        "1x",
                                    "e", ".",  "1e", "\xc2\xbd", "1e39",  "-1e39", "3.4028236e38"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) cr_assert(!lk_text_to_float(bad[i], &value), "%s", bad[i]);
}

/* The machine need not have the locale: it is made here. */
Test(text, a_float_in_another_locale, .init = files_setup, .fini = files_teardown) {
  float value;
  process localedef = {0};
  process_start(&localedef,
                (const char *[]){"localedef", "-i", "de_DE", "-f", "UTF-8", files_path("de_DE.UTF-8"), NULL});
  cr_assert_eq(process_wait(&localedef, PROCESS_PATIENCE_MS), 0, "%s", process_log(&localedef));
  process_close(&localedef);
  setenv("LOCPATH", files_root, 1);
  cr_assert_not_null(setlocale(LC_ALL, "de_DE.UTF-8"));
  cr_assert_str_eq(localeconv()->decimal_point, ",");
  cr_assert(lk_text_to_float("0.36", &value) && value == 0.36f);
}

Test(text, names) {
  char longest[LK_TEXT_MAX + 2];
  memset(longest, 'n', sizeof longest);
  cr_assert(lk_text_is_name((lk_text){.bytes = longest, .length = LK_TEXT_MAX}));
  cr_assert_not(lk_text_is_name((lk_text){.bytes = longest, .length = LK_TEXT_MAX + 1}));
  static const char *const good[] = {"faces", "A.b_c-9", "_", "-", "0"};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) cr_assert(lk_text_is_name(lk_text_of(good[i])));
  static const char *const bad[] = {"", ".", ".a", "a b", "a/1", "a}b", "{", "caf\xc3\xa9", "a\n"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    cr_assert_not(lk_text_is_name(lk_text_of(bad[i])), "%s", bad[i]);
  cr_assert_not(lk_text_is_name((lk_text){.bytes = "a\0b", .length = 3}));
}

Test(text, good_ones) {
  static const char *const good[] = {"",
                                     "a key",
                                     "'quotes\", commas, \\",
                                     "\xc2\x80",
                                     "\xdf\xbf",
                                     "\xe0\xa0\x80",
                                     "\xed\x9f\xbf",
                                     "\xee\x80\x80",
                                     "\xef\xbf\xbf",
                                     "\xf0\x90\x80\x80",
                                     "\xf4\x8f\xbf\xbf",
                                     "Z\xc3\xbcrich \xe5\xb1\xb1 \xf0\x9f\x98\x80"};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
    cr_assert_null(fault(good[i]), "%zu: %s", i, fault(good[i]));
}

Test(text, not_utf8) {
  static const char *const bad[] = {"\x80",
                                    "\xbf",
                                    "\xc0\x80",
                                    "\xc1\xbf",
                                    "\xc2",
                                    "a\xc3",
                                    "\xc3(",
                                    "\xe0\x9f\xbf",
                                    "\xe2\x82",
                                    "\xe2(\xa1",
                                    "\xed\xa0\x80",
                                    "\xed\xbf\xbf",
                                    "\xf0\x8f\xbf\xbf",
                                    "\xf0\x90\x80",
                                    "\xf4\x90\x80\x80",
                                    "\xf5\x80\x80\x80",
                                    "\xff",
                                    "\xfe",
                                    "\xe2\x82\x28",
                                    "\xf0\x90\x80\x28"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    cr_assert_not_null(fault(bad[i]), "%zu", i);
    cr_assert_str_eq(fault(bad[i]), "is not UTF-8");
  }
}

/* A text of memory's last bytes is not read past. */
Test(text, a_sequence_cut_off_at_the_end) {
  char *cut = malloc(1);
  *cut = '\xe2';
  cr_assert_not_null(lk_text_fault((lk_text){.bytes = cut, .length = 1}));
  free(cut);
}

Test(text, control_characters) {
  for (unsigned c = 1; c < 128; c++) {
    char text[] = {'a', (char)c, 'b', '\0'};
    cr_assert_eq(fault(text) != NULL, c < 0x20 || c == 0x7f, "%u", c);
  }
  cr_assert_not_null(lk_text_fault((lk_text){.bytes = "a\0b", .length = 3}));
}

Test(text, length) {
  char text[257];
  memset(text, 'x', sizeof text);
  cr_assert_null(lk_text_fault((lk_text){.bytes = text, .length = 255}));
  cr_assert_str_eq(lk_text_fault((lk_text){.bytes = text, .length = 256}), "is longer than 255 bytes");
}

/* Text that does not fit is cut off, and what comes after it is dropped. */
Test(text, append_stays_within_its_size) {
  char bytes[12];
  memset(bytes, 'x', sizeof bytes);
  size_t used = lk_text_append(bytes, 8, 0, "%s", "abc");
  cr_assert(used == 3 && strcmp(bytes, "abc") == 0);
  used = lk_text_append(bytes, 8, used, "%d", 123456789);
  cr_assert(used == 7 && strcmp(bytes, "abc1234") == 0);
  used = lk_text_append(bytes, 8, used, "more");
  cr_assert(used == 7 && strcmp(bytes, "abc1234") == 0 && bytes[8] == 'x');
  cr_assert_eq(lk_text_append(bytes, 1, 0, "more"), 0);
  cr_assert_eq(bytes[0], '\0');
}
