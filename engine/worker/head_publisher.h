/* Heads of the audit log, published in Redis: where the log's folder ends before a head that was kept there, or in a
 * copy from there, records were cut off (docs/audit.md). */
#ifndef ENGINE_WORKER_HEAD_PUBLISHER_H
#define ENGINE_WORKER_HEAD_PUBLISHER_H

#include "engine/worker/worker.h"

/* Publishes the log's newest head where it has not been; `now`: makes one of all that is in the log first. What fails
 * is tried again by the next call. */
void lk_head_publish(lk_worker *worker, lk_redis_session *link, bool now);

#endif
