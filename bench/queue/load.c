#include "bench/queue/load.h"

#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "base/clock.h"
#include "base/text.h"
#include "bench/bench.h"
#include "bench/queue/job_reply.h"
#include "tests/support/random.h"

enum { OUTPUT_MOST = 4 << 20, PATIENCE_US = 180000000, TICK_US = 250 };
#define ANSWERED UINT64_MAX

/* What was spent and done until then. */
typedef struct moment {
  uint64_t us, answered, batches, computed_us;
  double redis_us, workers_us, generator_us;
} moment;

struct load {
  serving *serving;
  load_plan plan;
  submission submission;
  random_state random;
  lk_keys keys;
  char client[24], reply_key[LK_KEY_SIZE + 24];
  generator_link submits, replies;
  bool waits;       /* for replies: Redis was asked for them */
  uint64_t *due_us; /* of each job that was sent; ANSWERED */
  uint64_t capacity, sent, taken, answered, batches, computed_us;
  double next_us;             /* open loop: when the next job is due */
  uint64_t from_us, until_us; /* jobs due in this time are measured */
  uint64_t heard_us;
  uint32_t last_compute_us;
  bool began, ended;
  moment first, last;
  load_outcome outcome;
};

/* Each load has a client's name of its own: Redis could hand a reply to a connection that was just closed. */
load *load_open(serving *s, const load_plan *plan) {
  static uint32_t loads;
  load *l = bench_allocate(1, sizeof *l);
  lk_error error;
  l->serving = s;
  l->plan = *plan;
  snprintf(l->client, sizeof l->client, "bench-%u", loads++);
  l->random = random_fork(plan->seed, 0);
  if (lk_keys_make("faces", &l->keys, &error) != LK_OK) bench_fail(error.text);
  l->submission = (submission){.way = plan->way,
                               .stream = l->keys.lanes[plan->priority][lk_keys_lane(lk_text_of(l->client))],
                               .client = l->client,
                               .probes = plan->job_probes,
                               .k = s->faces->k,
                               .json = plan->json};
  snprintf(l->reply_key, sizeof l->reply_key, "%s%s", l->keys.replies, l->client);
  generator_open(&l->submits, s->socket);
  generator_open(&l->replies, s->socket);
  prctl(PR_SET_TIMERSLACK, 1);
  return l;
}

const char *load_reply_key(const load *l) { return l->reply_key; }

static moment look(const load *l, uint64_t now_us) {
  moment m = {.us = now_us, .answered = l->answered, .batches = l->batches, .computed_us = l->computed_us};
  struct timespec own;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &own);
  m.generator_us = (double)own.tv_sec * 1e6 + (double)own.tv_nsec * 1e-3;
  m.redis_us = serving_cpu_us(l->serving->redis);
  for (uint32_t w = 0; w < l->serving->options.workers; w++) m.workers_us += serving_cpu_us(l->serving->workers[w]);
  return m;
}

static bool may_send(const load *l, uint64_t now_us) {
  return l->plan.jobs > 0 ? l->sent < l->plan.jobs : now_us < l->until_us;
}

static void send_job(load *l, uint64_t due_us) {
  if (l->sent == l->capacity) {
    l->capacity = 2 * l->capacity + 4096;
    l->due_us = realloc(l->due_us, l->capacity * sizeof *l->due_us);
    if (l->due_us == NULL) bench_fail("out of memory");
  }
  const faces *f = l->serving->faces;
  uint32_t n = l->plan.job_probes;
  uint64_t first = l->sent * n % (FACES_PROBES - n + 1);
  submission_add(&l->submission, &l->submits, l->sent, f->probes + first * f->dim, (size_t)n * f->dim * sizeof(float));
  l->due_us[l->sent++] = due_us;
}

static double gap_us(load *l) {
  double mean_us = 1e6 / l->plan.rate;
  return l->plan.poisson ? -log(1 - random_uniform(&l->random)) * mean_us : mean_us;
}

static void send_due(load *l, uint64_t now_us) {
  while (may_send(l, now_us) && l->submits.out.length - l->submits.written < OUTPUT_MOST) {
    if (l->plan.rate > 0) {
      if (l->next_us > (double)now_us) break;
      send_job(l, (uint64_t)l->next_us);
      l->next_us += gap_us(l);
    } else {
      if (l->sent - l->answered >= l->plan.window) break;
      send_job(l, now_us);
    }
  }
}

static void ask_for_replies(load *l) {
  static const char *const words[] = {"BLMPOP", "1", "1", NULL, "LEFT", "COUNT", "1000"};
  if (l->waits) return;
  generator_begin(&l->replies, sizeof words / sizeof words[0]);
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
    generator_add_string(&l->replies, words[i] != NULL ? words[i] : l->reply_key);
  l->waits = true;
}

static void take_answer(load *l, const generator_part *part, uint64_t now_us) {
  job_reply reply = job_reply_read(part->text, part->length);
  if (reply.id >= l->sent || l->due_us[reply.id] == ANSWERED) bench_fail("a reply to no job, or the second to one");
  uint64_t due_us = l->due_us[reply.id];
  l->due_us[reply.id] = ANSWERED;
  l->answered++;
  if (reply.compute_us != l->last_compute_us) {
    l->batches++;
    l->computed_us += reply.compute_us;
  }
  l->last_compute_us = reply.compute_us;
  if (due_us < l->from_us || due_us >= l->until_us) return;
  uint64_t latency_us = now_us - due_us;
  percentiles_add(&l->outcome.latency_us, latency_us);
  percentiles_add(&l->outcome.beyond_us, latency_us > reply.compute_us ? latency_us - reply.compute_us : 0);
  percentiles_add(&l->outcome.compute_us, reply.compute_us);
}

/* Redis' answer to BLMPOP: nothing, or the key and the replies. */
static void take_answers(load *l, generator_reply replies, uint64_t now_us) {
  generator_part part;
  l->waits = false;
  generator_next(&replies, &part);
  if (part.type == '-') generator_fail(&part);
  if (part.number < 0) return;
  generator_next(&replies, &part);
  generator_next(&replies, &part);
  while (generator_next(&replies, &part)) take_answer(l, &part, now_us);
  l->heard_us = now_us;
}

/* Returns whether there was something to take. */
static bool take(load *l) {
  generator_reply reply;
  bool taken = false;
  while (generator_take(&l->submits, &reply)) {
    submission_check(&l->submission, reply);
    l->taken++;
  }
  uint64_t now_us = lk_clock_us();
  while (generator_take(&l->replies, &reply)) {
    take_answers(l, reply, now_us);
    taken = true;
  }
  if (now_us > l->heard_us + PATIENCE_US && l->sent > l->answered) bench_fail("no reply for three minutes");
  return taken;
}

/* Until something can be read or written, a job is due, or 100 ms are over. */
static void wait(const load *l) {
  struct pollfd files[] = {
      {.fd = l->submits.file, .events = (short)(POLLIN | (generator_has_output(&l->submits) ? POLLOUT : 0))},
      {.fd = l->replies.file, .events = (short)(POLLIN | (generator_has_output(&l->replies) ? POLLOUT : 0))}};
  double left_us = 100000;
  if (l->plan.rate > 0) left_us = fmin(left_us, fmax(l->next_us - (double)lk_clock_us(), TICK_US));
  ppoll(files, 2, &(struct timespec){.tv_nsec = (long)(left_us * 1000)}, NULL);
}

static void begin(load *l) {
  uint64_t now_us = lk_clock_us();
  l->heard_us = now_us;
  l->next_us = (double)now_us;
  l->until_us = UINT64_MAX;
  if (l->plan.jobs > 0) return;
  l->from_us = now_us + (uint64_t)(l->plan.warm_s * 1e6);
  l->until_us = l->from_us + (uint64_t)(l->plan.seconds * 1e6);
}

static void note_time(load *l, uint64_t now_us) {
  if (!l->began && now_us >= l->from_us) {
    l->first = look(l, now_us);
    l->began = true;
  }
  if (!l->ended && now_us >= l->until_us) {
    l->last = look(l, now_us);
    l->ended = true;
  }
}

static bool is_over(const load *l, bool collects) {
  uint64_t now_us = lk_clock_us();
  return !may_send(l, now_us) && l->taken == l->sent && (!collects || l->answered == l->sent);
}

static void work(load *l, bool collects) {
  while (!is_over(l, collects)) {
    uint64_t now_us = lk_clock_us();
    note_time(l, now_us);
    send_due(l, now_us);
    if (collects) ask_for_replies(l);
    generator_move(&l->submits);
    generator_move(&l->replies);
    if (!take(l)) wait(l);
  }
  note_time(l, lk_clock_us());
}

void load_run(load *l) {
  begin(l);
  work(l, true);
}

void load_send(load *l) {
  begin(l);
  work(l, false);
}

void load_collect(load *l) {
  l->heard_us = lk_clock_us();
  work(l, true);
}

void load_close(load *l, load_outcome *outcome) {
  if (!l->ended) l->last = look(l, lk_clock_us());
  l->outcome.seconds = (double)(l->last.us - l->first.us) * 1e-6;
  l->outcome.jobs = l->last.answered - l->first.answered;
  l->outcome.batches = l->last.batches - l->first.batches;
  double jobs = l->outcome.jobs > 0 ? (double)l->outcome.jobs : 1;
  l->outcome.computed_us = (double)(l->last.computed_us - l->first.computed_us) / jobs;
  l->outcome.redis_us = (l->last.redis_us - l->first.redis_us) / jobs;
  l->outcome.workers_us = (l->last.workers_us - l->first.workers_us) / jobs;
  l->outcome.generator_us = (l->last.generator_us - l->first.generator_us) / jobs;
  *outcome = l->outcome;
  generator_close(&l->submits);
  generator_close(&l->replies);
  free(l->due_us);
  free(l);
}
