/* The steward keeps house beside the stages, over a connection of its own: however long a search or a wait for Redis
 * takes, the worker is seen to live while it makes progress. It holds a lease of each gallery that the worker serves,
 * by which clients and other workers see that this one lives; takes over the jobs of workers that do not; removes what
 * is left over in the streams; and sets back ids far ahead of the time, from which Redis would number later entries. */
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/printable.h"
#include "engine/queue/protocol.h"
#include "engine/worker/intake/strays.h"

static const uint64_t turns_every_us = 250000;
static const uint64_t claims_every_us = 1000000, trims_every_us = 1000000, mends_every_us = 5000000,
                      looks_every_us = 5000000;
/* After Redis was away, or its clock was set forward, every worker looks dead until it has renewed its lease. */
static const uint64_t claims_after_us = 5000000;
/* By then they all have connected again, however long their pauses are. */
static const uint64_t counts_after_us = 15000000;
/* Between two leases Redis' clock and ours go the same way, but for what the answers take. */
static const int64_t step_ms = 1000;

/* What it does for each gallery. */
typedef enum chore { LEASE, TRIM, MEND, LEAVE, CHORES } chore;

static const char *const functions[CHORES] = {LK_LEASE, LK_TRIM, LK_MEND, LK_LEAVE};

typedef struct steward {
  lk_worker *worker;
  lk_redis_session session;
  lk_claimer claimer;
  lk_command command;
  uint64_t leased_us, claimed_us, trimmed_us, mended_us; /* when it last was */
  uint64_t looked_us;                                    /* when it last looked for strays */
  uint64_t doubted_us;                                   /* when leases last said nothing of who lives */
  uint64_t counts_from_us;                               /* when deaths may be counted */
  bool connected;                                        /* at least once */
  int64_t ahead_ms;                                      /* Redis' clock minus ours at the last lease */
  uint64_t trimmed_jobs;                                 /* answered when it last trimmed */
  int64_t moved;                                         /* entries that the last LEAVE handed back */
  bool searched[LK_COMPUTE_MOST];                        /* what each compute thread was doing at the last lease, */
  uint64_t progress[LK_COMPUTE_MOST];                    /* and how far it was */
  lk_refusal_log refusals[CHORES];
} steward;

/* The command points to these. */
typedef struct numbers {
  char keys[12], ms[12];
} numbers;

static void build(steward *s, chore what, const lk_keys *keys, numbers *text) {
  bool workers = what == LEASE || what == LEAVE, streams = what != LEASE;
  snprintf(text->keys, sizeof text->keys, "%d", (workers ? 1 : 0) + (streams ? LK_SOURCES : 0));
  snprintf(text->ms, sizeof text->ms, "%d", what == LEASE ? LK_LEASE_MS : LK_ENTRY_AHEAD_MS);
  lk_functions_begin(&s->command, functions[what], text->keys);
  if (workers) lk_command_add_string(&s->command, keys->workers);
  if (streams) lk_source_add_all(&s->command, keys);
  if (what == LEASE) {
    lk_command_add_string(&s->command, s->worker->consumer);
    lk_command_add_string(&s->command, text->ms);
  }
  lk_command_add_string(&s->command, LK_GROUP);
  if (what == MEND) lk_command_add_string(&s->command, text->ms);
  if (what == LEAVE) lk_command_add_string(&s->command, s->worker->consumer);
}

static void take_time(steward *s, int64_t redis_ms) {
  uint64_t now_us = lk_clock_us();
  int64_t ahead_ms = redis_ms - (int64_t)(now_us / 1000);
  if (ahead_ms > s->ahead_ms + step_ms) s->doubted_us = now_us;
  s->ahead_ms = ahead_ms;
  lk_worker_set_redis_ms(s->worker, redis_ms);
}

static lk_status take_answer(steward *s, chore what, const lk_keys *keys, const lk_redis_reply *reply,
                             lk_error *error) {
  if (what == LEASE && lk_redis_reply_elements(reply) != 2) return lk_redis_reply_unexpected(reply, LK_LEASE, error);
  if (what == LEASE) take_time(s, lk_redis_reply_integer(lk_redis_reply_element(reply, 1)));
  if (what == LEAVE) s->moved = lk_redis_reply_integer(reply);
  if (what == MEND && lk_redis_reply_integer(reply) > 0)
    lk_printable_line(s->session.log,
                      "likeness: steward: somebody added an entry with an id far ahead of the time to a stream of the "
                      "gallery %s; the stream's last id was set back",
                      keys->gallery);
  return LK_OK;
}

/* What Redis refuses is logged and tried again in its turn; the other chores go on. */
static lk_status call(steward *s, chore what, const lk_keys *keys, lk_error *error) {
  numbers text;
  build(s, what, keys, &text);
  lk_redis_reply *reply = NULL;
  lk_status status = lk_functions_call(s->session.redis, &s->command, &reply, error);
  if (status != LK_OK) return status;
  const char *refused = lk_redis_reply_error(reply);
  if (refused != NULL)
    lk_refusal_log_say(&s->refusals[what], functions[what], refused);
  else
    status = take_answer(s, what, keys, reply, error);
  lk_redis_reply_free(reply);
  return status;
}

static lk_status do_chore(steward *s, chore what, lk_error *error) {
  lk_status status = LK_OK;
  for (uint32_t i = 0; status == LK_OK && i < s->worker->options->galleries_count; i++)
    status = call(s, what, &s->worker->keys[i], error);
  lk_refusal_log_end_round(&s->refusals[what]);
  return status;
}

/* Whether as much time has passed since *last_us; then it is now. */
static bool is_due(uint64_t *last_us, uint64_t every_us, uint64_t now_us) {
  if (now_us < *last_us + every_us) return false;
  *last_us = now_us;
  return true;
}

/* Whether jobs were answered since the last time. */
static bool has_finished(steward *s) {
  pthread_mutex_lock(&s->worker->lock);
  uint64_t jobs = s->worker->jobs;
  pthread_mutex_unlock(&s->worker->lock);
  bool more = jobs != s->trimmed_jobs;
  s->trimmed_jobs = jobs;
  return more;
}

/* A worker whose search hangs must lose its lease, so that others take over its jobs; a search that is only slow must
 * not. False: a thread has searched since the last lease, and its search is where it was. */
static bool makes_progress(steward *s) {
  bool hangs = false;
  for (uint32_t i = 0; i < LK_COMPUTE_MOST; i++) {
    const lk_computer *computer = &s->worker->computers[i];
    uint64_t progress = lk_search_progress(&computer->control);
    bool searches = atomic_load(&computer->searches);
    hangs |= searches && s->searched[i] && progress == s->progress[i];
    s->searched[i] = searches;
    s->progress[i] = progress;
  }
  return !hangs;
}

/* Others are judged by their leases only right after this one's was renewed, which shows whether Redis' clock was set.
 */
static lk_status claim(steward *s, bool leased, uint64_t now_us, lk_error *error) {
  if (lk_worker_is_stopping(s->worker)) return LK_OK;
  bool all = leased && now_us >= s->doubted_us + claims_after_us && is_due(&s->claimed_us, claims_every_us, now_us);
  lk_whose dead = now_us >= s->counts_from_us ? LK_WHOSE_ALL : LK_WHOSE_UNCOUNTED;
  return lk_claimer_run(&s->claimer, s->session.redis, all ? dead : LK_WHOSE_RETURNED, error);
}

static lk_status do_chores(steward *s, lk_error *error) {
  uint64_t now_us = lk_clock_us();
  lk_status status = LK_OK;
  bool leases = is_due(&s->leased_us, LK_LEASE_RENEWED_MS * 1000, now_us) && makes_progress(s);
  if (leases) status = do_chore(s, LEASE, error);
  if (status == LK_OK) status = claim(s, leases, now_us, error);
  if (atomic_exchange(&s->worker->needs_mending, false)) s->mended_us = 0;
  if (status == LK_OK && is_due(&s->mended_us, mends_every_us, now_us)) status = do_chore(s, MEND, error);
  if (status == LK_OK && is_due(&s->trimmed_us, trims_every_us, now_us) && has_finished(s))
    status = do_chore(s, TRIM, error);
  if (status == LK_OK && is_due(&s->looked_us, looks_every_us, now_us) && !lk_worker_is_stopping(s->worker))
    status = lk_strays_look(s->worker, &s->claimer, s->session.redis, error);
  return status;
}

/* A worker that starts has not seen Redis go away: it counts deaths from its first claim on, also those of itself
 * before it was started again. */
static void begin_session(steward *s) {
  s->doubted_us = lk_clock_us();
  s->counts_from_us = s->connected ? s->doubted_us + counts_after_us : 0;
  s->connected = true;
  s->leased_us = 0;
  lk_redis_set_reply_limit(s->session.redis, LK_REPLY_BYTES_MOST);
}

static void turn(steward *s) {
  lk_error error;
  bool connects = s->session.redis == NULL;
  if (lk_redis_session_open(&s->session, &error) != LK_OK) return;
  if (connects) begin_session(s);
  if (do_chores(s, &error) == LK_OK)
    lk_redis_session_works(&s->session);
  else
    lk_redis_session_broke(&s->session, &error);
}

/* Waits until the next turn. False: the worker has answered its last job. */
static bool wait_for_turn(lk_worker *worker, uint64_t turn_us) {
  const struct timespec until = lk_clock_timespec(lk_clock_us() + turn_us);
  pthread_mutex_lock(&worker->lock);
  int waited = 0;
  while (!worker->over && waited == 0) waited = pthread_cond_timedwait(&worker->ended, &worker->lock, &until);
  bool goes_on = !worker->over;
  pthread_mutex_unlock(&worker->lock);
  return goes_on;
}

/* Of each gallery it hands back what Redis still has noted as this worker's: nobody here will answer it. */
static lk_status leave(steward *s, lk_error *error) {
  lk_status status = lk_redis_session_open(&s->session, error);
  for (uint32_t i = 0; status == LK_OK && i < s->worker->options->galleries_count; i++) {
    do {
      s->moved = 0;
      status = call(s, LEAVE, &s->worker->keys[i], error);
      pthread_mutex_lock(&s->worker->lock);
      s->worker->returned += (uint64_t)s->moved;
      pthread_mutex_unlock(&s->worker->lock);
    } while (status == LK_OK && s->moved > 0);
  }
  if (status == LK_OK && s->refusals[LEAVE].logged.text[0] != '\0')
    return lk_fail(error, LK_EPOLICY, "redis refused %s: jobs may stay pending", LK_LEAVE);
  return status;
}

/* Where Redis cannot be reached, the leases run out. Then jobs stay pending only if some were claimed and not fetched,
 * as far as this worker knows. */
static void end(steward *s) {
  lk_error error;
  lk_status status = leave(s, &error);
  if (status == LK_EIO) {
    lk_redis_session_close(&s->session);
    status = leave(s, &error);
  }
  if (status == LK_EPOLICY || (status != LK_OK && s->claimer.fetched < s->claimer.count))
    lk_worker_fail(s->worker, LK_EIO, &error);
}

void *lk_steward_main(void *argument) {
  lk_worker *worker = argument;
  steward s = {.worker = worker, .session = lk_worker_session(worker, "steward")};
  for (int what = 0; what < CHORES; what++)
    s.refusals[what] = (lk_refusal_log){.stage = "steward", .log = worker->options->log};
  lk_claimer_open(worker, &s.claimer);
  do turn(&s);
  while (wait_for_turn(worker, s.claimer.goes_on ? 0 : turns_every_us));
  end(&s);
  lk_redis_session_close(&s.session);
  lk_claimer_close(&s.claimer);
  lk_command_free(&s.command);
  return NULL;
}
