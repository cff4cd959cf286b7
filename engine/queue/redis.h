/* A connection to the Redis that has the queue, wherever that is at the moment.
 *
 * The address may name several places, or sentinels; the master among them is taken. A node of a cluster that says
 * where the keys are (MOVED, ASK) is followed. What was learned of the way is kept in a route, so that the next
 * connection begins there.
 *
 * A call fails with LK_EIO when the connection is broken, when Redis is silent for too long, or when it is no longer
 * the right one (a replica, another node): close it and open another. What else Redis refuses comes back as a reply
 * whose lk_redis_reply_error is not NULL. One thread uses a connection. The caller frees a reply. */
#ifndef ENGINE_QUEUE_REDIS_H
#define ENGINE_QUEUE_REDIS_H

#include <stddef.h>
#include <stdint.h>

#include <likeness/status.h>
#include "engine/queue/address.h"
#include "engine/queue/link/refusal.h"
#include "engine/queue/link/wire.h"
#include "engine/queue/route.h"

typedef struct lk_redis lk_redis;

/* Connects, authenticates and selects the database, within five seconds for each place. The password is read again from
 * its file. LK_EPOLICY: Redis refuses the user, password or database. The route must outlive the connection. */
lk_status lk_redis_open_route(lk_route *route, lk_redis **redis, lk_error *error);
/* The same by a route of its own, which ends with the connection: for programs that do not connect again, as tests and
 * benchmarks. */
lk_status lk_redis_open(const lk_address *address, lk_redis **redis, lk_error *error);
void lk_redis_close(lk_redis *redis);

/* How long Redis may be silent in a call, before its reply and within it: 30 s unless set. */
void lk_redis_set_timeout(lk_redis *redis, uint32_t ms);
/* A reply of more bytes breaks the connection, before it is all here. 0, as it is unless set: there is no limit. */
void lk_redis_set_reply_limit(lk_redis *redis, size_t bytes);

/* Keeps a command until it is flushed, or until the next call of lk_redis_receive, which must be called once for each
 * sent command. */
lk_status lk_redis_send(lk_redis *redis, const lk_command *command, lk_error *error);
/* Hands what was sent to the system, without waiting for replies. */
lk_status lk_redis_flush(lk_redis *redis, lk_error *error);
lk_status lk_redis_receive(lk_redis *redis, lk_redis_reply **reply, lk_error *error);
/* The same of what was flushed, without waiting; *reply is NULL where it has not all come. */
lk_status lk_redis_poll(lk_redis *redis, lk_redis_reply **reply, lk_error *error);

/* Sends and waits; where a cluster has the keys elsewhere, there, with at most five turns. */
lk_status lk_redis_call(lk_redis *redis, const lk_command *command, lk_redis_reply **reply, lk_error *error);
/* The same for a command of C strings. */
lk_status lk_redis_call_words(lk_redis *redis, lk_redis_reply **reply, lk_error *error, size_t count,
                              const char *const *words);

#endif
