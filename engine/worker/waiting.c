#include "engine/worker/waiting.h"

#include "base/clock.h"
#include "base/fail.h"

static bool has(lk_entry mark, lk_entry after) {
  return mark.ms != after.ms ? mark.ms > after.ms : mark.sequence >= after.sequence;
}

bool lk_waiting_must(const lk_worker *worker, const lk_task *task) {
  return !has(worker->marks[task->number], task->job.after);
}

bool lk_waiting_add(lk_worker *worker, lk_task *task) {
  if (worker->waiting_count == LK_WAITING_MOST) return false;
  int64_t end_us = (int64_t)lk_clock_us() + LK_WAITING_US;
  if (task->job.ttl_ms == 0 && end_us < task->deadline_us) task->deadline_us = end_us;
  task->queued.next = worker->waiting;
  worker->waiting = &task->queued;
  worker->waiting_count++;
  pthread_cond_broadcast(&worker->waits);
  return true;
}

/* One without a `ttl` has waited enough; its search has as much time as it needs. */
static void let_go(lk_worker *worker, lk_task *task) {
  if (task->job.ttl_ms == 0) task->deadline_us = INT64_MAX;
  lk_batcher_push(&worker->batcher, task->priority, &task->queued, lk_clock_us());
  pthread_cond_broadcast(&worker->work);
}

static void refuse(lk_worker *worker, lk_task *task) {
  task->status = lk_fail(&task->error, LK_EDEADLINE, "the gallery did not have entry %llu-%llu of its log in time",
                         (unsigned long long)task->job.after.ms, (unsigned long long)task->job.after.sequence);
  task->queued.next = NULL;
  *worker->refused_last = &task->queued;
  worker->refused_last = &task->queued.next;
  pthread_cond_broadcast(&worker->changed);
}

/* Takes those out that wait no longer. Returns when the next one's time is over. Under the lock. */
static int64_t sort_out(lk_worker *worker) {
  int64_t now_us = (int64_t)lk_clock_us(), next_us = INT64_MAX;
  lk_queued **at = &worker->waiting;
  while (*at != NULL) {
    lk_task *task = (lk_task *)*at;
    bool waits = lk_waiting_must(worker, task);
    if (waits && now_us < task->deadline_us) {
      if (task->deadline_us < next_us) next_us = task->deadline_us;
      at = &task->queued.next;
      continue;
    }
    *at = task->queued.next;
    worker->waiting_count--;
    if (waits)
      refuse(worker, task);
    else
      let_go(worker, task);
  }
  return next_us;
}

void lk_waiting_note(lk_worker *worker, uint32_t number, const lk_log_mark *mark) {
  pthread_mutex_lock(&worker->lock);
  worker->marks[number] = (lk_entry){.ms = mark->ms, .sequence = mark->n};
  if (worker->stopped_us == 0) sort_out(worker);
  pthread_mutex_unlock(&worker->lock);
}

lk_queued *lk_waiting_take(lk_worker *worker) {
  lk_queued *taken = worker->waiting;
  worker->waiting = NULL;
  worker->waiting_count = 0;
  return taken;
}

/* Until no batch is begun any more: then whoever waits is handed back. */
void *lk_waiting_main(void *argument) {
  lk_worker *worker = argument;
  pthread_mutex_lock(&worker->lock);
  while (worker->stopped_us == 0) {
    int64_t next_us = sort_out(worker);
    if (next_us == INT64_MAX) {
      pthread_cond_wait(&worker->waits, &worker->lock);
      continue;
    }
    const struct timespec until = lk_clock_timespec((uint64_t)next_us);
    pthread_cond_timedwait(&worker->waits, &worker->lock, &until);
  }
  pthread_mutex_unlock(&worker->lock);
  return NULL;
}
