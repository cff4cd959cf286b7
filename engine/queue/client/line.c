#include "engine/queue/client/line.h"

#include "base/clock.h"
#include "base/fail.h"

enum { PAUSE_LEAST_MS = 10, PAUSE_MOST_MS = 1000, CALL_MOST_S = 30 };

void lk_line_make(lk_line *line, const lk_route *route, uint32_t timeout_s) {
  *line = (lk_line){.route = *route, .down_us = lk_clock_us(), .pause_ms = PAUSE_LEAST_MS};
  line->timeout_ms = timeout_s < 1 ? 1000 : timeout_s < CALL_MOST_S ? timeout_s * 1000 : CALL_MOST_S * 1000;
}

void lk_line_close(lk_line *line) {
  lk_redis_close(line->redis);
  line->redis = NULL;
}

/* A line that is down stays so for a pause; the next one is longer. */
static void wait_longer(lk_line *line) {
  line->retry_us = lk_clock_us() + (uint64_t)line->pause_ms * 1000;
  line->pause_ms = line->pause_ms < PAUSE_MOST_MS / 2 ? 2 * line->pause_ms : PAUSE_MOST_MS;
}

lk_status lk_line_open(lk_line *line, bool *opened, lk_error *error) {
  *opened = false;
  if (line->redis != NULL || lk_clock_us() < line->retry_us) return LK_OK;
  lk_error trouble;
  lk_status status = lk_redis_open_route(&line->route, &line->redis, &trouble);
  *opened = status == LK_OK;
  if (status == LK_OK) lk_redis_set_timeout(line->redis, line->timeout_ms);
  if (status == LK_OK) return LK_OK;
  if (status != LK_EIO) return lk_fail(error, status, "%s", trouble.text);
  line->trouble = trouble;
  wait_longer(line);
  return LK_OK;
}

void lk_line_break(lk_line *line, const char *why) {
  if (line->redis == NULL) return;
  lk_fail(&line->trouble, LK_EIO, "%s", why);
  lk_line_close(line);
  line->down_us = lk_clock_us();
  wait_longer(line);
}

void lk_line_send(lk_line *line, const lk_command *command) {
  lk_error error;
  if (line->redis != NULL && lk_redis_send(line->redis, command, &error) != LK_OK) lk_line_break(line, error.text);
}

void lk_line_send_words(lk_line *line, size_t count, const char *const *words) {
  lk_command command = {0};
  lk_command_add_words(&command, count, words);
  lk_line_send(line, &command);
  lk_command_free(&command);
}

/* Of a call with this status. */
static lk_redis_reply *take(lk_line *line, lk_status status, lk_redis_reply *reply, const lk_error *error) {
  if (status != LK_OK) {
    lk_line_break(line, error->text);
    return NULL;
  }
  if (lk_redis_reply_error(reply) == NULL) line->pause_ms = PAUSE_LEAST_MS;
  return reply;
}

lk_redis_reply *lk_line_receive(lk_line *line) {
  lk_error error;
  lk_redis_reply *reply = NULL;
  if (line->redis == NULL) return NULL;
  lk_status status = lk_redis_receive(line->redis, &reply, &error);
  return take(line, status, reply, &error);
}

lk_redis_reply *lk_line_ask(lk_line *line, size_t count, const char *const *words) {
  lk_error error;
  lk_redis_reply *reply = NULL;
  if (line->redis == NULL) return NULL;
  lk_status status = lk_redis_call_words(line->redis, &reply, &error, count, words);
  return take(line, status, reply, &error);
}

lk_status lk_line_refused(lk_line *line, const char *what, const lk_redis_reply *reply, lk_error *error) {
  lk_status status = lk_redis_reply_refusal(reply);
  lk_error text;
  lk_fail(&text, status, "redis refused %s: %s", what, lk_redis_reply_error(reply));
  if (status != LK_EIO) return lk_fail(error, status, "%s", text.text);
  lk_line_break(line, text.text);
  return LK_OK;
}
