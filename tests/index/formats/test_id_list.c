#include "index/formats/id_list.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tests/support/files.h"

TestSuite(lines, .init = files_setup, .fini = files_teardown);

/* Parses a copy of exactly that many bytes, so that a sanitizer sees a read past them; the caller frees it. */
static char *parse(const char *image, size_t size, lk_id_list *lines, lk_status *status, lk_error *error) {
  char *copy = malloc(size > 0 ? size : 1);
  memcpy(copy, image, size);
  *status = lk_id_list_parse("list", copy, size, lines, error);
  return copy;
}

/* `wanted`: the texts, each followed by '|'. */
static void check(const char *image, const char *wanted) {
  lk_id_list lines;
  lk_status status;
  lk_error error = {0};
  char *copy = parse(image, strlen(image), &lines, &status, &error), got[256] = "";
  cr_assert_eq(status, LK_OK, "%s", error.text);
  for (uint32_t i = 0; i < lines.count; i++)
    snprintf(got + strlen(got), sizeof got - strlen(got), "%.*s|", (int)lines.texts[i].length, lines.texts[i].bytes);
  cr_assert_str_eq(got, wanted);
  lk_id_list_close(&lines);
  free(copy);
}

Test(lines, ends_and_empty_lines) {
  check("a", "a|");
  check("a\n", "a|");
  check("a\nb", "a|b|");
  check("a\r\nb\r\n", "a|b|");
  check("a\r", "a|");
  check("\n\na\n\r\n\nb\n\n", "a|b|");
  check("\xef\xbb\xbf"
        "a\nb\n",
        "a|b|");
}

Test(lines, every_other_byte_counts) {
  check(" a b \n \n#c,\"d\"\nZ\xc3\xbcrich\n", " a b | |#c,\"d\"|Z\xc3\xbcrich|");
}

Test(lines, more_than_the_first_memory_holds) {
  enum { MANY = 5000 };
  char *image = malloc(MANY * 8), *end = image;
  for (int i = 0; i < MANY; i++) end += sprintf(end, "t%d\n", i);
  lk_id_list lines;
  lk_status status;
  char *copy = parse(image, (size_t)(end - image), &lines, &status, NULL);
  cr_assert_eq(status, LK_OK);
  cr_assert_eq(lines.count, MANY);
  for (int i = 0; i < MANY; i++) {
    char wanted[8];
    snprintf(wanted, sizeof wanted, "t%d", i);
    cr_assert(lk_text_equal(lines.texts[i], lk_text_of(wanted)), "line %d", i + 1);
  }
  lk_id_list_close(&lines);
  free(copy);
  free(image);
}

static void check_refused(const char *image, size_t size, const char *words) {
  lk_id_list lines;
  lk_status status;
  lk_error error = {0};
  free(parse(image, size, &lines, &status, &error));
  cr_assert_eq(status, LK_EFORMAT, "%s", words);
  cr_assert_str_eq(error.text, words);
  cr_assert(lines.texts == NULL && lines.count == 0);
}

Test(lines, refused_with_the_line) {
  check_refused("", 0, "list: the file is empty");
  check_refused("\n\r\n\n", 4, "list: the list is empty: no line has a key or subject");
  check_refused("\xef\xbb\xbf", 3, "list: the list is empty: no line has a key or subject");
  check_refused("a\n\nb\xff\n", 6, "list: line 3 is not UTF-8");
  check_refused("a\r\nb\0c\n", 7, "list: line 2 has a control character");
  check_refused("a\r\r\n", 4, "list: line 1 has a control character");
}

Test(lines, as_long_as_a_key_and_no_longer) {
  char image[300];
  memset(image, 'x', sizeof image);
  memcpy(image + 255, "\r\ny", 3);
  lk_id_list lines;
  lk_status status;
  char *copy = parse(image, 258, &lines, &status, NULL);
  cr_assert(status == LK_OK && lines.count == 2 && lines.texts[0].length == 255 && lines.texts[1].length == 1);
  lk_id_list_close(&lines);
  free(copy);
  memcpy(image + 255, "x\ny", 3);
  check_refused(image, 258, "list: line 1 is longer than 255 bytes");
}

Test(lines, from_a_file) {
  lk_id_list lines;
  lk_error error;
  files_write(files_path("a.txt"), "t1\nt2\n", 6);
  cr_assert_eq(lk_id_list_open(files_path("a.txt"), &lines, NULL), LK_OK);
  cr_assert(lines.count == 2 && lk_text_equal(lines.texts[1], lk_text_of("t2")));
  lk_id_list_close(&lines);
  files_write(files_path("b.txt"), "", 0);
  cr_assert_eq(lk_id_list_open(files_path("b.txt"), &lines, &error), LK_EFORMAT);
  cr_assert_not_null(strstr(error.text, "b.txt: the file is empty"), "%s", error.text);
  cr_assert_eq(lk_id_list_open(files_path("none.txt"), &lines, &error), LK_EIO);
  cr_assert_not_null(strstr(error.text, "none.txt"), "%s", error.text);
}
