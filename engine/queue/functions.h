/* The functions that run inside Redis (engine/queue/functions/), and the one way to call them. Everything that a worker
 * writes goes through them. All but two, which make the log longer, are allowed to write when Redis is full, so that a
 * full Redis can still be drained. */
#ifndef ENGINE_QUEUE_FUNCTIONS_H
#define ENGINE_QUEUE_FUNCTIONS_H

#include <stdbool.h>

#include "engine/queue/redis.h"

/* The number in the names is the version of the arguments. Workers of another version can share a Redis: loading a
 * library replaces only the library of the same name. */
#define LK_JOIN "lk_join_5"
#define LK_SUBMIT "lk_submit_5"
#define LK_FORGET "lk_forget_5"
#define LK_CANCEL "lk_cancel_5"
#define LK_WHERE "lk_where_5"
#define LK_FINISH "lk_finish_5"
#define LK_DISCARD "lk_discard_5"
#define LK_CLAIM "lk_claim_5"
#define LK_RETURN "lk_return_5"
#define LK_LEAVE "lk_leave_5"
#define LK_LEASE "lk_lease_5"
#define LK_RUN "lk_run_5"
#define LK_ONCE "lk_once_5"
#define LK_HEAD "lk_head_5"
#define LK_TRIM "lk_trim_5"
#define LK_MEND "lk_mend_5"

/* The log of a gallery's changes (docs/protocol.md, "The log"). Each reply is a list whose first element is the word.
 * The keys' names stand without the gallery's part. Numbers in replies are integers; ids, hashes and words are strings.
 * A hash has 40 digits, 0-9a-f; what is not there has zeros: seq 0, id "0-0". A key that holds another type, or that
 * the user may not write, is an error of Redis (WRONGTYPE, NOPERM), and nothing was changed; so is OOM, from
 * lk_mutate and lk_append only.
 *
 * lk_own: KEYS log, log:state
 *         ARGV nonce, worker, lease in ms, and of what the caller has applied durably: seq, id, hash, term, number
 *              (the template number that it would give next); then perhaps "rebase": a log that was rewound, and
 *              whose lease the caller has, begins anew after the caller's entry, if it is empty or the caller was its
 *              last owner, and else has DIVERGED; or "leave": ends the caller's lease, if it has it
 *   OWNER, term, seq, acked   the caller owns the log, which ends at seq; up to acked, all is acknowledged
 *   BEHIND, term, seq         apply up to seq and call again; nobody else can have the log meanwhile
 *   REWOUND, seq, hash        the log ends at this entry: append what follows it and call again, as above; seq 0: the
 *                             log is empty, and the first entry that is appended may be any
 *   DIVERGED, seq, hash       the log ends at this entry, and does not have the caller's
 *   OWNED, worker, ms         another worker has it, for so long unless it renews its lease; or, without a name, has
 *                             applied more than the log has, or may have, since Redis was just started
 *
 * lk_mutate: KEYS log, log:state, stream of jobs, then perhaps the key of the signed job, which is answered then
 *            ARGV group, entry (of the stream), the times (Unix, ms) from which and before which it may be logged,
 * rows, vectors ("": none), then names and values: "op", o, "id", i, "to", t, and others LOGGED, id, seq, number   it
 * is in the log, and in the queue no more; number: of its first row KNOWN                     the client's job of this
 * id was logged or answered before; it is in the queue no more GONE                      the entry is not pending
 *   UNTIMELY, ms              it is this time (Unix), which is not between those; nothing was changed
 *   EBUSY, ms, why            try again after so long; nothing was changed
 *
 * lk_append: KEYS log, log:state
 *            ARGV nonce, id, vectors, seq, term, prev, hash, number, rows, then names and values as lk_mutate had them
 *   APPENDED
 *   REFUSED, why
 *
 * lk_acknowledge: KEYS log:state, lists of replies
 *                 ARGV nonce, term, then for each entry, by rising seq: seq, number of its list (from 1), id of the
 *                      job, reply; or, without lists, nonce, term, seq: up to there there is nothing to answer
 *   ACKNOWLEDGED, pushed, undelivered, acked   entries up to the acked of before are skipped
 *   LOST, worker              the caller does not own the log in this term, or not yet since Redis started; nothing
 *                             was pushed
 *
 * lk_applied: KEYS log, log:state, log:readers
 *             ARGV the reader's name, seq, nonce ("": a reader that never owns), "keep" or "erase"
 *   an integer instead of a list: how many entries it removed, at most 1000; only the owner's call removes any */
#define LK_OWN "lk_own_5"
#define LK_MUTATE "lk_mutate_5"
#define LK_APPEND "lk_append_5"
#define LK_ACKNOWLEDGE "lk_acknowledge_5"
#define LK_APPLIED "lk_applied_5"

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
