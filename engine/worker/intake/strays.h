/* Strays: entries that Redis has noted as this worker's, and that nobody here knows of. A call that was given up may be
 * executed all the same, late: then its answer has no reader, and since this worker lives, nobody else takes the
 * entries over. */
#ifndef ENGINE_WORKER_INTAKE_STRAYS_H
#define ENGINE_WORKER_INTAKE_STRAYS_H

#include "engine/worker/intake/claimer.h"

/* Looks for strays, and where there is one has the intakes read again all that is this worker's. LK_EIO: the connection
 * broke. */
lk_status lk_strays_look(lk_worker *worker, const lk_claimer *claimer, lk_redis *redis, lk_error *error);

#endif
