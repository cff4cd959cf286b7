/* Entries of a log that an owner applies: their order, their outcomes, and what is kept of them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <likeness/portable.h>
#include "base/clock.h"
#include "base/text.h"
#include "index/gallery/unchecked.h"
#include "index/live/fold.h"
#include "tests/index/live/log_book.h"
#include "tests/support/files.h"

static char path[PATH_MAX + 2], other[PATH_MAX + 2];
static book log_book;
static random_state draws = {5};

static void setup(void) {
  files_setup();
  snprintf(path, sizeof path, "%s/g", files_root);
  snprintf(other, sizeof other, "%s/h", files_root);
  book_open(&log_book);
}

static void teardown(void) {
  book_close(&log_book);
  files_teardown();
}

TestSuite(live_log, .init = setup, .fini = teardown);

static void make(const char *folder) {
  lk_gallery_options options = {.dim = BOOK_DIM, .metric = LK_COSINE, .store = LK_STORE_F32};
  cr_assert_eq(lk_gallery_create(folder, &options, NULL), LK_OK);
}

static lk_owner *own(const char *folder) {
  lk_owner *owner;
  lk_error error;
  cr_assert_eq(lk_owner_open(folder, &owner, &error), LK_OK, "%s", error.text);
  return owner;
}

static void draw(uint32_t count) {
  for (uint32_t i = 0; i < count; i++) book_draw(&log_book, &draws);
}

static void apply(lk_owner *owner, uint64_t first, uint64_t last) {
  lk_error error;
  cr_assert_eq(book_apply(&log_book, owner, first, last, NULL, &error), LK_OK, "%s", error.text);
}

static void expect_mark(lk_log_mark mark, uint64_t seq) {
  lk_log_mark expected = book_mark(&log_book, seq);
  cr_assert(mark.seq == seq && mark.ms == expected.ms && mark.n == expected.n && mark.term == expected.term &&
                strcmp(mark.hash, expected.hash) == 0,
            "entry %d, not %d", (int)mark.seq, (int)seq);
}

static void expect_text(const lk_gallery *gallery, uint64_t seq, const char *expected) {
  char *text = book_print(gallery, book_mark(&log_book, seq).ms);
  cr_assert_str_eq(text, expected, "up to entry %d", (int)seq);
  free(text);
}

/* ---- order ---- */

Test(live_log, only_the_next_entry_is_applied) {
  make(path);
  lk_owner *owner = own(path);
  draw(6);
  cr_assert_eq(book_apply(&log_book, owner, 2, 3, NULL, NULL), LK_EINVAL);
  expect_mark(lk_owner_log_mark(owner), 0);
  apply(owner, 1, 3);
  expect_mark(lk_owner_log_mark(owner), 3);
  cr_assert_eq(book_apply(&log_book, owner, 3, 4, NULL, NULL), LK_EINVAL);
  cr_assert_eq(book_apply(&log_book, owner, 5, 5, NULL, NULL), LK_EINVAL);
  lk_log_entry forged = log_book.entries[3].entry;
  forged.prev[0] ^= 1;
  cr_assert_eq(lk_owner_log_apply(owner, &forged, 1, NULL), LK_EINVAL);
  forged = log_book.entries[3].entry;
  forged.mark.seq = 9;
  cr_assert_eq(lk_owner_log_apply(owner, &forged, 1, NULL), LK_EINVAL);
  lk_log_entry gap[] = {log_book.entries[3].entry, log_book.entries[5].entry};
  cr_assert_eq(lk_owner_log_apply(owner, gap, 2, NULL), LK_EINVAL);
  expect_mark(lk_owner_log_mark(owner), 4);
  apply(owner, 5, 6);
  lk_owner_close(owner);
  owner = own(path);
  expect_mark(lk_owner_log_mark(owner), 6);
  lk_owner_close(owner);
}

Test(live_log, what_cannot_be_kept_is_refused) {
  make(path);
  lk_owner *owner = own(path);
  lk_log_entry entry = book_add(&log_book, 7)->entry;
  entry.fields_bytes = LK_LOG_FIELDS_BYTES + 1;
  cr_assert_eq(lk_owner_log_apply(owner, &entry, 1, NULL), LK_EINVAL);
  entry = log_book.entries[0].entry;
  entry.mark.hash[3] = 'X';
  cr_assert_eq(lk_owner_log_apply(owner, &entry, 1, NULL), LK_EINVAL);
  char *fields = malloc(LK_LOG_FIELDS_BYTES);
  memset(fields, 'f', LK_LOG_FIELDS_BYTES);
  entry = log_book.entries[0].entry;
  entry.fields = fields;
  entry.fields_bytes = LK_LOG_FIELDS_BYTES;
  cr_assert_eq(lk_owner_log_apply(owner, &entry, 1, NULL), LK_OK);
  free(fields);
  lk_owner_close(owner);
  owner = own(path);
  expect_mark(lk_owner_log_mark(owner), 1);
  lk_owner_close(owner);
}

/* ---- outcomes ---- */

typedef struct visited {
  const lk_log_entry *outcomes;
  uint64_t seq;
} visited;

static void expect_finding(const lk_log_kept *kept, const lk_log_entry *outcome) {
  const lk_finding *a = &kept->finding, *b = &outcome->finding;
  cr_assert_eq(kept->matched, outcome->matched);
  cr_assert(a->found == b->found && a->searched == b->searched && a->total == b->total && a->number == b->number);
  cr_assert(a->probe == b->probe && memcmp(&a->score, &b->score, sizeof a->score) == 0);
  cr_assert_str_eq(a->key, b->key);
  cr_assert_str_eq(a->subject, b->subject);
}

static lk_status visit(void *context, const lk_log_kept *kept, lk_error *error) {
  (void)error;
  visited *v = context;
  uint64_t seq = ++v->seq;
  const lk_log_entry *given = &log_book.entries[seq - 1].entry;
  lk_log_entry found = {.status = kept->status, .error = kept->error, .receipt = kept->receipt};
  expect_mark(kept->mark, seq);
  cr_assert_str_eq(kept->prev, given->prev);
  cr_assert_eq(kept->number, given->number);
  cr_assert(kept->fields_bytes == given->fields_bytes && memcmp(kept->fields, given->fields, given->fields_bytes) == 0);
  cr_assert(book_same_outcome(&found, &v->outcomes[seq - 1]), "entry %d: %d %s", (int)seq, found.status,
            found.error.text);
  cr_assert_eq(kept->receipt.epoch, v->outcomes[seq - 1].receipt.epoch);
  expect_finding(kept, &v->outcomes[seq - 1]);
  uint64_t rows = given->enrollment != NULL ? given->enrollment->vectors->rows : 0;
  cr_assert_eq(kept->rows, rows);
  cr_assert_eq(kept->vectors_rows, rows > 0 && kept->status == LK_OK ? kept->receipt.templates : 0);
  if (kept->vectors_rows == rows && rows > 0)
    cr_assert_arr_eq(kept->vectors, given->enrollment->vectors->data, rows * BOOK_DIM * sizeof(float));
  return LK_OK;
}

static lk_status stop(void *context, const lk_log_kept *kept, lk_error *error) {
  (void)kept, (void)error;
  return ++*(int *)context == 2 ? LK_ECANCELLED : LK_OK;
}

Test(live_log, outcomes_are_read_back) {
  lk_log_entry outcomes[BOOK_ENTRIES];
  uint32_t kinds[64] = {0};
  lk_error error;
  int visits = 0;
  make(path);
  lk_owner *owner = own(path);
  draw(150);
  for (uint64_t first = 1, last; first <= 150; first = last + 1) {
    last = first + random_below(&draws, 20);
    if (last > 150) last = 150;
    cr_assert_eq(book_apply(&log_book, owner, first, last, &outcomes[first - 1], &error), LK_OK, "%s", error.text);
  }
  for (int i = 0; i < 150; i++) kinds[outcomes[i].status]++;
  cr_assert(kinds[LK_OK] > 30 && kinds[LK_EEXIST] > 5 && kinds[LK_EBADPROBE] > 0 && kinds[LK_EBADJOB] > 0);
  for (int time = 0; time < 2; time++) {
    visited v = {.outcomes = outcomes};
    cr_assert_eq(lk_owner_log_visit(owner, 0, visit, &v, &error), LK_OK, "%s", error.text);
    cr_assert_eq(v.seq, 150);
    v.seq = 97;
    cr_assert_eq(lk_owner_log_visit(owner, 97, visit, &v, NULL), LK_OK);
    cr_assert_eq(v.seq, 150);
    lk_owner_close(owner);
    owner = own(path);
  }
  cr_assert_eq(lk_owner_log_visit(owner, 0, stop, &visits, NULL), LK_ECANCELLED);
  cr_assert_eq(visits, 2);
  lk_owner_close(owner);
}

Test(live_log, a_number_that_was_given_is_refused) {
  make(path);
  lk_owner *owner = own(path);
  lk_log_entry out;
  book_enroll(&log_book, book_add(&log_book, 10), &draws, 2);
  apply(owner, 1, 1);
  log_book.number = 1;
  book_enroll(&log_book, book_add(&log_book, 10), &draws, 1);
  cr_assert_eq(book_apply(&log_book, owner, 2, 2, &out, NULL), LK_OK);
  cr_assert_eq(out.status, LK_EINTERNAL);
  log_book.number = 100;
  book_enroll(&log_book, book_add(&log_book, 10), &draws, 1);
  cr_assert_eq(book_apply(&log_book, owner, 3, 3, &out, NULL), LK_OK);
  cr_assert(out.status == LK_OK && out.receipt.numbered_from == 100);
  lk_template found;
  cr_assert(lk_gallery_find_number(lk_owner_gallery(owner), 100, &found));
  lk_owner_close(owner);
}

/* All batches of one call share an fsync: the group is one, so that each record says the same of what was synced. */
static lk_status same_group(void *context, uint64_t epoch, uint64_t sequence, const lk_record *record,
                            lk_error *error) {
  (void)epoch, (void)sequence, (void)error;
  *(uint32_t *)context += record->kind == LK_RECORD_LOG;
  return LK_OK;
}

Test(live_log, entries_of_a_call_are_one_group) {
  make(path);
  lk_owner *owner = own(path);
  draw(40);
  apply(owner, 1, 40);
  const lk_gallery *gallery = lk_owner_gallery(owner);
  lk_journal_header header = lk_manifest_journal_header(&gallery->manifest, 0);
  lk_journal_place place = {0};
  lk_journal_report report;
  uint32_t count = 0;
  cr_assert_eq(lk_journal_follow(&gallery->folder, &header, &place, same_group, &count, &report, NULL), LK_OK);
  cr_assert_eq(count, 40);
  cr_assert_eq(place.synced, sizeof(lk_journal_header));
  lk_owner_close(owner);
}

/* ---- the mark ---- */

static void expect_reader(lk_gallery *reader, uint64_t seq) {
  lk_error error;
  cr_assert_eq(lk_gallery_refresh(reader, NULL, &error), LK_OK, "%s", error.text);
  expect_mark(lk_gallery_log_mark(reader), seq);
}

static void expect_export(const lk_gallery *gallery, uint64_t seq, const char *text) {
  static const lk_export out;
  static const lk_import in;
  const char *file = files_path("export.lkg");
  uint64_t templates;
  lk_error error;
  cr_assert_eq(lk_gallery_export_file(gallery, file, &out, &templates, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_gallery_import_file(other, file, &in, &error), LK_OK, "%s", error.text);
  lk_owner *owner = own(other);
  expect_mark(lk_owner_log_mark(owner), seq);
  expect_text(lk_owner_gallery(owner), seq, text);
  lk_log_mark none = {0};
  cr_assert_eq(book_apply(&log_book, owner, seq + 1, seq + 1, NULL, &error), LK_OK, "%s", error.text);
  lk_owner_close(owner);
  cr_assert_eq(lk_log_cut(other, &none, NULL, NULL), LK_EINVAL);
  remove(file);
  files_remove_folder(other);
}

Test(live_log, the_mark_stays_with_what_it_is_of) {
  draw(90);
  char **history = book_history(&log_book, other, NULL);
  make(path);
  lk_owner *owner = own(path);
  lk_gallery *reader = files_open(path), *late = files_open(path); /* of which one looks only after folds */
  expect_reader(reader, 0);
  for (uint64_t seq = 1; seq < 90; seq++) {
    apply(owner, seq, seq);
    expect_reader(reader, seq);
    expect_text(reader, seq, history[seq]);
    if (seq % 20 == 7) expect_export(reader, seq, history[seq]);
    if (seq % 9 != 0) continue;
    lk_owner_log_acknowledged(owner, seq);
    if (seq % 2 == 0)
      cr_assert_eq(lk_fold(owner, LK_FOLD_JOURNAL, NULL), LK_OK);
    else
      cr_assert_eq(lk_owner_compact(owner, NULL, NULL, NULL), LK_OK);
    expect_mark(lk_owner_log_mark(owner), seq);
    expect_text(lk_owner_gallery(owner), seq, history[seq]);
    expect_reader(reader, seq);
    expect_reader(late, seq);
    expect_text(late, seq, history[seq]);
    if (seq % 2 == 0) continue;
    lk_owner_close(owner);
    owner = own(path);
    expect_mark(lk_owner_log_mark(owner), seq);
    expect_text(lk_owner_gallery(owner), seq, history[seq]);
  }
  lk_gallery_close(late);
  lk_gallery_close(reader);
  reader = files_open(path);
  expect_reader(reader, 89);
  lk_gallery_close(reader);
  lk_owner_close(owner);
  book_history_free(&log_book, history);
}

Test(live_log, bulk_enrollment_keeps_the_mark) {
  float *rows = files_random(&draws, 5, BOOK_DIM);
  make(path);
  lk_owner *owner = own(path);
  draw(12);
  apply(owner, 1, 12);
  lk_owner_close(owner);
  lk_vectors vectors = files_vectors(rows, 5, BOOK_DIM);
  cr_assert_eq(lk_gallery_enroll(path, &vectors, NULL, NULL, NULL, NULL, NULL, NULL), LK_EBUSY);
  owner = own(path);
  lk_owner_log_acknowledged(owner, 12);
  cr_assert_eq(lk_fold(owner, LK_FOLD_JOURNAL, NULL), LK_OK);
  lk_owner_close(owner);
  files_enroll(path, rows, 5, BOOK_DIM, NULL);
  owner = own(path);
  expect_mark(lk_owner_log_mark(owner), 12);
  lk_owner_close(owner);
  free(rows);
}

/* ---- what an entry does depends on the log alone ---- */

Test(live_log, erasure_changes_no_outcome) {
  static lk_log_entry plain[BOOK_ENTRIES], erased[BOOK_ENTRIES];
  lk_error error;
  draw(150);
  char **history = book_history(&log_book, other, plain);
  make(path);
  lk_owner *owner = own(path);
  for (uint64_t seq = 1; seq <= 150; seq += 3) {
    cr_assert_eq(book_apply(&log_book, owner, seq, seq + 2, &erased[seq - 1], &error), LK_OK, "%s", error.text);
    lk_owner_log_acknowledged(owner, seq + 2);
    if (seq % 2 == 0) cr_assert_eq(lk_owner_compact(owner, NULL, NULL, NULL), LK_OK);
    expect_text(lk_owner_gallery(owner), seq + 2, history[seq + 2]);
    if (seq % 5 != 0) continue;
    lk_owner_close(owner);
    owner = own(path);
  }
  for (int i = 0; i < 150; i++)
    cr_assert(book_same_outcome(&plain[i], &erased[i]), "entry %d: %d and %d, %s", i + 1, plain[i].status,
              erased[i].status, erased[i].error.text);
  lk_owner_close(owner);
  book_history_free(&log_book, history);
}

/* ---- expired templates give way ---- */

static lk_status enroll_key(lk_owner *owner, const char *key, uint64_t expires_ms, lk_receipt *receipt) {
  float vector[BOOK_DIM] = {1, 2};
  lk_vectors vectors = files_vectors(vector, 1, BOOK_DIM);
  lk_label label = {.key = lk_text_of(key), .expires_ms = expires_ms};
  lk_enrollment enrollment = {.vectors = &vectors, .labels = key[0] != '\0' ? &label : NULL};
  return lk_owner_enroll(owner, &enrollment, NULL, receipt, NULL);
}

Test(live_log, the_key_of_an_expired_template_is_free) {
  make(path);
  lk_owner *owner = own(path);
  lk_receipt receipt;
  lk_template found;
  cr_assert_eq(enroll_key(owner, "k", 1, &receipt), LK_OK);
  cr_assert_eq(enroll_key(owner, "2", 1, &receipt), LK_OK);
  cr_assert_eq(enroll_key(owner, "", LK_NEVER, &receipt), LK_OK);
  cr_assert(receipt.numbered_from == 2 && receipt.replaced == 0 && receipt.templates == 1);
  cr_assert_not(lk_gallery_find_number(lk_owner_gallery(owner), 1, &found));
  cr_assert(lk_gallery_find_number(lk_owner_gallery(owner), 2, &found));
  cr_assert(lk_text_equal(found.key, lk_text_of("2")));
  cr_assert_eq(enroll_key(owner, "k", LK_NEVER, &receipt), LK_OK);
  cr_assert(receipt.replaced == 0 && receipt.templates == 1);
  cr_assert_not(lk_gallery_find_number(lk_owner_gallery(owner), 0, &found));
  cr_assert_eq(enroll_key(owner, "k", LK_NEVER, &receipt), LK_EEXIST);
  lk_owner_close(owner);
  owner = own(path);
  cr_assert_eq(lk_gallery_check(lk_owner_gallery(owner), NULL), LK_OK);
  lk_owner_close(owner);
}

static void enroll_entry(uint64_t ms, const char *key, uint64_t expires_ms) {
  book_entry *e = book_add(&log_book, ms);
  book_enroll(&log_book, e, &draws, 1);
  e->labels[0] = (lk_label){.key = lk_text_of(key), .expires_ms = expires_ms};
}

Test(live_log, an_entry_s_time_is_its_own) {
  lk_log_entry out[5];
  make(path);
  lk_owner *owner = own(path);
  enroll_entry(100, "k", 200);
  enroll_entry(199, "k", LK_NEVER);
  book_entry *e = book_add(&log_book, 200);
  e->changes[0] = (lk_change){.kind = LK_CHANGE_EXPIRE, .key = lk_text_of("k"), .expires_ms = LK_NEVER};
  e->entry.changes = e->changes;
  e->entry.count = 1;
  enroll_entry(200, "k", LK_NEVER);
  enroll_entry(200, "k", LK_NEVER);
  cr_assert_eq(book_apply(&log_book, owner, 1, 5, out, NULL), LK_OK);
  cr_assert_eq(out[0].status, LK_OK);
  cr_assert_eq(out[1].status, LK_EEXIST, "it expires at 200");
  cr_assert(out[2].status == LK_OK && out[2].receipt.unchanged == 1, "it is not there any more");
  cr_assert(out[3].status == LK_OK && out[3].receipt.replaced == 0);
  cr_assert_eq(out[4].status, LK_EEXIST);
  lk_owner_close(owner);
}

/* Not only among those that no entry before has tried: who has just begun knows nothing of these. */
Test(live_log, a_default_key_is_the_first_that_is_free) {
  static const char *const keys[] = {"4", "5", "6", "7"};
  lk_template found;
  make(path);
  lk_owner *owner = own(path);
  book_entry *e = book_add(&log_book, 1);
  book_enroll(&log_book, e, &draws, 4);
  for (int i = 0; i < 4; i++) e->labels[i].key = lk_text_of(keys[i]);
  book_enroll(&log_book, book_add(&log_book, 1), &draws, 1);
  e = book_add(&log_book, 1);
  e->changes[0] = (lk_change){.kind = LK_CHANGE_DELETE_KEY, .key = lk_text_of("6")};
  e->entry.changes = e->changes;
  e->entry.count = 1;
  book_enroll(&log_book, book_add(&log_book, 1), &draws, 1);
  apply(owner, 1, 4);
  cr_assert(lk_gallery_find_number(lk_owner_gallery(owner), 4, &found) && lk_text_equal(found.key, lk_text_of("8")));
  cr_assert(lk_gallery_find_number(lk_owner_gallery(owner), 5, &found) && lk_text_equal(found.key, lk_text_of("6")));
  lk_owner_close(owner);
}

/* ---- the duplicate check ---- */

static void match_entry(uint64_t ms, const char *subject, bool tells_scores, const float *vector) {
  book_entry *e = book_add(&log_book, ms);
  book_enroll(&log_book, e, &draws, 1);
  memcpy(e->numbers, vector, BOOK_DIM * sizeof *vector);
  e->labels[0] = (lk_label){.subject = lk_text_of(subject), .expires_ms = ms + 50};
  e->enrollment.unless_match = true;
  e->enrollment.match_threshold = 0.9F;
  e->entry.tells_scores = tells_scores;
}

Test(live_log, matches_are_refused_and_told) {
  static const float vector[BOOK_DIM] = {1, 2, 3};
  lk_log_entry out[5];
  lk_device *device;
  make(path);
  lk_owner *owner = own(path);
  match_entry(100, "a", true, vector);
  match_entry(101, "b", true, vector);
  match_entry(102, "b", false, vector);
  match_entry(150, "c", true, vector); /* a has expired */
  match_entry(150, "c", true, vector); /* its own subject */
  cr_assert_eq(book_apply(&log_book, owner, 1, 5, out, NULL), LK_EBUSY, "it is not loaded");
  cr_assert_eq(lk_device_open("cpu", 1, &device, NULL), LK_OK);
  cr_assert_eq(lk_owner_load(owner, device, NULL), LK_OK);
  cr_assert_eq(book_apply(&log_book, owner, 1, 1, out, NULL), LK_OK);
  cr_assert_eq(book_apply(&log_book, owner, 2, 5, out + 1, NULL), LK_OK);
  cr_assert_eq(out[0].status, LK_OK);
  cr_assert(out[1].status == LK_EEXIST && strstr(out[1].error.text, "score 1,") != NULL, "%s", out[1].error.text);
  cr_assert(out[2].status == LK_EEXIST && strstr(out[2].error.text, "score") == NULL &&
                strstr(out[2].error.text, "subject 'a'") != NULL,
            "%s", out[2].error.text);
  cr_assert_eq(out[3].status, LK_OK, "%s", out[3].error.text);
  cr_assert_eq(out[4].status, LK_OK, "%s", out[4].error.text);
  for (int i = 0; i < 5; i++) cr_assert(out[i].matched && out[i].finding.found == (out[i].status == LK_EEXIST));
  cr_assert(out[1].finding.searched == 1 && out[1].finding.total == 1 && out[1].finding.score == 1);
  cr_assert(isnan(out[2].finding.score), "nobody is told");
  cr_assert_str_eq(out[2].finding.subject, "a");
  visited v = {.outcomes = out};
  cr_assert_eq(lk_owner_log_visit(owner, 0, visit, &v, NULL), LK_OK);
  cr_assert_eq(v.seq, 5);
  lk_owner_close(owner);
  lk_device_close(device);
}
