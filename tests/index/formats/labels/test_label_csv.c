#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uchar.h>

#include <likeness/label_file.h>
#include "base/text.h"
#include "tests/support/files.h"

TestSuite(labels, .init = files_setup, .fini = files_teardown);

static lk_status parse_bytes(const char *csv, size_t size, uint64_t rows, lk_label_file *labels, lk_error *error) {
  char *copy = malloc(size > 0 ? size : 1);
  memcpy(copy, csv, size);
  lk_status status = lk_label_file_parse("labels.csv", copy, size, NULL, rows, labels, error);
  free(copy);
  return status;
}

static lk_label_file good(uint64_t rows, const char *csv) {
  lk_label_file labels;
  lk_error error = {0};
  cr_assert_eq(parse_bytes(csv, strlen(csv), rows, &labels, &error), LK_OK, "%s: %s", csv, error.text);
  cr_assert_eq(labels.rows, rows);
  return labels;
}

static void check_refused(const char *csv, const char *words) {
  lk_label_file labels;
  lk_error error = {0};
  cr_assert_eq(parse_bytes(csv, strlen(csv), 4, &labels, &error), LK_EFORMAT, "%s", csv);
  cr_assert_not_null(strstr(error.text, words), "%s: %s", csv, error.text);
  cr_assert_eq(strncmp(error.text, "labels.csv: ", 12), 0, "%s", error.text);
  cr_assert_null(labels.of_row);
}

static void check_text(lk_text text, const char *wanted) {
  cr_assert(lk_text_equal(text, lk_text_of(wanted)), "'%.*s' is not '%s'", (int)text.length, text.bytes, wanted);
}

Test(labels, all_columns_in_any_order) {
  lk_label_file labels = good(2, "group,tags,key,row,subject\nF,5,k1,1,s1\nM,0x10,k0,0,s0\n");
  check_text(labels.of_row[0].key, "k0");
  check_text(labels.of_row[0].subject, "s0");
  check_text(labels.of_row[0].group, "M");
  cr_assert_eq(labels.of_row[0].tags, 16);
  check_text(labels.of_row[1].key, "k1");
  check_text(labels.of_row[1].subject, "s1");
  check_text(labels.of_row[1].group, "F");
  cr_assert_eq(labels.of_row[1].tags, 5);
  lk_label_file_close(&labels);
}

Test(labels, without_rows_in_the_order_of_the_file) {
  lk_label_file labels = good(3, "subject,key\ns0,k0\n,k1\ns2,\n");
  check_text(labels.of_row[0].key, "k0");
  check_text(labels.of_row[1].key, "k1");
  check_text(labels.of_row[1].subject, "");
  check_text(labels.of_row[2].subject, "s2");
  lk_label_file_close(&labels);
}

Test(labels, as_many_as_vectors) {
  check_refused("key\na\nb\nc\n", "labels.csv: has 3 labels, but there are 4 vectors");
  check_refused("key\na\nb\nc\nd\ne\nf\n", "labels.csv: has 6 labels, but there are 4 vectors");
  check_refused("row,key\n0,a\n3,b\n", "labels.csv: has 2 labels, but there are 4 vectors");
  check_refused("key\n", "labels.csv: has 0 labels, but there are 4 vectors");
  lk_label_file labels = good(0, "row,key");
  lk_label_file_close(&labels);
}

Test(labels, columns_that_are_passed_over) {
  lk_label_file labels = good(1, "x-photo,row,key,x-,expiry\nx,0,yes,y,\n");
  check_text(labels.of_row[0].key, "yes");
  lk_label_file_close(&labels);
  labels = good(2, ",key\n0,a\n1,b\n");
  check_text(labels.of_row[1].key, "b");
  lk_label_file_close(&labels);
}

Test(labels, unknown_columns) {
  check_refused("row,Subject\n", "labels.csv: unknown column 'Subject'; did you mean 'subject'?");
  check_refused("row,subjekt\n", "unknown column 'subjekt'; did you mean 'subject'?");
  check_refused("Row,key\n", "unknown column 'Row'; did you mean 'row'?");
  check_refused(
      "row,photo\n",
      "unknown column 'photo'; known are row, key, subject, group, tags, expires, metadata; one that begins with x-");
  check_refused(
      "id,subject\n",
      "unknown column 'id'; known are row, key, subject, group, tags, expires, metadata; if it has the keys, say "
      "--key-column id");
  static const char *const keys[] = {"ID", "Name", "Label", "Filename"};
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    char csv[64], words[64];
    snprintf(csv, sizeof csv, "%s,subject\n", keys[i]);
    snprintf(words, sizeof words, "if it has the keys, say --key-column %s", keys[i]);
    check_refused(csv, words);
    snprintf(csv, sizeof csv, "%s\n", keys[i]);
    check_refused(csv, words);
  }
  check_refused("key,\n", "unknown column ''");
  check_refused("\x93NUMPX\x01 this is no csv\n", "unknown column");
}

Test(labels, a_list_that_is_named_as_no_list) {
  check_refused(
      "Anna\nBo\n",
      "unknown column 'Anna'; known are row, key, subject, group, tags, expires, metadata; a file with a subject "
      "in each line must end in .txt");
  check_refused("Kay\nBo\n",
                "unknown column 'Kay'; did you mean 'key'? A file with a subject in each line must end in .txt");
}

static lk_status parse_keyed(const char *csv, const char *key_column, lk_label_file *labels, lk_error *error) {
  return lk_label_file_parse("labels.csv", csv, strlen(csv), key_column, 2, labels, error);
}

Test(labels, keys_of_another_column) {
  lk_label_file labels;
  lk_error error = {0};
  cr_assert_eq(parse_keyed("id,subject\n7,a\n--8,a\n", "id", &labels, &error), LK_OK, "%s", error.text);
  check_text(labels.of_row[0].key, "7");
  check_text(labels.of_row[1].key, "--8");
  lk_label_file_close(&labels);
  cr_assert_eq(parse_keyed("subject\na\na\n", "id", &labels, &error), LK_EFORMAT);
  cr_assert_str_eq(error.text, "labels.csv: record 1: the header has no column 'id'");
  cr_assert_eq(parse_keyed("id,key\na,b\na,b\n", "id", &labels, &error), LK_EFORMAT);
  cr_assert_str_eq(error.text, "labels.csv: record 1: two columns have the keys, at 'key'");
}

Test(labels, semicolons_and_tabs) {
  lk_label_file labels = good(2, "key;subject\r\n\"a;b\";x, y\r\nc;d\r\n");
  check_text(labels.of_row[0].key, "a;b");
  check_text(labels.of_row[0].subject, "x, y");
  lk_label_file_close(&labels);
  labels = good(2, "key\tsubject\na\t\n\tb; c\n");
  check_text(labels.of_row[0].key, "a");
  check_text(labels.of_row[1].key, "");
  check_text(labels.of_row[1].subject, "b; c");
  lk_label_file_close(&labels);
}

static size_t to_utf16(const char16_t *text, bool big_endian, char *out) {
  char *at = out;
  for (; *text != 0; text++) {
    *at++ = (char)(big_endian ? *text >> 8 : *text & 0xff);
    *at++ = (char)(big_endian ? *text & 0xff : *text >> 8);
  }
  return (size_t)(at - out);
}

Test(labels, utf16) {
  static const char16_t csv[] = u"\xfeffkey;subject\r\nZ\x00fcrich;\x20ac\r\n\xd83d\xde00;b\r\n";
  char image[256];
  for (int big_endian = 0; big_endian < 2; big_endian++) {
    lk_label_file labels;
    lk_error error = {0};
    size_t size = to_utf16(csv, big_endian, image);
    cr_assert_eq(parse_bytes(image, size, 2, &labels, &error), LK_OK, "%s", error.text);
    check_text(labels.of_row[0].key, "Z\xc3\xbcrich");
    check_text(labels.of_row[0].subject, "\xe2\x82\xac");
    check_text(labels.of_row[1].key, "\xf0\x9f\x98\x80");
    lk_label_file_close(&labels);
    cr_assert_eq(parse_bytes(image, size - 1, 2, &labels, &error), LK_EFORMAT);
    cr_assert_str_eq(error.text, "labels.csv: the text is not well-formed UTF-16");
    size = to_utf16(u"\xfeffkey\na\xd83d\n", big_endian, image);
    cr_assert_eq(parse_bytes(image, size, 1, &labels, NULL), LK_EFORMAT);
  }
}

Test(labels, quotes_and_line_ends) {
  lk_label_file labels =
      good(3, "row,key,\"subject\"\r\n0,\"a, \"\"b\"\"\",x\r\n\r\n\"1\",\"\",\" padded \"\r\n2,,last");
  check_text(labels.of_row[0].key, "a, \"b\"");
  check_text(labels.of_row[0].subject, "x");
  check_text(labels.of_row[1].key, "");
  check_text(labels.of_row[1].subject, " padded ");
  check_text(labels.of_row[2].subject, "last");
  lk_label_file_close(&labels);
}

/* As spreadsheets write "CSV UTF-8". */
Test(labels, a_byte_order_mark) {
  lk_label_file labels = good(1, "\xef\xbb\xbfrow,key\n0,a\n");
  check_text(labels.of_row[0].key, "a");
  lk_label_file_close(&labels);
}

Test(labels, as_many_fields_as_the_header_has) {
  check_refused("row,key,subject\n0,a,s\n1,b\n", "labels.csv: record 3 has 2 fields, but the header has 3");
  check_refused("row,key\n0,a,extra\n", "labels.csv: record 2 has 3 fields, but the header has 2");
  check_refused("key;subject\na,Anna\nb,Bo\nc,Cy\nd,Di\n", "labels.csv: record 2 has 1 field, but the header has 2");
  check_refused("key,subject\na,s\nb,s,\nc,s\nd,s\n", "labels.csv: record 3 has 3 fields, but the header has 2");
  lk_label_file labels = good(2, "key,subject\n\na,s\n\r\nb,\n\n");
  check_text(labels.of_row[1].key, "b");
  lk_label_file_close(&labels);
}

/* `expiry` is what `likeness list` calls it. */
Test(labels, expires) {
  static const struct {
    const char *text;
    uint64_t ms;
  } good_ones[] = {{"", 0},
                   {"1", 1},
                   {"1700000000000", 1700000000000},
                   {"18446744073709551615", LK_NEVER},
                   {"2021-06-10T09:00:00.250+02:00", 1623308400250},
                   {"2021-06-10", 1623283200000}};
  for (size_t i = 0; i < sizeof good_ones / sizeof good_ones[0]; i++) {
    char csv[64];
    snprintf(csv, sizeof csv, "key,%s\nk,%s\n", i % 2 == 0 ? "expires" : "expiry", good_ones[i].text);
    lk_label_file labels = good(1, csv);
    cr_assert_eq(labels.of_row[0].expires_ms, good_ones[i].ms, "%s", csv);
    lk_label_file_close(&labels);
  }
  check_refused("key,expires\na,tomorrow\n", "record 2: expires 'tomorrow' is neither a timestamp such as");
  check_refused("key,expires\na,\nb,2021-13-01\n", "record 3: expires '2021-13-01' is not a valid date");
  static const char *const early[] = {"0", "1970-01-01", "1969-12-31", "0001-01-01T00:00:00Z"};
  for (size_t i = 0; i < sizeof early / sizeof early[0]; i++) {
    char csv[64], words[64];
    snprintf(csv, sizeof csv, "key,expires\na,%s\n", early[i]);
    snprintf(words, sizeof words, "expires '%s' is not after 1970-01-01", early[i]);
    check_refused(csv, words);
  }
  check_refused("key,expires\na,18446744073709551616\n", "is neither");
  check_refused("key,expires\na,-1\n", "is neither");
  check_refused("expires,expiry\n", "two columns are named 'expiry'");
}

Test(labels, metadata) {
  char csv[300], most[LK_METADATA_MAX + 2];
  lk_label_file labels = good(3, "metadata,key\n\"a, \"\"b\"\"\n\xff\",k\n,k2\n0,k3\n");
  check_text(labels.of_row[0].metadata, "a, \"b\"\n\xff");
  check_text(labels.of_row[1].metadata, "");
  check_text(labels.of_row[2].metadata, "0");
  lk_label_file_close(&labels);
  for (size_t length = LK_METADATA_MAX; length <= LK_METADATA_MAX + 1; length++) {
    memset(most, 'x', length);
    most[length] = '\0';
    snprintf(csv, sizeof csv, "key,metadata\nk,%s\n", most);
    if (length > LK_METADATA_MAX) {
      check_refused(csv, "record 2: metadata is longer than 256 bytes: 'xxx");
      continue;
    }
    labels = good(1, csv);
    check_text(labels.of_row[0].metadata, most);
    lk_label_file_close(&labels);
    snprintf(csv, sizeof csv, "key\n%s\n", most);
    check_refused(csv, "is longer than 255 bytes");
  }
}

Test(labels, nothing_is_carried_over_from_the_record_before) {
  lk_label_file labels = good(2, "row,key,tags\n0,a,7\n1,,\n");
  cr_assert_eq(labels.of_row[1].key.length, 0);
  cr_assert_eq(labels.of_row[1].tags, 0);
  lk_label_file_close(&labels);
}

Test(labels, tags) {
  lk_label_file labels = good(4, "row,tags\n0,18446744073709551615\n1,0xFFFFFFFFFFFFFFFF\n2,010\n3,0Xab\n");
  cr_assert_eq(labels.of_row[0].tags, UINT64_MAX);
  cr_assert_eq(labels.of_row[1].tags, UINT64_MAX);
  cr_assert_eq(labels.of_row[2].tags, 10, "decimal, not octal");
  cr_assert_eq(labels.of_row[3].tags, 0xab);
  lk_label_file_close(&labels);
  static const char *const bad[] = {
      "18446744073709551616", "0x10000000000000000", "-1", "+1", "1.5", "red", "0x", "1 2", "0x-1"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    char csv[64];
    snprintf(csv, sizeof csv, "row,tags\n0,%s\n", bad[i]);
    check_refused(csv, "record 2: tags are not a 64-bit number");
  }
}

Test(labels, headers_that_are_refused) {
  check_refused("row,key,key\n0,a,b\n", "two columns have the keys, at 'key'");
  check_refused("row,row\n0,0\n", "two columns are named 'row'");
  check_refused("", "the file is empty");
  check_refused("\n\n\r\n", "the file is empty");
}

Test(labels, at_most_64_columns) {
  char csv[512] = "row";
  for (int i = 1; i < 64; i++) strcat(csv, ",x-");
  lk_label_file labels = good(0, csv);
  lk_label_file_close(&labels);
  strcat(csv, ",x-");
  check_refused(csv, "more than 64 columns");
}

Test(labels, rows_that_are_refused) {
  check_refused("row,key\n4,a\n", "record 2: there is no row 4 of the 4 vectors");
  check_refused("row,key\n18446744073709551615,a\n", "there is no row 18446744073709551615 of the 4 vectors");
  check_refused("row,key\n0,a\n1,b\n0,c\n", "record 4: this row is named twice: '0'");
  check_refused("row,key\n,a\n", "record 2: row is not a number");
  check_refused("row,key\n-1,a\n", "row is not a number");
  check_refused("row,key\n0x1,a\n", "row is not a number");
  check_refused("row,key\n1.0,a\n", "row is not a number");
  check_refused("row,key\nzero,a\n", "row is not a number: 'zero'");
  check_refused("row,key\n18446744073709551616,a\n", "row is not a number");
  check_refused("row,key\n000000000000000000000000000000000001,a\n", "row is not a number");
}

/* A NUL ends a C string, not a number. */
Test(labels, numbers_with_a_nul) {
  lk_label_file labels;
  cr_assert_eq(parse_bytes("row\n1\0002\n", 8, 1, &labels, NULL), LK_EFORMAT);
  cr_assert_eq(parse_bytes("row,tags\n1,2\0\n", 14, 1, &labels, NULL), LK_EFORMAT);
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
    lk_label_file labels = good(1, csv);
    lk_label_file_close(&labels);
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
    lk_label_file labels;
    if (parse_bytes(csv, size, 2, &labels, NULL) == LK_OK) lk_label_file_close(&labels);
  }
}

Test(labels, more_rows_than_memory) {
  static const uint64_t counts[] = {UINT64_MAX, UINT64_MAX - 1, UINT64_C(1) << 60};
  static const char csv[] = "row,key\n0,a\n";
  for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
    lk_label_file labels;
    cr_assert_eq(lk_label_file_parse("labels.csv", csv, sizeof csv - 1, NULL, counts[i], &labels, NULL), LK_ENOMEM);
    cr_assert_null(labels.of_row);
  }
}

Test(labels, from_a_file) {
  files_write(files_path("l.csv"), "row,key\n1,a\n0,b\n", 16);
  lk_label_file labels;
  cr_assert_eq(lk_label_file_open(files_path("l.csv"), NULL, 2, &labels, NULL), LK_OK);
  check_text(labels.of_row[1].key, "a");
  lk_label_file_close(&labels);
  cr_assert_eq(lk_label_file_open(files_path("none.csv"), NULL, 2, &labels, NULL), LK_EIO);
  files_write(files_path("empty.csv"), "", 0);
  cr_assert_eq(lk_label_file_open(files_path("empty.csv"), NULL, 2, &labels, NULL), LK_EFORMAT);
}
