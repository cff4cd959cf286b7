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

static bool begins(const char *text, const char *word) {
  return text != NULL && strncmp(text, word, strlen(word)) == 0;
}

/* Whether Redis has a library of this name, which another connection may just have loaded. To load it once more would
 * take from it what it knows of this run of Redis. */
static bool is_there(const lk_redis_reply *loaded) {
  const char *refused = lk_redis_reply_error(loaded);
  return refused != NULL && strstr(refused, "already exists") != NULL;
}

/* Loads the functions, and calls. *full: they cannot be loaded, since Redis is full. */
static lk_status load_and_call(lk_redis *redis, bool replace, const lk_command *command, lk_redis_reply **reply,
                               bool *full, lk_error *error) {
  const char *const load[] = {"FUNCTION", "LOAD", replace ? "REPLACE" : lk_functions_library, lk_functions_library};
  lk_redis_reply *loaded = NULL;
  lk_redis_reply_free(*reply);
  *reply = NULL;
  lk_status status = lk_redis_call_words(redis, &loaded, error, replace ? 4 : 3, load);
  if (status != LK_OK) return status;
  *full = begins(lk_redis_reply_error(loaded), "OOM");
  if (*full || lk_redis_reply_error(loaded) == NULL || is_there(loaded)) {
    lk_redis_reply_free(loaded);
    return *full ? LK_OK : lk_redis_call(redis, command, reply, error);
  }
  *reply = loaded;
  return LK_OK;
}

lk_status lk_functions_call(lk_redis *redis, const lk_command *command, lk_redis_reply **reply, lk_error *error) {
  bool full = false;
  lk_status status = lk_redis_call(redis, command, reply, error);
  for (int replace = 0; replace < 2; replace++)
    if (status == LK_OK && !full && lk_functions_are_missing(*reply))
      status = load_and_call(redis, replace == 1, command, reply, &full, error);
  return status == LK_OK && full ? run_script(redis, command, reply, error) : status;
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
