#include "engine/worker/head_publisher.h"

#include "base/fail.h"
#include "engine/queue/protocol.h"

static lk_status add_to_stream(lk_redis *redis, const char *stream, const char *head, lk_error *error) {
  const char *const words[] = {"XADD", stream, "MAXLEN", "~", LK_HEADS_KEPT, "*", "head", head};
  lk_redis_reply *reply = NULL;
  lk_status status = lk_redis_call_words(redis, &reply, error, sizeof words / sizeof words[0], words);
  if (status == LK_OK && lk_redis_reply_error(reply) != NULL)
    status = lk_fail(error, LK_EIO, "redis refused a head of the audit log: %s", lk_redis_reply_error(reply));
  lk_redis_reply_free(reply);
  return status;
}

/* To the stream of each gallery: whoever watches over a gallery may not read another one's keys. */
static lk_status add_to_all(const lk_worker *worker, lk_redis *redis, const char *head, lk_error *error) {
  lk_status status = LK_OK;
  for (uint32_t i = 0; status == LK_OK && i < worker->options->galleries_count; i++)
    status = add_to_stream(redis, worker->keys[i].heads, head, error);
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
