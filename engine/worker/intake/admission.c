#include "engine/worker/intake/admission.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/text.h"
#include "engine/queue/entry.h"
#include "engine/queue/protocol.h"
#include "engine/worker/authorise.h"
#include "engine/worker/entry_fields.h"
#include "engine/worker/intake/question.h"
#include "engine/worker/log/hand_over.h"
#include "engine/worker/waiting.h"

lk_admission lk_admission_of(lk_worker *worker, const char *stage) {
  return (lk_admission){.worker = worker, .notes.refusals = {.stage = stage, .log = worker->options->log}};
}

void lk_admission_free(lk_admission *admission) { lk_notes_free(&admission->notes); }

size_t lk_admission_bytes(const lk_redis_reply *fields) {
  size_t bytes = 0, length;
  for (size_t i = 0; i < lk_redis_reply_elements(fields); i++)
    if (lk_redis_reply_string(lk_redis_reply_element(fields, i), &length) != NULL) bytes += length;
  return bytes;
}

/* An entry has at least one field; of one that was deleted while it was pending, Redis knows only the id. */
static lk_status parse(lk_task *task, const lk_redis_reply *list, size_t bytes) {
  lk_field fields[LK_FIELDS_MAX];
  if (list == NULL || lk_redis_reply_elements(list) == 0)
    return lk_fail(&task->error, LK_EBADJOB, "the entry was deleted before it was answered");
  lk_status status = lk_job_parse(fields, lk_entry_fields_read(list, fields), &task->job, &task->error);
  if (lk_redis_reply_elements(list) > 2 * LK_FIELDS_MAX)
    return lk_fail(&task->error, LK_EBADJOB, "more than %d fields", LK_FIELDS_MAX);
  if (bytes > LK_ENTRY_BYTES_MOST)
    return lk_fail(&task->error, LK_EBADJOB, "the job has %zu bytes; at most %zu are allowed", bytes,
                   LK_ENTRY_BYTES_MOST);
  return status;
}

static lk_entry *newest_of(lk_worker *worker, uint32_t gallery, const char *stream) {
  return &worker->newest[gallery * LK_SOURCES + lk_source_number(&worker->keys[gallery], stream)];
}

static bool is_newer(const lk_entry *a, const lk_entry *b) {
  return a->ms != b->ms ? a->ms > b->ms : a->sequence > b->sequence;
}

/* Whether the worker already has a task for this entry: it is read again, or it comes as new since the group was
 * destroyed and made again. A task that is finished counts no more: an entry that is read again just then is computed
 * again, but the finish function answers it only once. Under the lock. */
static bool is_taken(lk_worker *worker, uint32_t gallery, const char *stream, const char *id) {
  lk_entry entry;
  if (lk_entry_parse(id, strlen(id), &entry) && is_newer(&entry, newest_of(worker, gallery, stream))) return false;
  return lk_worker_has(worker, stream, id);
}

static bool is_given_twice(lk_worker *worker, const lk_admission_entry *given) {
  pthread_mutex_lock(&worker->lock);
  bool taken = is_taken(worker, given->from->gallery, given->from->key, given->id);
  pthread_mutex_unlock(&worker->lock);
  return taken;
}

static void note_newest(lk_worker *worker, const lk_task *task) {
  lk_entry entry, *newest = newest_of(worker, task->number, task->stream);
  if (lk_entry_parse(task->entry, strlen(task->entry), &entry) && is_newer(&entry, newest)) *newest = entry;
}

void lk_admission_add(lk_admission *a, lk_delivery *delivery, const lk_admission_entry *entry) {
  size_t bytes = entry->fields != NULL ? lk_admission_bytes(entry->fields) : 0;
  a->entries++;
  a->weighed.bytes += bytes;
  lk_task *task = NULL;
  if (is_given_twice(a->worker, entry)) return;
  if (entry->id_length < sizeof task->entry) task = lk_task_new(delivery, bytes);
  if (task == NULL) {
    atomic_fetch_add(&a->worker->recoveries, 1);
    return;
  }
  memcpy(task->entry, entry->id, entry->id_length);
  task->number = entry->from->gallery;
  task->stream = entry->from->key;
  task->priority = entry->from->priority;
  task->claimed = entry->claimed;
  task->deaths = entry->deaths;
  task->fields = entry->fields;
  task->deadline_us = INT64_MAX;
  task->status = parse(task, entry->fields, bytes);
  a->weighed.probes += task->job.probes.rows;
  a->weighed.bytes += lk_task_prepared_bytes(task);
  a->deaths_unknown |= entry->again && !entry->claimed;
  if (a->first == NULL) a->last = &a->first;
  *a->last = &task->queued;
  a->last = &task->queued.next;
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

lk_status lk_admission_read_clock(lk_worker *worker, lk_redis *redis, lk_error *error) {
  const char *const words[] = {"TIME"};
  lk_redis_reply *reply = NULL;
  lk_status status = lk_redis_call_words(redis, &reply, error, 1, words);
  if (status != LK_OK) return status;
  if (lk_redis_reply_elements(reply) != 2)
    status = lk_redis_reply_unexpected(reply, "TIME", error);
  else
    lk_worker_set_redis_ms(worker, lk_redis_reply_integer(lk_redis_reply_element(reply, 0)) * 1000 +
                                       lk_redis_reply_integer(lk_redis_reply_element(reply, 1)) / 1000);
  lk_redis_reply_free(reply);
  return status;
}

/* What is left of the job's time in ms, by Redis' clock as we know it. It entered at the latest now. INT64_MAX: it has
 * no deadline. */
static int64_t left_ms(const lk_worker *worker, const lk_task *task, uint64_t entry_ms) {
  uint64_t now_ms = lk_worker_redis_ms(worker);
  if (task->job.ttl_ms == 0) return INT64_MAX;
  return (int64_t)((entry_ms < now_ms ? entry_ms : now_ms) + task->job.ttl_ms - now_ms);
}

/* Refuses an id far ahead of the time, which only a client can have chosen, or Redis after such an id. Our estimate of
 * Redis' clock may be old; so Redis is asked before an entry is refused, or found to be too old. The deadline is one of
 * our own clock: a job that came in time does not expire when Redis' clock is set. */
static lk_status check_entry(lk_worker *worker, lk_redis *redis, lk_task *task, lk_error *error) {
  lk_entry entry;
  if (!lk_entry_parse(task->entry, strlen(task->entry), &entry))
    return lk_fail(error, LK_EBADJOB, "the entry's id '%s' is malformed", task->entry);
  lk_status status = LK_OK;
  uint64_t ahead_ms = lk_worker_redis_ms(worker) + LK_ENTRY_AHEAD_MS;
  if (entry.ms > ahead_ms || task->job.after.ms > ahead_ms || left_ms(worker, task, entry.ms) <= 0)
    status = lk_admission_read_clock(worker, redis, error);
  if (status != LK_OK) return status;
  uint64_t now_ms = lk_worker_redis_ms(worker);
  int64_t left = left_ms(worker, task, entry.ms);
  if (left != INT64_MAX) task->deadline_us = (int64_t)lk_clock_us() + left * 1000;
  if (entry.ms <= now_ms + LK_ENTRY_AHEAD_MS) return LK_OK;
  atomic_store(&worker->needs_mending, true);
  return lk_fail(error, LK_EBADJOB, "the entry's id lies %llu s ahead of redis' time; send the job again",
                 (unsigned long long)((entry.ms - now_ms) / 1000));
}

/* Does what needs no search. A change is handed over when the decisions of all are durable. */
static lk_status begin(lk_task *task, lk_error *error) {
  int64_t late_us = (int64_t)lk_clock_us() - task->deadline_us;
  switch (lk_op_kind_of(task->job.op)) {
    case LK_OP_ASKS:
      return lk_question_answer(task, error);
    case LK_OP_CHANGES:
      return late_us < 0 ? LK_OK
                         : lk_fail(error, LK_EDEADLINE, "the deadline passed %lld ms before the change was logged",
                                   (long long)late_us / 1000);
    default:
      lk_task_queue_as(task);
      return LK_OK;
  }
}

static lk_status decide(lk_worker *worker, lk_redis *redis, lk_task *task, lk_error *error) {
  if (task->deaths >= LK_DEATHS_MOST) return lk_fail(error, LK_EPOISON, "%u workers died of this job", task->deaths);
  if (task->status != LK_OK) return task->status;
  lk_status status = check_entry(worker, redis, task, error);
  if (status != LK_OK) return status;
  status = find_gallery(worker, task, error);
  if (status == LK_OK) status = lk_task_read_lists(task, error);
  if (status != LK_OK) return status;
  status = lk_worker_check_gallery(worker, task->number, error);
  if (status == LK_OK && task->job.probes.rows > 0) status = lk_task_prepare(task, error);
  status = lk_authorise_decide(worker, redis, task, status, error);
  return status == LK_OK ? begin(task, error) : status;
}

static void queue_task(lk_worker *worker, lk_task *task) {
  worker->tasks++;
  task->newer = worker->taken;
  task->older = &worker->taken;
  if (task->newer != NULL) task->newer->older = &task->newer;
  worker->taken = task;
  note_newest(worker, task);
  bool searches = task->status == LK_OK && lk_op_kind_of(task->job.op) == LK_OP_SEARCHES;
  bool waits = searches && lk_waiting_must(worker, task);
  if (waits) task->status = lk_waiting_add(worker, task, &task->error);
  if (searches && !waits) {
    lk_batcher_push(&worker->batcher, task->priority, &task->queued, lk_clock_us());
  } else if (task->status != LK_OK || !waits) {
    task->queued.next = NULL;
    *worker->refused_last = &task->queued;
    worker->refused_last = &task->queued.next;
  }
}

static void free_tasks(lk_task *task) {
  for (lk_task *next; task != NULL; task = next) {
    next = lk_task_next(task);
    lk_task_free(task);
  }
}

/* A worker that ends takes no more; then the entries stay pending. An entry that was claimed while it was read again
 * came in on both ways: one task is enough. */
static void queue_tasks(lk_worker *worker, lk_task *task) {
  lk_task *twice = NULL;
  pthread_mutex_lock(&worker->lock);
  for (lk_task *next; task != NULL && !worker->intake_over; task = next) {
    next = lk_task_next(task);
    if (!is_taken(worker, task->number, task->stream, task->entry)) {
      queue_task(worker, task);
      continue;
    }
    task->queued.next = (lk_queued *)twice;
    twice = task;
  }
  pthread_cond_broadcast(&worker->work);
  if (worker->refused_first != NULL) pthread_cond_broadcast(&worker->changed);
  pthread_mutex_unlock(&worker->lock);
  free_tasks(twice);
  free_tasks(task);
}

static lk_status read_notes(lk_admission *a, lk_redis *redis, bool cancels, lk_error *error) {
  lk_task *tasks = (lk_task *)a->first;
  lk_status status = LK_OK;
  for (uint32_t i = 0; status == LK_OK && i < a->worker->options->galleries_count; i++) {
    const lk_keys *keys = &a->worker->keys[i];
    if (cancels) status = lk_notes_read_cancelled(&a->notes, redis, keys, i, tasks, error);
    if (status == LK_OK && a->deaths_unknown) status = lk_notes_read_deaths(&a->notes, redis, keys, i, tasks, error);
  }
  if (cancels || a->deaths_unknown) lk_refusal_log_end_round(&a->notes.refusals);
  return status;
}

/* Decides the tasks in turn. Returns the end of those that are decided: there the connection broke, or the list ends.
 */
static lk_queued **decide_all(lk_admission *a, lk_redis *redis, lk_error *error) {
  lk_queued **at = &a->first;
  for (; *at != NULL; at = &(*at)->next) {
    lk_task *task = (lk_task *)*at;
    task->status = decide(a->worker, redis, task, &task->error);
    if (task->status != LK_EIO) continue;
    *error = task->error;
    break;
  }
  return at;
}

static bool is_permitted_change(const lk_task *task) {
  return task->status == LK_OK && lk_op_kind_of(task->job.op) == LK_OP_CHANGES;
}

/* Makes the decisions of all changes durable, with one commit. LK_EINTERNAL: out of memory. */
static lk_status commit_changes(const lk_admission *a, lk_error *error) {
  size_t count = 0;
  for (const lk_task *task = (lk_task *)a->first; task != NULL; task = lk_task_next(task))
    count += is_permitted_change(task);
  if (count == 0) return LK_OK;
  lk_task **changes = malloc(count * sizeof *changes);
  if (changes == NULL) return lk_fail(error, LK_EINTERNAL, "out of memory");
  count = 0;
  for (lk_task *task = (lk_task *)a->first; task != NULL; task = lk_task_next(task))
    if (is_permitted_change(task)) changes[count++] = task;
  lk_authorise_commit(a->worker, changes, count);
  free(changes);
  return LK_OK;
}

static void move_to(lk_queued **at, lk_queued **to) {
  lk_queued *moved = *at;
  *at = moved->next;
  moved->next = *to;
  *to = moved;
}

static void note_handed_over(lk_worker *worker, const lk_task *gone) {
  pthread_mutex_lock(&worker->lock);
  for (; gone != NULL; gone = lk_task_next(gone)) worker->jobs++;
  pthread_mutex_unlock(&worker->lock);
}

static lk_status hand_over(lk_admission *a, lk_redis *redis, lk_task *task) {
  lk_authorise_reload(a->worker);
  if (lk_authorise_generation(a->worker) != a->generation)
    return lk_fail(&task->error, LK_ECANCELLED, "the rules were read again");
  return lk_hand_over(a->worker, redis, task, &task->error);
}

/* Where changes go, as lists. */
typedef struct handing {
  lk_queued *gone, *again, *left;
  bool broke; /* the connection; then nothing more is handed over */
  lk_error error;
} handing;

/* NULL: the task stays, to be answered. */
static lk_queued **place_of(handing *h, const lk_task *task) {
  switch (task->status) {
    case LK_OK:
      return &h->gone;
    case LK_ECANCELLED:
      return &h->again;
    case LK_EIO:
      if (!h->broke) h->error = task->error;
      h->broke = true;
      return &h->left;
    default:
      return NULL;
  }
}

static void hand_over_all(lk_admission *a, lk_redis *redis, handing *h) {
  lk_error why;
  lk_status committed = commit_changes(a, &why);
  for (lk_queued **at = &a->first; *at != NULL;) {
    lk_task *task = (lk_task *)*at;
    lk_queued **to = NULL;
    if (is_permitted_change(task)) {
      task->status = committed;
      task->error = why;
      if (committed == LK_OK) task->status = h->broke ? LK_EIO : hand_over(a, redis, task);
      to = place_of(h, task);
    }
    if (to != NULL)
      move_to(at, to);
    else
      at = &task->queued.next;
  }
}

/* Changes that are permitted go to the log and are no tasks any more. What it is not known of whether it is there stays
 * pending in Redis, as all in `left`; so does what must be decided again, which the intakes are told to read again.
 * Returns what is left. */
static lk_queued *hand_over_changes(lk_admission *a, lk_redis *redis, lk_queued *left, lk_error *error) {
  handing h = {.left = left};
  hand_over_all(a, redis, &h);
  note_handed_over(a->worker, (lk_task *)h.gone);
  free_tasks((lk_task *)h.gone);
  if (h.again != NULL) atomic_fetch_add(&a->worker->recoveries, 1);
  free_tasks((lk_task *)h.again);
  if (h.broke) *error = h.error;
  return h.left;
}

lk_status lk_admission_run(lk_admission *a, lk_redis *redis, bool cancels, lk_error *error) {
  if (a->first == NULL) return LK_OK;
  lk_queued **end = &a->first;
  a->generation = lk_authorise_generation(a->worker);
  if (read_notes(a, redis, cancels, error) == LK_OK) end = decide_all(a, redis, error);
  lk_queued *pending = *end;
  *end = NULL;
  lk_task *left = (lk_task *)hand_over_changes(a, redis, pending, error);
  if (a->first != NULL) queue_tasks(a->worker, (lk_task *)a->first);
  free_tasks(left);
  a->first = NULL;
  a->deaths_unknown = false;
  return left == NULL ? LK_OK : LK_EIO;
}
