/* Answers changes that were applied: the replies leave in one step with the note that the log is acknowledged up to
 * there. A call has at most 1000 of them, and 4 MiB of replies or one reply that is larger. */
#ifndef ENGINE_WORKER_LOG_ACKNOWLEDGER_H
#define ENGINE_WORKER_LOG_ACKNOWLEDGER_H

#include <jansson.h>
#include <stdio.h>

#include "engine/queue/bytes.h"
#include "engine/queue/keys.h"
#include "engine/queue/redis.h"
#include "index/live/log.h"

enum { LK_ACKNOWLEDGED_MOST = 1000 };

/* What became of an entry. `fields`: as lk_log_change_open packed them. */
typedef struct lk_outcome {
  const lk_log_mark *mark;
  const void *fields;
  size_t fields_bytes;
  lk_status status;
  const char *text; /* why it was refused */
  const lk_receipt *receipt;
  const lk_finding *finding;    /* of the search for matches; NULL: none was made */
  uint64_t rows;                /* of its enrollment */
  json_t *refusal;              /* the decision of one that is refused after it was permitted; NULL: it is not */
  bool replicated, in_segments; /* as in the receipt of its reply */
} lk_outcome;

typedef struct lk_acknowledgement {
  char seq[24], list[12], id[LK_TEXT_MAX + 1];
  size_t end; /* of its reply in `replies` */
} lk_acknowledgement;

/* It begins as zeros, but for `keys`. */
typedef struct lk_acknowledger {
  const lk_keys *keys;
  lk_acknowledgement all[LK_ACKNOWLEDGED_MOST];
  size_t count;
  lk_bytes replies, lists; /* of all, one after the other; and the keys of their lists, each with its NUL */
  uint32_t lists_count;
  uint64_t last; /* entry that it has */
  lk_command command;
} lk_acknowledger;

void lk_acknowledger_free(lk_acknowledger *acknowledger);

/* Adds an outcome. False: the call is full: send it first. Where memory runs out, sending says so. */
bool lk_acknowledger_add(lk_acknowledger *acknowledger, const lk_outcome *outcome);

/* Sends what was added, and empties the call. *acked: up to which entry all is acknowledged. *lost: another worker owns
 * the log. LK_EIO, LK_ENOMEM. */
lk_status lk_acknowledger_send(lk_acknowledger *acknowledger, lk_redis *redis, const char *nonce, uint64_t term,
                               uint64_t *acked, bool *lost, FILE *log, lk_error *error);

#endif
