/* What the owner of a log does before and when it answers changes: its audit log has what was done, the replicas of
 * Redis are waited for, and then the replies leave. */
#ifndef ENGINE_WORKER_LOG_ANSWERING_H
#define ENGINE_WORKER_LOG_ANSWERING_H

#include "engine/worker/log/acknowledger.h"
#include "engine/worker/log/log_reader.h"
#include "engine/worker/log/ownership.h"
#include "engine/worker/log/reader_place.h"
#include "engine/worker/worker.h"

typedef struct lk_answering {
  lk_worker *worker;
  uint32_t number; /* of the gallery */
  const char *nonce;
  lk_reader_place *place;
  lk_acknowledger call;
  bool in_segments; /* whether segments have bytes of what was deleted */
} lk_answering;

void lk_answering_open(lk_answering *answering, lk_worker *worker, uint32_t number, const char *nonce,
                       lk_reader_place *place);
void lk_answering_close(lk_answering *answering);

/* Answers the first `count` entries of what was read and applied; or all that the journal has and is not
 * acknowledged. Notes in `own` what is then. Where another worker owns the log now, the standing becomes unknown.
 * LK_EIO: the connection broke, or the audit log cannot be written: they are not all answered. LK_ENOMEM. */
lk_status lk_answering_take(lk_answering *answering, lk_redis *redis, const lk_log_reading *reading, uint32_t count,
                            lk_ownership *own, lk_error *error);
lk_status lk_answering_visit(lk_answering *answering, lk_redis *redis, lk_owner *owner, lk_ownership *own,
                             lk_error *error);

#endif
