#include "engine/worker/intake/notes.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "engine/queue/entry.h"

void lk_notes_free(lk_notes *notes) {
  lk_command_free(&notes->command);
  lk_bytes_free(&notes->names);
}

/* The next task of this gallery that is not refused; NULL: there is none. */
static lk_task *of_gallery(lk_task *task, uint32_t gallery) {
  while (task != NULL && (task->number != gallery || task->status != LK_OK)) task = lk_task_next(task);
  return task;
}

static void log_refusal(lk_notes *n, const char *key, const char *refused) {
  char what[LK_KEY_SIZE + 16];
  snprintf(what, sizeof what, "to read %s", key);
  lk_refusal_log_say(&n->refusals, what, refused);
}

/* Reads the fields that were added to the command. *reply is NULL where Redis refuses. */
static lk_status read_fields(lk_notes *n, lk_redis *redis, const char *key, lk_redis_reply **reply, lk_error *error) {
  *reply = NULL;
  if (n->names.failed) return lk_fail_memory(error);
  lk_status status = lk_redis_call(redis, &n->command, reply, error);
  if (status != LK_OK) return status;
  const char *refused = lk_redis_reply_error(*reply);
  if (refused != NULL)
    log_refusal(n, key, refused);
  else if (lk_redis_reply_elements(*reply) == n->command.count - 2)
    return LK_OK;
  else
    status = lk_redis_reply_unexpected(*reply, "HMGET", error);
  lk_redis_reply_free(*reply);
  *reply = NULL;
  return status;
}

static void begin(lk_notes *n, const char *key) {
  n->names.length = 0;
  lk_command_clear(&n->command);
  lk_command_add_string(&n->command, "HMGET");
  lk_command_add_string(&n->command, key);
}

static size_t cancelled_name_length(const lk_job *job) { return (size_t)job->to.length + 1 + job->id.length; }

/* Two fields for each: the client, and the client and the id. */
static void add_cancelled(lk_notes *n, lk_task *tasks, uint32_t gallery) {
  for (const lk_task *task = of_gallery(tasks, gallery); task != NULL; task = of_gallery(lk_task_next(task), gallery)) {
    lk_bytes_append(&n->names, task->job.to.bytes, task->job.to.length);
    lk_bytes_append(&n->names, "\n", 1);
    lk_bytes_append(&n->names, task->job.id.bytes, task->job.id.length);
  }
  if (n->names.failed) return;
  const char *name = n->names.data;
  for (const lk_task *task = of_gallery(tasks, gallery); task != NULL; task = of_gallery(lk_task_next(task), gallery)) {
    lk_command_add(&n->command, name, task->job.to.length);
    lk_command_add(&n->command, name, cancelled_name_length(&task->job));
    name += cancelled_name_length(&task->job);
  }
}

static void cancel(lk_task *task, int64_t till_ms) {
  lk_entry entry;
  if (till_ms <= 0 || !lk_entry_parse(task->entry, strlen(task->entry), &entry) || entry.ms > (uint64_t)till_ms) return;
  task->status = lk_fail(&task->error, LK_ECANCELLED, "cancelled by its client");
}

lk_status lk_notes_read_cancelled(lk_notes *n, lk_redis *redis, const lk_keys *keys, uint32_t gallery, lk_task *tasks,
                                  lk_error *error) {
  lk_redis_reply *reply;
  if (of_gallery(tasks, gallery) == NULL) return LK_OK;
  begin(n, keys->cancelled);
  add_cancelled(n, tasks, gallery);
  lk_status status = read_fields(n, redis, keys->cancelled, &reply, error);
  if (reply == NULL) return status;
  size_t i = 0;
  for (lk_task *task = of_gallery(tasks, gallery), *next; task != NULL; task = next, i += 2) {
    next = of_gallery(lk_task_next(task), gallery);
    int64_t all_ms = lk_redis_reply_integer(lk_redis_reply_element(reply, i));
    int64_t one_ms = lk_redis_reply_integer(lk_redis_reply_element(reply, i + 1));
    cancel(task, all_ms > one_ms ? all_ms : one_ms);
  }
  lk_redis_reply_free(reply);
  return LK_OK;
}

/* Fields of `deaths` are named "<stream> <entry>". */
static void add_deaths(lk_notes *n, const lk_keys *keys, lk_task *tasks, uint32_t gallery) {
  for (const lk_task *task = of_gallery(tasks, gallery); task != NULL; task = of_gallery(lk_task_next(task), gallery)) {
    const char *stream = lk_keys_short(keys, task->stream);
    lk_bytes_append(&n->names, stream, strlen(stream));
    lk_bytes_append(&n->names, " ", 1);
    lk_bytes_append(&n->names, task->entry, strlen(task->entry) + 1);
  }
  if (n->names.failed) return;
  for (const char *name = n->names.data, *end = name + n->names.length; name < end; name += strlen(name) + 1)
    lk_command_add_string(&n->command, name);
}

lk_status lk_notes_read_deaths(lk_notes *n, lk_redis *redis, const lk_keys *keys, uint32_t gallery, lk_task *tasks,
                               lk_error *error) {
  lk_redis_reply *reply;
  if (of_gallery(tasks, gallery) == NULL) return LK_OK;
  begin(n, keys->deaths);
  add_deaths(n, keys, tasks, gallery);
  lk_status status = read_fields(n, redis, keys->deaths, &reply, error);
  if (reply == NULL) return status;
  size_t i = 0;
  for (lk_task *task = of_gallery(tasks, gallery); task != NULL; task = of_gallery(lk_task_next(task), gallery))
    task->deaths = (uint32_t)lk_redis_reply_integer(lk_redis_reply_element(reply, i++));
  lk_redis_reply_free(reply);
  return LK_OK;
}
