/* A connection to Redis. The only room that knows hiredis.
 *
 * A call fails with LK_EIO when the connection is broken: close it and open another. What Redis itself refuses comes
 * back as a reply whose lk_redis_reply_error is not NULL. A connection belongs to one thread; a reply to whoever frees
 * it. */
#ifndef ENGINE_QUEUE_REDIS_H
#define ENGINE_QUEUE_REDIS_H

#include <stddef.h>
#include <stdint.h>

#include <likeness/status.h>
#include "engine/queue/address.h"

typedef struct lk_redis lk_redis;
typedef struct lk_redis_reply lk_redis_reply;

/* A command under construction; its arguments must live until it is sent. */
typedef struct lk_command {
  const char **arguments;
  size_t *lengths;
  size_t count, room;
  int failed; /* an argument could not be added; sending says so */
} lk_command;

void lk_command_add(lk_command *command, const void *bytes, size_t length);
void lk_command_add_string(lk_command *command, const char *string);
void lk_command_clear(lk_command *command); /* for the next command, in the same memory */
void lk_command_free(lk_command *command);

/* Connects, authenticates, selects the database. LK_EPOLICY where Redis refuses the user, password or database. */
lk_status lk_redis_open(const lk_address *address, lk_redis **redis, lk_error *error);
void lk_redis_close(lk_redis *redis);

/* Sends a command without waiting; each sent command has one lk_redis_receive. */
lk_status lk_redis_send(lk_redis *redis, const lk_command *command, lk_error *error);
lk_status lk_redis_receive(lk_redis *redis, lk_redis_reply **reply, lk_error *error);

/* Sends and waits. */
lk_status lk_redis_call(lk_redis *redis, const lk_command *command, lk_redis_reply **reply, lk_error *error);
/* The same for a command of plain words. */
lk_status lk_redis_call_words(lk_redis *redis, lk_redis_reply **reply, lk_error *error, size_t count,
                              const char *const *words);

void lk_redis_reply_free(lk_redis_reply *reply);
const char *lk_redis_reply_error(const lk_redis_reply *reply);
/* What an error means for the next try: LK_EIO where it may pass by itself (Redis loads its data, a failover is under
 * way), LK_EPOLICY where it will not. */
lk_status lk_redis_reply_refusal(const lk_redis_reply *reply);
/* Elements of an array; 0 for anything else. */
size_t lk_redis_reply_elements(const lk_redis_reply *reply);
const lk_redis_reply *lk_redis_reply_element(const lk_redis_reply *reply, size_t i);
/* Takes an element out of an array; the caller frees it. */
lk_redis_reply *lk_redis_reply_take_element(lk_redis_reply *reply, size_t i);
/* A string's bytes; NULL for anything else. */
const char *lk_redis_reply_string(const lk_redis_reply *reply, size_t *length);
/* An integer, or a string that is one; 0 for anything else. */
int64_t lk_redis_reply_integer(const lk_redis_reply *reply);

#endif
