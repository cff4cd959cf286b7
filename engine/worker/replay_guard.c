#include "engine/worker/replay_guard.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "engine/queue/functions.h"

/* Longer than a signature is valid by any policy and clock: Redis forgets only signatures that are too old to be used.
 */
static const char remembered_ms[] = "7200000";

static lk_status check_age(const lk_task *task, uint64_t valid_ms, uint64_t now_ms, lk_error *error) {
  uint64_t signed_ms = task->job.signed_ms;
  if (signed_ms > now_ms && signed_ms - now_ms > LK_SIGNED_AHEAD_MS)
    return lk_fail(error, LK_EPOLICY, "refused: the job was signed %llu s ahead of redis' time",
                   (unsigned long long)((signed_ms - now_ms) / 1000));
  if (signed_ms < now_ms && now_ms - signed_ms > valid_ms)
    return lk_fail(error, LK_EPOLICY, "refused: the job was signed %llu s ago; at most %llu are allowed",
                   (unsigned long long)((now_ms - signed_ms) / 1000), (unsigned long long)(valid_ms / 1000));
  return LK_OK;
}

lk_once lk_replay_guard_name(const lk_task *task) {
  lk_once once = {.signed_ms = task->job.signed_ms};
  crypto_hash_sha256(once.hash, task->job.signed_message, sizeof task->job.signed_message);
  return once;
}

lk_status lk_replay_guard_check(lk_redis *redis, const lk_keys *keys, const lk_task *task, const lk_once *once,
                                uint64_t valid_ms, uint64_t now_ms, lk_error *error) {
  char hash[2 * sizeof once->hash + 1], key[LK_KEY_SIZE + sizeof hash], entry[LK_KEY_SIZE + sizeof task->entry];
  snprintf(entry, sizeof entry, "%s %s", task->stream, task->entry);
  snprintf(key, sizeof key, "%s%s", keys->once, sodium_bin2hex(hash, sizeof hash, once->hash, sizeof once->hash));
  const char *const words[] = {LK_ONCE, "1", key, entry, remembered_ms};
  lk_redis_reply *reply = NULL;
  lk_status status = check_age(task, valid_ms, now_ms, error);
  if (status == LK_OK) status = lk_functions_call_words(redis, &reply, error, sizeof words / sizeof words[0], words);
  if (status != LK_OK) return status;
  size_t length;
  const char *first = lk_redis_reply_string(reply, &length);
  if (lk_redis_reply_error(reply) != NULL)
    status = lk_fail(error, lk_redis_reply_refusal(reply), "redis refused to remember a signed job: %s",
                     lk_redis_reply_error(reply));
  else if (first == NULL)
    status = lk_redis_reply_unexpected(reply, LK_ONCE, error);
  else if (first[0] != '\0' && strcmp(first, entry) != 0) /* equal: this entry itself, read again */
    status = lk_fail(error, LK_EPOLICY, "refused: this signed job was received before, as %.350s", first);
  lk_redis_reply_free(reply);
  return status;
}
