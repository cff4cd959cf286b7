#include "engine/queue/functions.h"

#include <stdbool.h>
#include <string.h>

#include "base/fail.h"

void lk_functions_begin(lk_command *command, const char *function, const char *keys_count) {
  lk_command_clear(command);
  lk_command_add_string(command, "FCALL");
  lk_command_add_string(command, function);
  lk_command_add_string(command, keys_count);
}

static bool is_missing(const lk_redis_reply *reply) {
  const char *refused = lk_redis_reply_error(reply);
  return refused != NULL && strstr(refused, "Function not found") != NULL;
}

/* Sets *full where Redis is too full to load them. */
static lk_status load(lk_redis *redis, bool *full, lk_error *error) {
  const char *const words[] = {"FUNCTION", "LOAD", "REPLACE", lk_functions_library};
  lk_redis_reply *reply = NULL;
  lk_status status = lk_redis_call_words(redis, &reply, error, 4, words);
  if (status != LK_OK) return status;
  const char *refused = lk_redis_reply_error(reply);
  *full = refused != NULL && strncmp(refused, "OOM", 3) == 0;
  if (refused != NULL && !*full) status = lk_fail(error, LK_EIO, "redis refused the functions: %s", refused);
  lk_redis_reply_free(reply);
  return status;
}

/* "FCALL name n keys arguments" as "EVAL script n keys name arguments". */
static lk_status run_script(lk_redis *redis, const lk_command *call, lk_redis_reply **reply, lk_error *error) {
  enum { NAME = 1, COUNT = 2, KEYS = 3 };
  lk_command script = {0};
  size_t keys = 0;
  for (const char *digit = call->arguments[COUNT]; *digit != '\0'; digit++) keys = keys * 10 + (size_t)(*digit - '0');
  lk_command_add_string(&script, "EVAL");
  lk_command_add_string(&script, lk_functions_script);
  lk_command_add_string(&script, call->arguments[COUNT]);
  for (size_t i = KEYS; i < KEYS + keys; i++) lk_command_add(&script, call->arguments[i], call->lengths[i]);
  lk_command_add_string(&script, call->arguments[NAME]);
  for (size_t i = KEYS + keys; i < call->count; i++) lk_command_add(&script, call->arguments[i], call->lengths[i]);
  lk_status status = lk_redis_call(redis, &script, reply, error);
  lk_command_free(&script);
  return status;
}

lk_status lk_functions_call(lk_redis *redis, const lk_command *command, lk_redis_reply **reply, lk_error *error) {
  lk_status status = lk_redis_call(redis, command, reply, error);
  if (status != LK_OK || !is_missing(*reply)) return status;
  lk_redis_reply_free(*reply);
  *reply = NULL;
  bool full = false;
  status = load(redis, &full, error);
  if (status != LK_OK) return status;
  return full ? run_script(redis, command, reply, error) : lk_redis_call(redis, command, reply, error);
}

lk_status lk_functions_call_words(lk_redis *redis, lk_redis_reply **reply, lk_error *error, size_t count,
                                  const char *const *words) {
  lk_command command = {0};
  lk_functions_begin(&command, words[0], words[1]);
  for (size_t i = 2; i < count; i++) lk_command_add_string(&command, words[i]);
  lk_status status = lk_functions_call(redis, &command, reply, error);
  lk_command_free(&command);
  return status;
}
