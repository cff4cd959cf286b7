#include "engine/worker/log/applier.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/printable.h"
#include "engine/worker/log/answering.h"
#include "engine/worker/log/eraser.h"
#include "engine/worker/log/lease.h"
#include "engine/worker/log/log_reader.h"
#include "engine/worker/log/reader_place.h"
#include "engine/worker/waiting.h"

enum { PAUSE_US = 100000 };

typedef struct applier {
  lk_worker *worker;
  uint32_t number;
  lk_owner *owner;
  const lk_keys *keys;
  lk_redis_session session;
  lk_lease lease;
  uint64_t acknowledged; /* as far as is known */
  bool reads;            /* the last turn found entries */
  bool parted;           /* the gallery is out of service, and this log is not applied any more */
  lk_log_reading reading;
  lk_answering answering;
  lk_reader_place place;
  lk_eraser eraser;
  lk_error unread; /* why the next entry cannot be read; "": it can */
  lk_error logged;
} applier;

static void say_once(applier *a, const lk_error *error) {
  if (strcmp(a->logged.text, error->text) == 0) return;
  a->logged = *error;
  lk_printable_line(a->worker->options->log, "likeness: log: gallery %s: %s", a->keys->gallery, error->text);
}

/* It goes on when the worker is started again: then the journal is compared with the log. */
static void part(applier *a, const lk_error *why) {
  if (!a->parted) lk_worker_part(a->worker, a->number, why);
  a->parted = true;
}

static void part_diverged(applier *a) {
  lk_error error;
  lk_fail(
      &error, LK_EINVAL,
      "its last change, %llu of its log, is not in the log in redis, which ends at %llu; start the worker again, and "
      "it goes back to the last that both have, or tells that they have none",
      (unsigned long long)lk_owner_log_mark(a->owner).seq, (unsigned long long)a->lease.own.seq);
  part(a, &error);
}

/* ---- who owns the log ---- */

static bool owns(const applier *a) { return a->lease.own.standing == LK_STANDING_OWNER; }

static void note_answered(applier *a) {
  if (owns(a)) a->acknowledged = a->lease.own.acked;
}

/* What the log's owner has acknowledged, may be folded here, too. */
static lk_status learn_acknowledged(applier *a, lk_error *error) {
  const char *const words[] = {"HGET", a->keys->log_state, "acked"};
  lk_redis_reply *reply = NULL;
  lk_status status = lk_redis_call_words(a->session.redis, &reply, error, 3, words);
  if (status == LK_OK && lk_redis_reply_error(reply) == NULL) a->acknowledged = (uint64_t)lk_redis_reply_integer(reply);
  lk_redis_reply_free(reply);
  return status;
}

static void tell_acknowledged(applier *a) {
  uint64_t applied = lk_owner_log_mark(a->owner).seq;
  uint64_t both = a->acknowledged < applied ? a->acknowledged : applied;
  lk_owner_log_acknowledged(a->owner, both);
  lk_eraser_turn(&a->eraser, both);
}

static lk_status renew(applier *a, lk_error *error) {
  uint64_t asked_us = a->lease.asked_us;
  lk_status status = lk_lease_renew(&a->lease, a->session.redis, error);
  note_answered(a);
  if (status == LK_OK && a->lease.own.standing == LK_STANDING_DIVERGED) part_diverged(a);
  bool asked = a->lease.asked_us != asked_us;
  return status == LK_OK && asked && !owns(a) ? learn_acknowledged(a, error) : status;
}

/* Nothing is applied any more. As long as nobody has acknowledged what follows, nobody was told that it is done:
 * searches go on. */
static void stop_at(applier *a, const lk_error *why) {
  a->unread = *why;
  say_once(a, why);
}

/* ---- changes ---- */

/* The entries of what was read that are applied. */
static uint32_t count_applied(const applier *a, const lk_log_mark *mark) {
  uint32_t count = 0;
  while (count < a->reading.count && a->reading.entries[count].mark.seq <= mark->seq) count++;
  return count;
}

static void note_applied(applier *a, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    if (a->reading.entries[i].erases && a->reading.entries[i].status == LK_OK)
      lk_reader_place_erase(&a->place, a->reading.entries[i].mark.seq);
}

/* Damage and gaps do not go away; that a fold takes long, or memory is short, does. */
static lk_status judge_failure(applier *a, lk_status status, const lk_error *why, lk_error *error) {
  *error = *why;
  if (status == LK_EBUSY || status == LK_ENOMEM) {
    say_once(a, why);
    lk_clock_sleep_us(PAUSE_US);
    return LK_OK;
  }
  part(a, why);
  return LK_OK;
}

static lk_status apply(applier *a, lk_error *error) {
  lk_error why;
  lk_log_mark before = lk_owner_log_mark(a->owner);
  lk_status status = lk_owner_log_apply(a->owner, a->reading.entries, a->reading.count, &why);
  lk_log_mark mark = lk_owner_log_mark(a->owner);
  uint32_t applied = count_applied(a, &mark);
  note_applied(a, applied);
  lk_waiting_note(a->worker, a->number, &mark);
  lk_status answered = LK_OK;
  if (owns(a) && a->acknowledged == before.seq)
    answered = lk_answering_take(&a->answering, a->session.redis, &a->reading, applied, &a->lease.own, error);
  note_answered(a);
  if (answered != LK_OK || status == LK_OK) return answered;
  return judge_failure(a, status, &why, error);
}

static lk_status read_and_apply(applier *a, lk_error *error) {
  lk_log_mark mark = lk_owner_log_mark(a->owner);
  lk_error why;
  lk_status status = lk_log_reading_next(&a->reading, a->session.redis, a->keys, &mark, &why), applied = LK_OK;
  a->reads = a->reading.count > 0;
  if (a->reads) applied = apply(a, error);
  lk_log_reading_clear(&a->reading);
  if (applied != LK_OK) return applied;
  if (status == LK_EFORMAT) stop_at(a, &why);
  if (status == LK_OK || status == LK_EFORMAT) return LK_OK;
  *error = why;
  return status;
}

/* Also what was applied before this worker owned the log, or was started again. What its journal does not have, because
 * the gallery is a copy of another one, nobody can answer any more. */
static lk_status answer_rest(applier *a, lk_error *error) {
  uint64_t applied = lk_owner_log_mark(a->owner).seq;
  if (!owns(a) || a->acknowledged >= applied) return LK_OK;
  lk_status status = lk_answering_visit(&a->answering, a->session.redis, a->owner, &a->lease.own, error);
  if (status == LK_OK && owns(a) && a->lease.own.acked < applied)
    status = lk_ownership_acknowledge(a->session.redis, a->keys, a->lease.nonce, applied, &a->lease.own, error);
  note_answered(a);
  return status;
}

static void leave(applier *a) { lk_lease_leave(&a->lease, a->session.redis); }

/* Others may own the log, and those who send changes are told that nobody does. */
static lk_status stand_still(applier *a, lk_error *error) {
  leave(a);
  lk_clock_sleep_us(PAUSE_US);
  lk_status status = a->parted ? LK_OK : learn_acknowledged(a, error);
  if (status == LK_OK && a->acknowledged > lk_owner_log_mark(a->owner).seq) part(a, &a->unread);
  return status;
}

static lk_status take_turn(applier *a, lk_error *error) {
  if (a->parted || a->unread.text[0] != '\0') return stand_still(a, error);
  lk_status status = renew(a, error);
  if (status != LK_OK || a->parted) return status;
  status = read_and_apply(a, error);
  if (status == LK_OK && !a->parted) status = answer_rest(a, error);
  if (status == LK_OK) tell_acknowledged(a);
  if (status == LK_OK)
    status = lk_reader_place_turn(&a->place, a->session.redis, lk_owner_log_mark(a->owner).seq, error);
  return status;
}

static void turn(applier *a) {
  lk_error error;
  a->reads = false;
  if (lk_redis_session_open(&a->session, &error) != LK_OK) return;
  lk_redis_set_reply_limit(a->session.redis, LK_REPLY_BYTES_MOST);
  if (take_turn(a, &error) == LK_OK)
    lk_redis_session_works(&a->session);
  else
    lk_redis_session_broke(&a->session, &error);
}

static bool goes_on(lk_worker *worker) {
  pthread_mutex_lock(&worker->lock);
  bool comes = !worker->intake_over;
  pthread_mutex_unlock(&worker->lock);
  return comes;
}

void lk_applier_run(lk_worker *worker, uint32_t number) {
  applier *a = calloc(1, sizeof *a);
  lk_error error;
  if (a == NULL) {
    lk_worker_fail(worker, lk_fail_memory(&error), &error);
    return;
  }
  const lk_worker_options *options = worker->options;
  *a = (applier){.worker = worker,
                 .number = number,
                 .owner = options->owners[number],
                 .keys = &worker->keys[number],
                 .session = lk_worker_session(worker, "log")};
  a->lease = lk_lease_of(a->owner, a->keys, worker->consumer, options->log);
  a->eraser = (lk_eraser){.owner = a->owner, .gallery = a->keys->gallery, .log = options->log};
  a->place = lk_reader_place_of(a->keys, options->folders[number], a->lease.nonce, options->log);
  lk_reader_place_erase(&a->place, lk_owner_log_erases(a->owner));
  lk_answering_open(&a->answering, worker, number, a->lease.nonce, &a->place);
  while (goes_on(worker)) turn(a);
  do turn(a);
  while (a->reads && !lk_give_up_passed(&worker->answers_end));
  leave(a);
  lk_eraser_end(&a->eraser);
  lk_redis_session_close(&a->session);
  lk_answering_close(&a->answering);
  free(a);
}
