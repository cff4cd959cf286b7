#include "engine/worker/finish/head_publisher.h"

#include "base/fail.h"
#include "engine/queue/functions.h"
#include "engine/queue/protocol.h"

/* A stream that Redis refuses, because its key holds another type, say, keeps no head from the others. */
static lk_status add_to_stream(lk_worker *worker, lk_redis *redis, const char *stream, const char *head,
                               lk_error *error) {
  const char *const words[] = {LK_HEAD, "1", stream, LK_HEADS_KEPT, head};
  lk_redis_reply *reply = NULL;
  lk_status status = lk_functions_call_words(redis, &reply, error, sizeof words / sizeof words[0], words);
  if (status != LK_OK) return status;
  const char *refused = lk_redis_reply_error(reply);
  char what[LK_KEY_SIZE + 32];
  snprintf(what, sizeof what, "a head of the audit log in %s", stream);
  if (refused != NULL) lk_refusal_log_say(&worker->head_refusals, what, refused);
  lk_redis_reply_free(reply);
  return LK_OK;
}

/* To the stream of each gallery: whoever watches over a gallery may not read another one's keys. */
static lk_status add_to_all(lk_worker *worker, lk_redis *redis, const char *head, lk_error *error) {
  lk_status status = LK_OK;
  for (uint32_t i = 0; status == LK_OK && i < worker->options->galleries_count; i++)
    status = add_to_stream(worker, redis, worker->keys[i].heads, head, error);
  lk_refusal_log_end_round(&worker->head_refusals);
  return status;
}

void lk_head_publish(lk_worker *worker, lk_redis_session *session, bool now) {
  lk_governance *governance = worker->options->governance;
  char head[LK_AUDIT_HEAD_MAX];
  uint64_t sequence;
  lk_error error;
  if (governance == NULL) return;
  if (lk_governance_head(governance, now, head, &sequence, &error) != LK_OK) return; /* it was logged */
  if (sequence <= worker->published || lk_redis_session_open(session, &error) != LK_OK) return;
  if (add_to_all(worker, session->redis, head, &error) == LK_OK)
    worker->published = sequence;
  else
    lk_redis_session_broke(session, &error);
}
