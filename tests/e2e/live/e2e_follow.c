/* Searches of a worker follow what other processes make of its gallery, without a restart. */
#include <likeness/owner.h>

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "tests/e2e/e2e.h"

static process worker, p;
static char probe[PATH_MAX]; /* the file of one vector, far from all of the gallery's */
static float vector[FACES_DIM] = {3, -1, 4, -1, 5, -9};

static void setup(void) {
  e2e_setup_with_redis();
  strcpy(probe, files_path("probe.npy"));
  files_write_npy(probe, "<f4", 1, FACES_DIM, vector, sizeof vector);
}

static void teardown(void) {
  process_close(&p);
  process_close(&worker);
  e2e_teardown();
}

TestSuite(follow, .init = setup, .fini = teardown);

/* What the worker promises. */
static void wait_a_second(void) { usleep(1000000); }

static bool finds(const char *key) {
  char field[64];
  EXPECT(&p, 0, "", "submit", probe, "--redis", redis.url, "--gallery", "faces", "-k", "1", "--format", "csv");
  snprintf(field, sizeof field, ",%s,", key);
  return strstr(process_out(&p), field) != NULL;
}

/* The number `field` of the reply to one more job. */
static int64_t ask(const char *field) {
  static int jobs;
  char id[16];
  snprintf(id, sizeof id, "a%d", jobs++);
  send_job(&(test_job){.stream = FACES_LO, .id = id});
  json_t *reply = next_reply("me");
  cr_assert_str_eq(reply_text(reply, "status"), "OK");
  int64_t number = reply_number(reply, field);
  json_decref(reply);
  return number;
}

static lk_owner *own(void) {
  lk_owner *owner;
  lk_error error;
  cr_assert_eq(lk_owner_open(faces, &owner, &error), LK_OK, "%s", error.text);
  return owner;
}

static void enroll(lk_owner *owner, const char *key) {
  lk_vectors one = files_vectors(vector, 1, FACES_DIM);
  lk_label label = {.key = lk_text_of(key), .expires_ms = LK_NEVER};
  lk_enrollment enrollment = {.vectors = &one, .labels = &label};
  cr_assert_eq(lk_owner_enroll(owner, &enrollment, NULL, NULL, NULL), LK_OK);
}

static void drop(lk_owner *owner, const char *key) {
  lk_receipt receipt;
  lk_change change = {.kind = LK_CHANGE_DELETE_KEY, .key = lk_text_of(key)};
  cr_assert_eq(lk_owner_change(owner, &change, 1, NULL, &receipt, NULL), LK_OK);
  cr_assert_eq(receipt.templates, 1);
}

Test(follow, what_is_enrolled_in_bulk_is_found) {
  worker_start(&worker, "--follow", NULL);
  cr_assert(!finds("600"));
  cr_assert_eq(ask("total"), FACES_ROWS);
  int64_t epoch = ask("epoch");
  EXPECT(&p, 0, "1 template", "enroll", faces, probe);
  wait_a_second();
  cr_assert(finds("600"));
  cr_assert_eq(ask("total"), FACES_ROWS + 1);
  cr_assert_gt(ask("epoch"), epoch);
  worker_stop(&worker);
}

Test(follow, what_an_owner_deletes_is_found_no_more) {
  worker_start(&worker, "--follow", NULL);
  lk_owner *owner = own();
  enroll(owner, "new");
  wait_a_second();
  cr_assert(finds("new"));
  drop(owner, "new");
  wait_a_second();
  cr_assert(!finds("new"));
  enroll(owner, "newer");
  drop(owner, "t0");
  cr_assert_eq(lk_owner_compact(owner, NULL, NULL, NULL), LK_OK);
  wait_a_second();
  cr_assert(finds("newer"));
  cr_assert_eq(ask("total"), FACES_ROWS);
  lk_owner_close(owner);
  worker_stop(&worker);
  cr_assert_null(strstr(process_log(&worker), "follower"), "%s", process_log(&worker));
}

/* How often the worker's log has these words. */
static int count_said(const char *words) {
  int count = 0;
  for (const char *at = process_log(&worker); (at = strstr(at, words)) != NULL; at++) count++;
  return count;
}

static bool is_out_of_service(void) {
  send_job(&(test_job){.stream = FACES_LO, .id = "x"});
  json_t *reply = next_reply("me");
  bool out = strcmp(reply_text(reply, "status"), "EINTERNAL") == 0;
  cr_assert_str_eq(reply_text(reply, "text"), out ? "the gallery is out of service: its files cannot be read" : "");
  json_decref(reply);
  return out;
}

/* For ten seconds it goes on with what it has. */
Test(follow, a_gallery_that_cannot_be_followed) {
  char journal[PATH_MAX + 32], kept[PATH_MAX];
  snprintf(journal, sizeof journal, "%s/journal-000002.lkj", faces);
  strcpy(kept, files_path("kept"));
  lk_owner_close(own());
  worker_start(&worker, "--follow", NULL);
  cr_assert_eq(rename(journal, kept), 0);
  uint64_t since_us = lk_clock_us();
  wait_a_second();
  cr_assert(!is_out_of_service());
  while (!is_out_of_service() && lk_clock_us() < since_us + 30000000) usleep(100000);
  cr_assert(is_out_of_service());
  cr_assert_gt(lk_clock_us(), since_us + 9000000);
  cr_assert_eq(rename(kept, journal), 0);
  since_us = lk_clock_us();
  while (is_out_of_service() && lk_clock_us() < since_us + 30000000) usleep(100000);
  cr_assert_lt(lk_clock_us(), since_us + 6000000, "looks are made too seldom");
  worker_stop(&worker);
  cr_assert_eq(count_said("follower: cannot read what has changed of the gallery faces: "), 1);
  cr_assert_eq(count_said("gallery faces is out of service: "), 1);
  cr_assert_eq(count_said("gallery faces is in service again"), 1);
}

#ifdef SLOW_LOAD_LIBRARY
/* It loads what is enrolled for much longer than a gallery may be behind, and than a stop may last. */
Test(follow, a_gallery_whose_changes_take_long_to_load) {
  const char *late = files_gallery("late", LK_COSINE, FACES_DIM);
  const char *const words[] = {"/usr/bin/env",
                               "LD_PRELOAD=" SLOW_LOAD_LIBRARY,
                               LIKENESS_PROGRAM,
                               "serve",
                               late,
                               "--redis",
                               redis.url,
                               "--follow",
                               NULL};
  const test_job job = {.stream = "lk:{late}:q:lo", .gallery = "late"};
  random_state random = {8};
  float *rows = files_random(&random, FACES_ROWS, FACES_DIM);
  files_write_npy(probe, "<f4", FACES_ROWS, FACES_DIM, rows, sizeof *rows * FACES_ROWS * FACES_DIM);
  free(rows);
  process_start(&worker, words);
  cr_assert(process_logs(&worker, "serving late", PROCESS_PATIENCE_MS), "%s", process_log(&worker));
  EXPECT(&p, 0, "", "enroll", late, probe);
  cr_assert(process_logs(&worker, "it loads", PROCESS_PATIENCE_MS), "%s", process_log(&worker));
  usleep(11000000);
  send_job(&job);
  json_t *reply = next_reply_at("lk:{late}:r:me");
  cr_assert_str_eq(reply_text(reply, "text"), "the gallery is out of service: its files cannot be read");
  json_decref(reply);
  process_signal(&worker, SIGTERM);
  cr_assert_eq(process_wait(&worker, 12000), 0, "%s", process_log(&worker));
  cr_assert_not_null(strstr(process_log(&worker), "stopped while what has changed of a gallery was loaded or erased"),
                     "%s", process_log(&worker));
}
#endif
