/* How much a worker may hold. */
#include "engine/worker/worker.h"

#include <criterion/criterion.h>

#include "tests/support/files.h"

enum { DIM = 8, ROWS = 5, ENTRY_BYTES = 1000 };

static lk_worker worker;

static void setup(void) {
  files_setup();
  pthread_mutex_init(&worker.lock, NULL);
  pthread_cond_init(&worker.room, NULL);
}

TestSuite(worker, .init = setup, .fini = files_teardown);

/* With the probes once more, as they are searched; also of a job that the gallery refuses. */
Test(worker, a_task_counts_until_it_is_free) {
  static float probes[ROWS * (DIM + 1)] = {1};
  static const uint32_t dims[] = {DIM, DIM + 1};
  lk_gallery *gallery = files_open(files_gallery("faces", LK_IP, DIM));
  for (int i = 0; i < 2; i++) {
    lk_error error;
    lk_delivery *delivery = lk_delivery_new(NULL, &worker.held_bytes);
    lk_task *task = lk_task_new(delivery, ENTRY_BYTES);
    lk_delivery_release(delivery);
    cr_assert_eq(worker.held_bytes, ENTRY_BYTES);
    task->gallery = gallery;
    task->job.probes = files_vectors(probes, ROWS, dims[i]);
    cr_assert_eq(lk_task_prepare(task, &error), i == 0 ? LK_OK : LK_EDIM);
    cr_assert_eq(worker.held_bytes, ENTRY_BYTES + ROWS * dims[i] * sizeof(float));
    lk_task_free(task);
    cr_assert_eq(worker.held_bytes, 0);
  }
  lk_gallery_close(gallery);
}

/* Of tasks and of bytes. */
Test(worker, lo_leaves_room_for_hi) {
  worker.tasks = LK_TASKS_MOST - 1;
  cr_assert(lk_worker_has_place(&worker, LK_LO) && lk_worker_has_place(&worker, LK_HI));
  worker.tasks = LK_TASKS_MOST;
  cr_assert(!lk_worker_has_place(&worker, LK_LO) && lk_worker_has_place(&worker, LK_HI));
  worker.tasks = LK_TASKS_MOST + LK_TASKS_MORE_HI;
  cr_assert(!lk_worker_has_place(&worker, LK_HI));
  size_t room = lk_worker_room_bytes(&worker, LK_LO);
  cr_assert_gt(room, 0);
  worker.held_bytes = room - 1 + LK_TASK_BYTES_MOST;
  cr_assert_eq(lk_worker_room_bytes(&worker, LK_LO), 0);
  cr_assert_gt(lk_worker_room_bytes(&worker, LK_HI), 0, "though a task of the largest came when there was room left");
  worker.held_bytes = LK_HELD_BYTES_MOST - LK_TASK_BYTES_MOST;
  cr_assert_eq(lk_worker_room_bytes(&worker, LK_HI), 0);
}
