#include "engine/queue/overview.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "engine/queue/keys.h"
#include "engine/queue/protocol.h"

/* One look at a gallery. */
typedef struct look {
  lk_redis *redis;
  lk_keys keys;
  int64_t now_ms;  /* by Redis' clock */
  json_t *workers; /* by name */
} look;

/* A refusal with this word at its begin is as an empty reply; NULL: none is. */
static lk_status ask(lk_redis *redis, const char *allowed, lk_redis_reply **reply, lk_error *error, size_t count,
                     const char *const *words) {
  lk_status status = lk_redis_call_words(redis, reply, error, count, words);
  if (status != LK_OK) return status;
  const char *refused = lk_redis_reply_error(*reply);
  if (refused == NULL || (allowed != NULL && strncmp(refused, allowed, strlen(allowed)) == 0)) return LK_OK;
  status = lk_redis_reply_unexpected(*reply, words[0], error);
  lk_redis_reply_free(*reply);
  return status;
}

#define ASK(redis, allowed, reply, error, ...)                                                         \
  ask(redis, allowed, reply, error, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *), \
      (const char *const[]){__VA_ARGS__})

static lk_status ask_number(lk_redis *redis, const char *command, const char *key, int64_t *number, lk_error *error) {
  lk_redis_reply *reply;
  lk_status status = ASK(redis, NULL, &reply, error, command, key);
  if (status != LK_OK) return status;
  *number = lk_redis_reply_integer(reply);
  lk_redis_reply_free(reply);
  return LK_OK;
}

/* What is no UTF-8 was not written by a worker. */
static json_t *text_of(const lk_redis_reply *reply, size_t most) {
  size_t length;
  const char *bytes = lk_redis_reply_string(reply, &length);
  json_t *text = bytes != NULL ? json_stringn(bytes, length < most ? length : most) : NULL;
  return text != NULL ? text : json_string("?");
}

static void add(json_t *object, const char *member, int64_t number) {
  json_int_t before = json_integer_value(json_object_get(object, member));
  json_object_set_new(object, member, json_integer(before + number));
}

/* The worker of this name, which is noted now if it was not yet. */
static json_t *worker_of(const look *l, const lk_redis_reply *name, size_t most) {
  json_t *text = text_of(name, most);
  const char *known_as = json_string_value(text);
  json_t *worker = json_object_get(l->workers, known_as);
  if (worker == NULL) {
    worker = json_pack("{s:s, s:n, s:i, s:i}", "worker", known_as, "lease_ms", "held", 0, "searching", 0);
    json_object_set_new(l->workers, known_as, worker);
  }
  json_decref(text);
  return worker;
}

static lk_status read_leases(const look *l, lk_error *error) {
  lk_redis_reply *reply;
  lk_status status = ASK(l->redis, NULL, &reply, error, "ZRANGE", l->keys.workers, "0", "-1", "WITHSCORES");
  if (status != LK_OK) return status;
  for (size_t i = 0; i + 1 < lk_redis_reply_elements(reply); i += 2) {
    size_t length;
    const char *score = lk_redis_reply_string(lk_redis_reply_element(reply, i + 1), &length);
    int64_t until_ms = score != NULL ? (int64_t)strtod(score, NULL) : 0;
    json_t *worker = worker_of(l, lk_redis_reply_element(reply, i), SIZE_MAX);
    if (until_ms > l->now_ms) json_object_set_new(worker, "lease_ms", json_integer(until_ms - l->now_ms));
  }
  lk_redis_reply_free(reply);
  return LK_OK;
}

/* Of each thread of a worker: a line for each job. */
static lk_status read_running(const look *l, lk_error *error) {
  lk_redis_reply *reply;
  lk_status status = ASK(l->redis, NULL, &reply, error, "HGETALL", l->keys.running);
  if (status != LK_OK) return status;
  for (size_t i = 0; i + 1 < lk_redis_reply_elements(reply); i += 2) {
    const lk_redis_reply *field = lk_redis_reply_element(reply, i);
    size_t length, lines = 0;
    const char *jobs = lk_redis_reply_string(lk_redis_reply_element(reply, i + 1), &length);
    for (size_t at = 0; at < length; at++) lines += at == 0 || jobs[at - 1] == '\n';
    const char *name = lk_redis_reply_string(field, &length), *slash = name != NULL ? strrchr(name, '/') : NULL;
    if (lines > 0 && slash != NULL) add(worker_of(l, field, (size_t)(slash - name)), "searching", (int64_t)lines);
  }
  lk_redis_reply_free(reply);
  return LK_OK;
}

/* How many jobs of a lane are with workers, and with whom. */
static lk_status read_held(const look *l, const char *lane, json_t *priority, lk_error *error) {
  lk_redis_reply *reply;
  lk_status status = ASK(l->redis, "NOGROUP", &reply, error, "XPENDING", lane, LK_GROUP);
  if (status != LK_OK) return status;
  if (lk_redis_reply_error(reply) == NULL) {
    const lk_redis_reply *holders = lk_redis_reply_element(reply, 3);
    add(priority, "held", lk_redis_reply_integer(lk_redis_reply_element(reply, 0)));
    for (size_t i = 0; i < lk_redis_reply_elements(holders); i++) {
      const lk_redis_reply *holder = lk_redis_reply_element(holders, i);
      add(worker_of(l, lk_redis_reply_element(holder, 0), SIZE_MAX), "held",
          lk_redis_reply_integer(lk_redis_reply_element(holder, 1)));
    }
  }
  lk_redis_reply_free(reply);
  return LK_OK;
}

/* An entry's id begins with the time at which it came. */
static lk_status read_oldest(const look *l, const char *lane, json_t *priority, lk_error *error) {
  lk_redis_reply *reply;
  size_t length;
  lk_status status = ASK(l->redis, NULL, &reply, error, "XRANGE", lane, "-", "+", "COUNT", "1");
  if (status != LK_OK) return status;
  const lk_redis_reply *entry = lk_redis_reply_element(reply, 0);
  const char *id = lk_redis_reply_string(lk_redis_reply_element(entry, 0), &length);
  if (id != NULL) {
    int64_t age_ms = l->now_ms - (int64_t)strtoull(id, NULL, 10);
    const json_t *oldest = json_object_get(priority, "oldest_ms");
    if (age_ms < 0) age_ms = 0;
    if (json_is_null(oldest) || json_integer_value(oldest) < age_ms)
      json_object_set_new(priority, "oldest_ms", json_integer(age_ms));
  }
  lk_redis_reply_free(reply);
  return LK_OK;
}

static lk_status read_priority(const look *l, lk_priority which, json_t *priority, lk_error *error) {
  lk_status status = LK_OK;
  for (int i = 0; status == LK_OK && i < LK_LANES; i++) {
    const char *lane = l->keys.lanes[which][i];
    int64_t jobs;
    status = ask_number(l->redis, "XLEN", lane, &jobs, error);
    if (status != LK_OK || jobs == 0) continue;
    add(priority, "jobs", jobs);
    status = read_oldest(l, lane, priority, error);
    if (status == LK_OK) status = read_held(l, lane, priority, error);
  }
  return status;
}

static lk_status read_counts(const look *l, json_t *overview, lk_error *error) {
  char key[LK_KEY_SIZE + 16];
  int64_t dead = 0, deaths = 0;
  lk_redis_reply *reply;
  snprintf(key, sizeof key, "lk:{%s}:counts", l->keys.gallery);
  lk_status status = ask_number(l->redis, "XLEN", l->keys.dead, &dead, error);
  if (status == LK_OK) status = ask_number(l->redis, "HLEN", l->keys.deaths, &deaths, error);
  if (status == LK_OK) status = ASK(l->redis, NULL, &reply, error, "HGETALL", key);
  if (status != LK_OK) return status;
  json_t *counts = json_object_get(overview, "counts");
  for (size_t i = 0; i + 1 < lk_redis_reply_elements(reply); i += 2) {
    json_t *name = text_of(lk_redis_reply_element(reply, i), SIZE_MAX);
    add(counts, json_string_value(name), lk_redis_reply_integer(lk_redis_reply_element(reply, i + 1)));
    json_decref(name);
  }
  lk_redis_reply_free(reply);
  add(overview, "dead", dead);
  add(overview, "deaths", deaths);
  return LK_OK;
}

static lk_status read_time(look *l, lk_error *error) {
  lk_redis_reply *reply;
  lk_status status = ASK(l->redis, NULL, &reply, error, "TIME");
  if (status != LK_OK) return status;
  l->now_ms = lk_redis_reply_integer(lk_redis_reply_element(reply, 0)) * 1000 +
              lk_redis_reply_integer(lk_redis_reply_element(reply, 1)) / 1000;
  lk_redis_reply_free(reply);
  return LK_OK;
}

static void list_workers(const look *l, json_t *overview) {
  json_t *worker, *list = json_object_get(overview, "workers");
  const char *name;
  json_object_foreach(l->workers, name, worker) json_array_append(list, worker);
}

static lk_status read_all(look *l, json_t *overview, lk_error *error) {
  lk_status status = read_time(l, error);
  if (status == LK_OK) status = read_leases(l, error);
  if (status == LK_OK) status = read_running(l, error);
  if (status == LK_OK) status = read_priority(l, LK_HI, json_object_get(overview, "hi"), error);
  if (status == LK_OK) status = read_priority(l, LK_LO, json_object_get(overview, "lo"), error);
  if (status == LK_OK) status = read_counts(l, overview, error);
  if (status == LK_OK) list_workers(l, overview);
  return status;
}

lk_status lk_overview_read(lk_redis *redis, const char *gallery, json_t **overview, lk_error *error) {
  look l = {.redis = redis};
  lk_status status = lk_keys_make(gallery, &l.keys, error);
  if (status != LK_OK) return status;
  l.workers = json_object();
  *overview =
      json_pack("{s:s, s:{s:i, s:i, s:n}, s:{s:i, s:i, s:n}, s:[], s:i, s:i, s:{s:i, s:i, s:i}}", "gallery", gallery,
                "hi", "jobs", 0, "held", 0, "oldest_ms", "lo", "jobs", 0, "held", 0, "oldest_ms", "workers", "dead", 0,
                "deaths", 0, "counts", "poison", 0, "replies_dropped", 0, "replies_not_kept", 0);
  status = l.workers != NULL && *overview != NULL ? read_all(&l, *overview, error) : lk_fail_memory(error);
  json_decref(l.workers);
  if (status == LK_OK) return LK_OK;
  json_decref(*overview);
  *overview = NULL;
  return status;
}

/* The name in a key such as lk:{faces}:workers. */
static void note_gallery(json_t *found, const lk_redis_reply *key) {
  size_t length;
  const char *text = lk_redis_reply_string(key, &length), *end;
  if (text == NULL || strncmp(text, "lk:{", 4) != 0 || (end = strchr(text, '}')) == NULL) return;
  char *name = strndup(text + 4, (size_t)(end - text - 4));
  lk_keys keys;
  if (name != NULL && lk_keys_make(name, &keys, NULL) == LK_OK) json_object_set_new(found, name, json_true());
  free(name);
}

static lk_status scan(lk_redis *redis, json_t *found, lk_error *error) {
  char cursor[32] = "0";
  do {
    lk_redis_reply *reply;
    size_t length;
    lk_status status = ASK(redis, NULL, &reply, error, "SCAN", cursor, "MATCH", "lk:{*}:[gqw]*", "COUNT", "1000");
    if (status != LK_OK) return status;
    const lk_redis_reply *keys = lk_redis_reply_element(reply, 1);
    const char *next = lk_redis_reply_string(lk_redis_reply_element(reply, 0), &length);
    for (size_t i = 0; i < lk_redis_reply_elements(keys); i++) note_gallery(found, lk_redis_reply_element(keys, i));
    snprintf(cursor, sizeof cursor, "%s", next != NULL ? next : "0");
    lk_redis_reply_free(reply);
  } while (strcmp(cursor, "0") != 0);
  return LK_OK;
}

static int compare_names(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

lk_status lk_overview_galleries(lk_redis *redis, json_t **names, lk_error *error) {
  json_t *found = json_object(), *value;
  const char *name;
  size_t count = 0;
  *names = NULL;
  lk_status status = found != NULL ? scan(redis, found, error) : lk_fail_memory(error);
  const char **sorted = calloc(json_object_size(found) + 1, sizeof *sorted);
  if (status == LK_OK && (sorted == NULL || (*names = json_array()) == NULL)) status = lk_fail_memory(error);
  if (status == LK_OK) {
    json_object_foreach(found, name, value) sorted[count++] = name;
    qsort(sorted, count, sizeof *sorted, compare_names);
    for (size_t i = 0; i < count; i++) json_array_append_new(*names, json_string(sorted[i]));
  }
  free(sorted);
  json_decref(found);
  return status;
}
