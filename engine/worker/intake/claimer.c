#include "engine/worker/intake/claimer.h"

#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "engine/queue/protocol.h"

/* What an entry weighs is not known before it is here: so many may be heavier than any before. */
enum { FETCHED_AT_ONCE = 4, RUN_US = 250000 };

static const double fetched_bytes_at_once = 16 << 20;
static const char *const kinds[LK_WHOSE_KINDS] = {"returned", "uncounted", "all"};

void lk_claimer_open(lk_worker *worker, lk_claimer *claimer) {
  const lk_refusal_log log = {.stage = "steward", .log = worker->options->log};
  *claimer = (lk_claimer){.worker = worker, .admission = lk_admission_of(worker, "steward"), .unread = log};
  for (int whose = 0; whose < LK_WHOSE_KINDS; whose++) claimer->refusals[whose] = log;
}

void lk_claimer_close(lk_claimer *claimer) {
  lk_admission_free(&claimer->admission);
  lk_command_free(&claimer->command);
}

/* Two batches of claimed jobs beside those that the intakes read, so that neither keeps the other waiting. */
static lk_room find_room(lk_worker *worker) {
  uint64_t probes = 0, most = 2 * (uint64_t)worker->options->batch_probes;
  pthread_mutex_lock(&worker->lock);
  for (const lk_task *task = worker->taken; task != NULL; task = task->newer)
    if (task->claimed) probes += task->job.probes.rows;
  bool full = !lk_worker_has_place(worker, LK_LO) || worker->intake_over;
  pthread_mutex_unlock(&worker->lock);
  return (lk_room){.probes = full || probes >= most ? 0 : most - probes, .bytes = lk_worker_room_bytes(worker, LK_LO)};
}

static void build_claim(lk_claimer *c, uint32_t gallery, const char *count, const char *most, lk_whose whose) {
  const lk_keys *keys = &c->worker->keys[gallery];
  lk_functions_begin(&c->command, LK_CLAIM, count);
  lk_command_add_string(&c->command, keys->workers);
  lk_source_add_all(&c->command, keys);
  const char *const words[] = {LK_GROUP, c->worker->consumer, most, kinds[whose]};
  lk_command_add_words(&c->command, sizeof words / sizeof words[0], words);
}

static lk_status note_claimed(lk_claimer *c, uint32_t gallery, const lk_redis_reply *one, lk_error *error) {
  lk_claimed *claimed = &c->claimed[c->count];
  bool is_one = lk_redis_reply_elements(one) == 3 && c->count < LK_CLAIMED_MOST;
  int64_t number = is_one ? lk_redis_reply_integer(lk_redis_reply_element(one, 0)) : 0;
  size_t length = 0;
  const char *id = is_one ? lk_redis_reply_string(lk_redis_reply_element(one, 1), &length) : NULL;
  if (number < 1 || number > LK_SOURCES || id == NULL || length >= sizeof claimed->id)
    return lk_redis_reply_unexpected(one, LK_CLAIM, error);
  *claimed = (lk_claimed){.from = lk_source_of(c->worker->keys, gallery, (uint32_t)number - 1),
                          .deaths = (uint32_t)lk_redis_reply_integer(lk_redis_reply_element(one, 2))};
  memcpy(claimed->id, id, length);
  c->count++;
  return LK_OK;
}

/* A refused claim has claimed nothing. */
static lk_status note_all(lk_claimer *c, uint32_t gallery, lk_whose whose, const lk_redis_reply *reply,
                          lk_error *error) {
  const char *refused = lk_redis_reply_error(reply);
  if (refused != NULL) {
    lk_refusal_log_say(&c->refusals[whose], LK_CLAIM, refused);
    return LK_OK;
  }
  lk_status status = lk_redis_reply_is_array(reply) ? LK_OK : lk_redis_reply_unexpected(reply, LK_CLAIM, error);
  for (size_t i = 0; status == LK_OK && i < lk_redis_reply_elements(reply); i++)
    status = note_claimed(c, gallery, lk_redis_reply_element(reply, i), error);
  return status;
}

/* Where the answer is lost, so is the knowledge of what was claimed: the intakes then read all that is this worker's.
 */
static lk_status claim_of(lk_claimer *c, lk_redis *redis, uint32_t gallery, uint32_t most, lk_whose whose,
                          lk_error *error) {
  char count[12], number[12];
  snprintf(count, sizeof count, "%d", LK_SOURCES + 1);
  snprintf(number, sizeof number, "%u", most);
  build_claim(c, gallery, count, number, whose);
  lk_redis_reply *reply = NULL;
  lk_status status = lk_functions_call(redis, &c->command, &reply, error);
  if (status == LK_OK) {
    status = note_all(c, gallery, whose, reply, error);
    lk_redis_reply_free(reply);
  }
  if (status != LK_OK) atomic_fetch_add(&c->worker->recoveries, 1);
  return status;
}

/* Also where there is no room: then only consumers that are dead and empty are removed. */
static lk_status claim(lk_claimer *c, lk_redis *redis, lk_whose whose, uint32_t most, lk_error *error) {
  lk_status status = LK_OK;
  c->count = c->fetched = 0;
  for (uint32_t i = 0; status == LK_OK && i < c->worker->options->galleries_count; i++)
    status = claim_of(c, redis, i, most - c->count, whose, error);
  lk_refusal_log_end_round(&c->refusals[whose]);
  return status;
}

static lk_status send_fetches(lk_claimer *c, lk_redis *redis, uint32_t count, lk_error *error) {
  lk_status status = LK_OK;
  for (uint32_t i = 0; status == LK_OK && i < count; i++) {
    const lk_claimed *claimed = &c->claimed[c->fetched + i];
    const char *const words[] = {"XRANGE", claimed->from.key, claimed->id, claimed->id};
    lk_command_clear(&c->command);
    lk_command_add_words(&c->command, sizeof words / sizeof words[0], words);
    status = lk_redis_send(redis, &c->command, error);
  }
  return status;
}

/* The range has the entry alone, or nothing where it was deleted. What cannot be fetched is read again by the intake,
 * if it can. */
static lk_status take(lk_claimer *c, const lk_claimed *claimed, lk_redis_reply *reply, lk_error *error) {
  const char *refused = lk_redis_reply_error(reply);
  if (refused != NULL) {
    lk_refusal_log_say(&c->unread, claimed->from.key, refused);
    lk_redis_reply_free(reply);
    atomic_fetch_add(&c->worker->recoveries, 1);
    return LK_OK;
  }
  lk_delivery *delivery = lk_delivery_new(reply, &c->worker->held_bytes);
  if (delivery == NULL) return lk_fail(error, LK_EIO, "out of memory");
  const lk_redis_reply *entry = lk_redis_reply_element(reply, 0);
  bool deleted = lk_redis_reply_elements(reply) == 0;
  lk_status status = LK_OK;
  if (!lk_redis_reply_is_array(reply) || (!deleted && lk_redis_reply_elements(entry) != 2))
    status = lk_redis_reply_unexpected(reply, "XRANGE", error);
  else
    lk_admission_add(&c->admission, delivery,
                     &(lk_admission_entry){.from = &claimed->from,
                                           .id = claimed->id,
                                           .id_length = strlen(claimed->id),
                                           .fields = deleted ? NULL : lk_redis_reply_element(entry, 1),
                                           .claimed = true,
                                           .again = true,
                                           .deaths = claimed->deaths});
  lk_delivery_release(delivery);
  return status;
}

static lk_status receive_fetches(lk_claimer *c, lk_redis *redis, uint32_t count, lk_error *error) {
  lk_status status = LK_OK;
  for (uint32_t i = 0; status == LK_OK && i < count; i++) {
    lk_redis_reply *reply = NULL;
    status = lk_redis_receive(redis, &reply, error);
    if (status == LK_OK) status = take(c, &c->claimed[c->fetched + i], reply, error);
  }
  return status;
}

/* Few at first, since nothing is known of what they weigh. */
static uint32_t piece_of(const lk_claimer *c) {
  double fit = c->weight.bytes > 0 ? fetched_bytes_at_once / c->weight.bytes : 1;
  uint32_t piece = fit < 1 ? 1 : fit < FETCHED_AT_ONCE ? (uint32_t)fit : FETCHED_AT_ONCE;
  return piece < c->count - c->fetched ? piece : c->count - c->fetched;
}

static lk_status fetch_piece(lk_claimer *c, lk_redis *redis, lk_error *error) {
  uint32_t piece = piece_of(c);
  c->admission.entries = 0;
  c->admission.weighed = (lk_room){0};
  lk_error broke;
  lk_status status = send_fetches(c, redis, piece, error);
  if (status == LK_OK) status = receive_fetches(c, redis, piece, error);
  lk_status admitted = lk_admission_run(&c->admission, redis, true, &broke);
  if (status == LK_OK && admitted != LK_OK) {
    status = admitted;
    *error = broke;
  }
  if (status != LK_OK) return status;
  c->fetched += piece;
  lk_weight_note(&c->weight, piece, c->admission.weighed);
  return LK_OK;
}

/* Entries that do not fit in now are fetched later; they are this worker's already. */
static lk_status fetch(lk_claimer *c, lk_redis *redis, uint64_t until_us, lk_error *error) {
  lk_status status = LK_OK;
  while (status == LK_OK && c->fetched < c->count && lk_worker_room_bytes(c->worker, LK_LO) > 0 &&
         lk_clock_us() < until_us)
    status = fetch_piece(c, redis, error);
  return status;
}

lk_status lk_claimer_run(lk_claimer *c, lk_redis *redis, lk_whose whose, lk_error *error) {
  uint64_t until_us = lk_clock_us() + RUN_US;
  lk_status status = fetch(c, redis, until_us, error);
  bool more = c->fetched == c->count;
  while (status == LK_OK && more && lk_clock_us() < until_us) {
    uint32_t most = lk_weight_fit(&c->weight, find_room(c->worker));
    status = claim(c, redis, whose, most, error);
    if (status == LK_OK) status = fetch(c, redis, until_us, error);
    more = most > 0 && c->count == most && c->fetched == most;
  }
  lk_refusal_log_end_round(&c->unread);
  c->goes_on = lk_clock_us() >= until_us && (more || c->fetched < c->count);
  return status;
}

bool lk_claimer_holds(const lk_claimer *c, const char *stream, const char *entry) {
  uint32_t i = c->fetched;
  while (i < c->count && (c->claimed[i].from.key != stream || strcmp(c->claimed[i].id, entry) != 0)) i++;
  return i < c->count;
}
