#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "tests/index/journal/history.h"
#include "tests/support/faulty_disk.h"
#include "tests/support/files.h"

TestSuite(journal, .init = files_setup, .fini = files_teardown);

static history_model model;

static uint64_t seed(void) {
  const char *given = getenv("LIKENESS_SEED");
  return given != NULL ? strtoull(given, NULL, 0) : 31;
}

/* Adds, commits and opens anew, in any order; what was added and not committed is gone. */
Test(journal, as_the_model_has_it) {
  random_state random = {seed()};
  lk_journal_report report;
  const lk_folder *folder = files_folder(files_root);
  lk_journal *journal = history_open(&model, folder, &report);
  uint32_t committed = 0;
  for (int step = 0; step < 3000; step++) {
    uint32_t drawn = random_below(&random, 20);
    if (drawn < 12) {
      cr_assert_eq(history_add(&model, &random, journal, 1 + random_below(&random, HISTORY_BATCH_MAX), NULL, NULL),
                   LK_OK, "seed %llu", (unsigned long long)seed());
    } else if (drawn < 19) {
      cr_assert_eq(lk_journal_commit(journal, history_header().sequence + model.count, NULL), LK_OK);
      committed = model.count;
    } else {
      lk_journal_close(journal);
      history_cut(&model, committed);
      journal = history_open(&model, folder, &report);
      cr_assert(report.records == committed && report.tail_bytes == 0, "seed %llu", (unsigned long long)seed());
    }
  }
  lk_journal_close(journal);
  history_free(&model);
}

Test(journal, refuses_what_it_cannot_take) {
  lk_journal_report report;
  lk_error error = {0};
  lk_journal *journal = history_open(&model, files_folder(files_root), &report);
  lk_record records[] = {{.kind = LK_RECORD_DELETE_KEY, .key = lk_text_of("k")}, {.kind = LK_RECORD_DELETE_KEY}};
  const lk_record sealing[] = {{.kind = LK_RECORD_SEAL, .number = 2}, records[0]};
  cr_assert_eq(lk_journal_add(journal, records, 0, NULL, NULL, &error), LK_EINVAL);
  cr_assert_eq(lk_journal_add(journal, records, 2, NULL, NULL, &error), LK_EINVAL);
  cr_assert_str_eq(error.text, "record 1 of the batch: its key is empty");
  cr_assert_eq(lk_journal_add(journal, sealing, 2, NULL, NULL, &error), LK_EINVAL);
  cr_assert_eq(lk_journal_commit(journal, history_header().sequence + 1, &error), LK_EINVAL);
  cr_assert_eq(lk_journal_commit(journal, history_header().sequence, &error), LK_OK);
  lk_journal_close(journal);
  lk_journal_close(history_open(&model, files_folder(files_root), &report));
  cr_assert_eq(report.whole_bytes, sizeof(lk_journal_header));
}

Test(journal, a_batch_too_large) {
  lk_journal_report report;
  lk_error error = {0};
  enum { COUNT = 400000 };
  lk_journal *journal = history_open(&model, files_folder(files_root), &report);
  char key[LK_TEXT_MAX];
  memset(key, 'k', sizeof key);
  lk_record *records = calloc(COUNT, sizeof *records);
  for (int i = 0; i < COUNT; i++)
    records[i] = (lk_record){.kind = LK_RECORD_DELETE_KEY, .key = {.bytes = key, .length = sizeof key}};
  cr_assert_eq(lk_journal_add(journal, records, COUNT, NULL, NULL, &error), LK_EINVAL);
  cr_assert_not_null(strstr(error.text, "a batch of more than 67108864 bytes"), "%s", error.text);
  free(records);
  lk_journal_close(journal);
}

Test(journal, nothing_follows_a_seal) {
  lk_journal_report report;
  lk_error error = {0};
  random_state random = {seed()};
  const lk_folder *folder = files_folder(files_root);
  lk_journal_header header = history_header();
  lk_journal *journal = history_open(&model, folder, &report);
  const lk_record seal = {.kind = LK_RECORD_SEAL, .number = 2};
  uint64_t sequence, epoch;
  cr_assert_eq(lk_journal_add(journal, &seal, 1, &sequence, &epoch, NULL), LK_OK);
  cr_assert(sequence == header.sequence + 1 && epoch == header.epoch + 1);
  cr_assert_eq(history_add(&model, &random, journal, 1, NULL, &error), LK_EINVAL);
  cr_assert_not_null(strstr(error.text, "journal-000001.lkj: the journal is sealed"), "%s", error.text);
  cr_assert_eq(lk_journal_commit(journal, sequence, NULL), LK_OK);
  lk_journal_close(journal);
  cr_assert_eq(lk_journal_open(folder, &header, NULL, NULL, &report, &journal, NULL), LK_OK);
  cr_assert(report.sealed && report.records == 1);
  cr_assert_eq(history_add(&model, &random, journal, 1, NULL, &error), LK_EINVAL);
  lk_journal_close(journal);
  FILE *file = fopen(files_path("journal-000001.lkj"), "ab");
  cr_assert(fputc(0, file) == 0 && fclose(file) == 0);
  cr_assert_eq(lk_journal_read(folder, &header, NULL, NULL, &report, &error), LK_ECORRUPT);
  cr_assert_not_null(strstr(error.text, "is behind the seal"), "%s", error.text);
}

/* Who only reads sees a tail, and leaves it. */
Test(journal, a_reader_cuts_nothing) {
  lk_journal_report report;
  const lk_folder *folder = files_folder(files_root);
  lk_journal_header header = history_header();
  lk_journal_close(history_open(&model, folder, &report));
  FILE *file = fopen(files_path("journal-000001.lkj"), "ab");
  cr_assert(fputs("torn", file) >= 0 && fclose(file) == 0);
  uint64_t before = files_digest(files_root);
  cr_assert_eq(lk_journal_read(folder, &header, NULL, NULL, &report, NULL), LK_OK);
  cr_assert(report.tail_bytes == 4 && files_digest(files_root) == before);
  lk_journal_close(history_open(&model, folder, &report));
  cr_assert_eq(report.tail_bytes, 4);
  cr_assert_eq(lk_journal_read(folder, &header, NULL, NULL, &report, NULL), LK_OK);
  cr_assert_eq(report.tail_bytes, 0);
}

Test(journal, a_link_in_its_place_is_not_followed) {
  lk_journal_report report;
  lk_journal *journal;
  lk_journal_header header = history_header();
  const lk_folder *folder = files_folder(files_root);
  lk_journal_close(history_open(&model, folder, &report));
  cr_assert_eq(rename(files_path("journal-000001.lkj"), files_path("aside")), 0);
  cr_assert_eq(symlink("aside", files_path("journal-000001.lkj")), 0);
  cr_assert_eq(lk_journal_open(folder, &header, NULL, NULL, &report, &journal, NULL), LK_EIO);
  cr_assert_eq(lk_journal_read(folder, &header, NULL, NULL, &report, NULL), LK_EFORMAT);
  cr_assert(unlink(files_path("journal-000001.lkj")) == 0 && mkfifo(files_path("journal-000001.lkj"), 0600) == 0);
  cr_assert_eq(lk_journal_open(folder, &header, NULL, NULL, &report, &journal, NULL), LK_EFORMAT);
}

static lk_status visit_and_cut(void *context, uint64_t epoch, uint64_t sequence, const lk_record *record,
                               lk_error *error) {
  (void)context, (void)epoch, (void)sequence, (void)record, (void)error;
  return truncate(files_path("journal-000001.lkj"), 4096) == 0 ? LK_OK : LK_EINTERNAL;
}

/* The pages that are gone must not be taken for a torn tail. */
Test(journal, a_file_that_is_cut_while_it_is_read) {
  lk_journal_report report;
  lk_error error = {0};
  random_state random = {seed()};
  lk_journal_header header = history_header();
  const lk_folder *folder = files_folder(files_root);
  lk_journal *journal = history_open(&model, folder, &report);
  while (model.count < 200) cr_assert_eq(history_add(&model, &random, journal, 5, NULL, NULL), LK_OK);
  cr_assert_eq(lk_journal_commit(journal, header.sequence + model.count, NULL), LK_OK);
  lk_journal_close(journal);
  size_t size;
  char *whole = files_read(files_path("journal-000001.lkj"), &size);
  cr_assert_eq(lk_journal_read(folder, &header, visit_and_cut, NULL, &report, &error), LK_EIO);
  cr_assert_not_null(strstr(error.text, "was cut off"), "%s", error.text);
  files_write(files_path("journal-000001.lkj"), whole, size);
  free(whole);
  cr_assert_eq(lk_journal_open(folder, &header, visit_and_cut, NULL, &report, &journal, &error), LK_EIO);
  cr_assert_not_null(strstr(error.text, "was cut off"), "%s", error.text);
}

enum { THREADS = 8, ROUNDS = 200 };

/* The number of its thread and round is a template's number. */
static lk_record numbered(uint32_t thread, uint32_t round) {
  static const float vector[HISTORY_DIM] = {1, 2, 3};
  return (lk_record){.kind = LK_RECORD_ENROLL,
                     .number = (uint64_t)thread * ROUNDS + round,
                     .expires_ms = LK_NEVER,
                     .key = lk_text_of("key"),
                     .subject = lk_text_of("subject"),
                     .element = LK_F32,
                     .vector = vector};
}

typedef struct appender {
  pthread_t thread;
  lk_journal *journal;
  uint32_t number, committed;
} appender;

static void *append(void *context) {
  appender *a = context;
  for (uint32_t round = 0; round < ROUNDS; round++) {
    lk_record record = numbered(a->number, round);
    uint64_t sequence;
    if (lk_journal_add(a->journal, &record, 1, &sequence, NULL, NULL) != LK_OK) break;
    if (lk_journal_commit(a->journal, sequence, NULL) != LK_OK) break;
    a->committed++;
  }
  return NULL;
}

/* Returns how many were committed. */
static uint32_t run_threads(lk_journal *journal, appender appenders[THREADS]) {
  uint32_t committed = 0;
  for (uint32_t t = 0; t < THREADS; t++) {
    appenders[t] = (appender){.journal = journal, .number = t};
    cr_assert_eq(pthread_create(&appenders[t].thread, NULL, append, &appenders[t]), 0);
  }
  for (uint32_t t = 0; t < THREADS; t++) {
    pthread_join(appenders[t].thread, NULL);
    committed += appenders[t].committed;
  }
  return committed;
}

/* Each thread's changes are there in its own order; `next` has the number that comes next of each. */
static lk_status visit_numbered(void *context, uint64_t epoch, uint64_t sequence, const lk_record *record,
                                lk_error *error) {
  (void)epoch, (void)sequence, (void)error;
  uint32_t *next = context, thread = (uint32_t)(record->number / ROUNDS);
  cr_assert_eq(record->number % ROUNDS, next[thread]++);
  return LK_OK;
}

/* As a disk is: while it syncs, others come. */
static int slow_sync(int fd) {
  usleep(200);
  return faulty_disk.sync(fd);
}

Test(journal, threads_share_an_fsync) {
  lk_disk slow = faulty_disk;
  lk_journal_report report;
  lk_journal_header header = history_header();
  lk_folder folder = *files_folder(files_root);
  appender appenders[THREADS];
  uint32_t next[THREADS] = {0};
  slow.sync = slow_sync;
  folder.disk = &slow;
  faulty_disk_start(&folder);
  lk_journal *journal = history_open(&model, &folder, &report);
  uint32_t before = faulty_disk_syncs();
  cr_assert_eq(run_threads(journal, appenders), THREADS * ROUNDS);
  uint32_t syncs = faulty_disk_syncs() - before;
  lk_journal_close(journal);
  cr_assert(syncs >= ROUNDS && syncs < THREADS * ROUNDS / 2, "%u groups", syncs);
  faulty_disk_cut_power(NULL);
  cr_assert_eq(lk_journal_open(&folder, &header, visit_numbered, next, &report, &journal, NULL), LK_OK);
  lk_journal_close(journal);
  for (int t = 0; t < THREADS; t++) cr_assert_eq(next[t], ROUNDS);
}

/* When the disk fails, all threads end, and what each was promised is there after a power cut. */
Test(journal, threads_when_the_disk_fails) {
  for (uint32_t fail = 3; fail < 60; fail++) {
    lk_journal_report report;
    lk_journal_header header = history_header();
    lk_folder folder = *files_folder(files_root);
    appender appenders[THREADS];
    uint32_t next[THREADS] = {0};
    unlink(files_path("journal-000001.lkj"));
    folder.disk = &faulty_disk;
    faulty_disk_start(&folder);
    lk_journal *journal = history_open(&model, &folder, &report);
    faulty_disk_fail(faulty_disk_calls() + fail, EIO, false);
    cr_assert_lt(run_threads(journal, appenders), THREADS * ROUNDS);
    lk_journal_close(journal);
    faulty_disk_cut_power(NULL);
    cr_assert_eq(lk_journal_open(&folder, &header, visit_numbered, next, &report, &journal, NULL), LK_OK);
    lk_journal_close(journal);
    for (int t = 0; t < THREADS; t++) cr_assert_geq(next[t], appenders[t].committed, "call %u", fail);
    faulty_disk_stop();
  }
}

/* Writes a little at a time, and slowly, so that a kill finds a record half written. */
static ssize_t write_little(int fd, const void *data, size_t size) {
  usleep(20);
  return write(fd, data, size < 40 ? size : 40);
}

/* A child appends until it is killed; `told` is memory that outlives it: the last record that was committed. */
static void append_until_killed(volatile uint64_t *told, uint64_t number) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  static const float vector[HISTORY_DIM] = {3, 2, 1};
  lk_disk little = lk_disk_system;
  lk_folder folder = *files_folder(files_root);
  lk_journal_header header = history_header();
  lk_journal_report report;
  lk_journal *journal;
  little.write = write_little;
  folder.disk = &little;
  if (lk_journal_open(&folder, &header, NULL, NULL, &report, &journal, NULL) != LK_OK) _exit(1);
  for (told[1] = 1;;) {
    lk_record records[3];
    uint64_t sequence;
    for (uint32_t i = 0; i < 3; i++)
      records[i] = (lk_record){.kind = LK_RECORD_ENROLL,
                               .number = number++,
                               .expires_ms = LK_NEVER,
                               .key = lk_text_of("key"),
                               .subject = lk_text_of("subject"),
                               .vector = vector};
    if (lk_journal_add(journal, records, 3, &sequence, NULL, NULL) != LK_OK) _exit(1);
    if (lk_journal_commit(journal, sequence, NULL) != LK_OK) _exit(1);
    told[0] = sequence;
  }
}

static lk_status visit_ascending(void *context, uint64_t epoch, uint64_t sequence, const lk_record *record,
                                 lk_error *error) {
  (void)epoch, (void)sequence, (void)error;
  cr_assert_eq(record->number, (*(uint64_t *)context)++);
  return LK_OK;
}

enum { KILLS = 200 };

Test(journal, killed_at_any_moment) {
  volatile uint64_t *told = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  random_state random = {seed()};
  lk_journal_report report;
  lk_journal_header header = history_header();
  const lk_folder *folder = files_folder(files_root);
  lk_journal_close(history_open(&model, folder, &report));
  uint64_t there = 0;
  uint32_t torn = 0;
  for (uint32_t kill_ = 0; kill_ < KILLS; kill_++) {
    told[0] = header.sequence + there;
    told[1] = 0;
    pid_t child = fork();
    if (child == 0) append_until_killed(told, there);
    for (int i = 0; told[1] == 0 && i < 10000 && !random_one_in(&random, 50); i++) usleep(100);
    usleep(random_below(&random, 3000));
    kill(child, SIGKILL);
    int status;
    waitpid(child, &status, 0);
    cr_assert(WIFSIGNALED(status), "it could not write: exit %d", WEXITSTATUS(status));
    lk_journal *journal;
    there = 0;
    folder = files_folder(files_root);
    cr_assert_eq(lk_journal_open(folder, &header, visit_ascending, &there, &report, &journal, NULL), LK_OK);
    lk_journal_close(journal);
    torn += report.tail_bytes > 0;
    cr_assert_geq(header.sequence + there, told[0], "seed %llu", (unsigned long long)seed());
    cr_assert_eq(there % 3, 0, "half a batch");
  }
  cr_assert(there > KILLS / 10 && torn > KILLS / 20, "%llu records, %u tails", (unsigned long long)there, torn);
}

/* What is written to a file that nobody will find is not there. */
static void expect_lost(const char *instead) {
  random_state random = {seed()};
  lk_journal_report report;
  uint64_t sequence;
  lk_error error;
  const char *path = files_path("journal-000001.lkj");
  lk_journal *journal = history_open(&model, files_folder(files_root), &report);
  cr_assert_eq(history_add(&model, &random, journal, 2, &sequence, NULL), LK_OK);
  cr_assert_eq(lk_journal_commit(journal, sequence, NULL), LK_OK);
  cr_assert_eq(unlink(path), 0);
  if (instead != NULL) files_write(path, instead, strlen(instead));
  cr_assert_eq(history_add(&model, &random, journal, 2, &sequence, NULL), LK_OK);
  cr_assert_eq(lk_journal_commit(journal, sequence, &error), LK_EIO);
  cr_assert_not_null(strstr(error.text, "journal-000001.lkj: cannot find under its name"), "%s", error.text);
  lk_journal_close(journal);
}

Test(journal, a_file_that_was_deleted) { expect_lost(NULL); }
Test(journal, a_file_that_was_replaced) { expect_lost("another"); }
