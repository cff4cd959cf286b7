#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"
#include "base/text.h"
#include "tests/support/hidden.h"
#include "tests/support/random.h"

static char *printed;
static size_t length;
static FILE *out;

static void setup(void) { out = open_memstream(&printed, &length); }

static void teardown(void) {
  fclose(out);
  free(printed);
}

TestSuite(printable, .init = setup, .fini = teardown);

/* What was printed since the last call. */
static const char *taken(void) {
  static char text[65536];
  fflush(out);
  cr_assert_lt(length, sizeof text);
  memcpy(text, printed, length);
  text[length] = '\0';
  rewind(out);
  return text;
}

static const char *put(const char *bytes, size_t size) {
  lk_printable_put(out, (lk_text){.bytes = bytes, .length = (uint32_t)size}, 0);
  return taken();
}

static void expect(const char *bytes, const char *wanted) {
  cr_assert_str_eq(put(bytes, strlen(bytes)), wanted);
  cr_assert_eq(lk_printable_is_plain(lk_text_of(bytes)), strcmp(bytes, wanted) == 0, "%s", wanted);
}

Test(printable, what_is_harmless_stays) {
  expect("", "");
  expect("a key, 'quoted' \"text\" ~", "a key, 'quoted' \"text\" ~");
  expect("Z\xc3\xbcrich \xe5\xb1\xb1 \xf0\x9f\x98\x80", "Z\xc3\xbcrich \xe5\xb1\xb1 \xf0\x9f\x98\x80");
  expect("\xc2\xa0", "\xc2\xa0");                                 /* U+00A0, after the last control character */
  expect("\xd7\xa9\xd7\x9c", "\xd7\xa9\xd7\x9c");                 /* Hebrew needs no control character */
  expect("\xe2\x80\x8c\xe2\x80\x8d", "\xe2\x80\x8c\xe2\x80\x8d"); /* Persian and Devanagari need these joiners */
  expect("\xef\xbf\xbd\xf4\x8f\xbf\xbf", "\xef\xbf\xbd\xf4\x8f\xbf\xbf");
}

/* A window's title, a new line in a log, a hidden line, a C1 control sequence. */
Test(printable, control_characters) {
  expect("\x1b]0;title\x07", "\\u{1b}]0;title\\u{7}");
  expect("a\nlikeness: b\tc\rd", "a\\u{a}likeness: b\\u{9}c\\u{d}d");
  expect("\x7f\xc2\x80\xc2\x9b\x32\x4a\xc2\x9f", "\\u{7f}\\u{80}\\u{9b}2J\\u{9f}");
  cr_assert_str_eq(put("a\0b", 3), "a\\u{0}b");
}

Test(printable, directions_and_separators) {
  expect("\xe2\x80\xaegnp.exe\xe2\x80\xac", "\\u{202e}gnp.exe\\u{202c}");
  expect("\xd8\x9c\xe2\x80\x8e\xe2\x80\x8f", "\\u{61c}\\u{200e}\\u{200f}");
  expect("\xe2\x81\xa6\xe2\x81\xa9", "\\u{2066}\\u{2069}");
  expect("\xe2\x80\xa8\xe2\x80\xa9", "\\u{2028}\\u{2029}");
  expect("\xe2\x80\x8b\xef\xbb\xbf", "\\u{200b}\\u{feff}");
}

Test(printable, bytes_that_are_not_utf8) {
  expect("\x9b\xff\xfe", "\\x9b\\xff\\xfe");
  expect("\xc0\x9b", "\\xc0\\x9b");                   /* overlong: ESC for a careless decoder */
  expect("\xe0\x82\x9b", "\\xe0\\x82\\x9b");          /* overlong */
  expect("\xed\xa0\x80", "\\xed\\xa0\\x80");          /* a surrogate */
  expect("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"); /* beyond U+10FFFF */
  expect("\xe2\x80", "\\xe2\\x80");                   /* cut off */
  expect("\xe2\x80\x1b", "\\xe2\\x80\\u{1b}");        /* cut off by a control character */
}

/* Else a key could look like another one that is shown with an escape. */
Test(printable, a_backslash_is_doubled) { expect("\\u{202e}\\x9b", "\\\\u{202e}\\\\x9b"); }

Test(printable, pads_what_is_shown) {
  lk_printable_put(out, lk_text_of("ab"), 4);
  lk_printable_put(out, lk_text_of("\x1b"), 8);
  lk_printable_put(out, lk_text_of("longer"), 4);
  fputc('|', out);
  cr_assert_str_eq(taken(), "ab  \\u{1b}  longer|");
}

Test(printable, a_line_is_one_line) {
  lk_printable_line(out, "likeness %s: %s", "stat", "no\nlikeness: all is well\x1b[2K");
  cr_assert_str_eq(taken(), "likeness stat: no\\u{a}likeness: all is well\\u{1b}[2K\n");
  char *big = malloc(2 * LK_PRINTABLE_LINE);
  memset(big, 'x', 2 * LK_PRINTABLE_LINE);
  big[2 * LK_PRINTABLE_LINE - 1] = '\0';
  lk_printable_line(out, "%s", big);
  cr_assert_eq(strlen(taken()), LK_PRINTABLE_LINE + 1);
  free(big);
}

/* The value of the JSON is the same. */
Test(printable, json_keeps_its_value) {
  const char key[] = "a\xe2\x80\xae\xc2\x9b\x1b\x7f\\\"\xc3\xbc\xef\xbb\xbf\xf0\x9f\x98\x80";
  json_t *root = json_pack("{s:s}", "key", key);
  char *text = json_dumps(root, JSON_COMPACT);
  lk_printable_json(out, text, strlen(text));
  const char *shown = taken();
  cr_assert_str_eq(shown, "{\"key\":\"a\\u202e\\u009b\\u001B\\u007f\\\\\\\"\xc3\xbc\\ufeff\xf0\x9f\x98\x80\"}");
  json_t *again = json_loads(shown, 0, NULL);
  cr_assert(json_equal(root, again));
  json_decref(again);
  json_decref(root);
  free(text);
  lk_printable_json(out, "{}\n\x1b\xff", 5);
  cr_assert_str_eq(taken(), "{}\\u000a\\u001b\\ufffd");
}

/* Bytes that are likely to make one of the sequences. */
Test(printable, nothing_hidden_is_ever_shown) {
  static const unsigned char likely[] = {0xe2, 0x80, 0x81, 0xae, 0x8b, 0xc2, 0x9b, 0xd8, 0x9c, 0xef, 0xbb, 0xbf,
                                         0x1b, 0x07, 0x7f, 'a',  '\\', 0xa6, 0xa8, 0xf0, 0x9f, 0xed, 0xa0, 0x00};
  random_state random = {7};
  for (int i = 0; i < 200000; i++) {
    char bytes[24];
    uint32_t size = (uint32_t)random_below(&random, sizeof bytes);
    for (uint32_t b = 0; b < size; b++)
      bytes[b] =
          (char)(random_one_in(&random, 4) ? random_below(&random, 256) : likely[random_below(&random, sizeof likely)]);
    const char *shown = put(bytes, size);
    cr_assert_not(hidden_in(shown, ""), "%s", shown);
    cr_assert_null(lk_text_fault(lk_text_of(shown)), "%s", shown);
    lk_printable_json(out, bytes, size);
    cr_assert_not(hidden_in(taken(), ""));
  }
}
