#include "engine/worker/log/hand_over.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/printable.h"
#include "base/text.h"
#include "engine/queue/protocol.h"
#include "engine/worker/authorise_change.h"
#include "engine/worker/entry_fields.h"
#include "engine/worker/log/log_change.h"

/* How it was decided, as the reply will have it; NULL: out of memory. The caller frees it. */
static char *print_decision(const lk_task *task) {
  json_t *record = lk_authorise_change_decision(task);
  char *text = record != NULL ? json_dumps(record, JSON_COMPACT) : NULL;
  json_decref(record);
  return text;
}

/* Of all that was decided, what tells the least of a score holds for the text of a match. */
static bool tells_scores(const lk_task *task) {
  if (!task->job.change.unless_match) return false;
  for (uint32_t i = 0; i < task->authorisations; i++)
    if (task->authorisation[i].verdict.detail.hidden || task->authorisation[i].verdict.detail.rounded) return false;
  return true;
}

/* When it may be logged, by Redis' clock. */
typedef struct times {
  char since[24], until[24];
} times;

static times times_of(const lk_worker *worker, const lk_task *task) {
  times t;
  uint64_t since_ms = 0, until_ms = (UINT64_C(1) << 53) - 1; /* as far as Lua's numbers count */
  for (uint32_t i = 0; i < task->authorisations; i++) {
    const lk_verdict *verdict = &task->authorisation[i].verdict;
    if (verdict->since_ms > since_ms) since_ms = verdict->since_ms;
    if (verdict->until_ms < until_ms) until_ms = verdict->until_ms;
  }
  if (task->deadline_us != INT64_MAX) {
    int64_t left_us = task->deadline_us - (int64_t)lk_clock_us();
    uint64_t end_ms = lk_worker_redis_ms(worker) + (uint64_t)(left_us > 0 ? left_us / 1000 : 0);
    if (end_ms < until_ms) until_ms = end_ms;
  }
  snprintf(t.since, sizeof t.since, "%llu", (unsigned long long)since_ms);
  snprintf(t.until, sizeof t.until, "%llu", (unsigned long long)until_ms);
  return t;
}

static lk_status judge(lk_worker *worker, const lk_redis_reply *reply, lk_error *error) {
  size_t length;
  const char *refused = lk_redis_reply_error(reply);
  const char *word = lk_redis_reply_string(lk_redis_reply_element(reply, 0), &length);
  if (word != NULL && (strcmp(word, "LOGGED") == 0 || strcmp(word, "KNOWN") == 0 || strcmp(word, "GONE") == 0))
    return LK_OK;
  if (word != NULL && strcmp(word, "UNTIMELY") == 0) {
    lk_worker_set_redis_ms(worker, lk_redis_reply_integer(lk_redis_reply_element(reply, 1)));
    return lk_fail(error, LK_ECANCELLED, "it came too late to be logged");
  }
  if (word != NULL && strcmp(word, "EBUSY") == 0) {
    const char *why = lk_redis_reply_string(lk_redis_reply_element(reply, 2), &length);
    return lk_fail(error, LK_EBUSY, "the gallery cannot be changed now: %s", why != NULL ? why : "");
  }
  if (refused != NULL && strncmp(refused, "OOM", 3) == 0)
    return lk_fail(error, LK_EBUSY, "the gallery cannot be changed now: redis is full");
  lk_error said;
  lk_redis_reply_unexpected(reply, LK_MUTATE, &said);
  lk_printable_line(worker->options->log, "likeness: a change is not logged: %s", said.text);
  return lk_fail(error, LK_EINTERNAL, "redis refuses to log the change");
}

static lk_status call(lk_worker *worker, lk_redis *redis, const lk_task *task, const lk_log_fields *fields,
                      lk_error *error) {
  char rows[24], once[LK_KEY_SIZE + LK_ONCE_HASH];
  bool is_signed = task->once[0] != '\0';
  const times t = times_of(worker, task);
  const lk_keys *keys = &worker->keys[task->number];
  const lk_vectors *vectors = &task->job.probes;
  size_t element = vectors->element == LK_F16 ? sizeof(uint16_t) : sizeof(float);
  const char *const logs[] = {keys->log, keys->log_state, task->stream};
  const char *const words[] = {LK_GROUP, task->entry, t.since, t.until, rows};
  lk_command command = {0};
  lk_redis_reply *reply = NULL;
  snprintf(rows, sizeof rows, "%llu", (unsigned long long)vectors->rows);
  snprintf(once, sizeof once, "%s%s", keys->once, task->once);
  lk_functions_begin(&command, LK_MUTATE, is_signed ? "4" : "3");
  lk_command_add_words(&command, sizeof logs / sizeof logs[0], logs);
  if (is_signed) lk_command_add_string(&command, once);
  lk_command_add_words(&command, sizeof words / sizeof words[0], words);
  lk_command_add(&command, vectors->rows > 0 ? vectors->data : "", vectors->rows * vectors->dim * element);
  for (size_t i = 0; i < fields->count; i++) {
    lk_command_add(&command, fields->all[i].name.bytes, fields->all[i].name.length);
    lk_command_add(&command, fields->all[i].value, fields->all[i].length);
  }
  lk_status status = lk_functions_call(redis, &command, &reply, error);
  if (status == LK_OK) status = judge(worker, reply, error);
  lk_redis_reply_free(reply);
  lk_command_free(&command);
  return status;
}

lk_status lk_hand_over(lk_worker *worker, lk_redis *redis, const lk_task *task, lk_error *error) {
  lk_field given[LK_FIELDS_MAX];
  lk_log_numbers numbers;
  lk_log_fields fields;
  bool governed = worker->options->governance != NULL;
  char *decision = governed ? print_decision(task) : NULL;
  if (governed && decision == NULL) return lk_fail(error, LK_EINTERNAL, "out of memory");
  lk_status status = lk_log_change_write(&task->job, given, lk_entry_fields_read(task->fields, given),
                                         governed ? decision : "", tells_scores(task), &numbers, &fields, error);
  if (status == LK_OK) status = call(worker, redis, task, &fields, error);
  free(decision);
  return status;
}
