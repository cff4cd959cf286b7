/* The keys of a gallery's queue in Redis (docs/protocol.md). The gallery's name is their hash tag: nobody reads another
 * gallery's probes, and a Redis Cluster keeps all keys of a gallery on one node, so that a function can change them
 * together. */
#ifndef ENGINE_QUEUE_KEYS_H
#define ENGINE_QUEUE_KEYS_H

#include <likeness/status.h>
#include <likeness/types.h>

typedef enum lk_priority { LK_HI, LK_LO, LK_PRIORITIES } lk_priority;

enum {
  LK_LANES = 16,                 /* of a priority */
  LK_TAG_MAX = LK_TEXT_MAX + 11, /* a gallery, or one of its partitions: 10 digits and the slash */
  LK_KEY_SIZE = LK_TAG_MAX + 16, /* of a key without what follows a prefix, with its NUL */
};

typedef struct lk_keys {
  char gallery[LK_TAG_MAX + 1];
  char lanes[LK_PRIORITIES][LK_LANES][LK_KEY_SIZE]; /* streams of jobs */
  char dead[LK_KEY_SIZE];                           /* stream of the jobs that could not be answered */
  char heads[LK_KEY_SIZE];                          /* stream of the heads of audit logs */
  char workers[LK_KEY_SIZE];                        /* the workers that live: a sorted set of leases */
  char running[LK_KEY_SIZE];                        /* what each worker is searching for */
  char deaths[LK_KEY_SIZE];                         /* how many workers died of a job */
  char cancelled[LK_KEY_SIZE];                      /* jobs that need no search any more */
  char replies[LK_KEY_SIZE];                        /* prefix of a client's list */
  char once[LK_KEY_SIZE];                           /* prefix of what remembers a signed job */
  char log[LK_KEY_SIZE];                            /* stream of the gallery's changes */
  char log_state[LK_KEY_SIZE];                      /* where the log ends, and who owns it */
  char log_readers[LK_KEY_SIZE];                    /* how far each worker has applied the log */
  char vectors[LK_KEY_SIZE];                        /* prefix of the vectors of an entry of the log */
} lk_keys;

/* LK_EINVAL: this is neither a gallery's name nor the name of a partition, "faces/1", which the protocol reserves. */
lk_status lk_keys_make(const char *gallery, lk_keys *keys, lk_error *error);

/* The lane of this client: lanes are read in turn, so that a client with many jobs does not keep the others waiting. */
uint32_t lk_keys_lane(lk_text client);

/* What a stream's key has after the part that all keys of the gallery share: "q:lo:3". */
const char *lk_keys_short(const lk_keys *keys, const char *stream);

#endif
