#include <likeness/label_file.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tests/support/files.h"
#include "tests/support/zip.h"

TestSuite(label_file, .init = files_setup, .fini = files_teardown);

static lk_status parse(const char *name, const void *bytes, size_t size, lk_label_file *labels, lk_error *error) {
  char *copy = malloc(size); /* of exactly the bytes */
  memcpy(copy, bytes, size);
  lk_status status = lk_label_file_parse(name, copy, size, NULL, 3, labels, error);
  free(copy);
  return status;
}

static void check(const char *name, const void *bytes, size_t size, const char *const wanted[3]) {
  lk_label_file labels;
  lk_error error = {0};
  cr_assert_eq(parse(name, bytes, size, &labels, &error), LK_OK, "%s", error.text);
  for (int row = 0; row < 3; row++) {
    lk_text got = labels.of_row[row].subject;
    cr_assert(lk_text_equal(got, lk_text_of(wanted[row])), "'%.*s' is not '%s'", (int)got.length, got.bytes,
              wanted[row]);
    cr_assert_eq(labels.of_row[row].key.length, 0);
  }
  lk_label_file_close(&labels);
}

static void check_refused(const char *name, const void *bytes, size_t size, const char *wanted) {
  lk_label_file labels;
  lk_error error = {0};
  cr_assert_eq(parse(name, bytes, size, &labels, &error), LK_EFORMAT, "%s", wanted);
  cr_assert_str_eq(error.text, wanted);
  cr_assert(labels.of_row == NULL && labels.texts == NULL);
}

static void check_text(const char *text, const char *const wanted[3]) { check("l.txt", text, strlen(text), wanted); }

Test(label_file, lines) {
  static const char *const plain[] = {"one", "--two", "/etc/a b"}, *const gaps[] = {"a", "", "c"};
  check_text("one\n--two\n/etc/a b\n", plain);
  check_text("one\r\n--two\r\n/etc/a b", plain);
  check_text("\xef\xbb\xbfone\n--two\n/etc/a b\n", plain);
  check_text("a\n\nc", gaps);
  check("L.TXT",
        "\xff\xfe"
        "a\0\n\0\n\0c\0",
        10, gaps);
  check_refused("l.txt", "a\nb\n", 4, "l.txt: has 2 labels, but there are 3 vectors");
  check_refused("l.txt", "a\nb\nc\nd", 7, "l.txt: has 4 labels, but there are 3 vectors");
  check_refused("l.txt", "a\nb\xff\nc", 6, "l.txt: line 2 is not UTF-8");
  check_refused("l.txt", "a\nb\tc\nc", 7, "l.txt: line 2 has a control character");
}

Test(label_file, a_csv_that_is_named_as_a_list) {
  static const char *const wanted[] = {"one", "two", "three"}, *const titles[] = {"subjects", "one", "two"};
  check_text("subject\none\ntwo\nthree\n", wanted);
  check_text("x-,\"subject\"\r\n1,one\r\n2,two\r\n3,three\r\n", wanted);
  check_text("x-;subject\n1;one\n2;two\n3;three\n", wanted);
  check_text("\xef\xbb\xbfx-\tsubject\n1\tone\n2\ttwo\n3\tthree\n", wanted);
  check("l.txt",
        "\xff\xfe"
        "x\0-\0,\0s\0u\0b\0j\0e\0c\0t\0\n\0"
        "a\0,\0o\0n\0e\0\n\0b\0,\0t\0w\0o\0\n\0c\0,\0t\0h\0r\0e\0e\0",
        62, (const char *const[]){"one", "two", "three"});
  check_text("subjects\none\ntwo\n", titles);
}

Test(label_file, formats_that_are_not_read) {
  static const char pickle[] = "\x80\x04\x95\x0c and so on";
  check_refused("l.pkl", "x", 1,
                "l.pkl: a Python pickle, which may run code; it is not read. Convert it: python3 -c \"import numpy, "
                "pickle; numpy.save('x.npy', pickle.load(open('x.pkl', 'rb')))\"");
  static const char *const names[] = {"l", "l.csv", "l.txt", "l.npy"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    lk_label_file labels;
    lk_error error = {0};
    cr_assert_eq(parse(names[i], pickle, sizeof pickle, &labels, &error), LK_EFORMAT);
    cr_assert_not_null(strstr(error.text, ": a Python pickle, which may run code; it is not read"), "%s", error.text);
  }
}

static void check_array(const char *descr, const char *shape, const void *items, size_t size,
                        const char *const wanted[3]) {
  char npy[512];
  check("l.npy", npy, zip_make_npy(npy, descr, shape, items, size), wanted);
}

Test(label_file, arrays) {
  static const char *const texts[] = {"ab", "", "\xc3\xbc\xf0\x9f\x98\x80"}, *const bytes[] = {"ab", "c", "def"};
  static const char little[] = "a\0\0\0b\0\0\0"
                               "\0\0\0\0\0\0\0\0"
                               "\xfc\0\0\0\0\xf6\1\0";
  static const char big[] = "\0\0\0a\0\0\0b"
                            "\0\0\0\0\0\0\0\0"
                            "\0\0\0\xfc\0\1\xf6\0";
  check_array("'<U2'", "(3,)", little, 24, texts);
  check_array("'>U2'", "(3, 1)", big, 24, texts);
  check_array("'|S3'", "(1, 3)", "ab\0c\0\0def", 9, bytes);
  check_array("'|S0'", "(3,)", "", 0, (const char *const[]){"", "", ""});
}

Test(label_file, arrays_of_numbers) {
  check_array("'|i1'", "(3,)", "\1\xff\x80", 3, (const char *const[]){"1", "-1", "-128"});
  check_array("'|u1'", "(3,)", "\1\xff\x80", 3, (const char *const[]){"1", "255", "128"});
  check_array("'>i2'", "(3,)", "\1\0\xff\xff\0\7", 6, (const char *const[]){"256", "-1", "7"});
  check_array("'<i8'", "(3,)", (int64_t[]){INT64_MIN, 0, INT64_MAX}, 24,
              (const char *const[]){"-9223372036854775808", "0", "9223372036854775807"});
  check_array("'<u8'", "(3,)", (uint64_t[]){UINT64_MAX, 0, 5}, 24,
              (const char *const[]){"18446744073709551615", "0", "5"});
}

static void check_array_refused(const char *descr, const char *shape, const void *items, size_t size,
                                const char *wanted) {
  char npy[2048];
  check_refused("l", npy, zip_make_npy(npy, descr, shape, items, size), wanted);
}

Test(label_file, arrays_that_will_not_do) {
  static const char zeros[1600] = "";
  char longest[3 * 256];
  memset(longest, 'x', sizeof longest);
  check_array_refused("'<f4'", "(3,)", zeros, 12, "l: labels are texts or whole numbers, not '<f4'");
  check_array_refused("'|O'", "(3,)", zeros, 24,
                      "l: labels are texts or whole numbers, not '|O'; save Python's objects as "
                      "texts: a.astype(str)");
  check_array_refused("[('a', '<i4')]", "(3,)", zeros, 12, "l: labels are texts or whole numbers, not 'records'");
  check_array_refused("'<i3'", "(3,)", zeros, 9, "l: labels are texts or whole numbers, not '<i3'");
  check_array_refused("'|S2'", "(3, 2)", zeros, 12, "l: labels are an array of one dimension");
  check_array_refused("'|S2'", "()", zeros, 2, "l: labels are an array of one dimension");
  check_array_refused("'|S2'", "(2,)", zeros, 4, "l: has 2 labels, but there are 3 vectors");
  check_array_refused("'|S2'", "(3,)", zeros, 5, "l: the header promises 3 items of 2 bytes, but 5 bytes follow it");
  check_array_refused("'|S256'", "(3,)", longest, sizeof longest, "l: label 0 is longer than 255 bytes");
  check_array_refused("'|S1'", "(3,)",
                      "a\xff"
                      "b",
                      3, "l: label 1 is not UTF-8");
  check_array_refused("'<U1'", "(3,)", "a\0\0\0\0\xd8\0\0c\0\0\0", 12, "l: label 1 is not Unicode");
  check_array_refused("'<U1'", "(3,)", "a\0\0\0b\0\0\0\0\0\1\1", 12, "l: label 2 is not Unicode");
}

Test(label_file, archives) {
  static const char *const wanted[] = {"ab", "c", "def"};
  static zip_image zip;
  char npy[256];
  zip_add(&zip, "names.npy", npy, zip_make_npy(npy, "'|S3'", "(3,)", "ab\0c\0\0def", 9), ZIP_DEFLATED);
  zip_end(&zip, false);
  check("l.npz", zip.bytes, zip.size, wanted);
  files_write(files_path("l.npz"), zip.bytes, zip.size);
  char member[PATH_MAX + 16];
  lk_label_file labels;
  lk_error error = {0};
  snprintf(member, sizeof member, "%s:names", files_path("l.npz"));
  cr_assert_eq(lk_label_file_open(member, NULL, 3, &labels, &error), LK_OK, "%s", error.text);
  lk_label_file_close(&labels);
  snprintf(member, sizeof member, "%s:others", files_path("l.npz"));
  cr_assert_eq(lk_label_file_open(member, NULL, 3, &labels, &error), LK_EFORMAT);
  cr_assert_not_null(strstr(error.text, "no array of this name; it has names"), "%s", error.text);
}

Test(label_file, only_a_csv_has_columns) {
  lk_label_file labels;
  lk_error error = {0};
  cr_assert_eq(lk_label_file_parse("l.txt", "a\n", 2, "id", 1, &labels, &error), LK_EFORMAT);
  cr_assert_str_eq(error.text, "l.txt: only a csv has columns, of which 'id' could have the keys");
}
