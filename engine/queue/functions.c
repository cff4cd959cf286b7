#include "engine/queue/functions.h"

#include <string.h>

void lk_functions_begin(lk_command *command, const char *function, const char *keys_count) {
  lk_command_clear(command);
  lk_command_add_string(command, "FCALL");
  lk_command_add_string(command, function);
  lk_command_add_string(command, keys_count);
}

bool lk_functions_are_missing(const lk_redis_reply *reply) {
  const char *refused = lk_redis_reply_error(reply);
  return refused != NULL && strstr(refused, "Function not found") != NULL;
}

bool lk_functions_are_forbidden(const lk_redis_reply *reply) {
  const char *refused = lk_redis_reply_error(reply);
  return refused != NULL && strncmp(refused, "NOPERM", 6) == 0 && strstr(refused, "function|load") != NULL;
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
  static const char *const load[] = {"FUNCTION", "LOAD", "REPLACE", lk_functions_library};
  lk_status status = lk_redis_call(redis, command, reply, error);
  if (status != LK_OK || !lk_functions_are_missing(*reply)) return status;
  lk_redis_reply_free(*reply);
  *reply = NULL;
  lk_redis_reply *loaded = NULL;
  status = lk_redis_call_words(redis, &loaded, error, 4, load);
  if (status != LK_OK) return status;
  const char *refused = lk_redis_reply_error(loaded);
  bool full = refused != NULL && strncmp(refused, "OOM", 3) == 0;
  if (refused != NULL && !full) {
    *reply = loaded;
    return LK_OK;
  }
  lk_redis_reply_free(loaded);
  return full ? run_script(redis, command, reply, error) : lk_redis_call(redis, command, reply, error);
}

lk_status lk_functions_call_words(lk_redis *redis, lk_redis_reply **reply, lk_error *error, size_t count,
                                  const char *const *words) {
  lk_command command = {0};
  lk_functions_begin(&command, words[0], words[1]);
  lk_command_add_words(&command, count - 2, words + 2);
  lk_status status = lk_functions_call(redis, &command, reply, error);
  lk_command_free(&command);
  return status;
}
