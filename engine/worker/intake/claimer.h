/* Takes over jobs that other workers were given and will not answer: what a worker that ended handed back, and what
 * workers without a lease hold. */
#ifndef ENGINE_WORKER_INTAKE_CLAIMER_H
#define ENGINE_WORKER_INTAKE_CLAIMER_H

#include "engine/worker/intake/admission.h"

enum { LK_CLAIMED_MOST = LK_READ_MOST };

/* An entry that is this worker's now. */
typedef struct lk_claimed {
  lk_source from;
  char id[LK_ENTRY_TEXT];
  uint32_t deaths;
} lk_claimed;

typedef struct lk_claimer {
  lk_worker *worker;
  lk_admission admission;
  lk_weight weight; /* of what was claimed lately */
  lk_command command;
  lk_claimed claimed[LK_CLAIMED_MOST]; /* that are not fetched yet: claimed[fetched] .. claimed[count - 1] */
  uint32_t count, fetched;
  lk_refusal_log refusals;
} lk_claimer;

void lk_claimer_open(lk_worker *worker, lk_claimer *claimer);
void lk_claimer_close(lk_claimer *claimer);

/* Claims as much as there is room for, from the consumer `returned` and, with `all`, from workers without a lease, and
 * has it admitted. LK_EIO: the connection broke; what was claimed is fetched by the next call. */
lk_status lk_claimer_run(lk_claimer *claimer, lk_redis *redis, bool all, lk_error *error);

#endif
