/* A journal is cut back to an entry of the log; and crashes while entries are applied, folded and cut. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "index/gallery/unchecked.h"
#include "index/live/fold.h"
#include "tests/index/live/log_book.h"
#include "tests/support/faulty_disk.h"
#include "tests/support/files.h"

enum { ENTRIES = 24 };

static char path[PATH_MAX + 2];
static lk_folder folder;
static book log_book;
static char **history;

static uint64_t seed(void) {
  const char *given = getenv("LIKENESS_SEED");
  return given != NULL ? strtoull(given, NULL, 0) : 1;
}

static void setup(void) {
  random_state draws = {seed()};
  files_setup();
  snprintf(path, sizeof path, "%s/g", files_root);
  book_open(&log_book);
  for (int i = 0; i < ENTRIES; i++) book_draw(&log_book, &draws);
  history = book_history(&log_book, path, NULL);
}

static void teardown(void) {
  faulty_disk_stop();
  book_history_free(&log_book, history);
  book_close(&log_book);
  files_teardown();
}

TestSuite(log_cut, .init = setup, .fini = teardown);

static void make(void) {
  lk_gallery_options options = {.dim = BOOK_DIM, .metric = LK_COSINE, .store = LK_STORE_F32};
  files_remove_folder(path);
  cr_assert_eq(lk_gallery_create(path, &options, NULL), LK_OK);
}

static lk_owner *own_on(const lk_disk *disk, const char *when) {
  lk_owner *owner;
  lk_error error;
  cr_assert_eq(lk_owner_open_on(disk, path, &owner, &error), LK_OK, "%s: %s", when, error.text);
  return owner;
}

/* The gallery has exactly what the entries up to its mark have made. Returns that. */
static uint64_t expect_consistent(const lk_gallery *gallery, const char *when) {
  lk_log_mark mark = lk_gallery_log_mark(gallery), expected = book_mark(&log_book, mark.seq);
  char *text = book_print(gallery, mark.ms);
  cr_assert_str_eq(mark.hash, expected.hash, "%s", when);
  cr_assert_str_eq(text, history[mark.seq], "%s: up to entry %d", when, (int)mark.seq);
  free(text);
  return mark.seq;
}

static lk_status finish_on(lk_owner *owner, const char *when) {
  lk_error error;
  uint64_t next = lk_owner_log_mark(owner).seq + 1;
  if (next > ENTRIES) return LK_OK;
  lk_status status = book_apply(&log_book, owner, next, ENTRIES, NULL, &error);
  cr_assert_eq(status, LK_OK, "%s: %s", when, error.text);
  cr_assert_eq(expect_consistent(lk_owner_gallery(owner), when), ENTRIES, "%s", when);
  return status;
}

/* ---- cuts ---- */

/* With `sealed`, a fold fails after entry 15: its journal is sealed, and the next one has the others. */
static bool is_full;

static int reserve(int fd, off_t size) {
  errno = ENOSPC;
  return is_full ? -1 : lk_disk_system.reserve(fd, size);
}

static void fill(bool sealed) {
  lk_disk disk = lk_disk_system;
  disk.reserve = reserve;
  make();
  lk_owner *owner = own_on(&disk, "fill");
  cr_assert_eq(book_apply(&log_book, owner, 1, 6, NULL, NULL), LK_OK);
  cr_assert_eq(book_apply(&log_book, owner, 7, 15, NULL, NULL), LK_OK);
  if (sealed) {
    lk_owner_log_acknowledged(owner, 15);
    is_full = true;
    cr_assert_neq(lk_fold(owner, LK_FOLD_JOURNAL, NULL), LK_OK);
    is_full = false;
    cr_assert_eq(lk_owner_gallery(owner)->manifest.journals_count, 2);
  }
  cr_assert_eq(book_apply(&log_book, owner, 16, ENTRIES, NULL, NULL), LK_OK);
  lk_owner_close(owner);
}

static void cut_to(uint64_t seq) {
  char when[32];
  lk_log_mark mark = book_mark(&log_book, seq);
  lk_error error;
  uint64_t dropped = 0;
  snprintf(when, sizeof when, "cut to %d", (int)seq);
  lk_gallery *reader = files_open(path);
  cr_assert_eq(lk_log_cut(path, &mark, &dropped, &error), LK_OK, "%s: %s", when, error.text);
  cr_assert_eq(dropped, ENTRIES - seq, "%s", when);
  cr_assert_eq(lk_gallery_refresh(reader, NULL, &error), LK_OK, "%s: %s", when, error.text);
  cr_assert_eq(expect_consistent(reader, when), seq, "%s", when);
  lk_gallery_close(reader);
  lk_owner *owner = own_on(&lk_disk_system, when);
  cr_assert_eq(expect_consistent(lk_owner_gallery(owner), when), seq, "%s", when);
  finish_on(owner, when);
  lk_owner_log_acknowledged(owner, ENTRIES);
  cr_assert_eq(lk_fold(owner, LK_FOLD_ALL, &error), LK_OK, "%s: %s", when, error.text);
  expect_consistent(lk_owner_gallery(owner), when);
  cr_assert_eq(lk_gallery_check(lk_owner_gallery(owner), &error), LK_OK, "%s: %s", when, error.text);
  lk_owner_close(owner);
}

Test(log_cut, to_each_entry) {
  for (uint64_t seq = 0; seq <= ENTRIES; seq++) {
    fill(false);
    cut_to(seq);
  }
}

Test(log_cut, to_each_entry_of_two_journals) {
  for (uint64_t seq = 0; seq <= ENTRIES; seq++) {
    fill(true);
    cut_to(seq);
  }
}

Test(log_cut, refused) {
  lk_log_mark mark;
  fill(false);
  lk_owner *owner = own_on(&lk_disk_system, "refused");
  mark = book_mark(&log_book, 9);
  cr_assert_eq(lk_log_cut(path, &mark, NULL, NULL), LK_EBUSY);
  mark.hash[39] ^= 1;
  uint64_t digest = files_digest(path);
  lk_owner_close(owner);
  cr_assert_eq(lk_log_cut(path, &mark, NULL, NULL), LK_EINVAL, "another entry");
  mark = (lk_log_mark){.seq = ENTRIES + 1};
  cr_assert_eq(lk_log_cut(path, &mark, NULL, NULL), LK_EINVAL, "no entry");
  cr_assert_eq(files_digest(path), digest);
}

Test(log_cut, what_is_folded_stays) {
  lk_log_mark mark;
  make();
  lk_owner *owner = own_on(&lk_disk_system, "folded");
  cr_assert_eq(book_apply(&log_book, owner, 1, 15, NULL, NULL), LK_OK);
  lk_owner_log_acknowledged(owner, 15);
  cr_assert_eq(lk_fold(owner, LK_FOLD_JOURNAL, NULL), LK_OK);
  cr_assert_eq(book_apply(&log_book, owner, 16, ENTRIES, NULL, NULL), LK_OK);
  lk_owner_close(owner);
  mark = book_mark(&log_book, 14);
  cr_assert_eq(lk_log_cut(path, &mark, NULL, NULL), LK_EINVAL);
  mark = book_mark(&log_book, 15);
  mark.hash[0] ^= 1;
  cr_assert_eq(lk_log_cut(path, &mark, NULL, NULL), LK_EINVAL);
  cut_to(15);
}

/* A fold that meets a change of the next journal may have put it into its files: then that change cannot be cut off. */
Test(log_cut, what_a_fold_has_seen_stays) {
  lk_disk disk = lk_disk_system;
  lk_log_mark mark = book_mark(&log_book, 15);
  disk.reserve = reserve;
  make();
  lk_owner *owner = own_on(&disk, "seen");
  cr_assert_eq(book_apply(&log_book, owner, 1, 15, NULL, NULL), LK_OK);
  lk_owner_log_acknowledged(owner, 15);
  is_full = true;
  cr_assert_neq(lk_fold(owner, LK_FOLD_JOURNAL, NULL), LK_OK);
  is_full = false;
  cr_assert_eq(book_apply(&log_book, owner, 16, 20, NULL, NULL), LK_OK);
  cr_assert_neq(lk_fold(owner, LK_FOLD_JOURNAL, NULL), LK_OK, "the second fold waits, the first has sealed");
  lk_owner_close(owner);
  cr_assert_eq(lk_log_cut(path, &mark, NULL, NULL), LK_EINVAL);
  mark = book_mark(&log_book, 20);
  cr_assert_eq(lk_log_cut(path, &mark, NULL, NULL), LK_OK);
  owner = own_on(&disk, "seen");
  cr_assert_eq(expect_consistent(lk_owner_gallery(owner), "seen"), 20);
  lk_owner_close(owner);
}

/* ---- a cut that fails ---- */

static uint64_t open_cut(const char *when) {
  lk_owner *owner = own_on(&faulty_disk, when);
  uint64_t found = expect_consistent(lk_owner_gallery(owner), when);
  lk_owner_close(owner);
  return found;
}

/* Call `call` and all later ones fail, and the power goes. False: there were not so many. */
static bool try_cut(uint32_t call, bool sealed) {
  char when[32];
  lk_log_mark mark = book_mark(&log_book, 9);
  snprintf(when, sizeof when, "call %u of a cut", call);
  fill(sealed);
  folder = *files_folder(path);
  faulty_disk_start(&folder);
  faulty_disk_fail(call, EIO, true);
  lk_status status = lk_log_cut_on(&faulty_disk, path, &mark, NULL, NULL);
  bool failed = faulty_disk_calls() >= call;
  faulty_disk_fail(0, 0, false);
  cr_assert_eq(status, failed ? LK_EIO : LK_OK, "%s", when);
  faulty_disk_cut_power(NULL);
  uint64_t found = open_cut(when);
  cr_assert(found == 9 || (failed && (found == ENTRIES || (sealed && found == 15))), "%s: %d", when, (int)found);
  cr_assert_eq(lk_log_cut_on(&faulty_disk, path, &mark, NULL, NULL), LK_OK, "%s", when);
  faulty_disk_cut_power(NULL);
  cr_assert_eq(open_cut(when), 9, "%s", when);
  return failed;
}

Test(log_cut, that_fails_leaves_whole_entries) {
  uint32_t call = 1, sealed = 1;
  while (try_cut(call, false)) call++;
  while (try_cut(sealed, true)) sealed++;
  cr_assert(call > 2 && sealed > call, "%u and %u calls", call, sealed);
}

/* ---- crashes ---- */

/* Applies, folds, opens again, and cuts; the first failure ends it. */
static void run(random_state *random) {
  lk_owner *owner = NULL;
  lk_status status = lk_owner_open_on(&faulty_disk, path, &owner, NULL);
  while (status == LK_OK) {
    uint64_t first = lk_owner_log_mark(owner).seq + 1, last = first + random_below(random, 4);
    if (first > ENTRIES) break;
    if (last > ENTRIES) last = ENTRIES;
    status = book_apply(&log_book, owner, first, last, NULL, NULL);
    if (status != LK_OK) break;
    expect_consistent(lk_owner_gallery(owner), "running");
    if (random_below(random, 2) == 0) {
      lk_owner_log_acknowledged(owner, last);
      lk_fold(owner, random_below(random, 2) == 0 ? LK_FOLD_JOURNAL : LK_FOLD_ALL, NULL);
    }
    if (random_below(random, 4) > 0) continue;
    lk_log_mark back = book_mark(&log_book, last - random_below(random, 3) % last);
    lk_owner_close(owner);
    owner = NULL;
    status = lk_log_cut_on(&faulty_disk, path, &back, NULL, NULL);
    if (status == LK_EINVAL) status = LK_OK;
    if (status == LK_OK) status = lk_owner_open_on(&faulty_disk, path, &owner, NULL);
  }
  if (owner != NULL) lk_owner_close(owner);
}

enum { POWER_CUT, POWER_CUT_BY_CHANCE, PROCESS_ENDS };

static bool try_call(uint32_t call, int way, bool all_after) {
  random_state random = random_fork(seed(), way);
  random_state lost = random_fork(seed(), call);
  char when[96];
  lk_error error;
  snprintf(when, sizeof when, "seed %d, call %u, way %d", (int)seed(), call, way);
  make();
  folder = *files_folder(path);
  faulty_disk_start(&folder);
  faulty_disk_fail(call, EIO, all_after);
  run(&random);
  bool failed = faulty_disk_calls() >= call;
  faulty_disk_fail(0, 0, false);
  if (way != PROCESS_ENDS) faulty_disk_cut_power(way == POWER_CUT ? NULL : &lost);
  lk_owner *owner = own_on(&faulty_disk, when);
  uint64_t found = expect_consistent(lk_owner_gallery(owner), when);
  lk_owner_close(owner);
  faulty_disk_cut_power(NULL);
  owner = own_on(&faulty_disk, when);
  cr_assert_eq(expect_consistent(lk_owner_gallery(owner), when), found, "%s: what was found is not there", when);
  finish_on(owner, when);
  lk_owner_log_acknowledged(owner, ENTRIES);
  cr_assert_eq(lk_fold(owner, LK_FOLD_ALL, &error), LK_OK, "%s: %s", when, error.text);
  expect_consistent(lk_owner_gallery(owner), when);
  lk_owner_close(owner);
  return failed;
}

static void try_all(int way, bool all_after) {
  uint32_t call = 1;
  while (try_call(call, way, all_after)) call++;
  cr_assert_gt(call, 60, "%u calls", call);
}

Test(log_cut, a_call_fails_and_the_process_ends) { try_all(PROCESS_ENDS, false); }
Test(log_cut, a_call_fails_and_the_power_goes_by_chance) { try_all(POWER_CUT_BY_CHANCE, false); }
Test(log_cut, the_power_goes) { try_all(POWER_CUT, true); }
Test(log_cut, the_power_goes_by_chance) { try_all(POWER_CUT_BY_CHANCE, true); }
