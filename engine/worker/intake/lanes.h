/* The lanes that an intake reads: those of one priority, of all galleries, except the ones whose keys hold something
 * else. Redis refuses a read of several lanes for one such key, so it is left out; each is logged once, by name. */
#ifndef ENGINE_WORKER_INTAKE_LANES_H
#define ENGINE_WORKER_INTAKE_LANES_H

#include <stdbool.h>
#include <stdio.h>

#include "engine/worker/intake/source.h"

typedef struct lk_lanes {
  const lk_keys *keys;
  lk_priority priority;
  const char *stage;
  FILE *log;
  lk_source *sources; /* those that are read */
  uint32_t count, all;
  bool *left_out; /* of all */
  uint64_t looked_us;
} lk_lanes;

/* Of so many galleries with these keys, which must outlive it. No lane is left out yet. The caller closes it, also
 * after a failure. */
lk_status lk_lanes_open(const lk_keys *keys, uint32_t galleries, lk_priority priority, lk_lanes *lanes,
                        lk_error *error);
void lk_lanes_close(lk_lanes *lanes);

/* Asks Redis what the keys hold, and leaves out what cannot be read. LK_EIO: the connection broke. */
lk_status lk_lanes_look(lk_lanes *lanes, lk_redis *redis, lk_error *error);

/* Whether some are left out, and it is time to look at them again. */
bool lk_lanes_are_due(const lk_lanes *lanes);

#endif
