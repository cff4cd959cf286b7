#include "tests/e2e/functions/log_calls.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

const log_entry log_nothing = {
    .id = "0-0", .words = {"seq", "0", "term", "0", "prev", ZEROS, "hash", ZEROS, "number", "0"}, .count = 10};

const char *log_seq(const log_entry *entry) { return entry->words[1]; }

const char *log_hash(const log_entry *entry) { return entry->words[7]; }

static void copy(char *text, size_t size, const lk_redis_reply *reply) {
  size_t length;
  const char *string = lk_redis_reply_string(reply, &length);
  cr_assert_lt(length, size);
  strcpy(text, string);
}

void log_read(log_entry *entries, size_t count) {
  lk_redis_reply *reply = redis_ask(&redis, "XRANGE", FACES_LOG, "-", "+", NULL);
  cr_assert_eq(lk_redis_reply_elements(reply), count);
  for (size_t i = 0; i < count; i++) {
    const lk_redis_reply *entry = lk_redis_reply_element(reply, i), *fields = lk_redis_reply_element(entry, 1);
    copy(entries[i].id, sizeof entries[i].id, lk_redis_reply_element(entry, 0));
    memset(entries[i].words, 0, sizeof entries[i].words);
    entries[i].count = lk_redis_reply_elements(fields);
    for (size_t f = 0; f < entries[i].count; f++)
      copy(entries[i].words[f], sizeof entries[i].words[f], lk_redis_reply_element(fields, f));
  }
  lk_redis_reply_free(reply);
}

void log_settle(void) {
  expect_call("(OWNED  1)", LK_OWN, "2", FACES_LOG, FACES_STATE, "nobody", "nobody", "1", "0", "0-0", ZEROS, "0", "0",
              NULL);
  sleep_ms(2);
}

void expect_own(const char *pattern, const char *nonce, const log_entry *last) {
  expect_call(pattern, LK_OWN, "2", FACES_LOG, FACES_STATE, nonce, nonce, "60000", log_seq(last), last->id,
              log_hash(last), last->words[3], "0", NULL);
}

void expect_wish(const char *pattern, const char *nonce, const log_entry *last, const char *wish) {
  expect_call(pattern, LK_OWN, "2", FACES_LOG, FACES_STATE, nonce, nonce, "60000", log_seq(last), last->id,
              log_hash(last), last->words[3], "0", wish, NULL);
}

void log_end_lease(void) { redis_do(&redis, "HSET", FACES_STATE, "until", "1", NULL); }

void expect_mutate(const char *pattern, const char *entry, const char *id) {
  expect_call(pattern, LK_MUTATE, "3", FACES_LOG, FACES_STATE, FACES_LO, LK_GROUP, entry, "0", EVER, "2", "vectors",
              "op", "enroll", "id", id, "to", "me", NULL);
}

void log_add(const char *entry, const char *id) {
  deliver(entry, "w");
  expect_mutate("(LOGGED *)", entry, id);
}

void log_three_of(log_entry entries[3]) {
  expect_own("(OWNER 1 0 0)", "a", &log_nothing);
  log_add("1-1", "j1");
  log_add("1-2", "j2");
  log_add("1-3", "j3");
  log_read(entries, 3);
}

/* The words of an entry: seq, term, prev, hash, number and rows with their names, then op, id, to. */
void expect_append(const char *pattern, const char *nonce, const log_entry *entry) {
  const char(*w)[64] = entry->words;
  expect_call(pattern, LK_APPEND, "2", FACES_LOG, FACES_STATE, nonce, entry->id, "vectors", w[1], w[3], w[5], w[7],
              w[9], w[11], w[12], w[13], w[14], w[15], w[16], w[17], NULL);
}

void log_restart(void) {
  redis_server_kill(&redis);
  redis_server_start(&redis, true);
}
