#include "engine/worker/intake/strays.h"

#include "base/printable.h"
#include "engine/queue/protocol.h"

/* What was delivered this long ago has arrived, and been admitted, if it ever does. */
#define ON_ITS_WAY_MS "8000"

/* More than the worker ever has. */
enum { ENTRIES_MOST = 2 * LK_TASKS_MOST };

static lk_status send_looks(const lk_worker *worker, const lk_keys *keys, lk_redis *redis, lk_error *error) {
  char most[12];
  snprintf(most, sizeof most, "%d", ENTRIES_MOST);
  lk_command command = {0};
  lk_status status = LK_OK;
  for (uint32_t i = 0; status == LK_OK && i < LK_SOURCES; i++) {
    const char *const words[] = {
        "XPENDING",      keys->lanes[i / LK_LANES][i % LK_LANES], LK_GROUP, "IDLE", ON_ITS_WAY_MS, "-", "+", most,
        worker->consumer};
    lk_command_clear(&command);
    lk_command_add_words(&command, sizeof words / sizeof words[0], words);
    status = lk_redis_send(redis, &command, error);
  }
  lk_command_free(&command);
  return status;
}

static bool has_task(lk_worker *worker, const char *stream, const char *entry) {
  pthread_mutex_lock(&worker->lock);
  bool has = lk_worker_has(worker, stream, entry);
  pthread_mutex_unlock(&worker->lock);
  return has;
}

static bool is_stray(lk_worker *worker, const lk_claimer *claimer, const char *stream, const char *entry) {
  return entry != NULL && !lk_claimer_holds(claimer, stream, entry) && !has_task(worker, stream, entry);
}

/* A stream that has no group, or is none, has no strays either; and whoever may not look is told so where it claims. */
static bool has_stray(lk_worker *worker, const lk_claimer *claimer, const char *stream, const lk_redis_reply *found) {
  size_t length;
  for (size_t i = 0; i < lk_redis_reply_elements(found); i++)
    if (is_stray(worker, claimer, stream,
                 lk_redis_reply_string(lk_redis_reply_element(lk_redis_reply_element(found, i), 0), &length)))
      return true;
  return false;
}

static lk_status look_in(lk_worker *worker, const lk_claimer *claimer, const lk_keys *keys, lk_redis *redis,
                         bool *strays, lk_error *error) {
  lk_status status = send_looks(worker, keys, redis, error);
  for (uint32_t i = 0; status == LK_OK && i < LK_SOURCES; i++) {
    lk_redis_reply *found = NULL;
    status = lk_redis_receive(redis, &found, error);
    *strays |= status == LK_OK && has_stray(worker, claimer, keys->lanes[i / LK_LANES][i % LK_LANES], found);
    lk_redis_reply_free(found);
  }
  return status;
}

lk_status lk_strays_look(lk_worker *worker, const lk_claimer *claimer, lk_redis *redis, lk_error *error) {
  bool strays = false;
  lk_status status = LK_OK;
  for (uint32_t i = 0; status == LK_OK && i < worker->options->galleries_count; i++)
    status = look_in(worker, claimer, &worker->keys[i], redis, &strays, error);
  if (!strays) return status;
  lk_printable_line(worker->options->log, "likeness: steward: jobs that were given to this worker did not arrive; it "
                                          "reads them again");
  atomic_fetch_add(&worker->recoveries, 1);
  return status;
}
