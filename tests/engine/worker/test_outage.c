/* What takes a gallery out of service, and what brings it back. */
#include <likeness/owner.h>

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "engine/worker/worker.h"
#include "index/gallery/gallery.h"
#include "kernels/cpu/cpu.h"
#include "kernels/search/device.h"
#include "tests/support/files.h"

enum { DIM = 8 };

static const char redis_key[] = "lk:{faces}:q:lo";
static lk_gallery *gallery;
static lk_device *device;
static char said[4096];
static lk_owner *none;
static lk_worker_options options = {.galleries = &gallery, .owners = &none, .galleries_count = 1};
static lk_worker worker;
static lk_outage outage;
static uint64_t followed_us;
static lk_keys keys;
static lk_error error;

/* A backend of the CPU that can be full. */
static lk_backend_ops ops, usual;
static bool is_full;
static atomic_uint loads;

static lk_status load(lk_backend *backend, lk_shape shape, const lk_block *block, lk_resident_block **resident,
                      lk_error *why) {
  loads++;
  if (is_full) return lk_fail(why, LK_ENOMEM, "the device is full");
  return usual.load(backend, shape, block, resident, why);
}

static void open_device(void) {
  lk_backend *backend;
  cr_assert_eq(lk_cpu_open("cpu:portable", 1, &backend, NULL), LK_OK);
  ops = usual = *backend->ops;
  ops.load = load;
  ops.twin = NULL;
  backend->ops = &ops;
  cr_assert_eq(lk_device_make(&backend, 1, &device, NULL), LK_OK);
}

static void setup(void) {
  files_setup();
  const char *folder = files_gallery("faces", LK_IP, DIM);
  files_enroll(folder, (float[DIM]){1}, 1, DIM, NULL);
  gallery = files_open(folder);
  open_device();
  cr_assert_eq(lk_gallery_load(gallery, device, NULL), LK_OK);
  options.log = fmemopen(said, sizeof said, "w");
  setbuf(options.log, NULL);
  followed_us = lk_clock_us();
  worker = (lk_worker){.options = &options, .outages = &outage, .followed_us = &followed_us, .keys = &keys};
  pthread_mutex_init(&worker.lock, NULL);
  pthread_cond_init(&worker.work, NULL);
  pthread_cond_init(&worker.room, NULL);
  pthread_cond_init(&worker.changed, NULL);
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&worker.ended, &attributes);
  pthread_condattr_destroy(&attributes);
}

static void teardown(void) {
  lk_gallery_close(gallery);
  lk_device_close(device);
  fclose(options.log);
  files_teardown();
}

TestSuite(outage, .init = setup, .fini = teardown);

static int count_said(const char *words) {
  int count = 0;
  for (const char *at = said; (at = strstr(at, words)) != NULL; at++) count++;
  return count;
}

static void expect_in_service(void) { cr_assert_eq(lk_worker_check_gallery(&worker, 0, &error), LK_OK); }

static void expect_out_of_service(const char *why) {
  cr_assert_eq(lk_worker_check_gallery(&worker, 0, &error), LK_EINTERNAL);
  cr_assert_str_eq(error.text, why);
}

static const char behind[] = "the gallery is out of service: its files cannot be read";
static const char damaged[] = "the gallery is out of service: its files are damaged";

/* As it is while the follower loads another gallery. */
Test(outage, a_gallery_that_nobody_has_looked_at) {
  uint64_t now_us = lk_clock_us();
  lk_worker_note_followed(&worker, 0, now_us - LK_BEHIND_MOST_US + 2000000);
  expect_in_service();
  followed_us = now_us - LK_BEHIND_MOST_US;
  for (int i = 0; i < 2; i++) expect_out_of_service(behind);
  cr_assert_eq(count_said("gallery faces is out of service: what others have changed was not seen for 10 seconds"), 1);
  lk_worker_note_followed(&worker, 0, now_us - LK_BEHIND_MOST_US);
  expect_out_of_service(behind);
  lk_worker_note_followed(&worker, 0, lk_clock_us());
  expect_in_service();
  cr_assert_eq(count_said("gallery faces is in service again"), 1);
}

Test(outage, damage_stays) {
  lk_worker_retire(&worker, gallery, &(lk_error){"a row"});
  lk_worker_note_followed(&worker, 0, lk_clock_us());
  expect_out_of_service(damaged);
  cr_assert_eq(lk_worker_suspend(&worker, 0, &error), LK_EINTERNAL);
  cr_assert_str_eq(error.text, damaged);
  expect_out_of_service(damaged);
}

/* ---- a search ---- */

static void open_compute(void) {
  static atomic_bool reached;
  lk_redis_session session = {.stage = "running", .log = options.log, .reached = &reached};
  cr_assert_eq(lk_keys_make("faces", &keys, NULL), LK_OK);
  worker.computing = 1;
  lk_running_init(&worker.running, 1, "me", session);
  lk_batcher_init(&worker.batcher, 1, 0);
  worker.done_last = &worker.done_first;
  worker.free_slots = &worker.slots[0];
  cr_assert_eq(lk_result_open(&worker.slots[0].result, NULL), LK_OK);
}

static void close_compute(void) {
  lk_running_destroy(&worker.running);
  lk_result_close(worker.slots[0].result);
}

static lk_task *make_task(void) {
  static float probe[DIM] = {1};
  lk_delivery *delivery = lk_delivery_new(NULL, &worker.held_bytes);
  lk_task *task = lk_task_new(delivery, 0);
  lk_delivery_release(delivery);
  task->gallery = gallery;
  task->stream = redis_key;
  task->deadline_us = INT64_MAX;
  task->job.op = LK_OP_IDENTIFY;
  task->job.k = 1;
  task->job.threshold = -INFINITY;
  task->job.probes = files_vectors(probe, 1, DIM);
  cr_assert_eq(lk_task_prepare(task, &error), LK_OK, "%s", error.text);
  lk_task_queue_as(task);
  return task;
}

/* Computes a batch of this task, and ends. */
static void compute(lk_task *task) {
  pthread_t thread;
  lk_batcher_push(&worker.batcher, LK_LO, &task->queued, lk_clock_us());
  cr_assert_eq(pthread_create(&thread, NULL, lk_compute_main, &worker), 0);
  pthread_mutex_lock(&worker.lock);
  while (worker.done_first == NULL) pthread_cond_wait(&worker.changed, &worker.lock);
  worker.stopped_us = lk_clock_us();
  pthread_cond_broadcast(&worker.work);
  pthread_mutex_unlock(&worker.lock);
  pthread_join(thread, NULL);
}

Test(outage, a_search_that_finds_the_gallery_behind) {
  open_compute();
  lk_task *task = make_task();
  strcpy(gallery->contents->failure.text, "the device failed");
  compute(task);
  cr_assert_eq(task->status, LK_EINTERNAL);
  cr_assert_str_eq(task->error.text, behind);
  expect_out_of_service(behind);
  cr_assert_eq(count_said("gallery faces is out of service: the gallery faces is behind its files: the device failed"),
               1);
  lk_worker_note_followed(&worker, 0, lk_clock_us());
  expect_in_service();
  lk_task_free(task);
  close_compute();
}

Test(outage, a_search_that_finds_nothing_wrong) {
  open_compute();
  lk_task *task = make_task();
  compute(task);
  cr_assert_eq(task->status, LK_OK, "%s", task->error.text);
  expect_in_service();
  lk_task_free(task);
  close_compute();
}

/* ---- the follower ---- */

static void enroll_beside(void) {
  lk_owner *owner;
  float vector[DIM] = {0, 1};
  lk_vectors one = files_vectors(vector, 1, DIM);
  lk_enrollment enrollment = {.vectors = &one};
  cr_assert_eq(lk_owner_open(files_path("faces"), &owner, NULL), LK_OK);
  cr_assert_eq(lk_owner_enroll(owner, &enrollment, NULL, NULL, NULL), LK_OK);
  lk_owner_close(owner);
}

static void end_follower(pthread_t thread) {
  pthread_mutex_lock(&worker.lock);
  worker.computing = 0;
  pthread_cond_broadcast(&worker.ended);
  pthread_mutex_unlock(&worker.lock);
  pthread_join(thread, NULL);
}

/* In three seconds there would be twelve of them. */
Test(outage, looks_that_fail_become_fewer) {
  pthread_t thread;
  enroll_beside();
  worker.computing = 1;
  is_full = true;
  loads = 0;
  cr_assert_eq(pthread_create(&thread, NULL, lk_follower_main, &worker), 0);
  lk_clock_sleep_us(3000000);
  end_follower(thread);
  cr_assert(loads >= 3 && loads <= 8, "%u loads were tried", loads);
  cr_assert_eq(count_said("follower: cannot read what has changed of the gallery faces: the device is full"), 1);
  expect_in_service();
}
