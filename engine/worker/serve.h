/* Serves galleries: takes jobs from Redis, searches, and answers. Three stages overlap: intake (a thread each for hi
 * and lo), compute (one per search that the device runs at a time), finish. Beside them: the steward, the keeper of
 * notes (running), the scrubber, the follower, and the stop. */
#ifndef ENGINE_WORKER_SERVE_H
#define ENGINE_WORKER_SERVE_H

#include "engine/worker/worker_options.h"

/* What a thread that hangs still uses: the caller must not free it, and should leave the process. That the follower
 * still loads what has changed, or the log what is to be erased is still being erased, is no failure. */
typedef enum lk_serve_left { LK_LEFT_NOTHING, LK_LEFT_GALLERIES, LK_LEFT_ALL } lk_serve_left;

/* Runs until `stop` turns true, and then for ten seconds at most. Fails if Redis refuses the password, or if jobs could
 * be neither answered nor handed back in time; they stay pending in Redis. */
lk_status lk_serve(const lk_worker_options *options, lk_serve_left *left, lk_error *error);

#endif
