/* Intake reads entries of one priority and has them admitted. There is one for `hi` and one for `lo`, each with its own
 * connection, so that neither waits for the other. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "engine/queue/protocol.h"
#include "engine/worker/authorise.h"
#include "engine/worker/intake/admission.h"
#include "engine/worker/intake/lanes.h"

/* When so many reads in a row have failed, it may be that the replies are too large. */
enum { FAILURES_MOST = 4 };

enum { GATHER_US = 500, NO_LANE_US = 100000 };

/* How far a stream has been read again from its start. */
typedef struct progress {
  char seen[LK_ENTRY_TEXT]; /* the id up to which it was read again */
  bool over;                /* it has no more */
} progress;

typedef struct intake {
  lk_worker *worker;
  lk_priority priority;
  lk_redis_session session;
  lk_admission admission;
  lk_appetite appetite;
  lk_lanes lanes;
  uint32_t *asked, *got; /* numbers of the lanes of a read, and how many entries each gave */
  lk_command command;
  bool joined;     /* the groups exist */
  bool recovering; /* entries are read again, since they were delivered but may not have arrived */
  progress *again;
  uint32_t recoveries;       /* how many of the worker's have begun */
  uint32_t failures;         /* reads that failed since a recovery was last over */
  uint64_t gathers_until_us; /* while compute is busy, the next read waits until then */
} intake;

/* Makes the groups of the lanes of this priority. What Redis refuses is said in *refused; it has made all that it can.
 */
static lk_status join_gallery(intake *in, const lk_keys *keys, lk_error *refused, lk_error *error) {
  char count[12];
  snprintf(count, sizeof count, "%d", LK_LANES);
  lk_functions_begin(&in->command, LK_JOIN, count);
  for (uint32_t i = 0; i < LK_LANES; i++) lk_command_add_string(&in->command, keys->lanes[in->priority][i]);
  lk_command_add_string(&in->command, LK_GROUP);
  lk_redis_reply *reply = NULL;
  lk_status status = lk_functions_call(in->session.redis, &in->command, &reply, error);
  if (status != LK_OK) return status;
  if (!lk_redis_reply_is_integer(reply)) lk_redis_reply_unexpected(reply, LK_JOIN, refused);
  lk_redis_reply_free(reply);
  return LK_OK;
}

/* What is known of an entry's weight stays. */
static lk_status look_at_lanes(intake *in, lk_error *error) {
  lk_status status = lk_lanes_look(&in->lanes, in->session.redis, error);
  if (status != LK_OK || in->appetite.lanes == in->lanes.count) return status;
  lk_weight weight = in->appetite.weight;
  lk_appetite_close(&in->appetite);
  status = lk_appetite_open(in->lanes.count, &in->appetite, error);
  in->appetite.weight = weight;
  return status;
}

static void begin_recovery(intake *in) {
  in->recoveries = atomic_load(&in->worker->recoveries);
  in->recovering = true;
  for (uint32_t s = 0; s < in->lanes.count; s++) in->again[s] = (progress){.seen = "0"};
}

static lk_status join(intake *in, lk_error *error) {
  lk_status status = LK_OK;
  lk_error refused = {0};
  for (uint32_t i = 0; status == LK_OK && i < in->worker->options->galleries_count; i++)
    status = join_gallery(in, &in->worker->keys[i], &refused, error);
  if (status == LK_OK) status = look_at_lanes(in, error);
  if (status == LK_OK && refused.text[0] != '\0' && in->lanes.count == in->lanes.all)
    status = lk_fail(error, LK_EIO, "%s", refused.text);
  if (status == LK_OK) status = lk_admission_read_clock(in->worker, in->session.redis, error);
  if (status != LK_OK) return status;
  lk_redis_set_reply_limit(in->session.redis, LK_REPLY_BYTES_MOST);
  in->joined = true;
  begin_recovery(in);
  return LK_OK;
}

static lk_status look_again(intake *in, lk_error *error) {
  uint32_t before = in->lanes.count;
  lk_status status = lk_lanes_look(&in->lanes, in->session.redis, error);
  in->joined = in->lanes.count == before;
  return status;
}

/* What is read, in the order in which it is asked for. Again: of all streams that are not over, a few of each; or,
 * since replies may be too large to be taken, entry by entry. */
static lk_read choose(intake *in, lk_room room) {
  if (!in->recovering) {
    lk_read read = lk_appetite_next(&in->appetite, room);
    for (uint32_t i = 0; i < read.lanes; i++) in->asked[i] = (read.first + i) % in->lanes.count;
    return read;
  }
  lk_read read = {.count = 1};
  bool one_by_one = in->failures >= FAILURES_MOST;
  for (uint32_t s = 0; s < in->lanes.count && !(one_by_one && read.lanes == 1); s++)
    if (!in->again[s].over) in->asked[read.lanes++] = s;
  uint32_t fit = lk_weight_fit(&in->appetite.weight, room);
  if (!one_by_one && fit > read.lanes) read.count = fit / read.lanes;
  return read;
}

static void build_read(intake *in, const lk_read *read, char count[12]) {
  lk_command *command = &in->command;
  snprintf(count, 12, "%u", read->count);
  const char *const words[] = {"XREADGROUP", "GROUP", LK_GROUP, in->worker->consumer, "COUNT", count};
  lk_command_clear(command);
  lk_command_add_words(command, sizeof words / sizeof words[0], words);
  if (read->blocks) lk_command_add_string(command, "BLOCK");
  if (read->blocks) lk_command_add_string(command, "200");
  lk_command_add_string(command, "STREAMS");
  for (uint32_t i = 0; i < read->lanes; i++) lk_command_add_string(command, in->lanes.sources[in->asked[i]].key);
  for (uint32_t i = 0; i < read->lanes; i++)
    lk_command_add_string(command, in->recovering ? in->again[in->asked[i]].seen : ">");
}

/* Asks, behind the read, whether a gallery has cancelled jobs: what was cancelled before it was delivered is in the
 * answer. */
static lk_status send_read(intake *in, const lk_read *read, lk_error *error) {
  char count[12];
  build_read(in, read, count);
  lk_status status = lk_redis_send(in->session.redis, &in->command, error);
  for (uint32_t i = 0; status == LK_OK && i < in->worker->options->galleries_count; i++) {
    lk_command_clear(&in->command);
    lk_command_add_string(&in->command, "EXISTS");
    lk_command_add_string(&in->command, in->worker->keys[i].cancelled);
    status = lk_redis_send(in->session.redis, &in->command, error);
  }
  return status;
}

static lk_status receive_read(intake *in, lk_redis_reply **reply, bool *cancels, lk_error *error) {
  *cancels = false;
  *reply = NULL;
  lk_status status = lk_redis_receive(in->session.redis, reply, error);
  for (uint32_t i = 0; status == LK_OK && i < in->worker->options->galleries_count; i++) {
    lk_redis_reply *exists = NULL;
    status = lk_redis_receive(in->session.redis, &exists, error);
    if (status != LK_OK) break;
    *cancels |= lk_redis_reply_error(exists) != NULL || lk_redis_reply_integer(exists) != 0;
    lk_redis_reply_free(exists);
  }
  if (status == LK_OK && !lk_redis_reply_is_array(*reply) && !lk_redis_reply_is_nil(*reply))
    status = lk_redis_reply_unexpected(*reply, "XREADGROUP", error);
  if (status == LK_OK) return LK_OK;
  lk_redis_reply_free(*reply);
  *reply = NULL;
  return status;
}

static lk_status add_entry(intake *in, lk_delivery *delivery, uint32_t source, const lk_redis_reply *entry,
                           lk_error *error) {
  lk_admission_entry given = {.from = &in->lanes.sources[source], .again = in->recovering};
  if (lk_redis_reply_elements(entry) != 2) return lk_redis_reply_unexpected(entry, "XREADGROUP", error);
  given.id = lk_redis_reply_string(lk_redis_reply_element(entry, 0), &given.id_length);
  if (given.id == NULL) return lk_redis_reply_unexpected(entry, "XREADGROUP", error);
  given.fields = lk_redis_reply_element(entry, 1);
  if (in->recovering) snprintf(in->again[source].seen, sizeof in->again[source].seen, "%s", given.id);
  lk_admission_add(&in->admission, delivery, &given);
  return LK_OK;
}

static lk_status add_stream(intake *in, lk_delivery *delivery, const lk_read *read, const lk_redis_reply *stream,
                            lk_error *error) {
  size_t length;
  if (lk_redis_reply_elements(stream) != 2) return lk_redis_reply_unexpected(stream, "XREADGROUP", error);
  const char *key = lk_redis_reply_string(lk_redis_reply_element(stream, 0), &length);
  uint32_t i = 0;
  while (key != NULL && i < read->lanes && strcmp(in->lanes.sources[in->asked[i]].key, key) != 0) i++;
  if (key == NULL || i == read->lanes) return lk_redis_reply_unexpected(stream, "XREADGROUP", error);
  const lk_redis_reply *entries = lk_redis_reply_element(stream, 1);
  in->got[i] = (uint32_t)lk_redis_reply_elements(entries);
  lk_status status = LK_OK;
  for (size_t e = 0; status == LK_OK && e < in->got[i]; e++)
    status = add_entry(in, delivery, in->asked[i], lk_redis_reply_element(entries, e), error);
  return status;
}

/* The last task of a reply frees it. */
static lk_status take_reply(intake *in, const lk_read *read, lk_redis_reply *reply, bool cancels, lk_error *error) {
  lk_delivery *delivery = lk_delivery_new(reply, &in->worker->held_bytes);
  if (delivery == NULL) return lk_fail(error, LK_EIO, "out of memory");
  lk_status status = LK_OK;
  in->admission.entries = 0;
  in->admission.weighed = (lk_room){0};
  for (uint32_t i = 0; i < read->lanes; i++) in->got[i] = 0;
  for (size_t s = 0; status == LK_OK && s < lk_redis_reply_elements(reply); s++)
    status = add_stream(in, delivery, read, lk_redis_reply_element(reply, s), error);
  lk_error admitted;
  if (lk_admission_run(&in->admission, in->session.redis, cancels, &admitted) != LK_OK && status == LK_OK) {
    status = LK_EIO;
    *error = admitted;
  }
  lk_delivery_release(delivery);
  return status;
}

static void note_read(intake *in, const lk_read *read) {
  if (!in->recovering) {
    lk_appetite_note(&in->appetite, read, in->got, in->admission.weighed);
    return;
  }
  lk_weight_note(&in->appetite.weight, in->admission.entries, in->admission.weighed);
  for (uint32_t i = 0; i < read->lanes; i++) in->again[in->asked[i]].over = in->got[i] < read->count;
  in->recovering = false;
  for (uint32_t s = 0; s < in->lanes.count; s++) in->recovering |= !in->again[s].over;
  if (!in->recovering) in->failures = 0;
}

static lk_status read_jobs(intake *in, lk_room room, lk_error *error) {
  lk_redis_reply *reply;
  bool cancels;
  if (!in->recovering && in->recoveries != atomic_load(&in->worker->recoveries)) begin_recovery(in);
  lk_read read = choose(in, room);
  lk_status status = send_read(in, &read, error);
  if (status == LK_OK) status = receive_read(in, &reply, &cancels, error);
  if (status == LK_OK) status = take_reply(in, &read, reply, cancels, error);
  in->gathers_until_us = lk_clock_us() + GATHER_US;
  if (status == LK_OK)
    note_read(in, &read);
  else
    in->failures++;
  return status;
}

/* How much may be read: up to two batches are ahead of compute, and no more than it can do soon. Below one batch it is
 * time to read. */
static bool find_room(const intake *in, lk_room *room) {
  lk_worker *worker = in->worker;
  uint32_t batch = worker->options->batch_probes, queued = worker->batcher.queues[in->priority].probes;
  *room = (lk_room){.bytes = lk_worker_room_bytes(worker, in->priority)};
  if (!lk_worker_has_place(worker, in->priority) || queued >= batch) return false;
  room->probes = 2 * (uint64_t)batch - queued;
  return room->bytes > 0;
}

/* Waits at most one second for room. While compute is busy and has more to do next, jobs gather in Redis for a moment:
 * reading each by itself would cost ten times as much, and be no sooner. */
static bool wait_for_room(intake *in, lk_room *room) {
  lk_worker *worker = in->worker;
  uint64_t now_us = lk_clock_us(), end_us = now_us + 1000000;
  pthread_mutex_lock(&worker->lock);
  bool has_room = find_room(in, room);
  while (now_us < end_us && !atomic_load(worker->options->stop) && worker->status == LK_OK) {
    bool hurries = worker->idle > 0 || worker->batcher.queues[in->priority].probes == 0;
    uint64_t ready_us = hurries ? 0 : in->gathers_until_us;
    if (has_room && now_us >= ready_us) break;
    const struct timespec until = lk_clock_timespec(has_room && ready_us < end_us ? ready_us : end_us);
    pthread_cond_timedwait(&worker->room, &worker->lock, &until);
    now_us = lk_clock_us();
    has_room = find_room(in, room);
  }
  pthread_mutex_unlock(&worker->lock);
  return has_room;
}

/* Reads once, if the connection can be had and there is room. */
static void turn(intake *in) {
  lk_worker *worker = in->worker;
  lk_authorise_reload(worker);
  lk_room room;
  bool reads = wait_for_room(in, &room);
  if (lk_worker_is_stopping(worker)) return;
  lk_error error;
  lk_status status = lk_redis_session_open(&in->session, &error);
  if (status == LK_EPOLICY) lk_worker_fail(worker, status, &error);
  if (status != LK_OK) return;
  if (in->joined && lk_lanes_are_due(&in->lanes)) status = look_again(in, &error);
  if (status == LK_OK && !in->joined) status = join(in, &error);
  if (in->lanes.count == 0) lk_clock_sleep_us(NO_LANE_US);
  if (status == LK_OK && reads && in->lanes.count > 0) status = read_jobs(in, room, &error);
  if (status == LK_OK) {
    lk_redis_session_works(&in->session);
    return;
  }
  lk_redis_session_broke(&in->session, &error);
  in->joined = false;
}

static lk_status open_intake(intake *in, lk_error *error) {
  const lk_worker *worker = in->worker;
  lk_status status = lk_lanes_open(worker->keys, worker->options->galleries_count, in->priority, &in->lanes, error);
  if (status != LK_OK) return status;
  in->again = calloc(in->lanes.all, sizeof *in->again);
  in->asked = calloc(in->lanes.all, sizeof *in->asked);
  in->got = calloc(in->lanes.all, sizeof *in->got);
  if (in->again == NULL || in->asked == NULL || in->got == NULL) return lk_fail_memory(error);
  return lk_appetite_open(in->lanes.all, &in->appetite, error);
}

static void close_intake(intake *in) {
  lk_redis_session_close(&in->session);
  lk_admission_free(&in->admission);
  lk_appetite_close(&in->appetite);
  lk_command_free(&in->command);
  lk_lanes_close(&in->lanes);
  free(in->again);
  free(in->asked);
  free(in->got);
}

static void *run(lk_worker *worker, lk_priority priority, const char *stage) {
  intake in = {.worker = worker,
               .priority = priority,
               .session = lk_worker_session(worker, stage),
               .lanes = {.stage = stage, .log = worker->options->log},
               .admission = lk_admission_of(worker, stage)};
  in.session.route.give_up = &worker->reads_end;
  lk_error error;
  lk_status status = open_intake(&in, &error);
  if (status != LK_OK) lk_worker_fail(worker, status, &error);
  while (!lk_worker_is_stopping(worker)) turn(&in);
  close_intake(&in);
  pthread_mutex_lock(&worker->lock);
  worker->intakes_over++;
  worker->intake_over |= worker->intakes_over == LK_PRIORITIES;
  pthread_cond_broadcast(&worker->changed);
  pthread_mutex_unlock(&worker->lock);
  return NULL;
}

void *lk_intake_hi_main(void *worker) { return run(worker, LK_HI, "intake hi"); }

void *lk_intake_lo_main(void *worker) { return run(worker, LK_LO, "intake lo"); }
