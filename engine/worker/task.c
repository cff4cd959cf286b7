#include "engine/worker/task.h"

#include <stdlib.h>

#include "base/text.h"

lk_task *lk_task_new(lk_delivery *delivery) {
  lk_task *task = calloc(1, sizeof *task);
  if (task == NULL) return NULL;
  task->delivery = delivery;
  atomic_fetch_add(&delivery->tasks, 1);
  return task;
}

void lk_delivery_release(lk_delivery *delivery) {
  if (atomic_fetch_sub(&delivery->tasks, 1) != 1) return;
  lk_redis_reply_free(delivery->reply);
  free(delivery);
}

void lk_task_free(lk_task *task) {
  lk_delivery_release(task->delivery);
  free(task->verdict);
  free(task);
}

uint64_t lk_task_entered_ms(const lk_task *task) { return strtoull(task->entry, NULL, 10); }

lk_policy_request lk_task_request(const lk_task *task) {
  const lk_job *job = &task->job;
  lk_gallery_stat stat;
  lk_gallery_stat_get(task->gallery, &stat);
  return (lk_policy_request){
      .operation = job->op == LK_OP_VERIFY ? LK_OPERATION_VERIFY : LK_OPERATION_IDENTIFY,
      .purpose = job->purpose,
      .actor = job->actor,
      .jurisdiction = job->jurisdiction,
      .gallery = job->gallery,
      .model = lk_text_of(stat.model),
      .case_id = job->case_id,
      .authorisation = job->authorisation,
      .authorisation_pending = job->pending_since_ms > 0,
      .pending_since_ms = (int64_t)job->pending_since_ms,
      .k = job->k,
      .threshold = job->threshold,
      .probes = (uint32_t)job->probes.rows,
  };
}
