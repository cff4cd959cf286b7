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

lk_once lk_replay_guard_name(const lk_keys *keys, const lk_task *task) {
  lk_once once = {.signed_ms = task->job.signed_ms};
  uint8_t hash[crypto_hash_sha256_BYTES];
  crypto_hash_sha256(hash, task->job.signed_message, sizeof task->job.signed_message);
  sodium_bin2hex(once.hash, sizeof once.hash, hash, sizeof hash);
  snprintf(once.entry, sizeof once.entry, "%s %s", lk_keys_short(keys, task->stream), task->entry);
  return once;
}

/* `first` is what Redis remembers: nothing, or the entry that brought the job first, with a word once it is answered
 * (finish.lua). */
static lk_status judge(const char *first, const char *entry, lk_once *once, lk_error *error) {
  size_t length = strlen(entry);
  if (first[0] == '\0') return LK_OK;
  once->waits = strcmp(first, entry) == 0;
  if (once->waits) return LK_OK;
  if (strncmp(first, entry, length) == 0 && first[length] == ' ')
    return lk_fail(error, LK_EPOLICY, "refused: this signed job was received and decided before");
  return lk_fail(error, LK_EPOLICY, "refused: this signed job was received before, as %.350s", first);
}

static lk_status read_first(const lk_redis_reply *reply, const char *entry, lk_once *once, lk_error *error) {
  size_t length;
  const char *first = lk_redis_reply_string(reply, &length), *refused = lk_redis_reply_error(reply);
  if (refused != NULL)
    return lk_fail(error, lk_redis_reply_refusal(reply), "redis refused to remember a signed job: %s", refused);
  return first != NULL ? judge(first, entry, once, error) : lk_redis_reply_unexpected(reply, LK_ONCE, error);
}

lk_status lk_replay_guard_check(lk_redis *redis, const lk_keys *keys, lk_task *task, lk_once *once, uint64_t valid_ms,
                                uint64_t now_ms, lk_error *error) {
  char key[LK_KEY_SIZE + sizeof once->hash], entry[LK_KEY_SIZE + sizeof task->entry];
  snprintf(entry, sizeof entry, "%s %s", task->stream, task->entry);
  snprintf(key, sizeof key, "%s%s", keys->once, once->hash);
  const char *const words[] = {LK_ONCE, "1", key, entry, remembered_ms};
  lk_redis_reply *reply = NULL;
  lk_status status = check_age(task, valid_ms, now_ms, error);
  if (status == LK_OK) status = lk_functions_call_words(redis, &reply, error, sizeof words / sizeof words[0], words);
  if (status != LK_OK) return status;
  status = read_first(reply, entry, once, error);
  lk_redis_reply_free(reply);
  if (status == LK_OK) memcpy(task->once, once->hash, sizeof task->once);
  return status;
}
