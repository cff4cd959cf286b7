#include "engine/worker/redis_session.h"

#include <string.h>

#include "base/clock.h"
#include "base/printable.h"

static const uint64_t first_pause_us = 50000, longest_pause_us = 2000000;

static void log_line(const lk_redis_session *session, const char *what) {
  lk_printable_line(session->log, "likeness: %s: %s", session->stage, what);
  fflush(session->log);
}

static void pause_after_failure(lk_redis_session *session, const lk_error *error) {
  if (strcmp(session->logged.text, error->text) != 0) log_line(session, error->text);
  session->logged = *error;
  uint64_t pause_us = first_pause_us << (session->failures < 6 ? session->failures : 6);
  session->failures++;
  lk_clock_sleep_us(pause_us < longest_pause_us ? pause_us : longest_pause_us);
}

lk_status lk_redis_session_open(lk_redis_session *session, lk_error *error) {
  if (session->redis != NULL) return LK_OK;
  lk_status status = lk_redis_open(session->address, &session->redis, error);
  if (status != LK_OK) pause_after_failure(session, error);
  return status;
}

void lk_redis_session_works(lk_redis_session *session) {
  if (session->failures == 0) return;
  log_line(session, "redis is back");
  session->failures = 0;
  session->logged.text[0] = '\0';
}

void lk_redis_session_broke(lk_redis_session *session, const lk_error *error) {
  lk_redis_session_close(session);
  pause_after_failure(session, error);
}

void lk_redis_session_close(lk_redis_session *session) {
  lk_redis_close(session->redis);
  session->redis = NULL;
}
