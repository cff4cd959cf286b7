/* Finish writes replies and calls the finish Function, which acknowledges the jobs and pushes the replies in one step.
 * It calls until Redis has them, or the worker's last seconds have come: the Function answers a job once, however often
 * it is called. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/fail.h"
#include "engine/queue/protocol.h"
#include "engine/worker/authorise.h"
#include "engine/worker/finish/answer.h"
#include "engine/worker/finish/answer_call.h"
#include "engine/worker/finish/head_publisher.h"
#include "engine/worker/stop.h"

static const uint64_t publishes_every_us = 1000000;

typedef struct finish {
  lk_worker *worker;
  lk_redis_session session;
  lk_answer_call call;
  uint64_t generation; /* of the rules that released the replies in `call` */
  uint64_t published_us;
} finish;

static const lk_keys *keys_of(const finish *f, const lk_task *task) { return &f->worker->keys[task->number]; }

/* Fills the call with tasks of the stream of `first`, except those without a client to answer. */
static void fill_call(finish *f, const lk_done *done, const lk_task *first, bool anew) {
  lk_answer_call_next(&f->call, anew);
  bool takes = true;
  for (lk_task *task = done->tasks; takes && task != NULL; task = lk_task_next(task)) {
    if (task->stream != first->stream || task->job.to.length == 0 || task->finished) continue;
    if (lk_answer_call_begins_with(&f->call, task)) continue;
    lk_answer_encode(f->worker, task, done, &f->call.replies);
    takes = lk_answer_call_add(&f->call, task);
  }
}

/* LK_EIO: the call must be sent again. */
static lk_status try_call(finish *f, const lk_command *command, lk_answer_call *call, lk_error *error) {
  lk_redis_reply *reply = NULL;
  lk_status status = lk_redis_session_open(&f->session, error);
  if (status != LK_OK) return status;
  status = lk_functions_call(f->session.redis, command, &reply, error);
  if (status == LK_OK && call != NULL)
    status = lk_answer_call_judge(call, reply, keys_of(f, call->tasks[0]), &f->worker->redis_ahead_ms, f->session.log,
                                  error);
  else if (status == LK_OK && lk_redis_reply_error(reply) != NULL && !lk_answer_jobs_are_gone(reply, f->session.log))
    status = lk_redis_reply_unexpected(reply, LK_DISCARD, error);
  lk_redis_reply_free(reply);
  if (status == LK_OK)
    lk_redis_session_works(&f->session);
  else
    lk_redis_session_broke(&f->session, error);
  return status;
}

/* Sends until Redis has the call, or until the rules were read again, so that the tasks of `call` must be decided
 * again. `call` is NULL where the command answers nobody. False: it is too late. */
static bool send_call(finish *f, const lk_command *command, lk_answer_call *call) {
  while (!lk_give_up_passed(&f->worker->answers_end)) {
    lk_error error;
    lk_authorise_reload(f->worker);
    if (call != NULL && lk_authorise_generation(f->worker) != f->generation) return true;
    if (try_call(f, command, call, &error) == LK_OK) return true;
  }
  return false;
}

static bool discard(finish *f, lk_task *task) {
  const char *const words[] = {task->stream, keys_of(f, task)->dead, LK_GROUP, task->entry, task->error.text};
  lk_command command = {0};
  lk_functions_begin(&command, LK_DISCARD, "2");
  lk_command_add_words(&command, sizeof words / sizeof words[0], words);
  task->finished = send_call(f, &command, NULL);
  lk_command_free(&command);
  return task->finished;
}

/* Repeats until all tasks of the stream of `first` are finished. A task that arrives outside its time limits, or whose
 * rules have changed meanwhile, is decided again. Each call leaves after the log's commit. */
static bool finish_stream(finish *f, const lk_done *done, const lk_task *first) {
  lk_error error;
  lk_answer_call_next(&f->call, true);
  while (!lk_give_up_passed(&f->worker->answers_end)) {
    uint64_t before = f->generation;
    f->generation = lk_authorise_generation(f->worker);
    fill_call(f, done, first, f->generation != before);
    if (f->call.encoded == 0 && !f->call.replies.failed) return true;
    if (!lk_authorise_commit(f->worker, f->call.tasks, f->call.encoded)) fill_call(f, done, first, true);
    const lk_command *command = f->call.replies.failed ? NULL : lk_answer_call_build(&f->call, keys_of(f, first));
    if (command == NULL) {
      lk_worker_fail(f->worker, lk_fail_memory(&error), &error);
      return false;
    }
    if (!send_call(f, command, &f->call)) return false;
  }
  return false;
}

/* Those of priority hi first. */
static void finish_batch(finish *f, const lk_done *done) {
  bool sent = true;
  for (int priority = 0; priority < LK_PRIORITIES; priority++)
    for (lk_task *task = done->tasks; sent && task != NULL; task = lk_task_next(task))
      if ((int)task->priority == priority && !task->finished)
        sent = task->job.to.length > 0 ? finish_stream(f, done, task) : discard(f, task);
}

static void publish(finish *f) {
  uint64_t now_us = lk_clock_us();
  if (now_us < f->published_us + publishes_every_us) return;
  lk_head_publish(f->worker, &f->session, false);
  f->published_us = now_us;
}

static uint64_t gives_up_us(const lk_worker *worker) {
  return worker->stopped_us != 0 ? worker->stopped_us + LK_STOP_GIVES_UP_US : UINT64_MAX;
}

static void wait_a_second(lk_worker *worker) {
  uint64_t second_us = lk_clock_us() + 1000000, end_us = gives_up_us(worker);
  const struct timespec until = lk_clock_timespec(second_us < end_us ? second_us : end_us);
  pthread_cond_timedwait(&worker->changed, &worker->lock, &until);
}

/* Whether a batch can still come. After the last seconds nobody waits for a search that hangs. */
static bool goes_on(const lk_worker *worker) {
  return lk_clock_us() < gives_up_us(worker) && (worker->computing > 0 || !worker->intake_over);
}

static bool has_batch(const lk_worker *worker) { return worker->done_first != NULL || worker->refused_first != NULL; }

/* Waits for a batch, at most one second: a computed one, or the refused tasks, moved into `refused`. *done is NULL if
 * there was none. False: there will be no more. */
static bool wait_for_batch(lk_worker *worker, lk_done *refused, lk_done **done) {
  *done = NULL;
  pthread_mutex_lock(&worker->lock);
  if (!has_batch(worker) && goes_on(worker)) wait_a_second(worker);
  bool more = has_batch(worker) || goes_on(worker);
  if (worker->refused_first != NULL) {
    *refused = (lk_done){.tasks = (lk_task *)worker->refused_first};
    worker->refused_first = NULL;
    worker->refused_last = &worker->refused_first;
    *done = refused;
  } else if (worker->done_first != NULL) {
    *done = worker->done_first;
    worker->done_first = (*done)->next;
    if (worker->done_first == NULL) worker->done_last = &worker->done_first;
  }
  pthread_mutex_unlock(&worker->lock);
  return more;
}

/* Parts the tasks that are finished from the others, which are then left to be handed back. */
static void let_go(lk_worker *worker, lk_done *done) {
  lk_queued *lists[2] = {NULL, NULL};
  for (lk_task *task = done->tasks, *next; task != NULL; task = next) {
    next = lk_task_next(task);
    task->queued.next = lists[task->finished];
    lists[task->finished] = &task->queued;
  }
  uint32_t finished = lk_worker_forget(worker, (lk_task *)lists[true]);
  lk_worker_leave_unanswered(worker, (lk_task *)lists[false]);
  pthread_mutex_lock(&worker->lock);
  worker->jobs += finished;
  pthread_mutex_unlock(&worker->lock);
}

void *lk_finish_main(void *argument) {
  lk_worker *worker = argument;
  finish f = {.worker = worker, .session = lk_worker_session(worker, "finish")};
  f.session.route.give_up = &worker->answers_end;
  lk_done refused, *done;
  lk_head_publish(worker, &f.session, true);
  while (wait_for_batch(worker, &refused, &done)) {
    if (done != NULL) {
      finish_batch(&f, done);
      let_go(worker, done);
      if (done != &refused) lk_worker_free_slot(worker, done);
    }
    publish(&f);
  }
  f.session.route.give_up = &worker->give_up;
  lk_head_publish(worker, &f.session, true);
  lk_redis_session_close(&f.session);
  lk_answer_call_free(&f.call);
  pthread_mutex_lock(&worker->lock);
  worker->finish_over = true;
  pthread_cond_broadcast(&worker->changed);
  pthread_mutex_unlock(&worker->lock);
  return NULL;
}
