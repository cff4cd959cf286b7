#include "engine/worker/task.h"

#include <stdlib.h>

#include "base/fail.h"
#include "base/text.h"
#include "engine/queue/job_change.h"
#include "governance/policy/claims.h"
#include "index/gallery/unchecked.h"

lk_delivery *lk_delivery_new(lk_redis_reply *reply, atomic_size_t *held) {
  lk_delivery *delivery = calloc(1, sizeof *delivery);
  if (delivery == NULL) {
    lk_redis_reply_free(reply);
    return NULL;
  }
  delivery->reply = reply;
  delivery->tasks = 1;
  delivery->held = held;
  return delivery;
}

lk_task *lk_task_new(lk_delivery *delivery, size_t bytes) {
  lk_task *task = calloc(1, sizeof *task);
  if (task == NULL) return NULL;
  task->delivery = delivery;
  atomic_fetch_add(&delivery->tasks, 1);
  delivery->bytes += bytes;
  atomic_fetch_add(delivery->held, bytes);
  return task;
}

void lk_delivery_release(lk_delivery *delivery) {
  if (atomic_fetch_sub(&delivery->tasks, 1) != 1) return;
  atomic_fetch_sub(delivery->held, delivery->bytes);
  lk_redis_reply_free(delivery->reply);
  free(delivery);
}

void lk_task_free(lk_task *task) {
  if (task->prepared != NULL) atomic_fetch_sub(task->delivery->held, lk_task_prepared_bytes(task));
  atomic_fetch_sub(task->delivery->held, task->answer.text.length);
  lk_delivery_release(task->delivery);
  free(task->authorisation);
  free(task->prepared);
  free(task->listed);
  lk_bytes_free(&task->answer.text);
  free(task);
}

static lk_status check_labels(const lk_job *job, lk_error *error) {
  lk_label_file labels;
  if (!lk_op_enrolls(job->op)) return LK_OK;
  lk_status status = lk_job_read_labels(job, &labels, error);
  if (status == LK_OK) lk_label_file_close(&labels);
  return status;
}

lk_status lk_task_read_lists(lk_task *task, lk_error *error) {
  const lk_text_list *keys = &task->job.keys, *subjects = &task->job.subjects;
  if (!keys->given && !subjects->given) return check_labels(&task->job, error);
  task->listed = malloc(((size_t)keys->count + subjects->count + 1) * sizeof *task->listed);
  if (task->listed == NULL) return lk_fail(error, LK_EINTERNAL, "out of memory");
  lk_text_list_split(keys, task->listed);
  lk_text_list_split(subjects, task->listed + keys->count);
  return LK_OK;
}

size_t lk_task_prepared_bytes(const lk_task *task) {
  return task->job.probes.rows * task->job.probes.dim * sizeof *task->prepared;
}

lk_status lk_task_prepare(lk_task *task, lk_error *error) {
  task->prepared = malloc(lk_task_prepared_bytes(task));
  if (task->prepared == NULL) return lk_fail(error, LK_EINTERNAL, "out of memory");
  atomic_fetch_add(task->delivery->held, lk_task_prepared_bytes(task));
  return lk_gallery_prepare(task->gallery, &task->job.probes, task->job.model, task->prepared, error);
}

/* A verification, a search of listed templates, or one that a worker died of is a batch of its own. */
void lk_task_queue_as(lk_task *task) {
  const lk_job *job = &task->job;
  task->queued.suspected = task->deaths > 0;
  task->queued.alone = task->queued.suspected || job->op == LK_OP_VERIFY || job->keys.given || job->subjects.given;
  task->queued.key = (lk_batch_key){.gallery = task->number,
                                    .k = job->k,
                                    .fusion = job->fusion,
                                    .by_subject = job->by_subject,
                                    .tags = job->tags,
                                    .mask = job->mask};
  task->queued.probes = (uint32_t)job->probes.rows;
}

/* A list that was given is not NULL, even if it is empty. */
lk_narrowing lk_task_narrowing(const lk_task *task) {
  const lk_job *job = &task->job;
  if (job->op == LK_OP_VERIFY) {
    lk_narrowing narrowing = lk_narrowing_to_subject(&job->subject);
    narrowing.tags = job->tags;
    narrowing.mask = job->mask;
    return narrowing;
  }
  return (lk_narrowing){.tags = job->tags,
                        .mask = job->mask,
                        .keys = job->keys.given ? task->listed : NULL,
                        .subjects = job->subjects.given ? task->listed + job->keys.count : NULL,
                        .keys_count = job->keys.count,
                        .subjects_count = job->subjects.count};
}

/* A change that searches for matches is asked with the threshold from which on it would be refused. */
lk_policy_request lk_task_request(const lk_task *task, lk_operation operation) {
  const lk_job *job = &task->job;
  lk_gallery_stat stat;
  lk_gallery_stat_get_constant(task->gallery, &stat);
  bool searches = operation == LK_OPERATION_IDENTIFY || operation == LK_OPERATION_VERIFY;
  lk_policy_request request = {
      .operation = operation,
      .gallery = job->gallery,
      .model = lk_text_of(stat.model),
      .metric = stat.metric,
      .k = job->k,
      .threshold = searches && job->change.unless_match ? job->change.match_threshold : job->threshold,
      .probes = searches ? (uint32_t)job->probes.rows : 0,
  };
  lk_claims_to_request(&job->claims, &request);
  return request;
}

const lk_verdict *lk_task_verdict(const lk_task *task) {
  if (task->authorisations == 0) return NULL;
  const lk_verdict *last = &task->authorisation[task->authorisations - 1].verdict;
  return last->permitted ? &task->authorisation->verdict : last;
}

lk_prepared_run lk_task_run(const lk_task *task) {
  return (lk_prepared_run){
      .probes = task->prepared, .count = (uint32_t)task->job.probes.rows, .threshold = task->job.threshold};
}
