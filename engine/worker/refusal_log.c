#include "engine/worker/refusal_log.h"

#include <string.h>

#include "base/fail.h"
#include "base/printable.h"

void lk_refusal_log_say(lk_refusal_log *log, const char *what, const char *refused) {
  log->refused = true;
  if (strcmp(log->logged.text, refused) == 0) return;
  lk_fail(&log->logged, LK_EIO, "%s", refused);
  lk_printable_line(log->log, "likeness: %s: redis refused %s: %s", log->stage, what, refused);
}

void lk_refusal_log_end_round(lk_refusal_log *log) {
  if (!log->refused) log->logged.text[0] = '\0';
  log->refused = false;
}
