/* Applies a gallery's log, in a thread of its own: reads it in order, has the gallery's owner make the changes, and as
 * the log's owner answers who asked for them. A worker that owns the files of a gallery but not its log is a replica:
 * it applies the same and answers nobody. */
#ifndef ENGINE_WORKER_LOG_APPLIER_H
#define ENGINE_WORKER_LOG_APPLIER_H

#include "engine/worker/worker.h"

/* Applies the log of the gallery of this number until the worker takes no more jobs, and then what is there. */
void lk_applier_run(lk_worker *worker, uint32_t number);

#endif
