/* Until when a call may last. */
#ifndef ENGINE_QUEUE_LINK_DEADLINE_H
#define ENGINE_QUEUE_LINK_DEADLINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The time (lk_clock_us) from which on nothing may wait any more; 0: none. Any thread may set it, also while others
 * wait: they notice within 50 ms. */
typedef atomic_uint_least64_t lk_give_up;

typedef struct lk_deadline {
  uint64_t end_us;           /* lk_clock_us */
  uint64_t patience_us;      /* it ends so long after the last sign of progress; 0: no progress moves the end */
  const lk_give_up *give_up; /* NULL: none */
} lk_deadline;

lk_deadline lk_deadline_in(uint32_t ms, const lk_give_up *give_up);
/* The same, but it ends when nothing has moved for so long. */
lk_deadline lk_deadline_of_silence(uint32_t ms, const lk_give_up *give_up);
/* The earlier of the deadline and `ms` from now. */
lk_deadline lk_deadline_within(const lk_deadline *deadline, uint32_t ms);

/* Something has moved. */
void lk_deadline_extend(lk_deadline *deadline);

bool lk_deadline_passed(const lk_deadline *deadline);
bool lk_give_up_passed(const lk_give_up *give_up); /* NULL: never */

/* How long one wait may last before the deadline is looked at again, in milliseconds; 0 when it has passed. */
int lk_deadline_step_ms(const lk_deadline *deadline);

#endif
