/* Several clients, and workers beside each other, on one Redis. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/worker/serve.h"
#include "index/storage/segment_layout.h"
#include "tests/e2e/e2e.h"

static process worker;

static void teardown(void) {
  process_close(&worker);
  e2e_teardown();
}

TestSuite(workers, .init = e2e_setup_with_redis, .fini = teardown);

Test(workers, many_clients_at_once) {
  enum { CLIENTS = 8 };
  process clients[CLIENTS] = {0}, alone = {0};
  char names[CLIENTS][16];
  worker_start(&worker, NULL);
  for (uint32_t c = 0; c < CLIENTS; c++) {
    snprintf(names[c], sizeof names[c], "probes%u.npy", c);
    files_write_npy(files_path(names[c]), "<f4", FACES_PROBES - 10 * c, FACES_DIM, faces_probes + 10 * c * FACES_DIM,
                    sizeof(float) * FACES_DIM * (FACES_PROBES - 10 * c));
  }
  for (uint32_t c = 0; c < CLIENTS; c++)
    likeness_start(&clients[c], "submit", files_path(names[c]), "--redis", redis.url, "--gallery", "faces", "--format",
                   "csv", "--job-probes", c % 2 == 0 ? "1" : "9", "--priority", c % 3 == 0 ? "hi" : "lo", "--threshold",
                   c % 4 == 0 ? "0.5" : "-1", NULL);
  for (uint32_t c = 0; c < CLIENTS; c++) {
    cr_assert_eq(process_wait(&clients[c], PROCESS_PATIENCE_MS), 0, "%s", process_log(&clients[c]));
    likeness(&alone, "identify", faces, files_path(names[c]), "--format", "csv", "--threshold",
             c % 4 == 0 ? "0.5" : "-1", NULL);
    cr_assert_str_eq(process_out(&clients[c]), process_out(&alone));
    process_close(&clients[c]);
  }
  process_close(&alone);
  lk_redis_reply *left = redis_ask(&redis, "KEYS", FACES_REPLIES "*", NULL);
  cr_assert_eq(lk_redis_reply_elements(left), 0);
  lk_redis_reply_free(left);
}

static uint32_t jobs_of(process *p) {
  unsigned jobs = 0;
  const char *line = strstr(process_log(p), "stopped after ");
  cr_assert(line != NULL && sscanf(line, "stopped after %u jobs", &jobs) == 1);
  return jobs;
}

Test(workers, two_workers_on_one_stream) {
  enum { JOBS = 1500 };
  process other = {0};
  worker_start(&worker, "--batch", "8", NULL);
  worker_start(&other, "--batch", "8", NULL);
  send_jobs(FACES_LO, "x", "me", JOBS);
  cr_assert(redis_reaches(&redis, JOBS, "LLEN", FACES_REPLIES "me", NULL));
  worker_stop(&worker);
  worker_stop(&other);
  expect_each_once("me", "x", JOBS);
  cr_assert_eq(jobs_of(&worker) + jobs_of(&other), JOBS);
  cr_assert_eq(pending(), 0);
  process_close(&other);
}

static lk_worker_options side_by_side;

static void *run_side_by_side(void *error) {
  lk_serve_left left;
  return lk_serve(&side_by_side, &left, error) == LK_OK ? NULL : error;
}

/* As on a GPU, which searches two batches at a time: the worker in this process, on a device that makes them wait for
 * each other. */
Test(workers, two_batches_at_a_time) {
  enum { JOBS = 1500 };
  static atomic_bool stop, reload;
  static lk_owner *none;
  lk_error error = {""};
  lk_device *device;
  lk_gallery *gallery;
  pthread_t thread;
  void *failed;
  side_by_side = (lk_worker_options){.galleries = &gallery,
                                     .owners = &none,
                                     .galleries_count = 1,
                                     .searches = 2,
                                     .batch_probes = 8,
                                     .max_delay_us = 1000,
                                     .reload = &reload,
                                     .stop = &stop,
                                     .log = stderr};
  cr_assert_eq(lk_address_parse(redis.url, &side_by_side.address, &error), LK_OK);
  cr_assert_eq(lk_device_open("cpu", 1, &device, &error), LK_OK);
  cr_assert_eq(lk_gallery_open(faces, &gallery, &error), LK_OK);
  cr_assert_eq(lk_gallery_load(gallery, device, &error), LK_OK);
  cr_assert_eq(pthread_create(&thread, NULL, run_side_by_side, &error), 0);
  send_jobs(FACES_LO, "x", "me", JOBS);
  cr_assert(redis_reaches(&redis, JOBS, "LLEN", FACES_REPLIES "me", NULL));
  atomic_store(&stop, true);
  pthread_join(thread, &failed);
  cr_assert_null(failed, "%s", error.text);
  expect_each_once("me", "x", JOBS);
  cr_assert_eq(pending(), 0);
  lk_gallery_close(gallery);
  lk_device_close(device);
}

/* Adds to one element of a gallery's exact rows, by so little that no search can tell. */
static void damage(const char *folder) {
  char path[PATH_MAX + 32];
  lk_segment_header header;
  float element;
  snprintf(path, sizeof path, "%s/segment-000001.lks", folder);
  int file = open(path, O_RDWR | O_CLOEXEC);
  cr_assert_eq(pread(file, &header, sizeof header, 0), (ssize_t)sizeof header);
  off_t at = (off_t)header.sections[LK_SECTION_EXACT].offset;
  cr_assert_eq(pread(file, &element, sizeof element, at), (ssize_t)sizeof element);
  element += 0x1p-20F;
  cr_assert_eq(pwrite(file, &element, sizeof element, at), (ssize_t)sizeof element);
  close(file);
}

/* The reply to one more job for the gallery, which is sent and answered through keys of that gallery. */
static json_t *ask_gallery(const char *gallery, const char *priority, const char *id) {
  char stream[64], replies[64];
  snprintf(stream, sizeof stream, "lk:{%s}:q:%s", gallery, priority);
  snprintf(replies, sizeof replies, "lk:{%s}:r:me", gallery);
  send_job(&(test_job){.stream = stream, .id = id, .gallery = gallery});
  return next_reply_at(replies);
}

/* The status of one more job for the gallery. */
static bool is_refused(const char *gallery, int turn) {
  char id[16];
  snprintf(id, sizeof id, "%s%d", gallery, turn);
  json_t *reply = ask_gallery(gallery, "lo", id);
  bool refused = strcmp(reply_text(reply, "status"), "EINTERNAL") == 0;
  cr_assert_str_eq(reply_text(reply, "id"), id);
  cr_assert(refused ? strstr(reply_text(reply, "text"), "out of service") != NULL &&
                          strchr(reply_text(reply, "text"), '/') == NULL
                    : strcmp(reply_text(reply, "status"), "OK") == 0);
  json_decref(reply);
  return refused;
}

/* Two galleries, two streams each: every reply comes to its gallery's list, also where both are refused together, and
 * each gallery has the head of the log. */
Test(workers, galleries_have_keys_of_their_own) {
  const char *other = files_gallery("o-t.h_er", LK_COSINE, FACES_DIM), *audit = files_path("audit");
  static const char *const names[] = {"faces", "o-t.h_er"}, *const priorities[] = {"hi", "lo"};
  files_enroll(other, faces_probes, FACES_PROBES, FACES_DIM, NULL);
  worker_start(&worker, other, "--audit", audit, NULL);
  for (int i = 0; i < 4; i++) {
    json_t *reply = ask_gallery(names[i / 2], priorities[i % 2], "a");
    cr_assert_str_eq(reply_text(reply, "status"), "OK");
    cr_assert_str_eq(reply_text(reply, "gallery"), names[i / 2]);
    cr_assert_eq(reply_number(reply, "total"), i < 2 ? FACES_ROWS : FACES_PROBES);
    json_decref(reply);
  }
  workers_await("lk:{o-t.h_er}:workers");
  process_signal(&worker, SIGSTOP);
  for (int i = 0; i < 20; i++) {
    char id[16];
    snprintf(id, sizeof id, "%d", i);
    send_job(
        &(test_job){.stream = i % 2 == 0 ? FACES_LO : "lk:{o-t.h_er}:q:lo", .id = id, .gallery = "o-t.h_er", .k = "0"});
  }
  process_signal(&worker, SIGCONT);
  for (int i = 0; i < 20; i++) {
    json_t *reply = next_reply_at(i % 2 == 0 ? FACES_REPLIES "me" : "lk:{o-t.h_er}:r:me");
    cr_assert_eq(atoi(reply_text(reply, "id")), i);
    cr_assert_str_eq(reply_text(reply, "status"), "EBADJOB");
    json_decref(reply);
  }
  worker_stop(&worker);
  cr_assert_eq(redis_number(&redis, "XLEN", FACES_HEADS, NULL),
               redis_number(&redis, "XLEN", "lk:{o-t.h_er}:heads", NULL));
  cr_assert_eq(redis_number(&redis, "EXISTS", FACES_WORKERS, "lk:{o-t.h_er}:workers", NULL), 0);
}

/* After a broken connection each stream is read again from where it was. */
Test(workers, galleries_recover_together) {
  enum { JOBS = 1000 };
  const char *other = files_gallery("other", LK_COSINE, FACES_DIM);
  files_enroll(other, faces_probes, FACES_PROBES, FACES_DIM, NULL);
  send_jobs(FACES_LO, "x", "me", JOBS);
  send_jobs(FACES_HI, "y", "you", JOBS);
  worker_start(&worker, other, "--batch", "16", NULL);
  for (int i = 0; i < 6; i++) {
    redis_reaches(&redis, 150 * i, "LLEN", FACES_REPLIES "me", NULL);
    redis_do(&redis, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes", NULL);
    json_decref(ask_gallery("other", "lo", "o"));
  }
  cr_assert(redis_reaches(&redis, JOBS, "LLEN", FACES_REPLIES "me", NULL));
  cr_assert(redis_reaches(&redis, JOBS, "LLEN", FACES_REPLIES "you", NULL));
  worker_stop(&worker);
  expect_each_once("me", "x", JOBS);
  expect_each_once("you", "y", JOBS);
  cr_assert_eq(pending(), 0);
}

Test(workers, two_galleries_of_one_name_are_refused) {
  char folder[PATH_MAX], again[PATH_MAX + 8];
  strcpy(folder, files_path("sub"));
  snprintf(again, sizeof again, "%s/faces", folder);
  cr_assert_eq(mkdir(folder, 0700), 0);
  files_enroll(files_gallery("sub/faces", LK_COSINE, FACES_DIM), faces_probes, 1, FACES_DIM, NULL);
  cr_assert_eq(likeness(&worker, "serve", faces, again, "--redis", redis.url, NULL), 2);
  cr_assert_not_null(strstr(process_log(&worker), "sub/faces have one name: faces"), "%s", process_log(&worker));
}

/* The check finds it by the section's checksum or by the row's length, whichever it comes to first. */
Test(workers, a_gallery_that_is_damaged_meanwhile_is_taken_out_of_service) {
  const char *other = files_gallery("other", LK_COSINE, FACES_DIM);
  files_enroll(other, faces_probes, FACES_PROBES, FACES_DIM, NULL);
  worker_start(&worker, other, NULL);
  cr_assert(!is_refused("faces", 0) && !is_refused("other", 0));
  damage(faces);
  int turn = 1;
  while (!is_refused("faces", turn) && turn < 500) turn++, usleep(20000);
  cr_assert_lt(turn, 500);
  cr_assert(!is_refused("other", turn));
  for (int i = 0; i < 20; i++, usleep(30000)) cr_assert(is_refused("faces", ++turn), "it stays so");
  worker_stop(&worker);
  cr_assert_not_null(strstr(process_log(&worker), "gallery faces is out of service"), "%s", process_log(&worker));
  cr_assert_not_null(strstr(process_log(&worker), "faces/segment-000001.lks: "), "%s", process_log(&worker));
}

#ifdef SLOW_LOAD_LIBRARY
/* It holds nothing yet. */
Test(workers, sigterm_while_the_galleries_load) {
  const char *const words[] = {
      "/usr/bin/env", "LD_PRELOAD=" SLOW_LOAD_LIBRARY, LIKENESS_PROGRAM, "serve", faces, "--redis", redis.url, NULL};
  process_start(&worker, words);
  cr_assert(process_logs(&worker, "it loads", PROCESS_PATIENCE_MS), "%s", process_log(&worker));
  process_signal(&worker, SIGTERM);
  cr_assert_eq(process_wait(&worker, 2000), 0, "%s", process_log(&worker));
  cr_assert_not_null(strstr(process_log(&worker), "stopped while the galleries were loaded"), "%s",
                     process_log(&worker));
}
#endif
