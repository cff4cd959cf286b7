#include "engine/worker/log/log_reader.h"

#include <stdio.h>

#include "base/fail.h"

/* Of vectors that are read before they are applied. */
#define VECTORS_BYTES ((size_t)32 << 20)

enum { FIELDS = LK_FIELDS_MAX + 8 };

#define BLOCK_MS "100"

void lk_log_reading_clear(lk_log_reading *reading) {
  for (uint32_t i = 0; i < reading->count; i++) {
    lk_log_change_close(&reading->changes[i]);
    lk_redis_reply_free(reading->vectors[i]);
  }
  lk_redis_reply_free(reading->read);
  reading->read = NULL;
  reading->count = 0;
}

static lk_status read_record(const lk_redis_reply *entry, lk_log_record *record, lk_error *error) {
  lk_field fields[FIELDS];
  size_t count = 0, length;
  const char *id = lk_redis_reply_string(lk_redis_reply_element(entry, 0), &length);
  const lk_redis_reply *list = lk_redis_reply_element(entry, 1);
  for (size_t i = 0; i + 1 < lk_redis_reply_elements(list) && count < FIELDS; i += 2, count++) {
    const char *name = lk_redis_reply_string(lk_redis_reply_element(list, i), &length);
    fields[count].name = (lk_text){.bytes = name, .length = (uint32_t)length};
    fields[count].value = lk_redis_reply_string(lk_redis_reply_element(list, i + 1), &fields[count].length);
  }
  return lk_log_record_read(id != NULL ? id : "", fields, count, record, error);
}

static lk_status fetch_vectors(lk_redis *redis, const lk_keys *keys, uint64_t seq, lk_redis_reply **reply,
                               lk_error *error) {
  char key[LK_KEY_SIZE + 24];
  snprintf(key, sizeof key, "%s%llu", keys->vectors, (unsigned long long)seq);
  const char *const words[] = {"GET", key};
  lk_status status = lk_redis_call_words(redis, reply, error, 2, words);
  if (status == LK_OK && lk_redis_reply_error(*reply) != NULL) status = lk_redis_reply_unexpected(*reply, "GET", error);
  return status;
}

/* Adds the next entry. */
static lk_status add(lk_log_reading *r, lk_redis *redis, const lk_keys *keys, const lk_redis_reply *entry,
                     size_t *bytes, lk_error *error) {
  lk_log_record record;
  size_t length = 0;
  uint32_t i = r->count;
  r->vectors[i] = NULL;
  lk_status status = read_record(entry, &record, error);
  if (status == LK_OK && record.rows > 0) status = fetch_vectors(redis, keys, record.mark.seq, &r->vectors[i], error);
  if (status == LK_OK) {
    const char *vectors = lk_redis_reply_string(r->vectors[i], &length);
    status = lk_log_change_open(&record, keys->gallery, vectors, vectors != NULL ? length : 0, &r->changes[i],
                                &r->entries[i], error);
    if (status != LK_OK) lk_log_change_close(&r->changes[i]);
  }
  *bytes += length;
  if (status == LK_OK)
    r->count++;
  else
    lk_redis_reply_free(r->vectors[i]);
  return status;
}

static lk_status read(lk_log_reading *r, lk_redis *redis, const lk_keys *keys, const lk_log_mark *mark,
                      lk_error *error) {
  char count[12], id[48];
  snprintf(count, sizeof count, "%u", r->most);
  snprintf(id, sizeof id, "%llu-%llu", (unsigned long long)mark->ms, (unsigned long long)mark->n);
  const char *const words[] = {"XREAD", "COUNT", count, "BLOCK", BLOCK_MS, "STREAMS", keys->log, id};
  lk_status status = lk_redis_call_words(redis, &r->read, error, sizeof words / sizeof words[0], words);
  if (status != LK_OK || lk_redis_reply_is_nil(r->read) || lk_redis_reply_is_array(r->read)) return status;
  return lk_redis_reply_unexpected(r->read, "XREAD", error);
}

lk_status lk_log_reading_next(lk_log_reading *r, lk_redis *redis, const lk_keys *keys, const lk_log_mark *mark,
                              lk_error *error) {
  size_t bytes = 0;
  lk_log_reading_clear(r);
  if (r->most == 0) r->most = LK_LOG_READ_MOST;
  lk_status status = read(r, redis, keys, mark, error);
  r->most = status == LK_OK ? 2 * r->most < LK_LOG_READ_MOST ? 2 * r->most : LK_LOG_READ_MOST : 1;
  const lk_redis_reply *entries = lk_redis_reply_element(lk_redis_reply_element(r->read, 0), 1);
  for (size_t i = 0; status == LK_OK && i < lk_redis_reply_elements(entries) && bytes < VECTORS_BYTES; i++)
    status = add(r, redis, keys, lk_redis_reply_element(entries, i), &bytes, error);
  return status;
}
