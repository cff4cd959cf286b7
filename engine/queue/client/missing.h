/* Which probes were not answered. */
#ifndef ENGINE_QUEUE_CLIENT_MISSING_H
#define ENGINE_QUEUE_CLIENT_MISSING_H

#include "engine/queue/client/client_job.h"
#include "engine/queue/client/window.h"

/* Writes "not answered: probes 128 to 191, 256 to 319"; where there are many ranges the first ones, and how many probes
 * the others have. There must be one. */
void lk_missing_describe(const lk_client_job *job, lk_window *window, lk_error *text);

#endif
