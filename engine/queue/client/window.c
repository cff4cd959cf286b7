#include "engine/queue/client/window.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/text.h"

static const size_t window_bytes = 64 << 20;

void lk_window_make(lk_window *window, uint64_t jobs, size_t job_bytes) {
  *window = (lk_window){.jobs = jobs, .job_bytes = job_bytes > 0 ? job_bytes : 1};
}

void lk_window_free(lk_window *window) {
  for (int i = 0; i < LK_WINDOW_MOST; i++) lk_redis_reply_free(window->slots[i].reply);
}

/* Two at least: one is searched for while the other is on its way. */
static uint64_t room(const lk_window *window) {
  size_t jobs = window_bytes / window->job_bytes;
  return jobs < 2 ? 2 : jobs < LK_WINDOW_MOST ? jobs : LK_WINDOW_MOST;
}

void lk_window_open(lk_window *window) {
  uint64_t end = window->first + room(window);
  if (end > window->jobs) end = window->jobs;
  for (; window->opened < end; window->opened++)
    *lk_window_job_at(window, window->opened) = (lk_window_job){.sent = false};
}

lk_window_job *lk_window_job_at(lk_window *window, uint64_t number) { return &window->slots[number % LK_WINDOW_MOST]; }

bool lk_window_has_unsent(lk_window *window) {
  for (uint64_t i = window->first; i < window->opened; i++) {
    const lk_window_job *job = lk_window_job_at(window, i);
    if (!job->sent && job->reply == NULL) return true;
  }
  return false;
}

void lk_window_resend(lk_window *window) {
  for (uint64_t i = window->first; i < window->opened; i++) lk_window_job_at(window, i)->sent = false;
}

uint64_t lk_window_oldest(lk_window *window) {
  uint64_t number = window->first;
  while (number < window->opened && lk_window_job_at(window, number)->reply != NULL) number++;
  return number;
}

static lk_status find_number(const lk_window *window, lk_text id, uint64_t *number, lk_error *error) {
  char digits[24] = "", again[24];
  if (id.length < sizeof digits) memcpy(digits, id.bytes, id.length);
  *number = strtoull(digits, NULL, 10);
  snprintf(again, sizeof again, "%" PRIu64, *number);
  if (*number < window->opened && lk_text_equal(id, lk_text_of(again))) return LK_OK;
  return lk_fail(error, LK_EFORMAT, "a reply to job '%.*s', which was never sent", lk_text_shown(id), id.bytes);
}

lk_status lk_window_keep(lk_window *window, lk_redis_reply *reply, lk_error *error) {
  size_t length = 0;
  const char *data = lk_redis_reply_string(reply, &length);
  lk_reply_reader reader;
  uint64_t number = 0;
  lk_status status = data != NULL ? lk_reply_decode(data, length, &reader, error)
                                  : lk_fail(error, LK_EFORMAT, "a reply is not a string");
  if (status == LK_OK) status = find_number(window, reader.head.id, &number, error);
  lk_window_job *job = lk_window_job_at(window, number);
  if (status != LK_OK || number < window->first || job->reply != NULL) {
    lk_redis_reply_free(reply);
    return status;
  }
  if (length > window->job_bytes) window->job_bytes = length;
  job->reply = reply;
  job->reader = reader;
  return LK_OK;
}

void lk_window_take(lk_window *window) {
  lk_window_job *job = lk_window_job_at(window, window->first++);
  lk_redis_reply_free(job->reply);
  job->reply = NULL;
}
