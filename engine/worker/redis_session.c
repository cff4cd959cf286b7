#include "engine/worker/redis_session.h"

#include <string.h>

#include "base/clock.h"
#include "base/printable.h"

static const uint64_t first_pause_us = 50000, longest_pause_us = 2000000;

/* Once the worker stops, a pause is as short as the first: there is little time left to answer. */
static void pause_for(const lk_redis_session *session, uint64_t pause_us) {
  for (uint64_t slept_us = 0; slept_us < pause_us; slept_us += first_pause_us) {
    if (lk_give_up_passed(session->route.give_up)) return;
    if (slept_us > 0 && atomic_load(session->stop)) return;
    lk_clock_sleep_us(first_pause_us);
  }
}

static void log_line(const lk_redis_session *session, const char *what) {
  lk_printable_line(session->log, "likeness: %s: %s", session->stage, what);
  fflush(session->log);
}

static void pause_after_failure(lk_redis_session *session, const lk_error *error) {
  if (strcmp(session->logged.text, error->text) != 0) log_line(session, error->text);
  session->logged = *error;
  uint64_t pause_us = first_pause_us << (session->failures < 6 ? session->failures : 6);
  session->failures++;
  pause_for(session, pause_us < longest_pause_us ? pause_us : longest_pause_us);
}

lk_status lk_redis_session_open(lk_redis_session *session, lk_error *error) {
  if (session->redis != NULL) return LK_OK;
  lk_status status = lk_redis_open_route(&session->route, &session->redis, error);
  if (status == LK_OK)
    atomic_store(session->reached, true);
  else
    pause_after_failure(session, error);
  return status == LK_EPOLICY && atomic_load(session->reached) ? LK_EIO : status;
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
