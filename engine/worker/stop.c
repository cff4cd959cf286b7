#include "engine/worker/stop.h"

#include "base/clock.h"
#include "base/fail.h"
#include "engine/queue/protocol.h"
#include "engine/worker/waiting.h"

enum { LOOKS_EVERY_US = 20000, ENTRIES_MOST = 1000 }; /* entries of a call */

typedef struct stop {
  lk_worker *worker;
  lk_redis_session session;
  lk_command command;
  lk_queued *held; /* tasks to be handed back */
} stop;

static void await(lk_worker *worker) {
  while (!lk_worker_is_stopping(worker)) lk_clock_sleep_us(LOOKS_EVERY_US);
  uint64_t now_us = lk_clock_us();
  atomic_store(&worker->reads_end, now_us + LK_STOP_READS_US);
  atomic_store(&worker->answers_end, now_us + LK_STOP_CANCELS_US);
  atomic_store(&worker->give_up, now_us + LK_STOP_GIVES_UP_US);
  pthread_mutex_lock(&worker->lock);
  worker->stopped_us = now_us;
  pthread_cond_broadcast(&worker->work);
  pthread_cond_broadcast(&worker->room);
  pthread_cond_broadcast(&worker->changed);
  pthread_cond_broadcast(&worker->ended);
  pthread_cond_broadcast(&worker->waits);
  pthread_mutex_unlock(&worker->lock);
}

/* Takes what waits for a search, or was left unanswered. */
static void take(stop *s) {
  lk_worker *worker = s->worker;
  lk_queued **last = &s->held, *batch;
  uint64_t wake_us;
  while (*last != NULL) last = &(*last)->next;
  while ((batch = lk_batcher_take(&worker->batcher, lk_clock_us(), true, &wake_us)) != NULL)
    for (*last = batch; *last != NULL;) last = &(*last)->next;
  for (*last = lk_waiting_take(worker); *last != NULL;) last = &(*last)->next;
  *last = worker->unanswered;
  worker->unanswered = NULL;
}

/* Waits for tasks to hand back. False: there will be no more, or it is too late. */
static bool wait_for_tasks(stop *s) {
  lk_worker *worker = s->worker;
  pthread_mutex_lock(&worker->lock);
  uint64_t end_us = worker->stopped_us + LK_STOP_GIVES_UP_US;
  struct timespec until = lk_clock_timespec(end_us);
  bool comes;
  for (;;) {
    take(s);
    bool busy = !worker->intake_over || worker->computing > 0 || !worker->finish_over;
    comes = lk_clock_us() < end_us && (busy || s->held != NULL);
    if (s->held != NULL || !comes) break;
    pthread_cond_timedwait(&worker->changed, &worker->lock, &until);
  }
  pthread_mutex_unlock(&worker->lock);
  return comes;
}

/* Moves tasks of one stream, at most as many as a call takes, out of what is held. */
static lk_task *take_call(stop *s) {
  lk_queued *call = NULL, **last = &call, **at = &s->held;
  const char *stream = ((const lk_task *)s->held)->stream;
  for (uint32_t count = 0; *at != NULL && count < ENTRIES_MOST;) {
    lk_queued *task = *at;
    if (((const lk_task *)task)->stream != stream) {
      at = &task->next;
      continue;
    }
    *at = task->next;
    task->next = NULL;
    *last = task;
    last = &task->next;
    count++;
  }
  return (lk_task *)call;
}

static lk_status judge(stop *s, const lk_redis_reply *reply, lk_error *error) {
  if (!lk_redis_reply_is_integer(reply)) return lk_redis_reply_unexpected(reply, LK_RETURN, error);
  pthread_mutex_lock(&s->worker->lock);
  s->worker->returned += (uint64_t)lk_redis_reply_integer(reply);
  pthread_mutex_unlock(&s->worker->lock);
  return LK_OK;
}

static lk_status return_call(stop *s, const lk_task *call, lk_error *error) {
  lk_functions_begin(&s->command, LK_RETURN, "1");
  lk_command_add_string(&s->command, call->stream);
  lk_command_add_string(&s->command, LK_GROUP);
  lk_command_add_string(&s->command, s->worker->consumer);
  for (const lk_task *task = call; task != NULL; task = lk_task_next(task))
    lk_command_add_string(&s->command, task->entry);
  lk_redis_reply *reply = NULL;
  lk_status status = lk_functions_call(s->session.redis, &s->command, &reply, error);
  if (status == LK_OK) status = judge(s, reply, error);
  lk_redis_reply_free(reply);
  return status;
}

/* What cannot be handed back now stays held. */
static void hand_back(stop *s) {
  lk_error error;
  if (lk_redis_session_open(&s->session, &error) != LK_OK) return;
  while (s->held != NULL) {
    lk_task *call = take_call(s);
    if (return_call(s, call, &error) != LK_OK) {
      lk_queued *last = &call->queued;
      while (last->next != NULL) last = last->next;
      last->next = s->held;
      s->held = &call->queued;
      lk_redis_session_broke(&s->session, &error);
      return;
    }
    lk_worker_forget(s->worker, call);
    lk_redis_session_works(&s->session);
  }
}

static void fail_pending(lk_worker *worker) {
  lk_error error;
  pthread_mutex_lock(&worker->lock);
  uint32_t left = worker->tasks;
  pthread_mutex_unlock(&worker->lock);
  if (left == 0) return;
  lk_fail(&error, LK_EIO, "%u jobs stay pending; other workers take them when the lease ends", left);
  lk_worker_fail(worker, LK_EIO, &error);
}

void *lk_stop_main(void *argument) {
  lk_worker *worker = argument;
  stop s = {.worker = worker, .session = lk_worker_session(worker, "stop")};
  await(worker);
  while (wait_for_tasks(&s)) hand_back(&s);
  lk_redis_session_close(&s.session);
  lk_command_free(&s.command);
  fail_pending(worker);
  pthread_mutex_lock(&worker->lock);
  worker->over = true;
  pthread_cond_broadcast(&worker->ended);
  pthread_mutex_unlock(&worker->lock);
  return NULL;
}
