#include "engine/worker/redis_session.h"

#include <string.h>

#include "base/clock.h"

static const uint64_t first_pause_us = 50000, longest_pause_us = 2000000;

static void log_line(const lk_redis_session *link, const char *what) {
  fprintf(link->log, "likeness: %s: %s\n", link->stage, what);
  fflush(link->log);
}

static void pause_after_failure(lk_redis_session *link, const lk_error *error) {
  if (strcmp(link->said.text, error->text) != 0) log_line(link, error->text);
  link->said = *error;
  uint64_t pause_us = first_pause_us << (link->failures < 6 ? link->failures : 6);
  link->failures++;
  lk_clock_sleep_us(pause_us < longest_pause_us ? pause_us : longest_pause_us);
}

lk_status lk_redis_session_open(lk_redis_session *link, lk_error *error) {
  if (link->redis != NULL) return LK_OK;
  lk_status status = lk_redis_open(link->address, &link->redis, error);
  if (status != LK_OK) pause_after_failure(link, error);
  return status;
}

void lk_redis_session_works(lk_redis_session *link) {
  if (link->failures == 0) return;
  log_line(link, "redis is back");
  link->failures = 0;
  link->said.text[0] = '\0';
}

void lk_redis_session_broke(lk_redis_session *link, const lk_error *error) {
  lk_redis_session_close(link);
  pause_after_failure(link, error);
}

void lk_redis_session_close(lk_redis_session *link) {
  lk_redis_close(link->redis);
  link->redis = NULL;
}
