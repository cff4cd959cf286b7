#include "engine/queue/link/deadline.h"

#include "base/clock.h"

enum { STEP_US = 50000 };

lk_deadline lk_deadline_in(uint32_t ms, const lk_give_up *give_up) {
  return (lk_deadline){.end_us = lk_clock_us() + (uint64_t)ms * 1000, .give_up = give_up};
}

lk_deadline lk_deadline_of_silence(uint32_t ms, const lk_give_up *give_up) {
  lk_deadline deadline = lk_deadline_in(ms, give_up);
  deadline.patience_us = (uint64_t)ms * 1000;
  return deadline;
}

void lk_deadline_extend(lk_deadline *deadline) {
  if (deadline->patience_us > 0) deadline->end_us = lk_clock_us() + deadline->patience_us;
}

lk_deadline lk_deadline_within(const lk_deadline *deadline, uint32_t ms) {
  lk_deadline within = lk_deadline_in(ms, deadline->give_up);
  return within.end_us < deadline->end_us ? within : *deadline;
}

bool lk_give_up_passed(const lk_give_up *give_up) {
  uint64_t at_us = give_up != NULL ? atomic_load(give_up) : 0;
  return at_us != 0 && lk_clock_us() >= at_us;
}

bool lk_deadline_passed(const lk_deadline *deadline) {
  return lk_clock_us() >= deadline->end_us || lk_give_up_passed(deadline->give_up);
}

int lk_deadline_step_ms(const lk_deadline *deadline) {
  uint64_t now_us = lk_clock_us();
  if (now_us >= deadline->end_us || lk_give_up_passed(deadline->give_up)) return 0;
  uint64_t left_us = deadline->end_us - now_us;
  return (int)((left_us < STEP_US ? left_us : STEP_US) / 1000) + 1;
}
