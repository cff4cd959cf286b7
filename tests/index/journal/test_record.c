#include <criterion/criterion.h>
#include <fenv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "index/journal/log_note.h"
#include "tests/index/journal/history.h"

static const lk_shape shape = {.metric = LK_COSINE, .dim = HISTORY_DIM, .store = LK_STORE_F32};

TestSuite(record);

Test(record, comes_back_as_it_was) {
  random_state random = {11};
  uint32_t seen = 0;
  for (int i = 0; i < 2000; i++) {
    history_change change;
    lk_record read;
    lk_error error = {0};
    uint64_t bytes[LK_RECORD_BYTES_MAX / 8 + 1];
    history_draw(&random, &change);
    uint32_t size = lk_record_bytes(shape, &change.record);
    cr_assert(size % 8 == 0 && size <= LK_RECORD_BYTES_MAX);
    cr_assert_eq(lk_record_check(shape, &change.record, &error), LK_OK, "%s", error.text);
    memset(bytes, 0xee, sizeof bytes);
    lk_record_encode(shape, &change.record, bytes);
    cr_assert_eq(((char *)bytes)[size], (char)0xee);
    cr_assert_eq(lk_record_decode(shape, change.record.kind, bytes, size, &read, &error), LK_OK, "%s", error.text);
    cr_assert(history_equal(&read, &change.record));
    seen |= 1u << change.record.kind;
  }
  cr_assert_eq(seen, 0x3e, "not all kinds were drawn");
}

/* Whatever bytes are taken are those that the record would be written as; so no byte says nothing. */
Test(record, has_one_form) {
  random_state random = {12};
  uint32_t taken = 0;
  for (int i = 0; i < 20000; i++) {
    history_change change;
    lk_record read;
    uint64_t bytes[LK_RECORD_BYTES_MAX / 8 + 1], again[LK_RECORD_BYTES_MAX / 8 + 1];
    history_draw(&random, &change);
    uint32_t size = lk_record_bytes(shape, &change.record);
    lk_record_encode(shape, &change.record, bytes);
    ((char *)bytes)[random_below(&random, size)] ^= (char)(1 << random_below(&random, 8));
    if (lk_record_decode(shape, change.record.kind, bytes, size, &read, NULL) != LK_OK) continue;
    taken++;
    cr_assert_eq(lk_record_bytes(shape, &read), size);
    lk_record_encode(shape, &read, again);
    cr_assert_eq(memcmp(again, bytes, size), 0, "seed 12, record %d", i);
  }
  cr_assert_gt(taken, 1000, "%u", taken);
}

Test(record, of_another_size_is_refused) {
  random_state random = {13};
  for (int i = 0; i < 200; i++) {
    history_change change;
    lk_record read;
    uint64_t bytes[LK_RECORD_BYTES_MAX / 8 + 3] = {0};
    history_draw(&random, &change);
    uint32_t size = lk_record_bytes(shape, &change.record);
    lk_record_encode(shape, &change.record, bytes);
    for (uint32_t other = 0; other < size + 16; other++) {
      char *exact = malloc(other + 1); /* so that a read beyond it is found */
      memcpy(exact, bytes, other);
      lk_status status = lk_record_decode(shape, change.record.kind, exact, other, &read, NULL);
      cr_assert_eq(status, other == size ? LK_OK : LK_EINVAL, "%u of %u", other, size);
      free(exact);
    }
  }
}

typedef struct fault {
  const char *words;
  lk_record record;
} fault;

static void expect(const fault *cases, size_t count) {
  for (size_t i = 0; i < count; i++) {
    lk_error error = {0};
    cr_assert_eq(lk_record_check(shape, &cases[i].record, &error), LK_EINVAL, "%s", cases[i].words);
    cr_assert_not_null(strstr(error.text, cases[i].words), "not '%s': %s", cases[i].words, error.text);
  }
}

#define TEXT(string) \
  { .bytes = string, .length = sizeof string - 1 }

Test(record, each_field_is_checked) {
  static const float good[] = {1, 2, 3};
  char longer[LK_TEXT_MAX + 1];
  memset(longer, 'x', sizeof longer);
  const lk_text key = TEXT("k"), too_long = {.bytes = longer, .length = sizeof longer};
  const fault cases[] = {
      {"unknown kind, 0", {.kind = (lk_record_kind)0}},
      {"unknown kind, 8", {.kind = (lk_record_kind)8, .key = key}},
      {"key is empty", {.kind = LK_RECORD_DELETE_KEY}},
      {"key is longer", {.kind = LK_RECORD_DELETE_KEY, .key = too_long}},
      {"key is not UTF-8", {.kind = LK_RECORD_DELETE_KEY, .key = TEXT("\xff")}},
      {"key has a control", {.kind = LK_RECORD_DELETE_KEY, .key = TEXT("a\nb")}},
      {"subject is empty", {.kind = LK_RECORD_DELETE_SUBJECT}},
      {"subject should not", {.kind = LK_RECORD_DELETE_KEY, .key = key, .subject = key}},
      {"group should not", {.kind = LK_RECORD_DELETE_KEY, .key = key, .group = key}},
      {"key should not", {.kind = LK_RECORD_DELETE_SUBJECT, .subject = key, .key = key}},
      {"number is", {.kind = LK_RECORD_DELETE_KEY, .key = key, .number = 1}},
      {"tags are", {.kind = LK_RECORD_DELETE_KEY, .key = key, .tags = 1}},
      {"mask is", {.kind = LK_RECORD_DELETE_KEY, .key = key, .mask = 1}},
      {"expiry is", {.kind = LK_RECORD_DELETE_KEY, .key = key, .expires_ms = 1}},
      {"metadata should not", {.kind = LK_RECORD_DELETE_KEY, .key = key, .metadata = longer, .metadata_bytes = 1}},
      {"vector should not", {.kind = LK_RECORD_DELETE_KEY, .key = key, .vector = good}},
      {"vector should not", {.kind = LK_RECORD_DELETE_KEY, .key = key, .element = LK_F16}},
      {"mask is", {.kind = LK_RECORD_TAG, .key = key}},
      {"tags are", {.kind = LK_RECORD_TAG, .key = key, .mask = 1, .tags = 2}},
      {"expiry is", {.kind = LK_RECORD_EXPIRE, .key = key}},
      {"number is", {.kind = LK_RECORD_SEAL}},
      {"number is", {.kind = LK_RECORD_SEAL, .number = UINT64_C(1) << 32}},
  };
  expect(cases, sizeof cases / sizeof cases[0]);
}

Test(record, what_cannot_be_a_row_is_refused) {
  static const float good[] = {1, 2, 3}, zeros[] = {0, 0, 0}, nan[] = {1, NAN, 3}, infinite[] = {1, INFINITY, 3},
                     huge[] = {1e30f, 0, 0};
  char longer[LK_METADATA_MAX + 1] = "";
  lk_record base = {.kind = LK_RECORD_ENROLL,
                    .key = TEXT("k"),
                    .subject = TEXT("s"),
                    .expires_ms = LK_NEVER,
                    .element = LK_F32,
                    .vector = good};
  cr_assert_eq(lk_record_check(shape, &base, NULL), LK_OK);
  fault cases[10];
  for (int i = 0; i < 10; i++) cases[i].record = base;
  cases[0].words = "vector is all zeros", cases[0].record.vector = zeros;
  cases[1].words = "vector has a NaN", cases[1].record.vector = nan;
  cases[2].words = "vector has an infinite", cases[2].record.vector = infinite;
  cases[3].words = "vector has a length", cases[3].record.vector = huge;
  cases[4].words = "vector is missing", cases[4].record.vector = NULL;
  cases[5].words = "unknown type", cases[5].record.element = (lk_element)(LK_U64 + 1);
  cases[6].words = "metadata is longer", cases[6].record.metadata = longer, cases[6].record.metadata_bytes = 257;
  cases[7].words = "number is", cases[7].record.number = UINT64_C(1) << 63;
  cases[8].words = "subject is empty", cases[8].record.subject = (lk_text){0};
  cases[9].words = "expiry is", cases[9].record.expires_ms = 0;
  expect(cases, 10);
}

/* Rounded up, this vector would be too long. A record that one process takes must be taken by every other. */
Test(record, the_callers_rounding_changes_nothing) {
  static const float vector[] = {0x1p40F, 0x1p13F, 0};
  lk_record record = {.kind = LK_RECORD_ENROLL,
                      .key = TEXT("k"),
                      .subject = TEXT("s"),
                      .expires_ms = LK_NEVER,
                      .element = LK_F32,
                      .vector = vector};
  fesetround(FE_UPWARD);
  lk_status status = lk_record_check(shape, &record, NULL);
  int rounding = fegetround();
  fesetround(FE_TONEAREST);
  cr_assert_eq(status, LK_OK);
  cr_assert_eq(rounding, FE_UPWARD);
}

/* ---- entries of a log ---- */

enum { NOTE_TEXT = 5, NOTE_FIELDS = 12, NOTE_BYTES = 216 + NOTE_TEXT + NOTE_FIELDS + 2 + 1 };

static lk_log_note full_note(void) {
  return (lk_log_note){
      .mark = {.ms = 1, .n = 2, .seq = 3, .term = 4, .hash = "0123456789abcdef0123456789abcdef01234567"},
      .prev = "1123456789abcdef0123456789abcdef01234567",
      .number = 5,
      .rows = 6,
      .numbered_from = 7,
      .templates = 8,
      .replaced = 9,
      .unchanged = 10,
      .status = LK_EEXIST,
      .text = "texts",
      .text_bytes = NOTE_TEXT,
      .fields = "some\0 fields",
      .fields_bytes = NOTE_FIELDS,
      .finding = {.made = true,
                  .found = true,
                  .searched = 11,
                  .total = 12,
                  .number = 13,
                  .probe = 14,
                  .score = 0.5F,
                  .key = {.bytes = "ke", .length = 2},
                  .subject = {.bytes = "s", .length = 1}},
      .erases = true};
}

static void expect_note(const lk_record *record, const lk_log_note *note) {
  lk_log_note read;
  cr_assert_eq(lk_log_note_decode(record->note, record->note_bytes, &read, NULL), LK_OK);
  cr_assert(read.mark.ms == 1 && read.mark.n == 2 && read.mark.seq == 3 && read.mark.term == 4 && read.number == 5);
  cr_assert(read.rows == 6 && read.numbered_from == 7 && read.templates == 8 && read.replaced == 9);
  cr_assert(read.erases);
  cr_assert(read.unchanged == 10 && read.status == LK_EEXIST);
  cr_assert_str_eq(read.mark.hash, note->mark.hash);
  cr_assert_str_eq(read.prev, note->prev);
  cr_assert(read.text_bytes == NOTE_TEXT && memcmp(read.text, note->text, NOTE_TEXT) == 0);
  const lk_log_finding *f = &read.finding;
  cr_assert(f->made && f->found && f->searched == 11 && f->total == 12 && f->number == 13 && f->probe == 14);
  cr_assert(f->score == 0.5F && lk_text_equal(f->key, note->finding.key) &&
            lk_text_equal(f->subject, note->finding.subject));
  cr_assert(read.fields_bytes == NOTE_FIELDS && memcmp(read.fields, note->fields, NOTE_FIELDS) == 0);
}

Test(record, of_a_log_comes_back_in_one_form) {
  random_state random = {15};
  char note_bytes[NOTE_BYTES];
  uint64_t bytes[64], changed[64], again[64];
  uint32_t taken = 0;
  lk_record read;
  lk_error error = {0};
  lk_log_note note = full_note();
  cr_assert_eq(lk_log_note_bytes(&note), NOTE_BYTES);
  lk_log_note_encode(&note, note_bytes);
  lk_record record = {.kind = LK_RECORD_LOG, .note = note_bytes, .note_bytes = NOTE_BYTES};
  cr_assert_eq(lk_record_check(shape, &record, &error), LK_OK, "%s", error.text);
  uint32_t size = lk_record_bytes(shape, &record);
  lk_record_encode(shape, &record, bytes);
  cr_assert_eq(lk_record_decode(shape, LK_RECORD_LOG, bytes, size, &read, &error), LK_OK, "%s", error.text);
  expect_note(&read, &note);
  cr_assert_eq(lk_record_decode(shape, LK_RECORD_TAG, bytes, size, &read, NULL), LK_EINVAL);
  cr_assert_eq(lk_record_decode(shape, LK_RECORD_LOG, bytes, size - 8, &read, NULL), LK_EINVAL);
  for (int i = 0; i < 20000; i++) {
    memcpy(changed, bytes, size);
    ((char *)changed)[random_below(&random, size)] ^= (char)(1 << random_below(&random, 8));
    if (lk_record_decode(shape, LK_RECORD_LOG, changed, size, &read, NULL) != LK_OK) continue;
    taken++;
    lk_record_encode(shape, &read, again);
    cr_assert_eq(memcmp(again, changed, size), 0, "seed 15, record %d", i);
  }
  cr_assert_gt(taken, 1000, "%u", taken);
}

static void expect_refused(lk_log_note note, const char *why) {
  lk_error error = {0};
  cr_assert_eq(lk_log_note_check(&note, &error), LK_EINVAL, "%s", why);
  cr_assert_not_null(strstr(error.text, why), "%s: %s", why, error.text);
}

Test(record, of_a_log_has_fields_that_it_can_have) {
  lk_log_note note = full_note();
  note.mark.seq = 0;
  expect_refused(note, "sequence");
  note = full_note();
  note.mark.ms = UINT64_MAX;
  expect_refused(note, "id");
  note = full_note();
  note.prev[39] = 'g';
  expect_refused(note, "hash");
  note = full_note();
  note.mark.hash[39] = '\0';
  expect_refused(note, "hash");
  note = full_note();
  note.status = (lk_status)31;
  expect_refused(note, "status");
  note = full_note();
  note.text_bytes = sizeof(lk_error);
  expect_refused(note, "text");
  note = full_note();
  note.fields_bytes = LK_LOG_FIELDS_BYTES + 1;
  expect_refused(note, "fields");
  note = full_note();
  note.finding.found = false;
  expect_refused(note, "finding");
  note.finding = (lk_log_finding){.made = true, .score = -0.0F};
  expect_refused(note, "finding");
  note.finding = (lk_log_finding){.total = 1};
  expect_refused(note, "finding");
  note = full_note();
  note.finding.key.length = LK_TEXT_MAX + 1;
  expect_refused(note, "finding");
}
