/* What a journal keeps when the disk fails or the power does, at every call that writes. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/index/journal/history.h"
#include "tests/support/faulty_disk.h"
#include "tests/support/files.h"

TestSuite(journal_faults, .init = files_setup, .fini = files_teardown);

static history_model model;
static lk_folder folder;

/* The first failure is the last call: from then on all is refused, and the disk is not asked again. */
static void check_closed(lk_journal *journal, random_state *random) {
  lk_error error = {0};
  uint32_t calls = faulty_disk_calls();
  uint64_t last = history_header().sequence + model.count;
  cr_assert_eq(lk_journal_commit(journal, last, &error), LK_EIO);
  cr_assert_eq(history_add(&model, random, journal, 1, NULL, &error), LK_EIO);
  cr_assert_not_null(strstr(error.text, "takes no changes until it is opened again"), "%s", error.text);
  cr_assert_eq(lk_journal_commit(journal, last, &error), LK_EIO);
  cr_assert_eq(faulty_disk_calls(), calls);
}

static lk_status write_groups(lk_journal *journal, random_state *random, uint32_t *acknowledged) {
  for (int group = 0; group < 3; group++) {
    uint64_t sequence = 0;
    for (uint32_t batches = 1 + random_below(random, 3); batches > 0; batches--)
      cr_assert_eq(history_add(&model, random, journal, 1 + random_below(random, HISTORY_BATCH_MAX), &sequence, NULL),
                   LK_OK);
    if (lk_journal_commit(journal, sequence, NULL) != LK_OK) {
      check_closed(journal, random);
      return LK_EIO;
    }
    *acknowledged = model.count;
  }
  return LK_OK;
}

/* Makes a journal and opens it three times to write three groups, until a call fails. */
static lk_status run(random_state *random, uint32_t *acknowledged) {
  lk_journal_header header = history_header();
  lk_status status = lk_journal_create(&folder, &header, NULL);
  for (int time = 0; status == LK_OK && time < 3; time++) {
    lk_journal_report report;
    lk_journal *journal;
    model.visited = 0;
    status = lk_journal_open(&folder, &header, history_visit, &model, &report, &journal, NULL);
    if (status != LK_OK) break;
    cr_assert_eq(model.visited, model.count);
    status = write_groups(journal, random, acknowledged);
    lk_journal_close(journal);
  }
  return status;
}

/* What is there: all that was acknowledged, and of the rest whole batches. */
static void reopen(random_state *random, uint32_t *acknowledged, const char *when, uint32_t call) {
  lk_journal_report report;
  lk_journal *journal = history_open(&model, &folder, &report);
  cr_assert_geq(model.visited, *acknowledged, "%s, call %u: acknowledged changes are lost", when, call);
  cr_assert(history_is_batch_end(&model, model.visited), "%s, call %u: half a batch", when, call);
  history_cut(&model, model.visited);
  cr_assert_eq(write_groups(journal, random, acknowledged), LK_OK, "%s, call %u", when, call);
  lk_journal_close(journal);
}

enum { POWER_CUT, POWER_CUT_BY_CHANCE, PROCESS_ENDS, WAYS };

/* Call `call` fails; false: there were not so many calls. */
static bool try_call(uint64_t seed, uint32_t call, int way) {
  static const char *const names[] = {"power cut", "power cut by chance", "the process ends"};
  random_state random = random_fork(seed, call);
  uint32_t acknowledged = 0;
  history_free(&model);
  unlink(files_path("journal-000001.lkj"));
  faulty_disk_start(&folder);
  faulty_disk_fail(call, call % 2 == 0 ? EIO : ENOSPC, seed % 2 == 0);
  bool failed = run(&random, &acknowledged) != LK_OK;
  cr_assert_eq(failed, faulty_disk_calls() >= call, "call %u", call);
  if (way == PROCESS_ENDS)
    faulty_disk_fail(0, 0, false);
  else
    faulty_disk_cut_power(way == POWER_CUT ? NULL : &random);
  reopen(&random, &acknowledged, names[way], call);
  faulty_disk_cut_power(NULL);
  reopen(&random, &acknowledged, names[way], call);
  return failed;
}

Test(journal_faults, at_every_call) {
  folder = *files_folder(files_root);
  folder.disk = &faulty_disk;
  for (uint64_t seed = 1; seed <= 8; seed++)
    for (int way = 0; way < WAYS; way++) {
      uint32_t call = 1;
      while (try_call(seed, call, way)) call++;
      cr_assert_gt(call, 25, "seed %llu: %u calls", (unsigned long long)seed, call);
    }
}

/* The power goes while a group is written: some of its sectors are there, and some are not. */
Test(journal_faults, power_cut_within_a_group) {
  folder = *files_folder(files_root);
  folder.disk = &faulty_disk;
  for (uint64_t seed = 1; seed <= 100; seed++) {
    random_state random = {seed};
    uint32_t acknowledged = 0;
    history_free(&model);
    unlink(files_path("journal-000001.lkj"));
    faulty_disk_start(&folder);
    for (int cut = 0; cut < 6; cut++) {
      lk_journal_report report;
      lk_journal *journal = history_open(&model, &folder, &report);
      cr_assert_geq(model.visited, acknowledged, "seed %llu, cut %d", (unsigned long long)seed, cut);
      cr_assert(history_is_batch_end(&model, model.visited), "seed %llu, cut %d", (unsigned long long)seed, cut);
      history_cut(&model, model.visited);
      write_groups(journal, &random, &acknowledged);
      uint64_t sequence;
      cr_assert_eq(history_add(&model, &random, journal, HISTORY_BATCH_MAX, &sequence, NULL), LK_OK);
      faulty_disk_fail(faulty_disk_calls() + 2 + random_below(&random, 2), EIO, true);
      lk_journal_commit(journal, sequence, NULL);
      lk_journal_close(journal);
      faulty_disk_cut_power(&random);
    }
  }
}
