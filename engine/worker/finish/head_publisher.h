/* Publishes heads of the audit log in Redis. If the log on disk ends before a head that was published, records were cut
 * off (docs/audit.md). */
#ifndef ENGINE_WORKER_FINISH_HEAD_PUBLISHER_H
#define ENGINE_WORKER_FINISH_HEAD_PUBLISHER_H

#include "engine/worker/worker.h"

/* Publishes the log's newest head, if it is not published yet. `now`: first makes a head of the whole log. The next
 * call tries again what failed. */
void lk_head_publish(lk_worker *worker, lk_redis_session *session, bool now);

#endif
