#include "engine/worker/task.h"

#include <stdlib.h>

#include "base/text.h"
#include "governance/claims.h"

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
  free(task->authorisation);
  free(task->prepared);
  free(task);
}

lk_policy_request lk_task_request(const lk_task *task) {
  const lk_job *job = &task->job;
  lk_gallery_stat stat;
  lk_gallery_stat_get(task->gallery, &stat);
  lk_policy_request request = {
      .operation = job->op == LK_OP_VERIFY ? LK_OPERATION_VERIFY : LK_OPERATION_IDENTIFY,
      .gallery = job->gallery,
      .model = lk_text_of(stat.model),
      .metric = stat.metric,
      .k = job->k,
      .threshold = job->threshold,
      .probes = (uint32_t)job->probes.rows,
  };
  lk_claims_to_request(&job->claims, &request);
  return request;
}

lk_prepared_run lk_task_run(const lk_task *task) {
  return (lk_prepared_run){
      .probes = task->prepared, .count = (uint32_t)task->job.probes.rows, .threshold = task->job.threshold};
}
