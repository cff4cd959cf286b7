/* Intake reads entries, makes tasks of them, and refuses at once what cannot be searched. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/text.h"
#include "engine/queue/entry.h"
#include "engine/queue/protocol.h"
#include "engine/worker/authorise.h"
#include "engine/worker/mender.h"
#include "engine/worker/worker.h"

/* Entries of a stream that one call reads, and of all streams together. */
enum { READ_LEAST = 32, READ_MOST = 256 };

/* A stream that the worker reads. */
typedef struct source {
  const char *key;
  uint32_t number; /* of its gallery */
  lk_priority priority;
  char seen[48]; /* after a connection broke: the id up to which it was read again */
} source;

typedef struct intake {
  lk_worker *worker;
  lk_redis_session session;
  lk_mender mender;
  bool set_up;
  source *sources; /* those of priority hi first: Redis answers in this order */
  uint32_t sources_count;
  char count[12]; /* entries to read of each */
  lk_command command;
  bool recovering; /* a connection broke: entries are read again, since they were delivered but may not have arrived */
} intake;

static lk_status create_group(lk_redis *redis, const char *stream, lk_error *error) {
  const char *const words[] = {"XGROUP", "CREATE", stream, LK_GROUP, "0", "MKSTREAM", "ENTRIESREAD", "0"};
  lk_redis_reply *reply = NULL;
  lk_status status = lk_redis_call_words(redis, &reply, error, 8, words);
  if (status != LK_OK) return status;
  const char *refused = lk_redis_reply_error(reply);
  if (refused != NULL && strncmp(refused, "BUSYGROUP", 9) != 0)
    status = lk_fail(error, lk_redis_reply_refusal(reply), "redis refused the group %s on %s: %s", LK_GROUP, stream,
                     refused);
  lk_redis_reply_free(reply);
  return status;
}

static lk_status read_clock(intake *in, lk_error *error) {
  const char *const words[] = {"TIME"};
  lk_redis_reply *reply = NULL;
  lk_status status = lk_redis_call_words(in->session.redis, &reply, error, 1, words);
  if (status != LK_OK) return status;
  int64_t now_ms = lk_redis_reply_integer(lk_redis_reply_element(reply, 0)) * 1000 +
                   lk_redis_reply_integer(lk_redis_reply_element(reply, 1)) / 1000;
  if (lk_redis_reply_elements(reply) != 2)
    status = lk_redis_reply_unexpected(reply, "TIME", error);
  else
    atomic_store(&in->worker->redis_ahead_ms, now_ms - (int64_t)(lk_clock_us() / 1000));
  lk_redis_reply_free(reply);
  return status;
}

static lk_status set_up(intake *in, lk_error *error) {
  lk_status status = lk_worker_load_functions(in->session.redis, error);
  for (uint32_t s = 0; status == LK_OK && s < in->sources_count; s++)
    status = create_group(in->session.redis, in->sources[s].key, error);
  if (status == LK_OK) status = read_clock(in, error);
  if (status != LK_OK) return status;
  in->set_up = true;
  in->recovering = true;
  for (uint32_t s = 0; s < in->sources_count; s++) strcpy(in->sources[s].seen, "0");
  return LK_OK;
}

static lk_status read_entries(intake *in, lk_redis_reply **reply, lk_error *error) {
  const char *const words[] = {"XREADGROUP", "GROUP", LK_GROUP, in->worker->consumer, "COUNT", in->count,
                               "BLOCK",      "200",   "STREAMS"};
  lk_command_clear(&in->command);
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) lk_command_add_string(&in->command, words[i]);
  for (uint32_t s = 0; s < in->sources_count; s++) lk_command_add_string(&in->command, in->sources[s].key);
  for (uint32_t s = 0; s < in->sources_count; s++)
    lk_command_add_string(&in->command, in->recovering ? in->sources[s].seen : ">");
  return lk_redis_call(in->session.redis, &in->command, reply, error);
}

/* The stream says who may send and read; so the job cannot name another gallery. */
static lk_status find_gallery(const lk_worker *worker, lk_task *task, lk_error *error) {
  const char *name = worker->keys[task->number].gallery;
  if (!lk_text_equal(task->job.gallery, lk_text_of(name)))
    return lk_fail(error, LK_EBADJOB, "field gallery: '%.*s', but the job is in a stream of the gallery '%s'",
                   lk_text_shown(task->job.gallery), task->job.gallery.bytes, name);
  task->gallery = worker->options->galleries[task->number];
  return LK_OK;
}

/* Prepares the probes once, into the memory that the search reads. */
static lk_status prepare(lk_task *task, lk_error *error) {
  const lk_vectors *probes = &task->job.probes;
  task->prepared = malloc(probes->rows * probes->dim * sizeof *task->prepared);
  if (task->prepared == NULL) return lk_fail(error, LK_EINTERNAL, "out of memory");
  return lk_gallery_prepare(task->gallery, probes, task->job.model, task->prepared, error);
}

/* Refuses an id far ahead of the time, which only a client can have chosen, or Redis after such an id. Our estimate of
 * Redis' clock may be old; so Redis is asked before an entry is refused. */
static lk_status check_entry(intake *in, const lk_task *task, uint64_t *entered_ms, lk_error *error) {
  lk_entry entry;
  if (!lk_entry_parse(task->entry, strlen(task->entry), &entry))
    return lk_fail(error, LK_EBADJOB, "the entry's id '%s' is malformed", task->entry);
  lk_status status = LK_OK;
  if (entry.ms > lk_worker_redis_ms(in->worker) + LK_ENTRY_AHEAD_MS) status = read_clock(in, error);
  if (status != LK_OK) return status;
  uint64_t now_ms = lk_worker_redis_ms(in->worker);
  *entered_ms = entry.ms < now_ms ? entry.ms : now_ms;
  if (entry.ms <= now_ms + LK_ENTRY_AHEAD_MS) return LK_OK;
  in->mender.due_us = 0;
  return lk_fail(error, LK_EBADJOB, "the entry's id lies %llu s ahead of redis' time; send the job again",
                 (unsigned long long)((entry.ms - now_ms) / 1000));
}

static lk_status admit(intake *in, lk_task *task, lk_error *error) {
  const lk_worker *worker = in->worker;
  lk_job *job = &task->job;
  uint64_t entered_ms = 0;
  lk_status status = check_entry(in, task, &entered_ms, error);
  if (status != LK_OK) return status;
  if (job->ttl_ms > 0) task->deadline_ms = entered_ms + job->ttl_ms;
  status = find_gallery(worker, task, error);
  if (status != LK_OK) return status;
  status = lk_task_read_lists(task, error);
  if (status != LK_OK) return status;
  status = lk_worker_check_gallery(in->worker, task->number, error);
  if (status == LK_OK) status = prepare(task, error);
  status = lk_authorise_decide(worker, in->session.redis, task, status, error);
  lk_task_queue_as(task);
  return status;
}

static size_t read_fields(const lk_redis_reply *list, lk_field fields[LK_FIELDS_MAX]) {
  size_t count = 0;
  for (size_t i = 0; i + 1 < lk_redis_reply_elements(list) && count < LK_FIELDS_MAX; i += 2) {
    size_t length;
    const char *name = lk_redis_reply_string(lk_redis_reply_element(list, i), &length);
    lk_field *field = &fields[count];
    field->name = (lk_text){.bytes = name, .length = (uint32_t)length};
    field->value = lk_redis_reply_string(lk_redis_reply_element(list, i + 1), &field->length);
    if (name != NULL && field->value != NULL) count++;
  }
  return count;
}

static lk_status parse_task(intake *in, lk_task *task, const lk_redis_reply *list) {
  lk_field fields[LK_FIELDS_MAX];
  task->deadline_ms = UINT64_MAX;
  /* An entry has at least one field; of one that was deleted while it was pending, Redis knows only the id. */
  if (lk_redis_reply_elements(list) == 0)
    return lk_fail(&task->error, LK_EBADJOB, "the entry was deleted before it was answered");
  size_t count = read_fields(list, fields);
  lk_status status = lk_job_parse(fields, count, &task->job, &task->error);
  if (lk_redis_reply_elements(list) > 2 * LK_FIELDS_MAX)
    return lk_fail(&task->error, LK_EBADJOB, "more than %d fields", LK_FIELDS_MAX);
  return status == LK_OK ? admit(in, task, &task->error) : status;
}

/* Whether the worker already has a task for this entry. It forgets a task when it is finished; an entry that is read
 * again just then is computed again, but the finish function answers it only once. */
static bool is_taken(lk_worker *worker, const source *from, const char *entry) {
  pthread_mutex_lock(&worker->lock);
  const lk_task *task = worker->taken;
  while (task != NULL &&
         (task->number != from->number || task->priority != from->priority || strcmp(task->entry, entry) != 0))
    task = task->newer;
  pthread_mutex_unlock(&worker->lock);
  return task != NULL;
}

static void queue_task(lk_worker *worker, lk_task *task) {
  pthread_mutex_lock(&worker->lock);
  worker->tasks++;
  task->newer = worker->taken;
  task->older = &worker->taken;
  if (task->newer != NULL) task->newer->older = &task->newer;
  worker->taken = task;
  if (task->status == LK_OK) {
    lk_batcher_push(&worker->batcher, task->priority, &task->queued, lk_clock_us());
  } else {
    *worker->refused_last = &task->queued;
    worker->refused_last = &task->queued.next;
  }
  pthread_cond_broadcast(&worker->changed);
  pthread_mutex_unlock(&worker->lock);
}

/* LK_EIO: the connection broke. An entry that was not taken, for that reason or because memory ran out, stays pending
 * and is read again after the next connection. */
static lk_status take_entry(intake *in, lk_delivery *delivery, source *from, const lk_redis_reply *entry,
                            lk_error *error) {
  size_t length = 0;
  const char *id =
      lk_redis_reply_elements(entry) == 2 ? lk_redis_reply_string(lk_redis_reply_element(entry, 0), &length) : NULL;
  if (id == NULL || length >= sizeof from->seen) return LK_OK;
  if (in->recovering) strcpy(from->seen, id);
  if (in->recovering && is_taken(in->worker, from, id)) return LK_OK;
  lk_task *task = lk_task_new(delivery);
  if (task == NULL) return LK_OK;
  memcpy(task->entry, id, length);
  task->number = from->number;
  task->stream = from->key;
  task->priority = from->priority;
  task->status = parse_task(in, task, lk_redis_reply_element(entry, 1));
  if (task->status == LK_EIO) {
    *error = task->error;
    lk_task_free(task);
    return LK_EIO;
  }
  queue_task(in->worker, task);
  return LK_OK;
}

/* NULL: this is no stream that was asked for. */
static source *find_source(const intake *in, const lk_redis_reply *stream) {
  size_t length;
  const char *key =
      lk_redis_reply_elements(stream) == 2 ? lk_redis_reply_string(lk_redis_reply_element(stream, 0), &length) : NULL;
  for (uint32_t s = 0; key != NULL && s < in->sources_count; s++)
    if (strcmp(in->sources[s].key, key) == 0) return &in->sources[s];
  return NULL;
}

static lk_status take_entries(intake *in, lk_delivery *delivery, size_t *taken, lk_error *error) {
  lk_status status = LK_OK;
  *taken = 0;
  for (size_t s = 0; s < lk_redis_reply_elements(delivery->reply); s++) {
    const lk_redis_reply *stream = lk_redis_reply_element(delivery->reply, s);
    source *from = find_source(in, stream);
    if (from == NULL) continue;
    const lk_redis_reply *entries = lk_redis_reply_element(stream, 1);
    for (size_t i = 0; status == LK_OK && i < lk_redis_reply_elements(entries); i++, ++*taken)
      status = take_entry(in, delivery, from, lk_redis_reply_element(entries, i), error);
  }
  return status;
}

/* The last task of a reply frees it. */
static lk_status take_reply(intake *in, lk_redis_reply *reply, size_t *taken, lk_error *error) {
  lk_delivery *delivery = calloc(1, sizeof *delivery);
  *taken = 0;
  if (delivery == NULL) {
    lk_redis_reply_free(reply);
    return LK_OK;
  }
  delivery->reply = reply;
  delivery->tasks = 1;
  lk_status status = take_entries(in, delivery, taken, error);
  lk_delivery_release(delivery);
  return status;
}

static lk_status read_jobs(intake *in, lk_error *error) {
  lk_redis_reply *reply = NULL;
  lk_status status = read_entries(in, &reply, error);
  if (status != LK_OK) return status;
  if (!lk_redis_reply_is_array(reply) && !lk_redis_reply_is_nil(reply)) {
    status = lk_redis_reply_unexpected(reply, "XREADGROUP", error);
    lk_redis_reply_free(reply);
    return status;
  }
  size_t taken;
  status = take_reply(in, reply, &taken, error);
  if (in->recovering && taken == 0) in->recovering = false;
  return status;
}

static lk_status step(intake *in, bool may_read, lk_error *error) {
  lk_status status = in->set_up ? LK_OK : set_up(in, error);
  if (status == LK_OK) status = lk_mender_run(&in->mender, &in->session, error);
  return status == LK_OK && may_read ? read_jobs(in, error) : status;
}

static bool stopping(const lk_worker *worker) { return atomic_load(worker->options->stop) || worker->status != LK_OK; }

/* Waits at most one second until the worker may take more tasks. It takes no more than it can compute soon, since other
 * workers cannot get the jobs that wait here. */
static bool may_read(lk_worker *worker) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec++;
  pthread_mutex_lock(&worker->lock);
  int waited = 0;
  bool ready = false;
  while (waited == 0 && !ready && !stopping(worker)) {
    ready = worker->tasks < LK_TASKS_MOST && worker->batcher.probes < worker->options->batch_probes;
    if (!ready) waited = pthread_cond_timedwait(&worker->changed, &worker->lock, &until);
  }
  pthread_mutex_unlock(&worker->lock);
  return ready;
}

/* The streams of all galleries, hi before lo. */
static lk_status open_sources(intake *in, lk_error *error) {
  uint32_t galleries = in->worker->options->galleries_count, share = READ_MOST / galleries;
  snprintf(in->count, sizeof in->count, "%u", share > READ_LEAST ? share : READ_LEAST);
  in->sources_count = galleries * LK_PRIORITIES;
  in->sources = calloc(in->sources_count, sizeof *in->sources);
  if (in->sources == NULL) return lk_fail_memory(error);
  for (uint32_t s = 0; s < in->sources_count; s++) {
    source *from = &in->sources[s];
    from->number = s % galleries;
    from->priority = (lk_priority)(s / galleries);
    from->key = in->worker->keys[from->number].lanes[from->priority][0];
  }
  return LK_OK;
}

/* Reads once, if the connection can be had and the worker may take more. */
static void turn(intake *in) {
  lk_worker *worker = in->worker;
  lk_authorise_reload(worker);
  bool reads = may_read(worker);
  if (lk_worker_is_stopping(worker)) return;
  lk_error error;
  lk_status status = lk_redis_session_open(&in->session, &error);
  if (status == LK_EPOLICY) lk_worker_fail(worker, status, &error);
  if (status != LK_OK) return;
  if (step(in, reads, &error) == LK_OK) {
    lk_redis_session_works(&in->session);
    return;
  }
  lk_redis_session_broke(&in->session, &error);
  in->set_up = false;
}

void *lk_intake_main(void *argument) {
  lk_worker *worker = argument;
  intake in = {.worker = worker,
               .session = lk_worker_session(worker, "intake"),
               .mender = {.keys = worker->keys, .count = worker->options->galleries_count}};
  lk_error error;
  lk_status status = open_sources(&in, &error);
  if (status != LK_OK) lk_worker_fail(worker, status, &error);
  while (!lk_worker_is_stopping(worker)) turn(&in);
  lk_redis_session_close(&in.session);
  lk_command_free(&in.command);
  free(in.sources);
  pthread_mutex_lock(&worker->lock);
  worker->intake_over = true;
  pthread_cond_broadcast(&worker->changed);
  pthread_mutex_unlock(&worker->lock);
  return NULL;
}
