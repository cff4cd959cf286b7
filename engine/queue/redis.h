/* A connection to Redis. Only redis.c knows hiredis.
 *
 * A call fails with LK_EIO when the connection is broken: close it and open another. What Redis refuses comes back as a
 * reply whose lk_redis_reply_error is not NULL. One thread uses a connection. The caller frees a reply. */
#ifndef ENGINE_QUEUE_REDIS_H
#define ENGINE_QUEUE_REDIS_H

#include <stddef.h>
#include <stdint.h>

#include <likeness/status.h>
#include "engine/queue/address.h"

typedef struct lk_redis lk_redis;
typedef struct lk_redis_reply lk_redis_reply;

/* A command that is being built. Its arguments must live until it is sent. */
typedef struct lk_command {
  const char **arguments;
  size_t *lengths;
  size_t count, capacity;
  int failed; /* an argument could not be added; sending says so */
} lk_command;

void lk_command_add(lk_command *command, const void *bytes, size_t length);
void lk_command_add_string(lk_command *command, const char *string);
void lk_command_clear(lk_command *command); /* for the next command, in the same memory */
void lk_command_free(lk_command *command);

/* Connects, authenticates and selects the database. LK_EPOLICY: Redis refuses the user, password or database. */
lk_status lk_redis_open(const lk_address *address, lk_redis **redis, lk_error *error);
void lk_redis_close(lk_redis *redis);

/* Sends a command without waiting. Call lk_redis_receive once for each sent command. */
lk_status lk_redis_send(lk_redis *redis, const lk_command *command, lk_error *error);
lk_status lk_redis_receive(lk_redis *redis, lk_redis_reply **reply, lk_error *error);

/* Sends and waits. */
lk_status lk_redis_call(lk_redis *redis, const lk_command *command, lk_redis_reply **reply, lk_error *error);
/* The same for a command of C strings. */
lk_status lk_redis_call_words(lk_redis *redis, lk_redis_reply **reply, lk_error *error, size_t count,
                              const char *const *words);

void lk_redis_reply_free(lk_redis_reply *reply);
const char *lk_redis_reply_error(const lk_redis_reply *reply);
/* Whether a refused command is worth another try. LK_EIO: it is (Redis loads its data, or a failover is under way).
 * LK_EPOLICY: it is not. */
lk_status lk_redis_reply_refusal(const lk_redis_reply *reply);
/* The number of elements of an array; 0 for other replies. */
size_t lk_redis_reply_elements(const lk_redis_reply *reply);
const lk_redis_reply *lk_redis_reply_element(const lk_redis_reply *reply, size_t i);
/* Takes an element out of an array; the caller frees it. */
lk_redis_reply *lk_redis_reply_take_element(lk_redis_reply *reply, size_t i);
/* The bytes of a string; NULL for other replies. */
const char *lk_redis_reply_string(const lk_redis_reply *reply, size_t *length);
/* The value of an integer, or of a string that is one; 0 for other replies. */
int64_t lk_redis_reply_integer(const lk_redis_reply *reply);

#endif
