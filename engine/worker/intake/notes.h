/* What Redis has noted of jobs that a worker just took: that their client cancelled them, and how many workers died of
 * them. */
#ifndef ENGINE_WORKER_INTAKE_NOTES_H
#define ENGINE_WORKER_INTAKE_NOTES_H

#include "engine/queue/bytes.h"
#include "engine/worker/refusal_log.h"
#include "engine/worker/task.h"

typedef struct lk_notes {
  lk_command command;
  lk_bytes names;
  lk_refusal_log refusals; /* a round is what is asked of one list of tasks; the caller ends it */
} lk_notes;

void lk_notes_free(lk_notes *notes);

/* These two ask, in one call, about those tasks of a list (linked by `next`) that belong to this gallery and are not
 * refused yet. LK_EIO: the connection broke, or the answer is none. What Redis refuses is logged; then nothing is
 * noted.
 */

/* Refuses those that were sent before their client cancelled them: LK_ECANCELLED. */
lk_status lk_notes_read_cancelled(lk_notes *notes, lk_redis *redis, const lk_keys *keys, uint32_t gallery,
                                  lk_task *tasks, lk_error *error);
/* Sets the deaths. */
lk_status lk_notes_read_deaths(lk_notes *notes, lk_redis *redis, const lk_keys *keys, uint32_t gallery, lk_task *tasks,
                               lk_error *error);

#endif
