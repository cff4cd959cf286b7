/* Compute takes batches that are due and searches for their probes. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/fail.h"
#include "engine/worker/worker.h"

/* Waits for a batch that is due and for a free slot, and moves the batch into the slot. False: the worker stops. */
static bool take_batch(lk_worker *worker, lk_done **slot) {
  pthread_mutex_lock(&worker->lock);
  lk_queued *batch = NULL;
  while (worker->stopped_us == 0) {
    uint64_t wake_us = UINT64_MAX;
    if (worker->free_slots != NULL) batch = lk_batcher_begin(&worker->batcher, lk_clock_us(), &wake_us);
    if (batch != NULL) break;
    bool idle = worker->free_slots != NULL;
    worker->idle += idle;
    if (idle) pthread_cond_broadcast(&worker->room);
    if (wake_us == UINT64_MAX) {
      pthread_cond_wait(&worker->work, &worker->lock);
    } else {
      const struct timespec until = lk_clock_timespec(wake_us);
      pthread_cond_timedwait(&worker->work, &worker->lock, &until);
    }
    worker->idle -= idle;
  }
  if (batch != NULL) {
    *slot = worker->free_slots;
    worker->free_slots = (*slot)->next;
    (*slot)->next = NULL;
    (*slot)->tasks = (lk_task *)batch;
  }
  pthread_cond_broadcast(&worker->room);
  pthread_mutex_unlock(&worker->lock);
  return batch != NULL;
}

static void pass_to_finish(lk_worker *worker, lk_done *done, uint64_t searched) {
  pthread_mutex_lock(&worker->lock);
  worker->probes += searched;
  *worker->done_last = done;
  worker->done_last = &done->next;
  pthread_cond_broadcast(&worker->changed);
  pthread_mutex_unlock(&worker->lock);
}

/* Fails the tasks whose deadline has passed; returns how many are left, and in *probes how many probes they have. */
static uint32_t check_deadlines(lk_done *done, uint64_t *probes) {
  uint64_t now_us = lk_clock_us();
  uint32_t left = 0;
  *probes = 0;
  for (lk_task *task = done->tasks; task != NULL; task = lk_task_next(task)) {
    task->wait_us = (uint32_t)(now_us - task->queued.since_us);
    if ((int64_t)now_us < task->deadline_us) {
      left++;
      *probes += task->job.probes.rows;
    } else {
      task->status = lk_fail(&task->error, LK_EDEADLINE, "the deadline passed %lld ms before the search began",
                             (long long)((int64_t)now_us - task->deadline_us) / 1000);
    }
  }
  return left;
}

static lk_status identify(lk_done *done, uint32_t tasks, lk_search_control *control, lk_error *error) {
  lk_prepared_run *runs = malloc(tasks * sizeof *runs);
  if (runs == NULL) return lk_fail_memory(error);
  const lk_task *last = NULL;
  uint32_t runs_count = 0, lists = 0;
  for (lk_task *task = done->tasks; task != NULL; task = lk_task_next(task)) {
    if (task->status != LK_OK) continue;
    task->first = lists;
    lists += lk_job_lists(&task->job);
    runs[runs_count++] = lk_task_run(task);
    last = task;
  }
  lk_narrowing narrowing = lk_task_narrowing(last);
  lk_query query = {.k = last->job.k,
                    .by_subject = last->job.by_subject,
                    .fusion = last->job.fusion,
                    .tags = narrowing.tags,
                    .mask = narrowing.mask,
                    .keys = narrowing.keys,
                    .subjects = narrowing.subjects,
                    .keys_count = narrowing.keys_count,
                    .subjects_count = narrowing.subjects_count,
                    .control = control};
  lk_status status = lk_gallery_identify_prepared(last->gallery, &query, runs, runs_count, done->result, NULL, error);
  free(runs);
  return status;
}

static lk_status search(lk_done *done, uint32_t tasks, lk_search_control *control, lk_error *error) {
  const lk_task *head = done->tasks;
  if (head->job.op == LK_OP_IDENTIFY) return identify(done, tasks, control, error);
  lk_prepared_run run = lk_task_run(head);
  lk_query query = {.tags = head->job.tags, .mask = head->job.mask, .control = control};
  return lk_gallery_verify_prepared(head->gallery, &query, &run, head->job.subject, done->result, error);
}

/* The gallery may be found damaged or behind while its jobs wait, or during the search. */
static lk_status compute(lk_worker *worker, lk_computer *computer, lk_done *done, uint32_t tasks, lk_error *error) {
  uint32_t number = done->tasks->number;
  lk_status status = lk_worker_check_gallery(worker, number, error);
  if (status != LK_OK) return status;
  atomic_store(&computer->searches, true);
  status = search(done, tasks, &computer->control, error);
  atomic_store(&computer->searches, false);
  if (status == LK_OK) return lk_worker_check_gallery(worker, number, error);
  return lk_result_is_behind(done->result) ? lk_worker_suspend(worker, number, error) : status;
}

/* Damage is the operator's to see; clients learn no path. */
static void fail_damaged(lk_worker *worker, const lk_done *done, lk_error *error) {
  for (const lk_task *task = done->tasks; task != NULL; task = lk_task_next(task)) {
    if (task->status != LK_OK) continue;
    lk_worker_retire(worker, task->gallery, error);
    break;
  }
  lk_fail(error, LK_EINTERNAL, "the gallery is out of service: its files are damaged");
}

/* Searches for the tasks that are in time. A search that was cancelled has nothing to answer with. */
static void run_batch(lk_worker *worker, uint32_t thread, lk_done *done) {
  uint64_t begin_us = lk_clock_us(), probes;
  uint32_t tasks = check_deadlines(done, &probes);
  lk_error error;
  if (tasks > 0) lk_running_note(&worker->running, thread, &worker->keys[done->tasks->number], done->tasks);
  lk_status status = tasks > 0 ? compute(worker, &worker->computers[thread], done, tasks, &error) : LK_OK;
  done->compute_us = (uint32_t)(lk_clock_us() - begin_us);
  if (status == LK_ECANCELLED) {
    lk_worker_leave_unanswered(worker, done->tasks);
    lk_worker_free_slot(worker, done);
    return;
  }
  if (status == LK_ECORRUPT || status == LK_EIO) fail_damaged(worker, done, &error);
  for (lk_task *task = done->tasks; status != LK_OK && task != NULL; task = lk_task_next(task)) {
    if (task->status != LK_OK) continue;
    task->status = status == LK_ENOTFOUND ? LK_EBADJOB : status < LK_EINVAL ? status : LK_EINTERNAL;
    task->error = error;
  }
  pass_to_finish(worker, done, probes);
}

void *lk_compute_main(void *argument) {
  lk_worker *worker = argument;
  uint32_t thread = atomic_fetch_add(&worker->computers_count, 1);
  for (lk_done *done; take_batch(worker, &done);) run_batch(worker, thread, done);
  pthread_mutex_lock(&worker->lock);
  bool last = --worker->computing == 0;
  pthread_cond_broadcast(&worker->changed);
  pthread_cond_broadcast(&worker->ended);
  pthread_mutex_unlock(&worker->lock);
  if (last) lk_running_end(&worker->running);
  return NULL;
}
