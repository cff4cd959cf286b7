#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <likeness/label_csv.h>
#include "base/text.h"
#include "tests/support/files.h"

TestSuite(labels, .init = files_setup, .fini = files_teardown);

#define ROWS 4

static lk_status parse_bytes(const char *csv, size_t size, lk_label_csv *labels, lk_error *error) {
  char *copy = malloc(size > 0 ? size : 1);
  memcpy(copy, csv, size);
  lk_status status = lk_label_csv_parse("labels.csv", copy, size, ROWS, labels, error);
  free(copy);
  return status;
}

static lk_label_csv good(const char *csv) {
  lk_label_csv labels;
  lk_error error = {0};
  cr_assert_eq(parse_bytes(csv, strlen(csv), &labels, &error), LK_OK, "%s: %s", csv, error.text);
  cr_assert_eq(labels.rows, ROWS);
  return labels;
}

static void check_refused(const char *csv, const char *words) {
  lk_label_csv labels;
  lk_error error = {0};
  cr_assert_eq(parse_bytes(csv, strlen(csv), &labels, &error), LK_EFORMAT, "%s", csv);
  cr_assert_not_null(strstr(error.text, words), "%s: %s", csv, error.text);
  cr_assert_eq(strncmp(error.text, "labels.csv: ", 12), 0, "%s", error.text);
  cr_assert_null(labels.of_row);
}

static void check_text(lk_text text, const char *wanted) {
  cr_assert(lk_text_equal(text, lk_text_of(wanted)), "'%.*s' is not '%s'", (int)text.length, text.bytes, wanted);
}

Test(labels, all_columns_in_any_order) {
  lk_label_csv labels = good("group,tags,key,row,subject\nF,5,k2,2,s2\nM,0x10,k0,0,s0\n");
  check_text(labels.of_row[0].key, "k0");
  check_text(labels.of_row[0].subject, "s0");
  check_text(labels.of_row[0].group, "M");
  cr_assert_eq(labels.of_row[0].tags, 16);
  check_text(labels.of_row[2].key, "k2");
  check_text(labels.of_row[2].subject, "s2");
  check_text(labels.of_row[2].group, "F");
  cr_assert_eq(labels.of_row[2].tags, 5);
  lk_label_csv_close(&labels);
}

Test(labels, rows_that_are_not_named_get_defaults) {
  lk_label_csv labels = good("row,key\n3,k\n");
  for (int row = 0; row < 3; row++) {
    cr_assert_eq(labels.of_row[row].key.length, 0);
    cr_assert_eq(labels.of_row[row].tags, 0);
  }
  check_text(labels.of_row[3].key, "k");
  cr_assert_eq(labels.of_row[3].subject.length, 0);
  lk_label_csv_close(&labels);
}

Test(labels, a_header_alone) {
  lk_label_csv labels = good("row,key");
  cr_assert_eq(labels.of_row[0].key.length, 0);
  lk_label_csv_close(&labels);
}

Test(labels, unknown_columns_are_ignored) {
  lk_label_csv labels = good("photo,row,Key,key,photo\nx,1,no,yes,y\n");
  check_text(labels.of_row[1].key, "yes");
  lk_label_csv_close(&labels);
}

Test(labels, the_first_unknown_column_is_told) {
  lk_label_csv labels = good("row,Key,photo\n1,x,y\n");
  check_text(labels.unknown_column, "Key");
  lk_label_csv_close(&labels);
  labels = good("row,\n1,x\n");
  cr_assert(labels.unknown_column.bytes != NULL && labels.unknown_column.length == 0);
  lk_label_csv_close(&labels);
  labels = good("tags,group,subject,key,row\n1,g,s,k,0\n");
  cr_assert_null(labels.unknown_column.bytes);
  lk_label_csv_close(&labels);
}

Test(labels, quotes_and_line_ends) {
  lk_label_csv labels = good("row,key,\"subject\"\r\n0,\"a, \"\"b\"\"\",x\r\n\r\n\"1\",\"\",\" padded \"\r\n2,,last");
  check_text(labels.of_row[0].key, "a, \"b\"");
  check_text(labels.of_row[0].subject, "x");
  check_text(labels.of_row[1].key, "");
  check_text(labels.of_row[1].subject, " padded ");
  check_text(labels.of_row[2].subject, "last");
  lk_label_csv_close(&labels);
}

/* As spreadsheets write "CSV UTF-8". */
Test(labels, a_byte_order_mark) {
  lk_label_csv labels = good("\xef\xbb\xbfrow,key\n0,a\n");
  check_text(labels.of_row[0].key, "a");
  lk_label_csv_close(&labels);
}

Test(labels, fewer_fields_than_the_header_has) {
  lk_label_csv labels = good("row,key,subject\n0,a\n1\n");
  check_text(labels.of_row[0].key, "a");
  cr_assert_eq(labels.of_row[0].subject.length, 0);
  cr_assert_eq(labels.of_row[1].key.length, 0);
  lk_label_csv_close(&labels);
}

Test(labels, nothing_is_carried_over_from_the_record_before) {
  lk_label_csv labels = good("row,key,tags\n0,a,7\n1\n");
  cr_assert_eq(labels.of_row[1].key.length, 0);
  cr_assert_eq(labels.of_row[1].tags, 0);
  lk_label_csv_close(&labels);
}

Test(labels, tags) {
  lk_label_csv labels = good("row,tags\n0,18446744073709551615\n1,0xFFFFFFFFFFFFFFFF\n2,010\n3,0Xab\n");
  cr_assert_eq(labels.of_row[0].tags, UINT64_MAX);
  cr_assert_eq(labels.of_row[1].tags, UINT64_MAX);
  cr_assert_eq(labels.of_row[2].tags, 10, "decimal, not octal");
  cr_assert_eq(labels.of_row[3].tags, 0xab);
  lk_label_csv_close(&labels);
  static const char *const bad[] = {
      "18446744073709551616", "0x10000000000000000", "-1", "+1", "1.5", "red", "0x", "1 2", "0x-1"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    char csv[64];
    snprintf(csv, sizeof csv, "row,tags\n0,%s\n", bad[i]);
    check_refused(csv, "record 2: tags are not a 64-bit number");
  }
}

Test(labels, headers_that_are_refused) {
  check_refused("key,subject\na,b\n", "record 1: the header has no column 'row'");
  check_refused("Row,key\n0,b\n", "no column 'row'");
  check_refused("row,key,key\n0,a,b\n", "two columns are named 'key'");
  check_refused("row,row\n0,0\n", "two columns are named 'row'");
  check_refused("\x93NUMPY\x01 this is no csv\n", "no column 'row'");
  check_refused("", "the file is empty");
  check_refused("\n\n\r\n", "the file is empty");
}

Test(labels, at_most_64_columns) {
  char csv[512] = "row";
  for (int i = 1; i < 64; i++) strcat(csv, ",x");
  lk_label_csv labels = good(csv);
  lk_label_csv_close(&labels);
  strcat(csv, ",x");
  check_refused(csv, "more than 64 columns");
}

Test(labels, rows_that_are_refused) {
  check_refused("row,key\n4,a\n", "record 2: there is no such row of vectors: '4'");
  check_refused("row,key\n18446744073709551615,a\n", "no such row");
  check_refused("row,key\n0,a\n1,b\n0,c\n", "record 4: this row is named twice: '0'");
  check_refused("row,key\n,a\n", "record 2: row is not a number");
  check_refused("row,key\n-1,a\n", "row is not a number");
  check_refused("row,key\n0x1,a\n", "row is not a number");
  check_refused("row,key\n1.0,a\n", "row is not a number");
  check_refused("row,key\nzero,a\n", "row is not a number: 'zero'");
  check_refused("row,key\n18446744073709551616,a\n", "row is not a number");
  check_refused("row,key\n000000000000000000000000000000000001,a\n", "row is not a number");
  check_refused("row,key\n0,a,extra\n", "more fields than the header has, at 'extra'");
}

/* A NUL ends a C string, not a number. */
Test(labels, numbers_with_a_nul) {
  lk_label_csv labels;
  cr_assert_eq(parse_bytes("row\n1\0002\n", 8, &labels, NULL), LK_EFORMAT);
  cr_assert_eq(parse_bytes("row,tags\n1,2\0\n", 14, &labels, NULL), LK_EFORMAT);
}

Test(labels, texts_that_are_refused) {
  static const char *const columns[] = {"key", "subject", "group"};
  char csv[512], longest[257];
  memset(longest, 'x', 256);
  longest[256] = '\0';
  for (int c = 0; c < 3; c++) {
    snprintf(csv, sizeof csv, "row,%s\n0,%s\n", columns[c], longest);
    check_refused(csv, "is longer than 255 bytes");
    snprintf(csv, sizeof csv, "row,%s\n0,%s\n", columns[c], longest + 1);
    lk_label_csv labels = good(csv);
    lk_label_csv_close(&labels);
    snprintf(csv, sizeof csv, "row,%s\n0,\xff\n", columns[c]);
    check_refused(csv, "is not UTF-8");
    snprintf(csv, sizeof csv, "row,%s\n0,\"a\nb\"\n", columns[c]);
    check_refused(csv, "has a control character");
    snprintf(csv, sizeof csv, "row,%s\n0,a\x7f\n", columns[c]);
    check_refused(csv, "record 2: has a control character");
  }
}

Test(labels, malformed_quotes) {
  check_refused("row,key\n0,\"a\"b\n", "record 2: malformed quotes");
  check_refused("row,key\n0,a\"b\n", "malformed quotes");
  check_refused("row,key\n0,\"a\n", "malformed quotes");
}

Test(labels, cut_off_anywhere) {
  static const char csv[] = "row,key,tags\r\n0,\"a \"\"quoted\"\" key\",0x1f\r\n1,Z\xc3\xbcrich,7\r\n";
  for (size_t size = 0; size < sizeof csv - 1; size++) {
    lk_label_csv labels;
    if (parse_bytes(csv, size, &labels, NULL) == LK_OK) lk_label_csv_close(&labels);
  }
}

Test(labels, more_rows_than_memory) {
  static const uint64_t counts[] = {UINT64_MAX, UINT64_MAX - 1, UINT64_C(1) << 60};
  static const char csv[] = "row,key\n0,a\n";
  for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
    lk_label_csv labels;
    cr_assert_eq(lk_label_csv_parse("labels.csv", csv, sizeof csv - 1, counts[i], &labels, NULL), LK_ENOMEM);
    cr_assert_null(labels.of_row);
  }
}

Test(labels, from_a_file) {
  files_write(files_path("l.csv"), "row,key\n1,a\n", 12);
  lk_label_csv labels;
  cr_assert_eq(lk_label_csv_open(files_path("l.csv"), 2, &labels, NULL), LK_OK);
  check_text(labels.of_row[1].key, "a");
  lk_label_csv_close(&labels);
  cr_assert_eq(lk_label_csv_open(files_path("none.csv"), 2, &labels, NULL), LK_EIO);
  files_write(files_path("empty.csv"), "", 0);
  cr_assert_eq(lk_label_csv_open(files_path("empty.csv"), 2, &labels, NULL), LK_EFORMAT);
}
