/* The steward keeps house beside the stages, over a connection of its own: however long a search or a wait for Redis
 * takes, the worker is seen to live while it makes progress. It holds a lease of each gallery that the worker serves,
 * by which clients and other workers see that this one lives; takes over the jobs of workers that do not; removes what
 * is left over in the streams; and sets back ids far ahead of the time, from which Redis would number later entries. */
#ifndef ENGINE_WORKER_STEWARD_H
#define ENGINE_WORKER_STEWARD_H

#include "engine/worker/worker.h"

/* Returns when the finish stage is over; then gives the leases back. */
void lk_steward_run(lk_worker *worker);

#endif
