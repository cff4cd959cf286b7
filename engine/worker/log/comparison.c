#include "engine/worker/log/comparison.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "engine/queue/keys.h"
#include "engine/queue/redis.h"

enum { TIMEOUT_MS = 5000 };

/* The log as Redis has it. */
typedef struct end_of_log {
  lk_redis *redis;
  const lk_keys *keys;
  uint64_t seq, first_seq; /* of the last entry and the first that is there; 0: none is */
  char hash[LK_LOG_HASH_DIGITS + 1], first_prev[LK_LOG_HASH_DIGITS + 1];
} end_of_log;

/* What of this gallery's entries the log has. */
typedef struct found {
  const end_of_log *log;
  bool has_first;     /* the journal has the first entry of all */
  lk_log_mark common; /* the last that both have; zeros: none was found */
  bool ends_in_it;    /* the log's last entry is among them */
} found;

static void copy_text(const lk_redis_reply *text, char hash[LK_LOG_HASH_DIGITS + 1]) {
  size_t length;
  const char *bytes = lk_redis_reply_string(text, &length);
  snprintf(hash, LK_LOG_HASH_DIGITS + 1, "%s", bytes != NULL ? bytes : "");
}

static const lk_redis_reply *field_of(const lk_redis_reply *entry, const char *name) {
  const lk_redis_reply *fields = lk_redis_reply_element(entry, 1);
  size_t length;
  for (size_t i = 0; i + 1 < lk_redis_reply_elements(fields); i += 2) {
    const char *text = lk_redis_reply_string(lk_redis_reply_element(fields, i), &length);
    if (text != NULL && strcmp(text, name) == 0) return lk_redis_reply_element(fields, i + 1);
  }
  return NULL;
}

static lk_status read_entry(const end_of_log *log, const char *from, const char *to, lk_redis_reply **reply,
                            lk_error *error) {
  const char *const words[] = {"XRANGE", log->keys->log, from, to, "COUNT", "1"};
  lk_status status = lk_redis_call_words(log->redis, reply, error, 6, words);
  if (status == LK_OK && !lk_redis_reply_is_array(*reply)) status = lk_redis_reply_unexpected(*reply, "XRANGE", error);
  return status;
}

static lk_status read_end(end_of_log *log, lk_error *error) {
  const char *const words[] = {"HMGET", log->keys->log_state, "seq", "hash"};
  lk_redis_reply *state = NULL, *first = NULL;
  lk_status status = lk_redis_call_words(log->redis, &state, error, 4, words);
  if (status == LK_OK && lk_redis_reply_elements(state) != 2) status = lk_redis_reply_unexpected(state, "HMGET", error);
  if (status == LK_OK) status = read_entry(log, "-", "+", &first, error);
  if (status == LK_OK) {
    const lk_redis_reply *entry = lk_redis_reply_element(first, 0);
    log->seq = (uint64_t)lk_redis_reply_integer(lk_redis_reply_element(state, 0));
    copy_text(lk_redis_reply_element(state, 1), log->hash);
    log->first_seq = (uint64_t)lk_redis_reply_integer(field_of(entry, "seq"));
    copy_text(field_of(entry, "prev"), log->first_prev);
  }
  lk_redis_reply_free(state);
  lk_redis_reply_free(first);
  return status;
}

/* Whether the log has this entry, or had it in front of the first one that it still has. */
static lk_status look_up(const end_of_log *log, const lk_log_mark *mark, bool *has, lk_error *error) {
  char id[48], hash[LK_LOG_HASH_DIGITS + 1];
  lk_redis_reply *reply = NULL;
  snprintf(id, sizeof id, "%llu-%llu", (unsigned long long)mark->ms, (unsigned long long)mark->n);
  *has = strcmp(mark->hash, log->first_prev) == 0 || (mark->seq == log->seq && strcmp(mark->hash, log->hash) == 0);
  if (*has) return LK_OK;
  lk_status status = read_entry(log, id, id, &reply, error);
  if (status == LK_OK) {
    copy_text(field_of(lk_redis_reply_element(reply, 0), "hash"), hash);
    *has = strcmp(hash, mark->hash) == 0;
  }
  lk_redis_reply_free(reply);
  return status;
}

static lk_status take(found *f, const lk_log_mark *mark, lk_error *error) {
  bool has;
  lk_status status = look_up(f->log, mark, &has, error);
  if (status == LK_OK && has) f->common = *mark;
  f->has_first |= mark->seq == 1;
  f->ends_in_it |= mark->seq == f->log->seq && strcmp(mark->hash, f->log->hash) == 0;
  return status;
}

static lk_status visit(void *context, const lk_log_kept *kept, lk_error *error) {
  return take(context, &kept->mark, error);
}

/* A log that only lost its end is appended to later; one that has other changes is believed. */
static lk_status judge(const found *f, bool *parted, lk_log_mark *common, lk_error *error) {
  if (f->ends_in_it) return LK_OK;
  *parted = true;
  *common = f->common;
  if (f->common.seq > 0 || (f->has_first && f->log->first_seq == 1)) return LK_OK;
  return lk_fail(error, LK_EINVAL,
                 "the gallery and its log in redis, %s, have no change in common: start again from an export of a "
                 "gallery that follows the log",
                 f->log->keys->log);
}

static lk_status compare(end_of_log *log, lk_owner *owner, const lk_log_mark *mark, bool *parted, lk_log_mark *common,
                         lk_error *error) {
  bool has;
  lk_status status = read_end(log, error);
  if (status != LK_OK || log->seq == 0) return status;
  status = look_up(log, mark, &has, error);
  if (status != LK_OK || has) return status;
  found f = {.log = log};
  lk_log_mark folded = lk_owner_log_folded(owner);
  if (folded.seq > 0) status = take(&f, &folded, error);
  if (status == LK_OK) status = lk_owner_log_visit(owner, 0, visit, &f, error);
  return status == LK_OK ? judge(&f, parted, common, error) : status;
}

lk_status lk_log_compare(const lk_address *address, lk_owner *owner, bool *parted, lk_log_mark *common,
                         lk_error *error) {
  lk_keys keys;
  lk_redis *redis = NULL;
  lk_gallery_stat stat;
  lk_log_mark mark = lk_owner_log_mark(owner);
  *parted = false;
  *common = (lk_log_mark){0};
  if (mark.seq == 0) return LK_OK;
  lk_gallery_stat_get(lk_owner_gallery(owner), &stat);
  lk_status status = lk_keys_make(stat.name, &keys, error);
  if (status == LK_OK) status = lk_redis_open(address, &redis, error);
  if (status != LK_OK) return status == LK_EPOLICY ? LK_EIO : status;
  lk_redis_set_timeout(redis, TIMEOUT_MS);
  end_of_log log = {.redis = redis, .keys = &keys};
  status = compare(&log, owner, &mark, parted, common, error);
  lk_redis_close(redis);
  return status;
}
