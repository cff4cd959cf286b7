#include "engine/queue/redis.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"

struct lk_redis {
  redisContext *context;
  char name[256];
};

static const struct timeval connect_timeout = {.tv_sec = 5};
static const struct timeval call_timeout = {.tv_sec = 30};

void lk_command_add(lk_command *command, const void *bytes, size_t length) {
  if (command->count == command->capacity) {
    size_t capacity = command->capacity > 0 ? 2 * command->capacity : 16;
    const char **arguments = realloc(command->arguments, capacity * sizeof *arguments);
    if (arguments != NULL) command->arguments = arguments;
    size_t *lengths = realloc(command->lengths, capacity * sizeof *lengths);
    if (lengths != NULL) command->lengths = lengths;
    if (arguments == NULL || lengths == NULL) {
      command->failed = 1;
      return;
    }
    command->capacity = capacity;
  }
  command->arguments[command->count] = bytes;
  command->lengths[command->count++] = length;
}

void lk_command_add_string(lk_command *command, const char *string) { lk_command_add(command, string, strlen(string)); }

void lk_command_clear(lk_command *command) {
  command->count = 0;
  command->failed = 0;
}

void lk_command_free(lk_command *command) {
  free(command->arguments);
  free(command->lengths);
  *command = (lk_command){0};
}

static lk_status broken(const lk_redis *redis, lk_error *error) {
  const char *why =
      redis->context->err == REDIS_ERR_IO && errno == EAGAIN ? "no answer in time" : redis->context->errstr;
  return lk_fail(error, LK_EIO, "redis at %s: %s", redis->name, why);
}

static lk_status expect_ok(lk_redis *redis, size_t count, const char *const *words, lk_error *error) {
  lk_redis_reply *reply = NULL;
  lk_status status = lk_redis_call_words(redis, &reply, error, count, words);
  if (status != LK_OK) return status;
  if (lk_redis_reply_error(reply) != NULL)
    status = lk_fail(error, lk_redis_reply_refusal(reply), "redis at %s refused %s: %s", redis->name, words[0],
                     lk_redis_reply_error(reply));
  lk_redis_reply_free(reply);
  return status;
}

static lk_status introduce(lk_redis *redis, const lk_address *address, lk_error *error) {
  lk_status status = LK_OK;
  if (address->password[0] != '\0') {
    const char *const with_user[] = {"AUTH", address->user, address->password};
    const char *const without[] = {"AUTH", address->password};
    status = address->user[0] != '\0' ? expect_ok(redis, 3, with_user, error) : expect_ok(redis, 2, without, error);
  }
  char database[16];
  snprintf(database, sizeof database, "%d", address->database);
  const char *const select[] = {"SELECT", database};
  if (status == LK_OK && address->database != 0) status = expect_ok(redis, 2, select, error);
  const char *const ping[] = {"PING"};
  return status == LK_OK ? expect_ok(redis, 1, ping, error) : status;
}

lk_status lk_redis_open(const lk_address *address, lk_redis **redis, lk_error *error) {
  lk_redis *opened = calloc(1, sizeof *opened);
  if (opened == NULL) return lk_fail_memory(error);
  strcpy(opened->name, address->text);
  opened->context = address->path[0] != '\0' ? redisConnectUnixWithTimeout(address->path, connect_timeout)
                                             : redisConnectWithTimeout(address->host, address->port, connect_timeout);
  lk_status status = LK_OK;
  if (opened->context == NULL)
    status = lk_fail_memory(error);
  else if (opened->context->err != 0)
    status = lk_fail(error, LK_EIO, "redis at %s: %s", opened->name, opened->context->errstr);
  else if (redisSetTimeout(opened->context, call_timeout) != REDIS_OK)
    status = broken(opened, error);
  if (status == LK_OK) status = introduce(opened, address, error);
  if (status != LK_OK) {
    lk_redis_close(opened);
    return status;
  }
  *redis = opened;
  return LK_OK;
}

void lk_redis_close(lk_redis *redis) {
  if (redis == NULL) return;
  if (redis->context != NULL) redisFree(redis->context);
  free(redis);
}

lk_status lk_redis_send(lk_redis *redis, const lk_command *command, lk_error *error) {
  if (command->failed) return lk_fail_memory(error);
  if (redisAppendCommandArgv(redis->context, (int)command->count, command->arguments, command->lengths) == REDIS_OK)
    return LK_OK;
  return broken(redis, error);
}

lk_status lk_redis_receive(lk_redis *redis, lk_redis_reply **reply, lk_error *error) {
  void *received = NULL;
  if (redisGetReply(redis->context, &received) != REDIS_OK) return broken(redis, error);
  *reply = received;
  return LK_OK;
}

lk_status lk_redis_call(lk_redis *redis, const lk_command *command, lk_redis_reply **reply, lk_error *error) {
  lk_status status = lk_redis_send(redis, command, error);
  return status == LK_OK ? lk_redis_receive(redis, reply, error) : status;
}

lk_status lk_redis_call_words(lk_redis *redis, lk_redis_reply **reply, lk_error *error, size_t count,
                              const char *const *words) {
  lk_command command = {0};
  for (size_t i = 0; i < count; i++) lk_command_add_string(&command, words[i]);
  lk_status status = lk_redis_call(redis, &command, reply, error);
  lk_command_free(&command);
  return status;
}

static const redisReply *inner(const lk_redis_reply *reply) { return (const redisReply *)reply; }

void lk_redis_reply_free(lk_redis_reply *reply) {
  if (reply != NULL) freeReplyObject(reply);
}

const char *lk_redis_reply_error(const lk_redis_reply *reply) {
  return inner(reply)->type == REDIS_REPLY_ERROR ? inner(reply)->str : NULL;
}

lk_status lk_redis_reply_refusal(const lk_redis_reply *reply) {
  static const char *const passing[] = {"LOADING ",
                                        "BUSY ",
                                        "READONLY ",
                                        "MASTERDOWN ",
                                        "CLUSTERDOWN ",
                                        "NOREPLICAS ",
                                        "OOM ",
                                        "MISCONF ",
                                        "TRYAGAIN ",
                                        "UNKILLABLE ",
                                        "ERR max number of clients"};
  const char *error = lk_redis_reply_error(reply);
  for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++)
    if (strncmp(error, passing[i], strlen(passing[i])) == 0) return LK_EIO;
  return LK_EPOLICY;
}

size_t lk_redis_reply_elements(const lk_redis_reply *reply) {
  return inner(reply)->type == REDIS_REPLY_ARRAY ? inner(reply)->elements : 0;
}

const lk_redis_reply *lk_redis_reply_element(const lk_redis_reply *reply, size_t i) {
  return (const lk_redis_reply *)inner(reply)->element[i];
}

lk_redis_reply *lk_redis_reply_take_element(lk_redis_reply *reply, size_t i) {
  redisReply *array = (redisReply *)reply, *element = array->element[i];
  array->element[i] = NULL; /* freeReplyObject passes over it */
  return (lk_redis_reply *)element;
}

const char *lk_redis_reply_string(const lk_redis_reply *reply, size_t *length) {
  if (inner(reply)->type != REDIS_REPLY_STRING && inner(reply)->type != REDIS_REPLY_STATUS) return NULL;
  *length = (size_t)inner(reply)->len;
  return inner(reply)->str;
}

int64_t lk_redis_reply_integer(const lk_redis_reply *reply) {
  if (inner(reply)->type == REDIS_REPLY_INTEGER) return inner(reply)->integer;
  size_t length;
  const char *string = lk_redis_reply_string(reply, &length);
  return string != NULL ? strtoll(string, NULL, 10) : 0;
}
