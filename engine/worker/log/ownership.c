#include "engine/worker/log/ownership.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "engine/queue/functions.h"

static const char *const words[] = {[LK_STANDING_OWNER] = "OWNER",
                                    [LK_STANDING_BEHIND] = "BEHIND",
                                    [LK_STANDING_REWOUND] = "REWOUND",
                                    [LK_STANDING_DIVERGED] = "DIVERGED",
                                    [LK_STANDING_OWNED] = "OWNED"};

static uint64_t number_at(const lk_redis_reply *reply, size_t i) {
  return (uint64_t)lk_redis_reply_integer(lk_redis_reply_element(reply, i));
}

static void copy_at(const lk_redis_reply *reply, size_t i, char *to, size_t size) {
  size_t length;
  const char *text = lk_redis_reply_string(lk_redis_reply_element(reply, i), &length);
  snprintf(to, size, "%s", text != NULL ? text : "");
}

static lk_status read(const lk_redis_reply *reply, lk_ownership *found, lk_error *error) {
  size_t length;
  const char *word = lk_redis_reply_string(lk_redis_reply_element(reply, 0), &length);
  *found = (lk_ownership){0};
  for (int i = LK_STANDING_OWNER; word != NULL && i <= LK_STANDING_OWNED; i++)
    if (strcmp(word, words[i]) == 0) found->standing = (lk_standing)i;
  switch (found->standing) {
    case LK_STANDING_OWNER:
      found->acked = number_at(reply, 3);
      /* fallthrough */
    case LK_STANDING_BEHIND:
      found->term = number_at(reply, 1);
      found->seq = number_at(reply, 2);
      return LK_OK;
    case LK_STANDING_REWOUND:
    case LK_STANDING_DIVERGED:
      found->seq = number_at(reply, 1);
      copy_at(reply, 2, found->hash, sizeof found->hash);
      return LK_OK;
    case LK_STANDING_OWNED:
      copy_at(reply, 1, found->owner, sizeof found->owner);
      return LK_OK;
    default:
      return lk_redis_reply_unexpected(reply, LK_OWN, error);
  }
}

lk_status lk_ownership_ask(lk_redis *redis, const lk_keys *keys, const lk_claimant *claimant, lk_ownership *ownership,
                           lk_error *error) {
  const lk_log_mark *mark = claimant->mark;
  char lease[16], seq[24], id[48], term[24], number[24];
  snprintf(lease, sizeof lease, "%u", claimant->lease_ms);
  snprintf(seq, sizeof seq, "%llu", (unsigned long long)mark->seq);
  snprintf(id, sizeof id, "%llu-%llu", (unsigned long long)mark->ms, (unsigned long long)mark->n);
  snprintf(term, sizeof term, "%llu", (unsigned long long)mark->term);
  snprintf(number, sizeof number, "%llu", (unsigned long long)claimant->number);
  const char *hash = mark->seq > 0 ? mark->hash : LK_LOG_NO_HASH;
  const char *const call[] = {LK_OWN, "2",  keys->log, keys->log_state, claimant->nonce, claimant->worker, lease, seq,
                              id,     hash, term,      number,          claimant->wish};
  size_t count = sizeof call / sizeof call[0] - (claimant->wish != NULL ? 0 : 1);
  lk_redis_reply *reply = NULL;
  lk_status status = lk_functions_call_words(redis, &reply, error, count, call);
  if (status == LK_OK) status = read(reply, ownership, error);
  lk_redis_reply_free(reply);
  return status;
}

lk_status lk_ownership_acknowledge(lk_redis *redis, const lk_keys *keys, const char *nonce, uint64_t seq,
                                   lk_ownership *ownership, lk_error *error) {
  char term[24], last[24];
  size_t length;
  snprintf(term, sizeof term, "%llu", (unsigned long long)ownership->term);
  snprintf(last, sizeof last, "%llu", (unsigned long long)seq);
  const char *const call[] = {LK_ACKNOWLEDGE, "1", keys->log_state, nonce, term, last};
  lk_redis_reply *reply = NULL;
  lk_status status = lk_functions_call_words(redis, &reply, error, sizeof call / sizeof call[0], call);
  if (status != LK_OK) return status;
  const char *word = lk_redis_reply_string(lk_redis_reply_element(reply, 0), &length);
  if (word != NULL && strcmp(word, "ACKNOWLEDGED") == 0)
    ownership->acked = number_at(reply, 3);
  else if (word != NULL && strcmp(word, "LOST") == 0)
    *ownership = (lk_ownership){0};
  else
    status = lk_redis_reply_unexpected(reply, LK_ACKNOWLEDGE, error);
  lk_redis_reply_free(reply);
  return status;
}
