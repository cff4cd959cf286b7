/* Asks Sentinel who the master is. */
#ifndef ENGINE_QUEUE_LINK_SENTINEL_H
#define ENGINE_QUEUE_LINK_SENTINEL_H

#include "engine/queue/link/wire.h"

typedef struct lk_sentinels {
  const lk_place *places; /* asked in turn */
  uint32_t count;
  const char *master;          /* its name */
  const char *user, *password; /* tried, and no error where a sentinel has no password; empty: none */
  bool tls;
} lk_sentinels;

/* Each sentinel has one second to answer. LK_EIO: none of them knows the master; the text is of the last one. */
lk_status lk_sentinels_find(const lk_sentinels *sentinels, const lk_deadline *deadline, lk_place *master,
                            lk_error *error);

#endif
