#include "engine/worker/log/log_change.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "base/text.h"

enum { DIM = 4, ROWS = 2 };

static const float rows[ROWS * DIM] = {1, 2, 3, 4, 5, 6, 7, 8};
static lk_job job;
static lk_log_fields written;
static lk_log_numbers numbers;
static lk_log_record record;
static lk_log_change change;
static lk_log_entry entry;
static lk_error error;

/* Parses a job of these fields, and writes what the log has of it. */
static void write(const lk_field *given, size_t count, const char *decision, bool scores) {
  cr_assert_eq(lk_job_parse(given, count, &job, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_log_change_write(&job, given, count, decision, scores, &numbers, &written, &error), LK_OK, "%s",
               error.text);
  record = (lk_log_record){.mark = {.ms = 1, .seq = 1, .term = 1}, .number = 9, .rows = job.probes.rows};
  record.fields = written;
}

static lk_status open_it(const void *vectors, size_t size) {
  return lk_log_change_open(&record, "faces", vectors, size, &change, &entry, &error);
}

#define FIELD(n, v) \
  { .name = {n, sizeof n - 1}, .value = v, .length = sizeof v - 1 }

static const lk_field enrollment[] = {FIELD("v", "1"),
                                      FIELD("op", "enroll"),
                                      FIELD("id", "j1"),
                                      FIELD("to", "me"),
                                      FIELD("gallery", "faces"),
                                      FIELD("n", "2"),
                                      FIELD("purpose", "demo"),
                                      FIELD("ttl", "100"),
                                      FIELD("x-own", "secret"),
                                      FIELD("version", "3"),
                                      FIELD("unless_match", "0.5"),
                                      FIELD("labels", "key,subject\na,one\nb,two\n"),
                                      {.name = {"f32", 3}, .value = (const char *)rows, .length = sizeof rows}};
enum { ENROLLMENT = sizeof enrollment / sizeof enrollment[0] };

Test(log_change, an_enrollment_comes_back) {
  write(enrollment, ENROLLMENT, "{\"id\":1}", true);
  cr_assert_eq(open_it(rows, sizeof rows), LK_OK, "%s", error.text);
  cr_assert_eq(entry.number, 9);
  cr_assert(entry.tells_scores);
  cr_assert_eq(entry.status, LK_OK);
  cr_assert_not_null(entry.enrollment);
  cr_assert_null(entry.changes);
  const lk_enrollment *e = entry.enrollment;
  cr_assert_eq(e->vectors->rows, ROWS);
  cr_assert_eq(e->vectors->dim, DIM);
  cr_assert_arr_eq(e->vectors->data, rows, sizeof rows);
  cr_assert(lk_text_equal(e->labels[1].key, lk_text_of("b")) && lk_text_equal(e->labels[0].subject, lk_text_of("one")));
  cr_assert_eq(e->labels[0].version, 3);
  cr_assert(e->unless_match && !e->replace);
  cr_assert_float_eq(e->match_threshold, 0.5F, 0);
  lk_log_change_close(&change);
}

/* What a job has beside the change is nobody's who reads the log. */
Test(log_change, the_log_has_neither_claims_nor_vectors) {
  static const char *const absent[] = {"v", "gallery", "n", "purpose", "ttl", "x-own", "f32"};
  write(enrollment, ENROLLMENT, "", false);
  for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++)
    cr_assert_null(lk_log_fields_find(&written, absent[i]), "%s", absent[i]);
  cr_assert_null(lk_log_fields_find(&written, "decision"));
  cr_assert_null(lk_log_fields_find(&written, "scores"));
  cr_assert(lk_text_equal(written.all[0].name, lk_text_of("op")));
  cr_assert(lk_text_equal(written.all[1].name, lk_text_of("id")));
  cr_assert(lk_text_equal(written.all[2].name, lk_text_of("to")));
}

Test(log_change, vectors_must_be_those_that_were_logged) {
  float others[ROWS * DIM];
  memcpy(others, rows, sizeof rows);
  others[3] = -4;
  write(enrollment, ENROLLMENT, "", false);
  cr_assert_eq(open_it(others, sizeof others), LK_EFORMAT);
  cr_assert_not_null(strstr(error.text, "are not those that were logged"), "%s", error.text);
  lk_log_change_close(&change);
  cr_assert_eq(open_it(rows, sizeof rows / 2), LK_EFORMAT);
  lk_log_change_close(&change);
  cr_assert_eq(open_it("", 0), LK_EFORMAT);
  cr_assert_not_null(strstr(error.text, "start again from an export"), "%s", error.text);
  lk_log_change_close(&change);
}

Test(log_change, what_was_refused_is_refused_where_it_is_appended) {
  lk_bytes vectors = {0};
  write(enrollment, ENROLLMENT, "", false);
  lk_log_change_refused(&vectors, LK_EEXIST, "key 'a' is taken");
  cr_assert_eq(open_it(vectors.data, vectors.length), LK_OK, "%s", error.text);
  cr_assert_eq(entry.status, LK_EEXIST);
  cr_assert_str_eq(entry.error.text, "key 'a' is taken");
  cr_assert_null(entry.enrollment);
  lk_log_change_close(&change);
  static const char *const bad[] = {"refused ", "refused x y", "refused 0 y", "refused 14", "refuse 14 y"};
  for (int i = 0; i < 5; i++) {
    cr_assert_eq(open_it(bad[i], strlen(bad[i])), LK_EFORMAT, "%s", bad[i]);
    lk_log_change_close(&change);
  }
  lk_bytes_free(&vectors);
}

/* What a gallery cannot do just now, and what is no status, is no outcome. */
Test(log_change, what_may_go_well_later_is_not_refused_for_good) {
  static const lk_status passing[] = {LK_EIO, LK_EBUSY, LK_ENOMEM, LK_ECORRUPT, LK_OK, (lk_status)999};
  write(enrollment, ENROLLMENT, "", false);
  for (int i = 0; i < 6; i++) {
    lk_bytes vectors = {0};
    lk_log_change_refused(&vectors, passing[i], "why");
    cr_assert_eq(open_it(vectors.data, vectors.length), LK_EFORMAT, "%d", passing[i]);
    lk_log_change_close(&change);
    lk_bytes_free(&vectors);
  }
}

/* Whoever writes the log would else decide how much is read where there is less. */
Test(log_change, the_dimension_is_that_of_the_vectors) {
  static const char *const wrong[] = {"8", "40", "", "4 ", "4096"};
  write(enrollment, ENROLLMENT, "", false);
  lk_field *dim = (lk_field *)lk_log_fields_find(&record.fields, "dim");
  for (int i = 0; i < 5; i++) {
    dim->value = wrong[i];
    dim->length = strlen(wrong[i]);
    cr_assert_eq(open_it(rows, sizeof rows), LK_EFORMAT, "%s", wrong[i]);
    lk_log_change_close(&change);
  }
  dim->name = lk_text_of("x");
  cr_assert_eq(open_it(rows, sizeof rows), LK_EFORMAT);
  lk_log_change_close(&change);
}

Test(log_change, changes_come_back) {
  static const lk_field tag[] = {
      FIELD("v", "1"),       FIELD("op", "tag"), FIELD("id", "j1"),  FIELD("to", "me"),     FIELD("gallery", "faces"),
      FIELD("keys", "a\nb"), FIELD("tags", "2"), FIELD("mask", "6"), FIELD("version", "5"), FIELD("flags", "json")};
  write(tag, sizeof tag / sizeof tag[0], "", false);
  cr_assert_not_null(lk_log_fields_find(&written, "flags"));
  cr_assert_eq(open_it(NULL, 0), LK_OK, "%s", error.text);
  cr_assert_null(entry.enrollment);
  cr_assert_eq(entry.count, 2);
  for (int i = 0; i < 2; i++) {
    cr_assert_eq(entry.changes[i].kind, LK_CHANGE_TAG);
    cr_assert_eq(entry.changes[i].tags, 2);
    cr_assert_eq(entry.changes[i].mask, 6);
    cr_assert_eq(entry.changes[i].version, 5);
  }
  lk_log_change_close(&change);
}

Test(log_change, an_erasure_changes_nothing_by_itself) {
  static const lk_field erase[] = {FIELD("v", "1"), FIELD("op", "erase"), FIELD("id", "j1"), FIELD("to", "me"),
                                   FIELD("gallery", "faces")};
  write(erase, sizeof erase / sizeof erase[0], "", false);
  cr_assert_eq(open_it(NULL, 0), LK_OK, "%s", error.text);
  cr_assert(entry.enrollment == NULL && entry.changes == NULL);
  cr_assert_eq(change.job.op, LK_OP_ERASE);
  cr_assert(entry.erases);
  lk_log_change_close(&change);
}

/* The packed fields have what is needed to append the entry again. */
Test(log_change, rows_are_kept_first) {
  lk_log_fields kept;
  write(enrollment, ENROLLMENT, "", false);
  cr_assert_eq(open_it(rows, sizeof rows), LK_OK, "%s", error.text);
  cr_assert(lk_log_fields_unpack(entry.fields, entry.fields_bytes, &kept));
  cr_assert_eq(kept.count, written.count + 1);
  cr_assert(lk_text_equal(kept.all[0].name, lk_text_of("rows")));
  cr_assert_eq(kept.all[0].value[0], '2');
  cr_assert(lk_text_equal(kept.all[1].name, lk_text_of("op")));
  lk_log_change_close(&change);
}

Test(log_change, an_entry_that_is_no_change) {
  write(enrollment, ENROLLMENT, "", false);
  record.fields.all[0].value = "identify";
  record.fields.all[0].length = strlen("identify");
  cr_assert_eq(open_it(rows, sizeof rows), LK_EFORMAT);
  lk_log_change_close(&change);
}
