#include "engine/worker/log/entry_reader.h"

#include <criterion/criterion.h>

#include "base/text.h"
#include "engine/queue/job.h"

#define HASH "0123456789abcdef0123456789abcdef01234567"

enum { FIELDS = 11 };

static const char *const usual[FIELDS][2] = {{"seq", "7"},   {"term", "2"},    {"prev", LK_LOG_NO_HASH},
                                             {"hash", HASH}, {"number", "40"}, {"rows", "3"},
                                             {"op", "tag"},  {"id", "j1"},     {"to", "me"},
                                             {"keys", "a"},  {"tags", "1"}};

static lk_field fields[FIELDS];
static lk_log_record record;
static lk_error error;

static void setup(void) {
  for (int i = 0; i < FIELDS; i++)
    fields[i] = (lk_field){.name = lk_text_of(usual[i][0]), .value = usual[i][1], .length = strlen(usual[i][1])};
}

TestSuite(entry_reader, .init = setup);

static lk_status read(const char *id, size_t count) { return lk_log_record_read(id, fields, count, &record, &error); }

Test(entry_reader, place_and_fields) {
  cr_assert_eq(read("1700000000000-5", FIELDS), LK_OK, "%s", error.text);
  cr_assert_eq(record.mark.ms, 1700000000000);
  cr_assert_eq(record.mark.n, 5);
  cr_assert_eq(record.mark.seq, 7);
  cr_assert_eq(record.mark.term, 2);
  cr_assert_str_eq(record.mark.hash, HASH);
  cr_assert_str_eq(record.prev, LK_LOG_NO_HASH);
  cr_assert_eq(record.number, 40);
  cr_assert_eq(record.rows, 3);
  cr_assert_eq(record.fields.count, FIELDS - 6);
  cr_assert(lk_text_equal(record.fields.all[0].name, lk_text_of("op")));
  cr_assert_eq(lk_log_fields_find(&record.fields, "keys")->value[0], 'a');
  cr_assert_null(lk_log_fields_find(&record.fields, "seq"));
}

static void expect_refused(int i, const char *value, const char *words) {
  setup();
  fields[i].value = value;
  fields[i].length = strlen(value);
  cr_assert_eq(read("1-0", FIELDS), LK_EFORMAT, "%s", value);
  cr_assert_not_null(strstr(error.text, words), "%s", error.text);
}

Test(entry_reader, values_that_are_none) {
  static const char *const numbers[] = {"", "-1", "1x", "01", "18446744073709551616", "999999999999999999999"};
  for (int i = 0; i < 6; i++)
    for (int n = 0; n < 6; n++)
      if (i != 2 && i != 3) expect_refused(i, numbers[n], "is not a whole number");
  expect_refused(0, "0", "field seq is 0");
  expect_refused(5, "4097", "field rows is too large");
  for (int i = 2; i < 4; i++) {
    expect_refused(i, "", "is not a hash");
    expect_refused(i, HASH "0", "is not a hash");
    expect_refused(i, "0123456789ABCDEF0123456789abcdef01234567", "is not a hash");
  }
}

Test(entry_reader, fields_have_their_places) {
  for (int i = 0; i < 9; i++) {
    setup();
    fields[i].name = lk_text_of("x");
    cr_assert_eq(read("1-0", FIELDS), LK_EFORMAT);
    cr_assert_not_null(strstr(error.text, "is not where it should be"), "%s", error.text);
  }
  setup();
  for (size_t count = 0; count < 9; count++) cr_assert_eq(read("1-0", count), LK_EFORMAT);
  cr_assert_eq(read("1-0", 9), LK_OK);
}

Test(entry_reader, ids) {
  cr_assert_eq(read("", FIELDS), LK_EFORMAT);
  cr_assert_eq(read("17", FIELDS), LK_EFORMAT);
  cr_assert_eq(read("1-x", FIELDS), LK_EFORMAT);
}
