/* Folds of a gallery that has a log: what is not acknowledged stays in the journals, and what is to be erased is. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "index/live/fold.h"
#include "tests/index/live/log_book.h"
#include "tests/support/files.h"

static char path[PATH_MAX + 2];
static book log_book;
static random_state draws = {6};

static void setup(void) {
  lk_gallery_options options = {.dim = BOOK_DIM, .metric = LK_COSINE, .store = LK_STORE_F32};
  files_setup();
  snprintf(path, sizeof path, "%s/g", files_root);
  cr_assert_eq(lk_gallery_create(path, &options, NULL), LK_OK);
  book_open(&log_book);
}

static void teardown(void) {
  book_close(&log_book);
  files_teardown();
}

TestSuite(log_fold, .init = setup, .fini = teardown);

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

Test(log_fold, a_fold_waits_for_who_acknowledges) {
  lk_owner *owner = own(path);
  draw(10);
  cr_assert_eq(lk_fold(owner, LK_FOLD_ALL, NULL), LK_OK);
  apply(owner, 1, 10);
  uint64_t before = lk_clock_us();
  cr_assert_eq(lk_owner_compact(owner, NULL, NULL, NULL), LK_EBUSY);
  cr_assert_lt(lk_clock_us() - before, 5000000, "nobody acknowledges, and it waited");
  lk_owner_close(owner);
  owner = own(path);
  cr_assert_eq(lk_fold(owner, LK_FOLD_JOURNAL, NULL), LK_EBUSY);
  lk_owner_log_acknowledged(owner, 10);
  cr_assert_eq(lk_fold(owner, LK_FOLD_JOURNAL, NULL), LK_OK);
  lk_owner_close(owner);
  owner = own(path);
  cr_assert_eq(lk_owner_compact(owner, NULL, NULL, NULL), LK_OK);
  lk_owner_close(owner);
}

static void *acknowledge(void *context) {
  lk_clock_sleep_us(200000);
  lk_owner_log_acknowledged(context, 10);
  return NULL;
}

Test(log_fold, a_fold_goes_on_when_all_is_acknowledged) {
  pthread_t thread;
  lk_error error;
  lk_owner *owner = own(path);
  draw(10);
  apply(owner, 1, 10);
  lk_owner_log_acknowledged(owner, 9);
  cr_assert_eq(pthread_create(&thread, NULL, acknowledge, owner), 0);
  cr_assert_eq(lk_owner_compact(owner, NULL, NULL, &error), LK_OK, "%s", error.text);
  pthread_join(thread, NULL);
  cr_assert_eq(lk_owner_gallery(owner)->manifest.log.mark.seq, 10);
  lk_owner_close(owner);
}

static bool folds(lk_owner *owner) {
  pthread_mutex_lock(&owner->mutex);
  bool runs = owner->folding;
  pthread_mutex_unlock(&owner->mutex);
  return runs;
}

static void await_fold(lk_owner *owner) {
  while (folds(owner)) lk_clock_sleep_us(1000);
}

/* Where changes come all the time, some are never acknowledged. */
Test(log_fold, what_is_acknowledged_is_folded_though_more_has_come) {
  lk_owner *owner = own(path);
  draw(20);
  owner->fold_at = 1;
  apply(owner, 1, 5);
  await_fold(owner);
  apply(owner, 6, 20);
  lk_owner_log_acknowledged(owner, 4);
  await_fold(owner);
  cr_assert_eq(lk_owner_gallery(owner)->manifest.log.mark.seq, 0);
  lk_owner_log_acknowledged(owner, 5);
  await_fold(owner);
  cr_assert_eq(lk_owner_gallery(owner)->manifest.log.mark.seq, 5);
  lk_owner_close(owner);
  owner = own(path);
  cr_assert_eq(lk_owner_log_mark(owner).seq, 20);
  lk_owner_close(owner);
}

/* Also where the process began anew meanwhile. */
Test(log_fold, a_sealed_journal_waits_for_who_acknowledges) {
  lk_owner *owner = own(path);
  draw(10);
  apply(owner, 1, 5);
  cr_assert_eq(lk_fold(owner, LK_FOLD_JOURNAL, NULL), LK_EBUSY);
  apply(owner, 6, 10);
  lk_owner_close(owner);
  owner = own(path);
  lk_owner_log_acknowledged(owner, 7);
  await_fold(owner);
  cr_assert_eq(lk_owner_gallery(owner)->manifest.log.mark.seq, 5);
  lk_owner_close(owner);
}

/* What fails and may go well later is tried again. */
Test(log_fold, a_journal_that_cannot_be_folded_keeps_entries_waiting) {
  lk_error error;
  lk_owner *owner = own(path);
  draw(1);
  owner->recorded = UINT64_C(1) << 31;
  owner->fold_at = owner->retry_us = UINT64_MAX;
  snprintf(owner->fold_failure.text, sizeof owner->fold_failure.text, "the disk is full");
  cr_assert_eq(book_apply(&log_book, owner, 1, 1, NULL, &error), LK_EBUSY);
  cr_assert_not_null(strstr(error.text, "the disk is full"), "%s", error.text);
  owner->recorded = 0;
  apply(owner, 1, 1);
  lk_error failure = {"the disk has failed"};
  lk_owner_fail(owner, &failure);
  draw(1);
  cr_assert_eq(book_apply(&log_book, owner, 2, 2, NULL, &error), LK_EIO);
  lk_owner_close(owner);
}

/* ---- erasure ---- */

/* Enrolls rows, deletes the first, and asks to erase: entries 1 to 3. `row` receives it. */
static lk_owner *ask_to_erase(float row[BOOK_DIM]) {
  lk_owner *owner = own(path);
  book_entry *enrolled = book_add(&log_book, 100);
  book_enroll(&log_book, enrolled, &draws, 4);
  memcpy(row, enrolled->numbers, BOOK_DIM * sizeof *row);
  book_entry *deleted = book_add(&log_book, 101);
  deleted->changes[0] = (lk_change){.kind = LK_CHANGE_DELETE_KEY, .key = {.bytes = "0", .length = 1}};
  deleted->entry.changes = deleted->changes;
  deleted->entry.count = 1;
  book_add(&log_book, 102)->entry.erases = true;
  apply(owner, 1, 1);
  lk_owner_log_acknowledged(owner, 1);
  cr_assert_eq(lk_fold(owner, LK_FOLD_JOURNAL, NULL), LK_OK);
  apply(owner, 2, 3);
  return owner;
}

static bool has(const float row[BOOK_DIM]) {
  size_t size;
  char segment[PATH_MAX + 32];
  lk_owner *owner = own(path);
  const lk_manifest *manifest = &lk_owner_gallery(owner)->manifest;
  bool found = false;
  for (uint32_t i = 0; i < manifest->segments_count; i++) {
    snprintf(segment, sizeof segment, "%s/segment-%06u.lks", path, manifest->segments[i].id);
    char *bytes = files_read(segment, &size);
    found = found || memmem(bytes, size, row, BOOK_DIM * sizeof *row) != NULL;
    free(bytes);
  }
  lk_owner_close(owner);
  return found;
}

Test(log_fold, what_is_to_be_erased_is_not_forgotten) {
  float row[BOOK_DIM];
  uint64_t erased;
  lk_error error;
  lk_owner *owner = ask_to_erase(row);
  cr_assert_eq(lk_owner_log_erases(owner), 3);
  lk_owner_close(owner);
  owner = own(path);
  cr_assert_eq(lk_owner_log_erases(owner), 3, "it is in the journal");
  cr_assert_eq(lk_owner_log_erase(owner, &erased, NULL), LK_EBUSY, "not acknowledged");
  cr_assert_eq(lk_owner_log_erases(owner), 3);
  lk_owner_log_acknowledged(owner, 3);
  await_fold(owner);
  cr_assert_eq(lk_owner_log_erase(owner, &erased, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_owner_log_erases(owner), 0);
  lk_owner_close(owner);
  cr_assert(!has(row));
  owner = own(path);
  cr_assert_eq(lk_owner_log_erases(owner), 0);
  lk_owner_close(owner);
}

/* After such a fold nobody would know of the entry any more. */
Test(log_fold, a_fold_of_an_entry_that_erases_erases) {
  float row[BOOK_DIM];
  lk_owner *owner = ask_to_erase(row);
  lk_owner_log_acknowledged(owner, 3);
  cr_assert_eq(lk_fold(owner, LK_FOLD_JOURNAL, NULL), LK_OK);
  lk_owner_close(owner);
  cr_assert(!has(row));
}
