#include "tests/faults/aftermath.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/queue/protocol.h"
#include "tests/e2e/e2e.h"

/* A trim removes whole nodes of a stream, which have at most 100 entries. */
enum { NODE_ENTRIES = 100, SILENCE_MS = 15000, SETTLES_MS = 10000, SPARE_BYTES = 2 << 20 };

#define FACES_KEPT "lk:{faces}:j:"

int64_t aftermath_data(store *s) { return store_info(s, "memory", "used_memory_dataset"); }

void aftermath_await(weather *w) {
  uint64_t began_ms = now_ms(), heard_ms = began_ms;
  uint32_t answered = 0;
  for (;;) {
    account_sums sums = account_sum(w->account);
    w->answered_after_ms = heard_ms - began_ms;
    if (sums.missing == 0 || now_ms() > heard_ms + SILENCE_MS) return;
    if (sums.answered > answered) heard_ms = now_ms();
    answered = sums.answered;
    for (int i = 0; i < 20; i++, sleep_ms(5)) pool_tick(w->pool);
  }
}

/* Whether this worker (a consumer is its name, perhaps with "/<thread>") has a lease. */
static bool lives(store *s, const char *consumer) {
  char worker[160];
  snprintf(worker, sizeof worker, "%.*s", (int)strcspn(consumer, "/"), consumer);
  lk_redis_reply *reply = store_ask(s, "ZSCORE", FACES_WORKERS, worker, NULL);
  size_t length;
  bool leased = reply != NULL && lk_redis_reply_string(reply, &length) != NULL;
  lk_redis_reply_free(reply);
  return leased;
}

static const lk_redis_reply *member(const lk_redis_reply *map, const char *name) {
  for (size_t i = 0; i + 1 < lk_redis_reply_elements(map); i += 2) {
    size_t length;
    const char *found = lk_redis_reply_string(lk_redis_reply_element(map, i), &length);
    if (found != NULL && strcmp(found, name) == 0) return lk_redis_reply_element(map, i + 1);
  }
  return NULL;
}

/* Consumers of the stream that have no lease. "returned" never has one; it must hold nothing. */
static uint32_t dead_consumers(store *s, const char *stream) {
  uint32_t dead = 0;
  lk_redis_reply *reply = store_ask(s, "XINFO", "CONSUMERS", stream, LK_GROUP, NULL);
  for (size_t i = 0; reply != NULL && i < lk_redis_reply_elements(reply); i++) {
    const lk_redis_reply *consumer = lk_redis_reply_element(reply, i);
    size_t length;
    const char *name = lk_redis_reply_string(member(consumer, "name"), &length);
    bool empty = lk_redis_reply_integer(member(consumer, "pending")) == 0;
    dead += !(strcmp(name, "returned") == 0 && empty) && !lives(s, name);
  }
  lk_redis_reply_free(reply);
  return dead;
}

static int64_t pending_of(store *s, const char *stream) {
  lk_redis_reply *reply = store_ask(s, "XPENDING", stream, LK_GROUP, NULL);
  int64_t count = reply != NULL && lk_redis_reply_elements(reply) > 0
                      ? lk_redis_reply_integer(lk_redis_reply_element(reply, 0))
                      : -1;
  lk_redis_reply_free(reply);
  return count;
}

static bool stream_settled(store *s, const char *stream, FILE *out) {
  if (store_number(s, "EXISTS", stream, NULL) == 0) return true;
  lk_redis_reply *groups = store_ask(s, "XINFO", "GROUPS", stream, NULL);
  bool grouped = groups != NULL && lk_redis_reply_elements(groups) > 0;
  lk_redis_reply_free(groups);
  int64_t count = grouped ? pending_of(s, stream) : -1, entries = store_number(s, "XLEN", stream, NULL);
  uint32_t dead = count >= 0 ? dead_consumers(s, stream) : 0;
  if (count < 0) fprintf(out, "  %s has no group\n", stream);
  if (count > 0) fprintf(out, "  %s: %lld entries are pending\n", stream, (long long)count);
  if (entries > NODE_ENTRIES) fprintf(out, "  %s is not trimmed: %lld entries\n", stream, (long long)entries);
  if (dead > 0) fprintf(out, "  %s: %u consumers are of workers that are dead\n", stream, dead);
  return count == 0 && entries <= NODE_ENTRIES && dead == 0;
}

static bool settled(store *s, FILE *out) {
  bool all = true;
  for (uint32_t i = 0; i < STORE_STREAMS; i++) all = stream_settled(s, store_stream(i), out) && all;
  int64_t leases = store_number(s, "ZCARD", FACES_WORKERS, NULL);
  if (leases != PLAN_WORKERS) fprintf(out, "  %lld leases, but %d workers live\n", (long long)leases, PLAN_WORKERS);
  return all && leases == PLAN_WORKERS;
}

bool aftermath_settles(weather *w, FILE *out) {
  bool all = false;
  for (uint64_t end_ms = now_ms() + SETTLES_MS;;) {
    char *text = NULL;
    size_t size;
    FILE *lines = open_memstream(&text, &size);
    bool last = now_ms() > end_ms;
    if (lines == NULL) abort();
    all = settled(w->store, lines);
    fclose(lines);
    if (last && !all) fputs(text, out);
    free(text);
    if (all || last) return all;
    for (int i = 0; i < 20; i++, sleep_ms(5)) pool_tick(w->pool);
  }
}

/* The bytes of this key, if it is kept for a while and goes by itself: what remembers a signed job or a kept reply. */
static int64_t expiring_bytes(store *s, const char *key) {
  bool kept =
      strncmp(key, FACES_SIGNED, strlen(FACES_SIGNED)) == 0 || strncmp(key, FACES_KEPT, strlen(FACES_KEPT)) == 0;
  if (!kept || store_number(s, "PTTL", key, NULL) <= 0) return 0;
  return store_number(s, "MEMORY", "USAGE", key, "SAMPLES", "0", NULL);
}

/* What there is: the bytes that expire, and the number of lists of replies, which all were read. */
static void look_at_keys(store *s, int64_t *bytes, uint32_t *lists) {
  lk_redis_reply *keys = store_ask(s, "KEYS", "*", NULL);
  *bytes = *lists = 0;
  for (size_t i = 0; keys != NULL && i < lk_redis_reply_elements(keys); i++) {
    size_t length;
    const char *key = lk_redis_reply_string(lk_redis_reply_element(keys, i), &length);
    *bytes += expiring_bytes(s, key);
    *lists += strncmp(key, FACES_REPLIES, strlen(FACES_REPLIES)) == 0;
  }
  lk_redis_reply_free(keys);
}

bool aftermath_is_clean(store *s, int64_t before, FILE *out) {
  int64_t expiring, leases = store_number(s, "EXISTS", FACES_WORKERS, NULL);
  uint32_t lists;
  look_at_keys(s, &expiring, &lists);
  int64_t more = aftermath_data(s) - before - expiring;
  if (more > SPARE_BYTES)
    fprintf(out, "  Redis holds %lld bytes of data more than before, and %lld that expire; %d are allowed\n",
            (long long)more, (long long)expiring, SPARE_BYTES);
  if (lists > 0) fprintf(out, "  %u lists of replies are not empty, though all were read\n", lists);
  if (leases != 0) fprintf(out, "  the workers have gone, but %s is there\n", FACES_WORKERS);
  return more <= SPARE_BYTES && lists == 0 && leases == 0;
}
