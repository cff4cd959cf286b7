#include "engine/worker/worker.h"

#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/printable.h"
#include "engine/queue/protocol.h"
#include "index/gallery/unchecked.h"

uint64_t lk_worker_redis_ms(const lk_worker *worker) {
  return (uint64_t)((int64_t)(lk_clock_us() / 1000) + atomic_load(&worker->redis_ahead_ms));
}

void lk_worker_set_redis_ms(lk_worker *worker, int64_t now_ms) {
  atomic_store(&worker->redis_ahead_ms, now_ms - (int64_t)(lk_clock_us() / 1000));
}

size_t lk_worker_room_bytes(const lk_worker *worker, lk_priority priority) {
  size_t kept = priority == LK_HI ? LK_TASK_BYTES_MOST : 2 * LK_TASK_BYTES_MOST;
  size_t held = atomic_load(&worker->held_bytes);
  return held + kept < LK_HELD_BYTES_MOST ? LK_HELD_BYTES_MOST - held - kept : 0;
}

bool lk_worker_has_place(const lk_worker *worker, lk_priority priority) {
  return worker->tasks < LK_TASKS_MOST + (priority == LK_HI ? LK_TASKS_MORE_HI : 0);
}

void lk_worker_fail(lk_worker *worker, lk_status status, const lk_error *error) {
  pthread_mutex_lock(&worker->lock);
  if (worker->status == LK_OK) {
    worker->status = status;
    worker->error = *error;
  }
  pthread_mutex_unlock(&worker->lock);
}

static const char *name_of(const lk_worker *worker, uint32_t number) {
  lk_gallery_stat stat;
  lk_gallery_stat_get_constant(worker->options->galleries[number], &stat);
  return stat.name;
}

/* Returns what it was. What only a restart mends stays. */
static lk_outage set_outage(lk_worker *worker, uint32_t number, lk_outage outage) {
  pthread_mutex_lock(&worker->lock);
  lk_outage before = worker->outages[number];
  if (before < LK_OUTAGE_DIVERGED) worker->outages[number] = outage;
  pthread_mutex_unlock(&worker->lock);
  return before;
}

static void say_out_of_service(lk_worker *worker, uint32_t number, const lk_error *error) {
  lk_printable_line(worker->options->log, "likeness: gallery %s is out of service: %s", name_of(worker, number),
                    error->text);
}

void lk_worker_retire(lk_worker *worker, const lk_gallery *gallery, const lk_error *error) {
  uint32_t number = 0;
  while (worker->options->galleries[number] != gallery) number++;
  if (set_outage(worker, number, LK_OUTAGE_DAMAGED) < LK_OUTAGE_DIVERGED) say_out_of_service(worker, number, error);
}

void lk_worker_part(lk_worker *worker, uint32_t number, const lk_error *error) {
  if (set_outage(worker, number, LK_OUTAGE_DIVERGED) < LK_OUTAGE_DIVERGED) say_out_of_service(worker, number, error);
}

static lk_status refuse(lk_outage outage, lk_error *error) {
  static const char *const why[] = {[LK_OUTAGE_BEHIND] = "its files cannot be read",
                                    [LK_OUTAGE_DIVERGED] = "its changes are not those of its log",
                                    [LK_OUTAGE_DAMAGED] = "its files are damaged"};
  return lk_fail(error, LK_EINTERNAL, "the gallery is out of service: %s", why[outage]);
}

lk_status lk_worker_suspend(lk_worker *worker, uint32_t number, lk_error *error) {
  lk_outage before = set_outage(worker, number, LK_OUTAGE_BEHIND);
  if (before == LK_OUTAGE_NONE) say_out_of_service(worker, number, error);
  return refuse(before > LK_OUTAGE_BEHIND ? before : LK_OUTAGE_BEHIND, error);
}

/* What this worker alone changes is never behind. */
static bool is_behind(const lk_worker *worker, uint32_t number) {
  return worker->options->owners[number] == NULL && lk_clock_us() >= worker->followed_us[number] + LK_BEHIND_MOST_US;
}

void lk_worker_note_followed(lk_worker *worker, uint32_t number, uint64_t since_us) {
  pthread_mutex_lock(&worker->lock);
  worker->followed_us[number] = since_us;
  bool resumes = worker->outages[number] == LK_OUTAGE_BEHIND && !is_behind(worker, number);
  if (resumes) worker->outages[number] = LK_OUTAGE_NONE;
  pthread_mutex_unlock(&worker->lock);
  if (resumes)
    lk_printable_line(worker->options->log, "likeness: gallery %s is in service again", name_of(worker, number));
}

lk_status lk_worker_check_gallery(lk_worker *worker, uint32_t number, lk_error *error) {
  pthread_mutex_lock(&worker->lock);
  lk_outage outage = worker->outages[number];
  bool behind = is_behind(worker, number);
  pthread_mutex_unlock(&worker->lock);
  if (outage != LK_OUTAGE_NONE) return refuse(outage, error);
  if (!behind) return LK_OK;
  lk_fail(error, LK_EINTERNAL, "what others have changed was not seen for %d seconds", LK_BEHIND_MOST_US / 1000000);
  return lk_worker_suspend(worker, number, error);
}

bool lk_worker_is_stopping(lk_worker *worker) {
  pthread_mutex_lock(&worker->lock);
  bool failed = worker->status != LK_OK;
  pthread_mutex_unlock(&worker->lock);
  return failed || atomic_load(worker->options->stop);
}

lk_redis_session lk_worker_session(lk_worker *worker, const char *stage) {
  return (lk_redis_session){.route = {.address = &worker->options->address, .give_up = &worker->give_up},
                            .stage = stage,
                            .log = worker->options->log,
                            .stop = worker->options->stop,
                            .reached = &worker->reached};
}

bool lk_worker_has(const lk_worker *worker, const char *stream, const char *entry) {
  const lk_task *task = worker->taken;
  while (task != NULL && (task->stream != stream || task->finished || strcmp(task->entry, entry) != 0))
    task = task->newer;
  return task != NULL;
}

/* Whoever waits for room is told when the tasks' bytes are no longer held. */
uint32_t lk_worker_forget(lk_worker *worker, lk_task *tasks) {
  uint32_t count = 0;
  pthread_mutex_lock(&worker->lock);
  for (lk_task *task = tasks; task != NULL; task = lk_task_next(task), count++) {
    *task->older = task->newer;
    if (task->newer != NULL) task->newer->older = task->older;
  }
  worker->tasks -= count;
  pthread_mutex_unlock(&worker->lock);
  for (lk_task *next; tasks != NULL; tasks = next) {
    next = lk_task_next(tasks);
    lk_task_free(tasks);
  }
  pthread_mutex_lock(&worker->lock);
  pthread_cond_broadcast(&worker->room);
  pthread_mutex_unlock(&worker->lock);
  return count;
}

void lk_worker_leave_unanswered(lk_worker *worker, lk_task *tasks) {
  if (tasks == NULL) return;
  lk_queued *last = &tasks->queued;
  while (last->next != NULL) last = last->next;
  pthread_mutex_lock(&worker->lock);
  last->next = worker->unanswered;
  worker->unanswered = &tasks->queued;
  pthread_cond_broadcast(&worker->changed);
  pthread_mutex_unlock(&worker->lock);
}

void lk_worker_free_slot(lk_worker *worker, lk_done *slot) {
  lk_result_let_go(slot->result);
  pthread_mutex_lock(&worker->lock);
  slot->tasks = NULL;
  slot->next = worker->free_slots;
  worker->free_slots = slot;
  lk_batcher_end(&worker->batcher);
  pthread_cond_broadcast(&worker->work);
  pthread_mutex_unlock(&worker->lock);
}
