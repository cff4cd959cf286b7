/* The changes that wait for an owner. Whoever finds that nobody is changing the gallery makes all that have collected:
 * on the disk with one fsync, then in memory. */
#ifndef INDEX_LIVE_QUEUE_H
#define INDEX_LIVE_QUEUE_H

#include "index/live/owner.h"
#include "index/live/request.h"

/* Makes a change, or waits until somebody has made it: the request is done then, and says how. */
void lk_queue_pass(lk_owner *owner, lk_request *request);

/* The same for a run of requests, each of which names the next: none comes between them, and as many as are one group
 * go together. */
void lk_queue_pass_run(lk_owner *owner, lk_request *first, lk_request *last);

#endif
