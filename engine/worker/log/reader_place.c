#include "engine/worker/log/reader_place.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/printable.h"
#include "engine/queue/functions.h"

static const uint64_t tells_every_us = 5000000, erases_every_us = 500000;

/* A path may be longer than a name needs to be; its end tells galleries apart. */
lk_reader_place lk_reader_place_of(const lk_keys *keys, const char *folder, const char *nonce, FILE *log) {
  lk_reader_place place = {.keys = keys, .nonce = nonce, .log = log};
  char host[64] = "host", path[PATH_MAX];
  gethostname(host, sizeof host - 1);
  const char *real = realpath(folder, path) != NULL ? path : folder;
  size_t length = strlen(real), most = sizeof place.name - sizeof host - 2;
  snprintf(place.name, sizeof place.name, "%s:%s", host, length > most ? real + length - most : real);
  return place;
}

void lk_reader_place_erase(lk_reader_place *place, uint64_t seq) {
  place->erases = seq;
  place->told_us = 0;
}

/* Whether the log still has an entry that is to be removed. */
static lk_status look_for_erased(lk_reader_place *place, lk_redis *redis, lk_error *error) {
  const char *const words[] = {"XRANGE", place->keys->log, "-", "+", "COUNT", "1"};
  lk_redis_reply *reply = NULL;
  lk_status status = lk_redis_call_words(redis, &reply, error, 6, words);
  if (status != LK_OK) return status;
  const lk_redis_reply *fields = lk_redis_reply_element(lk_redis_reply_element(reply, 0), 1);
  bool has = lk_redis_reply_elements(fields) > 1 &&
             (uint64_t)lk_redis_reply_integer(lk_redis_reply_element(fields, 1)) <= place->erases; /* seq comes first */
  if (!has && lk_redis_reply_error(reply) == NULL) place->erases = 0;
  lk_redis_reply_free(reply);
  return LK_OK;
}

lk_status lk_reader_place_tell(lk_reader_place *place, lk_redis *redis, uint64_t seq, lk_error *error) {
  char number[24];
  snprintf(number, sizeof number, "%llu", (unsigned long long)seq);
  const char *const words[] = {LK_APPLIED,
                               "3",
                               place->keys->log,
                               place->keys->log_state,
                               place->keys->log_readers,
                               place->name,
                               number,
                               place->nonce,
                               place->erases > 0 ? "erase" : "keep"};
  lk_redis_reply *reply = NULL;
  lk_status status = lk_functions_call_words(redis, &reply, error, sizeof words / sizeof words[0], words);
  if (status != LK_OK) return status;
  place->told_us = lk_clock_us();
  const char *refused = lk_redis_reply_error(reply);
  if (refused != NULL && !place->refused)
    lk_printable_line(place->log, "likeness: log: redis refuses %s: %s", LK_APPLIED, refused);
  place->refused = refused != NULL;
  lk_redis_reply_free(reply);
  return LK_OK;
}

lk_status lk_reader_place_turn(lk_reader_place *place, lk_redis *redis, uint64_t seq, lk_error *error) {
  if (lk_clock_us() < place->told_us + (place->erases > 0 ? erases_every_us : tells_every_us)) return LK_OK;
  lk_status status = lk_reader_place_tell(place, redis, seq, error);
  return status == LK_OK && place->erases > 0 ? look_for_erased(place, redis, error) : status;
}
