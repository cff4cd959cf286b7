/* The functions that run inside Redis (engine/queue/functions/), and the one way to call them. Everything that a worker
 * writes goes through them: they are allowed to write when Redis is full, so that a full Redis can still be drained. */
#ifndef ENGINE_QUEUE_FUNCTIONS_H
#define ENGINE_QUEUE_FUNCTIONS_H

#include <stdbool.h>

#include "engine/queue/redis.h"

/* The number in the names is the version of the arguments. Workers of another version can share a Redis: loading a
 * library replaces only the library of the same name. */
#define LK_JOIN "lk_join_4"
#define LK_SUBMIT "lk_submit_4"
#define LK_FORGET "lk_forget_4"
#define LK_CANCEL "lk_cancel_4"
#define LK_WHERE "lk_where_4"
#define LK_FINISH "lk_finish_4"
#define LK_DISCARD "lk_discard_4"
#define LK_CLAIM "lk_claim_4"
#define LK_RETURN "lk_return_4"
#define LK_LEAVE "lk_leave_4"
#define LK_LEASE "lk_lease_4"
#define LK_RUN "lk_run_4"
#define LK_ONCE "lk_once_4"
#define LK_HEAD "lk_head_4"
#define LK_TRIM "lk_trim_4"
#define LK_MEND "lk_mend_4"

extern const char lk_functions_library[]; /* for FUNCTION LOAD */
extern const char lk_functions_script[];  /* for EVAL: the first argument is the name of the function */

/* Begins a command that calls a function; its keys and arguments follow. The command keeps no copy of `keys_count`, a
 * decimal number. */
void lk_functions_begin(lk_command *command, const char *function, const char *keys_count);

/* Whether the reply says that Redis has not got the function. */
bool lk_functions_are_missing(const lk_redis_reply *reply);

/* Whether Redis refused to load the functions for a user who may not. */
bool lk_functions_are_forbidden(const lk_redis_reply *reply);

/* Calls the function. Where Redis has not got it, or no longer, loads all of them first; a Redis that is too full to
 * load them is given them as a script. LK_EIO: the connection broke. The reply may be an error of Redis, also the one
 * that refused to load them. */
lk_status lk_functions_call(lk_redis *redis, const lk_command *command, lk_redis_reply **reply, lk_error *error);
/* The same for a function, the number of its keys, keys and arguments, as C strings. */
lk_status lk_functions_call_words(lk_redis *redis, lk_redis_reply **reply, lk_error *error, size_t count,
                                  const char *const *words);

#endif
