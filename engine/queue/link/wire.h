/* A connection to one server that speaks Redis' protocol, and its replies. Only wire.c knows hiredis.
 *
 * No call waits beyond its deadline; bytes that come or go are progress, in that call. After a call that failed, all
 * further ones fail: close the wire. One thread uses a wire. */
#ifndef ENGINE_QUEUE_LINK_WIRE_H
#define ENGINE_QUEUE_LINK_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include <likeness/status.h>
#include "engine/queue/link/command.h"
#include "engine/queue/link/deadline.h"
#include "engine/queue/link/place.h"

typedef struct lk_wire lk_wire;
typedef struct lk_redis_reply lk_redis_reply;

/* All of these fail with LK_EIO, or LK_ENOMEM. */
lk_status lk_wire_open(const lk_place *place, bool tls, const lk_deadline *deadline, lk_wire **wire, lk_error *error);
void lk_wire_close(lk_wire *wire);
/* The version of hiredis, static. */
const char *lk_wire_library(void);
const lk_place *lk_wire_place(const lk_wire *wire);

/* Keeps the command until it is flushed. */
lk_status lk_wire_send(lk_wire *wire, const lk_command *command, lk_error *error);
lk_status lk_wire_flush(lk_wire *wire, const lk_deadline *deadline, lk_error *error);
/* Flushes and waits for the reply to the oldest command that has none. A reply of more than `most` bytes fails; 0: any
 * may come. */
lk_status lk_wire_receive(lk_wire *wire, const lk_deadline *deadline, size_t most, lk_redis_reply **reply,
                          lk_error *error);

/* The same of what was flushed, without waiting; *reply is NULL where it has not all come. */
lk_status lk_wire_poll(lk_wire *wire, size_t most, lk_redis_reply **reply, lk_error *error);

/* Sends and waits, for a command of C strings. */
lk_status lk_wire_ask(lk_wire *wire, const lk_deadline *deadline, lk_redis_reply **reply, lk_error *error, size_t count,
                      const char *const *words);

/* The caller frees a reply. All that follows may be asked of any reply, and of NULL, which is as nil. */
void lk_redis_reply_free(lk_redis_reply *reply);
/* What Redis refuses; NULL: this is another reply. */
const char *lk_redis_reply_error(const lk_redis_reply *reply);
bool lk_redis_reply_is_nil(const lk_redis_reply *reply);
bool lk_redis_reply_is_integer(const lk_redis_reply *reply);
bool lk_redis_reply_is_array(const lk_redis_reply *reply);
/* The number of elements of an array; 0 for other replies. */
size_t lk_redis_reply_elements(const lk_redis_reply *reply);
/* An element of an array; nil where there is none. */
const lk_redis_reply *lk_redis_reply_element(const lk_redis_reply *reply, size_t i);
/* Takes an element out of an array; the caller frees it. NULL where there is none. */
lk_redis_reply *lk_redis_reply_take_element(lk_redis_reply *reply, size_t i);
/* The bytes of a string, which are terminated; NULL, of length 0, for other replies. */
const char *lk_redis_reply_string(const lk_redis_reply *reply, size_t *length);
/* The value of an integer, or of a string that is one; 0 for other replies. */
int64_t lk_redis_reply_integer(const lk_redis_reply *reply);
/* LK_EIO, with words for a reply to `command` that is not of the expected form: what Redis refused, or what it sent. */
lk_status lk_redis_reply_unexpected(const lk_redis_reply *reply, const char *command, lk_error *error);

#endif
