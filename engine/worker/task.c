#include "engine/worker/task.h"

#include <stdlib.h>

lk_task *lk_task_new(lk_delivery *delivery) {
  lk_task *task = calloc(1, sizeof *task);
  if (task == NULL) return NULL;
  task->delivery = delivery;
  atomic_fetch_add(&delivery->tasks, 1);
  return task;
}

void lk_delivery_release(lk_delivery *delivery) {
  if (atomic_fetch_sub(&delivery->tasks, 1) != 1) return;
  lk_reply_free(delivery->reply);
  free(delivery);
}

void lk_task_free(lk_task *task) {
  lk_delivery_release(task->delivery);
  free(task);
}

uint64_t lk_task_entered_ms(const lk_task *task) { return strtoull(task->entry, NULL, 10); }
