#include "engine/worker/waiting.h"

#include "base/clock.h"
#include "base/fail.h"
#include "engine/queue/protocol.h"

static bool has(lk_entry mark, lk_entry after) {
  return mark.ms != after.ms ? mark.ms > after.ms : mark.sequence >= after.sequence;
}

bool lk_waiting_must(const lk_worker *worker, const lk_task *task) {
  return !has(worker->marks[task->number], task->job.after);
}

/* What a task keeps in memory while it waits: its probes, and, with the others of its delivery that wait, all of that.
 */
static void count_in(lk_worker *worker, lk_task *task) {
  if (task->delivery->waiting++ == 0) worker->waiting_bytes += task->delivery->bytes;
  worker->waiting_bytes += lk_task_prepared_bytes(task);
  worker->waiting_count++;
}

static void count_out(lk_worker *worker, lk_task *task) {
  if (--task->delivery->waiting == 0) worker->waiting_bytes -= task->delivery->bytes;
  worker->waiting_bytes -= lk_task_prepared_bytes(task);
  worker->waiting_count--;
}

lk_status lk_waiting_add(lk_worker *worker, lk_task *task, lk_error *error) {
  int64_t end_us = (int64_t)lk_clock_us() + LK_WAITING_US;
  uint64_t ms = task->job.after.ms, now_ms = lk_worker_redis_ms(worker);
  if (ms > now_ms + LK_ENTRY_AHEAD_MS)
    return lk_fail(error, LK_EBADJOB, "field after: the entry lies %llu s ahead of redis' time",
                   (unsigned long long)((ms - now_ms) / 1000));
  if (worker->waiting_count == LK_WAITING_MOST || worker->waiting_bytes >= LK_WAITING_BYTES)
    return lk_fail(error, LK_EBUSY, "too many searches wait for the log already");
  task->waits_until_us = end_us < task->deadline_us ? end_us : task->deadline_us;
  task->queued.next = worker->waiting;
  worker->waiting = &task->queued;
  count_in(worker, task);
  pthread_cond_broadcast(&worker->waits);
  return LK_OK;
}

static void let_go(lk_worker *worker, lk_task *task) {
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
    if (waits && now_us < task->waits_until_us) {
      if (task->waits_until_us < next_us) next_us = task->waits_until_us;
      at = &task->queued.next;
      continue;
    }
    *at = task->queued.next;
    count_out(worker, task);
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
  for (lk_queued *at = taken; at != NULL; at = at->next) count_out(worker, (lk_task *)at);
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
