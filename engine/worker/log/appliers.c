/* A thread for each gallery that this worker owns: one gallery's changes do not wait for another's. */
#include <stdlib.h>

#include "base/fail.h"
#include "engine/worker/log/applier.h"

typedef struct applier_thread {
  lk_worker *worker;
  uint32_t number;
  pthread_t thread;
} applier_thread;

static void *run(void *argument) {
  const applier_thread *self = argument;
  lk_applier_run(self->worker, self->number);
  return NULL;
}

void *lk_log_main(void *argument) {
  lk_worker *worker = argument;
  lk_error error;
  uint32_t count = worker->options->galleries_count, started = 0;
  applier_thread *threads = calloc(count, sizeof *threads);
  if (threads == NULL) lk_worker_fail(worker, lk_fail_memory(&error), &error);
  for (uint32_t i = 0; threads != NULL && i < count; i++) {
    if (worker->options->owners[i] == NULL) continue;
    applier_thread *next = &threads[started];
    *next = (applier_thread){.worker = worker, .number = i};
    if (pthread_create(&next->thread, NULL, run, next) == 0)
      started++;
    else
      lk_worker_fail(worker, lk_fail(&error, LK_ENOMEM, "cannot start a thread"), &error);
  }
  for (uint32_t i = 0; i < started; i++) pthread_join(threads[i].thread, NULL);
  free(threads);
  return NULL;
}
