/* Says what Redis refuses: each cause once, until a round of calls passes without a refusal. A refusal ends nothing;
 * the call is tried again in its turn, and would fill the log. One thread uses it. */
#ifndef ENGINE_WORKER_REFUSAL_LOG_H
#define ENGINE_WORKER_REFUSAL_LOG_H

#include <stdbool.h>
#include <stdio.h>

#include <likeness/status.h>

typedef struct lk_refusal_log {
  const char *stage;
  FILE *log;
  lk_error logged; /* the last cause; empty: none since a round passed without one */
  bool refused;    /* something was, in this round */
} lk_refusal_log;

/* Redis refused `what` in these words. */
void lk_refusal_log_say(lk_refusal_log *log, const char *what, const char *refused);
/* Ends a round: the same calls, for all galleries. */
void lk_refusal_log_end_round(lk_refusal_log *log);

#endif
