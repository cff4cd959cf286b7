/* The fault suite: real workers, real Redis, clients that know each right answer, and faults that a seed chooses. Every
 * accepted job must get exactly one distinct answer, and afterwards nothing may be left in Redis.
 *
 * faults [--seed N]... [--seconds S] [--jobs N] [--faults M] [--only KIND,...]
 *
 * --seconds  how long faults happen, about; else
 * --faults   how many there are, one every 1 to 2 s
 * --jobs     how many jobs are sent meanwhile
 * --only     kinds of faults (plan.h); else all that this program can */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/e2e.h"
#include "tests/faults/aftermath.h"
#include "tests/faults/reference.h"

enum { SEEDS_MOST = 16, FAULT_MS = 1500 };

typedef struct request {
  uint64_t seeds[SEEDS_MOST];
  uint32_t seeds_count, faults, jobs, kinds;
} request;

static void fail_usage(const char *word) {
  fprintf(stderr, "faults: '%s' is not understood; see the head of tests/faults/faults.c\n", word);
  exit(2);
}

static uint64_t read_number(const char *text) {
  char *end;
  errno = 0;
  uint64_t number = strtoull(text, &end, 10);
  if (*text == '\0' || *end != '\0' || errno != 0) fail_usage(text);
  return number;
}

static uint32_t kind_bit(const char *word, size_t length) {
  plan_kind kind = plan_kind_of(word, length);
  return kind != PLAN_KINDS ? 1U << kind : 0;
}

static uint32_t read_kinds(const char *text) {
  uint32_t bits = 0;
  for (const char *word = text; *word != '\0'; word += *word == ',') {
    size_t length = strcspn(word, ",");
    uint32_t bit = kind_bit(word, length);
    if (bit == 0) fail_usage(word);
    bits |= bit;
    word += length;
  }
  return bits;
}

static request read_request(int count, char **words) {
  request r = {.faults = 12, .jobs = 10000, .kinds = (1U << PLAN_KINDS) - 1};
  for (int i = 1; i < count; i += 2) {
    if (i + 1 == count) fail_usage(words[i]);
    const char *name = words[i], *value = words[i + 1];
    if (strcmp(name, "--seed") == 0 && r.seeds_count < SEEDS_MOST)
      r.seeds[r.seeds_count++] = read_number(value);
    else if (strcmp(name, "--seconds") == 0)
      r.faults = (uint32_t)(read_number(value) * 1000 / FAULT_MS);
    else if (strcmp(name, "--faults") == 0)
      r.faults = (uint32_t)read_number(value);
    else if (strcmp(name, "--jobs") == 0)
      r.jobs = (uint32_t)read_number(value);
    else if (strcmp(name, "--only") == 0)
      r.kinds = read_kinds(value);
    else
      fail_usage(name);
  }
  if (r.seeds_count == 0) r.seeds[r.seeds_count++] = 1;
#ifndef POISON_LIBRARY
  r.kinds &= ~(1U << PLAN_POISON);
#endif
  return r;
}

/* A policy that permits the purpose "demo", and the purpose "desk" to who signs. */
static void write_policy(const char *path, lk_signing_key *key) {
  lk_error error;
  const char *file = files_path("desk");
  char text[1024];
  if (lk_signing_key_make(file, &error) != LK_OK || lk_signing_key_read_secret(file, key, &error) != LK_OK)
    fprintf(stderr, "faults: %s\n", error.text), exit(2);
  int length =
      snprintf(text, sizeof text,
               "policy: 1\nname: test\ndeployment: here\nkeys:\n  - {actor: desk, ed25519: %s}\nrules:\n"
               "  - id: signed\n    effect: permit\n    text: Who signs may search.\n    purposes: [desk]\n"
               "    require: signature\n"
               "  - id: demo\n    effect: permit\n    text: Demonstrations are allowed.\n    purposes: [demo]\n",
               key->public_hex);
  files_write(path, text, (size_t)length);
}

/* The command line of a worker. */
static void list_words(const char *words[16], const plan *p, const char *url, const char *policy) {
  static char batch[16];
  size_t count = 0;
#ifdef POISON_LIBRARY
  words[count++] = "/usr/bin/env";
  words[count++] = "LD_PRELOAD=" POISON_LIBRARY;
#endif
  snprintf(batch, sizeof batch, "%u", p->batch);
  /* The delay, so that whoever is struck holds jobs. */
  const char *const serve[] = {LIKENESS_PROGRAM,       "serve", faces, "--redis", url, "--batch", batch,
                               "--max-queue-delay-us", "30000"};
  memcpy(words + count, serve, sizeof serve);
  count += sizeof serve / sizeof serve[0];
  if (p->guarded) {
    words[count++] = "--policy";
    words[count++] = policy;
  }
  words[count] = NULL;
}

static bool poison_worked(const account_sums *sums, const pool *workers, FILE *out) {
  if (sums->poison == 0 || workers->poisoned > 0) return true;
  fprintf(out, "  %u poison jobs were accepted, but no worker died of one: tests/faults/poison.c no longer fits\n",
          sums->poison);
  return false;
}

static void print_table(const weather *w, const account_sums *s, FILE *out) {
  fprintf(out, "  jobs     sent %u, accepted %u, answered %u (%u more than once, equally)\n", s->sent, s->accepted,
          s->answered, s->repeated);
  fprintf(out, "           all were answered, or the last one was, %.1f s after the last fault\n",
          (double)w->answered_after_ms / 1000);
  fprintf(out, "           missing %u, wrong %u, contradicted %u, replies to nobody %u, lost by Redis %u\n", s->missing,
          s->wrong, s->contradicted, s->strangers, s->lost);
  fprintf(out, "           cancelled %u; refused %u, since Redis lost their answers\n", s->cancelled, s->refused);
  fprintf(out, "           poison %u, answered %u\n", s->poison, s->poison_answered);
  fprintf(out, "  faults  ");
  for (int kind = 0; kind < PLAN_KINDS; kind++)
    if (w->counts[kind] > 0) fprintf(out, " %s %u", plan_name((plan_kind)kind), w->counts[kind]);
  fprintf(out, ", not possible %u, connections cut %u\n", w->skipped, proxy_cut_count(w->proxy));
  const pool *p = w->pool;
  fprintf(out, "  workers  started %u, killed %u, died of poison %u, left with 0 %u, with an error %u, unasked %u, ",
          p->started, p->killed, p->poisoned, p->ended_well, p->ended_badly, p->unasked);
  fprintf(out, "slowest to leave %.1f s\n", (double)p->slowest_term_ms / 1000);
}

/* Waits until all jobs were sent. */
static void await_jobs(weather *w, uint32_t jobs) {
  for (uint64_t end_ms = now_ms() + PROCESS_PATIENCE_MS; now_ms() < end_ms; sleep_ms(10)) {
    pool_tick(w->pool);
    if (account_sum(w->account).sent >= jobs / CROWD_CLIENTS * CROWD_CLIENTS) return;
  }
}

/* All that is expected of a run; `before` is what Redis held before it. Ends crowd and workers. */
static bool judge(weather *w, int64_t before, FILE *out) {
  pool_recover(w->pool);
  aftermath_await(w);
  bool settled = aftermath_settles(w, out);
  crowd_close(w->crowd);
  bool ended = pool_end(w->pool);
  if (!ended) fprintf(out, "  not all workers left with 0 after SIGTERM, though Redis is healthy\n");
  bool clean = aftermath_is_clean(w->store, before, out);
  account_sums sums = account_sum(w->account);
  bool poisoned = poison_worked(&sums, w->pool, out);
  bool right = account_judge(w->account, out), stayed = pool_judge(w->pool, out);
  print_table(w, &sums, out);
  return settled && ended && clean && poisoned && right && stayed;
}

static bool run_plan(const plan *p, const request *r) {
  static store redis_pair;
  pool workers;
  lk_signing_key key;
  const char *words[16], *policy = files_path("policy.yaml");
  uint64_t lasts_ms = p->faults_count > 0 ? p->faults[p->faults_count - 1].at_ms : 1000;
  if (p->guarded) write_policy(policy, &key);
  store_open(&redis_pair, files_root, p->always, p->replica);
  proxy *between = proxy_open(&redis_pair, p->seed, p->replica);
  list_words(words, p, proxy_url(between), policy);
  pool_open(&workers, words);
  int64_t before = aftermath_data(&redis_pair);
  account *jobs = account_open(r->jobs + CROWD_POISONED * p->faults_count);
  crowd *clients = crowd_open(&(crowd_options){.store = &redis_pair,
                                               .account = jobs,
                                               .seed = p->seed,
                                               .jobs = r->jobs,
                                               .lasts_ms = lasts_ms,
                                               .key = p->guarded ? &key : NULL});
  weather sky = {.plan = p,
                 .store = &redis_pair,
                 .proxy = between,
                 .pool = &workers,
                 .crowd = clients,
                 .account = jobs,
                 .fixed = p->replica,
                 .out = stdout};
  weather_run(&sky);
  await_jobs(&sky, r->jobs);
  crowd_rest(clients);
  bool held = judge(&sky, before, stdout);
  pool_close(&workers);
  proxy_close(between);
  store_close(&redis_pair);
  account_close(jobs);
  return held;
}

int main(int count, char **words) {
  request r = read_request(count, words);
  bool all = true;
  for (uint32_t i = 0; i < r.seeds_count; i++) {
    plan made = plan_make(r.seeds[i], r.faults, r.kinds);
    plan_print(&made, stdout);
    fflush(stdout);
    e2e_setup();
    reference_open(faces);
    bool held = run_plan(&made, &r);
    printf("faults: seed %" PRIu64 " %s\n", r.seeds[i], held ? "held" : "FAILED");
    reference_close();
    e2e_teardown();
    plan_free(&made);
    all = all && held;
  }
  return all ? 0 : 1;
}
