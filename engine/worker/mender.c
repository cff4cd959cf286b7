#include "engine/worker/mender.h"

#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/printable.h"
#include "engine/queue/protocol.h"
#include "engine/worker/worker.h"

static const uint64_t every_us = 1000000;

static void log_refusal(lk_mender *mender, const lk_redis_session *session, const char *refused) {
  mender->refuses = true;
  if (!mender->refused) lk_printable_line(session->log, "likeness: intake: redis refused %s: %s", LK_MEND, refused);
}

/* Another worker may have loaded functions of its own version, without this one. */
static lk_status take_refusal(lk_mender *mender, const lk_redis_session *session, const char *refused,
                              lk_error *error) {
  if (strstr(refused, "Function not found") != NULL) return lk_worker_load_functions(session->redis, error);
  log_refusal(mender, session, refused);
  return LK_OK;
}

static lk_status mend(lk_mender *mender, lk_redis_session *session, const char *stream, lk_error *error) {
  char ahead[24];
  snprintf(ahead, sizeof ahead, "%d", LK_ENTRY_AHEAD_MS);
  const char *const words[] = {LK_MEND, "1", stream, LK_GROUP, ahead};
  lk_redis_reply *reply = NULL;
  lk_status status = lk_functions_call_words(session->redis, &reply, error, sizeof words / sizeof words[0], words);
  if (status != LK_OK) return status;
  if (lk_redis_reply_error(reply) != NULL) {
    status = take_refusal(mender, session, lk_redis_reply_error(reply), error);
  } else {
    if (lk_redis_reply_integer(reply) == 1)
      fprintf(session->log,
              "likeness: intake: an entry far ahead of the time was added to %s; its last id is set back\n", stream);
  }
  lk_redis_reply_free(reply);
  return status;
}

lk_status lk_mender_run(lk_mender *mender, lk_redis_session *session, lk_error *error) {
  uint64_t now_us = lk_clock_us();
  if (now_us < mender->due_us) return LK_OK;
  lk_status status = LK_OK;
  mender->refuses = false;
  for (uint32_t i = 0; status == LK_OK && i < LK_PRIORITIES * mender->count; i++)
    status = mend(mender, session, mender->keys[i / LK_PRIORITIES].lanes[i % LK_PRIORITIES][0], error);
  mender->refused = mender->refuses;
  if (status == LK_OK) mender->due_us = now_us + every_us;
  return status;
}
