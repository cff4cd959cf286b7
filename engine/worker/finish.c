/* Finish writes replies and calls the finish Function for each batch, which pushes and acknowledges in one step. It
 * calls until Redis has the batch: the Function answers a job once, however often it is called. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/printable.h"
#include "base/text.h"
#include "engine/queue/protocol.h"
#include "engine/queue/reply.h"
#include "engine/worker/authorise.h"
#include "engine/worker/head_publisher.h"
#include "engine/worker/worker.h"
#include "governance/decision_record.h"

static const uint64_t grace_us = 5000000; /* after a stop: how long to try to deliver the last replies */
static const uint64_t tidy_every_us = 1000000;

typedef struct finish {
  lk_worker *worker;
  lk_redis_session session;
  lk_command command;
  lk_bytes replies; /* of all tasks, one after the other */
  size_t *ends;     /* where each task's reply ends in `replies` */
  lk_bytes keys;    /* the names of the reply lists, each with its NUL */
  lk_task **tasks;  /* the tasks of the call */
  size_t capacity, count;
  uint64_t generation; /* of the rules that released these replies */
  uint64_t stopped_us; /* when the stop was first seen; 0: not yet */
  uint64_t tidied_us;
  bool finished; /* a batch was finished since tidied_us */
} finish;

static bool reserve(finish *f, size_t count) {
  if (f->capacity >= count) return true;
  size_t *ends = realloc(f->ends, count * sizeof *ends);
  if (ends != NULL) f->ends = ends;
  lk_task **tasks = realloc(f->tasks, count * sizeof *tasks);
  if (tasks != NULL) f->tasks = tasks;
  if (ends == NULL || tasks == NULL) return false;
  f->capacity = count;
  return true;
}

static lk_reply_part part_of(const lk_task *task, const lk_done *done) {
  return (lk_reply_part){
      .result = done->result,
      .first = task->first,
      .k = task->job.k,
      .threshold = task->job.threshold,
      .detail = task->authorisation != NULL ? task->authorisation->verdict.detail : (lk_score_detail){0}};
}

/* What the task found, if it may be told. */
static lk_release release_of(const lk_task *task, const lk_done *done, lk_gallery_stat *stat) {
  *stat = (lk_gallery_stat){.model = ""};
  if (task->gallery == NULL) return (lk_release){0};
  lk_gallery_stat_get(task->gallery, stat);
  uint64_t searched = task->status == LK_OK ? lk_result_searched(done->result) : 0;
  return (lk_release){.epoch = stat->epoch, .searched = searched, .total = stat->templates};
}

/* NULL: the job was refused before the policy was asked. */
static json_t *decision_of(finish *f, const lk_task *task, lk_text model, const lk_release *released) {
  lk_governance *governance = f->worker->options->governance;
  if (task->authorisation == NULL && governance != NULL) return NULL;
  const lk_verdict *verdict = task->authorisation != NULL ? &task->authorisation->verdict : NULL;
  json_t *decision = lk_decision_record(governance, verdict, model, released);
  if (decision == NULL) f->replies.failed = true;
  return decision;
}

/* A reply with an error says nothing of the gallery. */
static void encode(finish *f, lk_task *task, const lk_done *done) {
  lk_gallery_stat stat;
  lk_release released = release_of(task, done, &stat);
  lk_authorise_release(f->worker, task, done->result, &released);
  lk_reply_head head = {
      .status = task->status, .id = task->job.id, .gallery = task->job.gallery, .wait_us = task->wait_us};
  if (task->status == LK_OK) {
    head.model = lk_text_of(stat.model);
    head.epoch = released.epoch;
    head.searched = released.searched;
    head.total = released.total;
    head.compute_us = done->compute_us;
    head.probes = lk_job_lists(&task->job);
  } else {
    head.text = lk_text_of(task->error.text);
  }
  json_t *decision = decision_of(f, task, lk_text_of(stat.model), &released);
  lk_reply_part part = part_of(task, done);
  (task->job.json ? lk_reply_encode_json : lk_reply_encode)(&head, &part, decision, &f->replies);
  json_decref(decision);
}

static const lk_keys *keys_of(const finish *f, const lk_task *task) { return &f->worker->keys[task->number]; }

static bool is_of_stream(const lk_task *task, const lk_task *first) { return task->stream == first->stream; }

/* The number (from 1) of the task's reply list among the keys; adds a new list. */
static uint32_t list_of(finish *f, const lk_task *task, uint32_t *lists) {
  uint32_t number = 0;
  const char *replies = keys_of(f, task)->replies;
  size_t prefix = strlen(replies);
  for (const char *key = f->keys.data; number < *lists; key += strlen(key) + 1, number++)
    if (lk_text_equal(lk_text_of(key + prefix), task->job.to)) return number + 1;
  lk_bytes_append(&f->keys, replies, prefix);
  lk_bytes_append(&f->keys, task->job.to.bytes, task->job.to.length);
  lk_bytes_append(&f->keys, "", 1);
  return ++*lists;
}

/* Collects the tasks of the stream of `first`, their replies and lists, except those without a client to answer. */
static size_t collect(finish *f, const lk_done *done, const lk_task *first, uint32_t *lists) {
  size_t count = 0;
  f->replies.length = f->keys.length = 0;
  *lists = 0;
  for (lk_task *task = done->tasks; task != NULL; task = lk_task_next(task)) {
    if (!is_of_stream(task, first) || task->job.to.length == 0 || task->finished) continue;
    if (f->keys.failed || !reserve(f, count + 1)) {
      f->replies.failed = true;
      return 0;
    }
    snprintf(task->list, sizeof task->list, "%u", list_of(f, task, lists));
    encode(f, task, done);
    f->tasks[count] = task;
    f->ends[count++] = f->replies.length;
  }
  return count;
}

static void build_call(finish *f, const lk_task *first, size_t count, uint32_t lists, char keys_count[12]) {
  lk_command *command = &f->command;
  lk_command_clear(command);
  snprintf(keys_count, 12, "%u", lists + 2);
  lk_command_add_string(command, "FCALL");
  lk_command_add_string(command, LK_FINISH);
  lk_command_add_string(command, keys_count);
  lk_command_add_string(command, first->stream);
  lk_command_add_string(command, keys_of(f, first)->dead);
  const char *key = f->keys.data;
  for (uint32_t i = 0; i < lists; i++, key += strlen(key) + 1) lk_command_add_string(command, key);
  lk_command_add_string(command, LK_GROUP);
  for (size_t i = 0, begin = 0; i < count; begin = f->ends[i++]) {
    lk_command_add_string(command, f->tasks[i]->entry);
    lk_command_add_string(command, f->tasks[i]->list);
    lk_command_add_string(command, f->tasks[i]->since);
    lk_command_add_string(command, f->tasks[i]->until);
    lk_command_add(command, f->tasks[i]->job.id.bytes, f->tasks[i]->job.id.length);
    lk_command_add(command, f->replies.data + begin, f->ends[i] - begin);
  }
}

/* Marks the tasks that the call has answered. The Function leaves out those whose decision does not hold at Redis'
 * time: then our estimate of its clock was wrong. */
static void note_taken(finish *f, const lk_redis_reply *reply) {
  const lk_redis_reply *untimely = lk_redis_reply_element(reply, 3);
  for (size_t i = 0; i < f->count; i++) f->tasks[i]->finished = true;
  for (size_t u = 0; u < lk_redis_reply_elements(untimely); u++) {
    int64_t number = lk_redis_reply_integer(lk_redis_reply_element(untimely, u));
    if (number >= 1 && (size_t)number <= f->count) f->tasks[number - 1]->finished = false;
    atomic_store(&f->worker->redis_ahead_ms,
                 lk_redis_reply_integer(lk_redis_reply_element(reply, 4)) - (int64_t)(lk_clock_us() / 1000));
  }
}

static lk_status take_answer(finish *f, const lk_redis_reply *reply, lk_error *error) {
  if (f->count == 0) return LK_OK; /* of a discard */
  if (lk_redis_reply_elements(reply) != 5)
    return lk_fail(error, LK_EIO, "redis has a different function named %s", LK_FINISH);
  int64_t undelivered = lk_redis_reply_integer(lk_redis_reply_element(reply, 2));
  if (undelivered > 0)
    lk_printable_line(f->session.log, "likeness: finish: %lld replies could not be delivered; see %s",
                      (long long)undelivered, keys_of(f, f->tasks[0])->dead);
  note_taken(f, reply);
  return LK_OK;
}

/* Whether the call is done, or must be tried again (LK_EIO). */
static lk_status judge(finish *f, const lk_redis_reply *reply, lk_error *error) {
  const char *refused = lk_redis_reply_error(reply);
  if (refused == NULL) return take_answer(f, reply, error);
  if (strstr(refused, "NOGROUP") != NULL) {
    for (size_t i = 0; i < f->count; i++) f->tasks[i]->finished = true;
    lk_printable_line(f->session.log, "likeness: finish: redis no longer has these jobs: %s", refused);
    return LK_OK;
  }
  lk_fail(error, LK_EIO, "redis refused to finish: %s", refused);
  if (strstr(refused, "Function not found") == NULL) return LK_EIO;
  lk_error load_error;
  return lk_worker_load_functions(f->session.redis, &load_error) == LK_OK ? LK_EBUSY : LK_EIO;
}

/* False: the worker must stop, and Redis did not answer during the time of grace. */
static bool may_try(finish *f) {
  if (!lk_worker_is_stopping(f->worker)) return true;
  if (f->stopped_us == 0) {
    f->stopped_us = lk_clock_us();
    atomic_store(&f->worker->give_up, f->stopped_us + grace_us);
  }
  return lk_clock_us() < f->stopped_us + grace_us;
}

/* Sends until Redis has the call, or until the rules were read again, so that the tasks must be decided again. */
static bool send_call(finish *f) {
  while (may_try(f)) {
    lk_error error;
    lk_authorise_reload(f->worker);
    if (f->count > 0 && lk_authorise_generation(f->worker) != f->generation) return true;
    lk_redis_reply *reply = NULL;
    lk_status status = lk_redis_session_open(&f->session, &error);
    if (status == LK_EPOLICY) lk_worker_fail(f->worker, status, &error);
    if (status != LK_OK) continue;
    status = lk_redis_call(f->session.redis, &f->command, &reply, &error);
    if (status == LK_OK) {
      status = judge(f, reply, &error);
      lk_redis_reply_free(reply);
    }
    if (status == LK_OK) {
      lk_redis_session_works(&f->session);
      return true;
    }
    if (status != LK_EBUSY) lk_redis_session_broke(&f->session, &error);
  }
  return false;
}

static bool discard(finish *f, const lk_task *task) {
  const char *const words[] = {"FCALL",     LK_DISCARD,      "2", task->stream, keys_of(f, task)->dead, LK_GROUP,
                               task->entry, task->error.text};
  lk_command_clear(&f->command);
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) lk_command_add_string(&f->command, words[i]);
  return send_call(f);
}

/* Repeats until the finish function has finished all tasks of the stream of `first`. A task that arrives outside its
 * time limits, or whose rules have changed meanwhile, is decided again. */
static bool finish_stream(finish *f, const lk_done *done, const lk_task *first) {
  for (;;) {
    uint32_t lists;
    char keys_count[12];
    f->generation = lk_authorise_generation(f->worker);
    f->count = collect(f, done, first, &lists);
    if (!lk_authorise_commit(f->worker, f->tasks, f->count)) f->count = collect(f, done, first, &lists);
    if (f->replies.failed || f->keys.failed) return false;
    if (f->count == 0) return true;
    build_call(f, first, f->count, lists, keys_count);
    if (!send_call(f)) return false;
  }
}

/* A call of the function has keys of one gallery. */
static bool finish_batch(finish *f, const lk_done *done) {
  bool sent = true;
  for (int priority = 0; priority < LK_PRIORITIES; priority++)
    for (const lk_task *task = done->tasks; sent && task != NULL; task = lk_task_next(task))
      if ((int)task->priority == priority && task->job.to.length > 0 && !task->finished)
        sent = finish_stream(f, done, task);
  f->count = 0;
  for (lk_task *task = done->tasks; sent && task != NULL; task = lk_task_next(task))
    if (task->job.to.length == 0) sent = discard(f, task);
  return sent;
}

static void answer(finish *f, const lk_done *done) {
  static const char why[] = "some replies could not be delivered; their jobs stay pending in redis";
  lk_error error;
  f->finished = finish_batch(f, done);
  if (!f->finished) lk_worker_fail(f->worker, lk_fail(&error, LK_EIO, "%s", why), &error);
}

static void trim(finish *f) {
  uint32_t streams = f->worker->options->galleries_count * LK_PRIORITIES;
  for (uint32_t s = 0; f->session.redis != NULL && s < streams; s++) {
    const char *stream = f->worker->keys[s / LK_PRIORITIES].lanes[s % LK_PRIORITIES][0];
    const char *const words[] = {LK_TRIM, "1", stream, LK_GROUP};
    lk_redis_reply *reply = NULL;
    lk_error error;
    if (lk_functions_call_words(f->session.redis, &reply, &error, 4, words) != LK_OK)
      lk_redis_session_close(&f->session);
    lk_redis_reply_free(reply);
  }
}

static void tidy(finish *f) {
  uint64_t now_us = lk_clock_us();
  if (now_us < f->tidied_us + tidy_every_us) return;
  lk_head_publish(f->worker, &f->session, false);
  if (f->finished) trim(f);
  f->finished = false;
  f->tidied_us = now_us;
}

static void wait_a_second(lk_worker *worker) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec++;
  pthread_cond_timedwait(&worker->changed, &worker->lock, &until);
}

static bool has_batch(const lk_worker *worker) { return worker->done_first != NULL || worker->refused_first != NULL; }

/* Waits for a batch, at most one second: a computed one, or the refused tasks, moved into `refused`. *done is NULL if
 * there was none. False: there will be no more. */
static bool wait_for_batch(lk_worker *worker, lk_done *refused, lk_done **done) {
  *done = NULL;
  pthread_mutex_lock(&worker->lock);
  if (!has_batch(worker) && worker->computing > 0) wait_a_second(worker);
  bool more = has_batch(worker) || worker->computing > 0;
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

static void give_back(lk_worker *worker, lk_done *done, const lk_done *refused) {
  uint64_t jobs = 0;
  lk_task *tasks = done->tasks;
  pthread_mutex_lock(&worker->lock);
  for (lk_task *task = tasks; task != NULL; task = lk_task_next(task)) {
    jobs++;
    *task->older = task->newer;
    if (task->newer != NULL) task->newer->older = task->older;
  }
  worker->tasks -= (uint32_t)jobs;
  worker->jobs += jobs;
  if (done != refused) {
    done->tasks = NULL;
    done->next = worker->free_slots;
    worker->free_slots = done;
  }
  pthread_cond_broadcast(&worker->changed);
  pthread_mutex_unlock(&worker->lock);
  for (lk_task *next; tasks != NULL; tasks = next) {
    next = lk_task_next(tasks);
    lk_task_free(tasks);
  }
}

void *lk_finish_main(void *argument) {
  lk_worker *worker = argument;
  finish f = {.worker = worker, .session = lk_worker_session(worker, "finish")};
  lk_done refused, *done;
  lk_head_publish(worker, &f.session, true);
  while (wait_for_batch(worker, &refused, &done)) {
    if (done != NULL) answer(&f, done);
    if (done != NULL) give_back(worker, done, &refused);
    tidy(&f);
  }
  lk_head_publish(worker, &f.session, true);
  lk_redis_session_close(&f.session);
  lk_command_free(&f.command);
  lk_bytes_free(&f.replies);
  lk_bytes_free(&f.keys);
  free(f.ends);
  free(f.tasks);
  pthread_mutex_lock(&worker->lock);
  worker->finish_over = true;
  pthread_cond_broadcast(&worker->ended);
  pthread_mutex_unlock(&worker->lock);
  return NULL;
}
