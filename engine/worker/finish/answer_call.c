#include "engine/worker/finish/answer_call.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/printable.h"
#include "base/text.h"
#include "engine/queue/functions.h"
#include "engine/queue/protocol.h"

/* A buffer that a large reply has blown up is not kept. */
enum { KEPT_BYTES = 4 * LK_ANSWER_CALL_BYTES };

void lk_answer_call_free(lk_answer_call *call) {
  lk_command_free(&call->command);
  lk_bytes_free(&call->replies);
  lk_bytes_free(&call->keys);
  free(call->tasks);
  free(call->ends);
}

void lk_answer_call_next(lk_answer_call *call, bool anew) {
  size_t begin = call->count > 0 ? call->ends[call->count - 1] : 0;
  bool carries = !anew && call->encoded > call->count;
  size_t carried = carries ? call->ends[call->count] - begin : 0;
  if (carried > 0) {
    memmove(call->replies.data, call->replies.data + begin, carried);
    call->tasks[0] = call->tasks[call->count];
    call->ends[0] = carried;
  } else if (call->replies.capacity > KEPT_BYTES) {
    lk_bytes_free(&call->replies);
  }
  call->replies.length = carried;
  call->replies.failed = false;
  call->count = call->encoded = carries ? 1 : 0;
}

bool lk_answer_call_begins_with(const lk_answer_call *call, const lk_task *task) {
  return call->encoded > 0 && call->tasks[0] == task;
}

static bool reserve(lk_answer_call *call, size_t count) {
  if (call->capacity >= count) return true;
  size_t capacity = 2 * call->capacity + 16;
  lk_task **tasks = realloc(call->tasks, capacity * sizeof *tasks);
  if (tasks != NULL) call->tasks = tasks;
  size_t *ends = realloc(call->ends, capacity * sizeof *ends);
  if (ends != NULL) call->ends = ends;
  if (tasks == NULL || ends == NULL) return false;
  call->capacity = capacity;
  return true;
}

bool lk_answer_call_add(lk_answer_call *call, lk_task *task) {
  if (!reserve(call, call->encoded + 1)) call->replies.failed = true;
  if (call->replies.failed) return false;
  call->tasks[call->encoded] = task;
  call->ends[call->encoded++] = call->replies.length;
  bool fits = call->encoded == 1 || call->replies.length <= LK_ANSWER_CALL_BYTES;
  if (fits) call->count = call->encoded;
  return fits && call->count < LK_ANSWER_CALL_TASKS && call->replies.length < LK_ANSWER_CALL_BYTES;
}

/* The number (from 1) of the task's reply list among the keys; adds a new list. */
static uint32_t list_of(lk_answer_call *call, const lk_keys *keys, const lk_task *task) {
  size_t prefix = strlen(keys->replies);
  const char *key = call->keys.data;
  for (uint32_t number = 0; number < call->lists; key += strlen(key) + 1, number++)
    if (lk_text_equal(lk_text_of(key + prefix), task->job.to)) return number + 1;
  lk_bytes_append(&call->keys, keys->replies, prefix);
  lk_bytes_append(&call->keys, task->job.to.bytes, task->job.to.length);
  lk_bytes_append(&call->keys, "", 1);
  return call->keys.failed ? 0 : ++call->lists;
}

static void add_signed(lk_answer_call *call, const lk_keys *keys, const lk_task *task) {
  if (task->once[0] == '\0') return;
  lk_bytes_append(&call->keys, keys->once, strlen(keys->once));
  lk_bytes_append(&call->keys, task->once, sizeof task->once);
  call->signed_jobs++;
}

/* Under it the reply is kept, for a job that is sent again. */
static lk_text kept_id(const lk_task *task) { return task->status == LK_EBUSY ? (lk_text){.bytes = ""} : task->job.id; }

static void add_task(lk_answer_call *call, size_t i) {
  const lk_task *task = call->tasks[i];
  size_t begin = i > 0 ? call->ends[i - 1] : 0;
  lk_command_add_string(&call->command, task->entry);
  lk_command_add_string(&call->command, task->list);
  lk_command_add_string(&call->command, task->since);
  lk_command_add_string(&call->command, task->until);
  lk_text id = kept_id(task);
  lk_command_add(&call->command, id.bytes, id.length);
  lk_command_add(&call->command, call->replies.data + begin, call->ends[i] - begin);
}

const lk_command *lk_answer_call_build(lk_answer_call *call, const lk_keys *keys) {
  lk_bytes_free(&call->keys);
  call->lists = call->signed_jobs = 0;
  for (size_t i = 0; i < call->count; i++) {
    lk_task *task = call->tasks[i];
    snprintf(task->list, sizeof task->list, "%u", list_of(call, keys, task));
  }
  for (size_t i = 0; i < call->count; i++) add_signed(call, keys, call->tasks[i]);
  if (call->keys.failed) return NULL;
  uint32_t more = call->lists + call->signed_jobs;
  snprintf(call->keys_count, sizeof call->keys_count, "%u", more + 2);
  lk_functions_begin(&call->command, LK_FINISH, call->keys_count);
  lk_command_add_string(&call->command, call->tasks[0]->stream);
  lk_command_add_string(&call->command, keys->dead);
  const char *key = call->keys.data;
  for (uint32_t i = 0; i < more; i++, key += strlen(key) + 1) lk_command_add_string(&call->command, key);
  lk_command_add_string(&call->command, LK_GROUP);
  for (size_t i = 0; i < call->count; i++) add_task(call, i);
  return call->command.failed ? NULL : &call->command;
}

static void note_answered(lk_answer_call *call, const lk_redis_reply *reply, atomic_int_least64_t *ahead_ms) {
  const lk_redis_reply *untimely = lk_redis_reply_element(reply, 3);
  for (size_t i = 0; i < call->count; i++) call->tasks[i]->finished = true;
  for (size_t u = 0; u < lk_redis_reply_elements(untimely); u++) {
    int64_t number = lk_redis_reply_integer(lk_redis_reply_element(untimely, u));
    if (number >= 1 && (size_t)number <= call->count) call->tasks[number - 1]->finished = false;
    atomic_store(ahead_ms, lk_redis_reply_integer(lk_redis_reply_element(reply, 4)) - (int64_t)(lk_clock_us() / 1000));
  }
}

bool lk_answer_jobs_are_gone(const lk_redis_reply *reply, FILE *log) {
  const char *refused = lk_redis_reply_error(reply);
  if (refused == NULL || strstr(refused, "NOGROUP") == NULL) return false;
  lk_printable_line(log, "likeness: finish: redis no longer has these jobs: %s", refused);
  return true;
}

lk_status lk_answer_call_judge(lk_answer_call *call, const lk_redis_reply *reply, const lk_keys *keys,
                               atomic_int_least64_t *ahead_ms, FILE *log, lk_error *error) {
  const char *refused = lk_redis_reply_error(reply);
  if (lk_answer_jobs_are_gone(reply, log)) {
    for (size_t i = 0; i < call->count; i++) call->tasks[i]->finished = true;
    return LK_OK;
  }
  if (refused != NULL) return lk_fail(error, LK_EIO, "redis refused to finish: %s", refused);
  if (lk_redis_reply_elements(reply) != 5) return lk_redis_reply_unexpected(reply, LK_FINISH, error);
  int64_t undelivered = lk_redis_reply_integer(lk_redis_reply_element(reply, 2));
  if (undelivered > 0)
    lk_printable_line(log, "likeness: finish: %lld replies could not be delivered; see %s", (long long)undelivered,
                      keys->dead);
  note_answered(call, reply, ahead_ms);
  return LK_OK;
}
