/* Takes over jobs that other workers were given and will not answer: what a worker that ended handed back, and what
 * workers without a lease hold. */
#ifndef ENGINE_WORKER_INTAKE_CLAIMER_H
#define ENGINE_WORKER_INTAKE_CLAIMER_H

#include "engine/worker/intake/admission.h"

enum { LK_CLAIMED_MOST = LK_READ_MOST };

/* Whose jobs are claimed. After Redis was away a worker may look dead because it has not come back yet: then nobody
 * counts what it seems to have died of. */
typedef enum lk_whose { LK_WHOSE_RETURNED, LK_WHOSE_UNCOUNTED, LK_WHOSE_ALL, LK_WHOSE_KINDS } lk_whose;

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
  bool goes_on; /* the last run had no time to do all that it could */
  lk_refusal_log refusals[LK_WHOSE_KINDS];
  lk_refusal_log unread; /* of what it could not fetch */
} lk_claimer;

void lk_claimer_open(lk_worker *worker, lk_claimer *claimer);
void lk_claimer_close(lk_claimer *claimer);

/* Claims as much as there is room for, from the consumer `returned` or also from workers without a lease, and has it
 * admitted. It takes a fraction of a lease at most, as far as Redis answers: what is left to do waits for the next
 * call. LK_EIO: the connection broke; what was claimed is fetched by the next call. */
lk_status lk_claimer_run(lk_claimer *claimer, lk_redis *redis, lk_whose whose, lk_error *error);

/* Whether the entry was claimed and waits to be fetched. */
bool lk_claimer_holds(const lk_claimer *claimer, const char *stream, const char *entry);

#endif
