#include "tests/faults/plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/random.h"

enum { GAP_LEAST_MS = 1000, GAP_MORE_MS = 1000 };

#define PLAN_NAME(kind, name, words) name,
#define PLAN_WORDS(kind, name, words) words,
static const char *const names[] = {PLAN_FAULTS(PLAN_NAME)}, *const what[] = {PLAN_FAULTS(PLAN_WORDS)};

const char *plan_name(plan_kind kind) { return names[kind]; }

plan_kind plan_kind_of(const char *name, size_t length) {
  int kind = 0;
  while (kind < PLAN_KINDS && (strlen(names[kind]) != length || memcmp(names[kind], name, length) != 0)) kind++;
  return (plan_kind)kind;
}

/* Lengths of what lasts: short ones are as likely as long ones. */
static uint32_t length_of(plan_kind kind, random_state *random) {
  switch (kind) {
    case PLAN_STOP:
      return random_log_uniform(random, 100, 8000);
    case PLAN_FREEZE:
      return 4000 + random_below(random, 4000);
    case PLAN_REDIS:
    case PLAN_PROMOTE:
      return random_log_uniform(random, 10, 1500);
    case PLAN_MEMORY:
      return 2000;
    case PLAN_DROP:
      return 500 + random_below(random, 1500);
    case PLAN_PAUSE:
      return random_log_uniform(random, 100, 3000);
    case PLAN_CUT:
      return 1000 + random_below(random, 3000);
    case PLAN_CLOCK:
      return random_log_uniform(random, 100, 6000);
    default:
      return 0;
  }
}

/* The kinds in a random order, again and again. */
static plan_kind next_kind(plan_kind order[PLAN_KINDS], uint32_t count, uint32_t i, random_state *random) {
  if (i % count == 0)
    for (uint32_t last = count - 1; last > 0; last--) {
      uint32_t other = random_below(random, last + 1);
      plan_kind moved = order[last];
      order[last] = order[other];
      order[other] = moved;
    }
  return order[i % count];
}

plan plan_make(uint64_t seed, uint32_t faults, uint32_t kinds) {
  random_state random = random_fork(seed, 0);
  plan p = {.seed = seed, .always = random_one_in(&random, 2), .guarded = random_one_in(&random, 2)};
  static const uint32_t batches[] = {16, 64, 256};
  p.batch = (kinds & 1U << PLAN_POISON) != 0 ? 256 : batches[random_below(&random, 3)];
  p.replica = (kinds & (1U << PLAN_FAILOVER | 1U << PLAN_PROMOTE)) != 0;
  plan_kind order[PLAN_KINDS];
  uint32_t count = 0;
  for (int kind = 0; kind < PLAN_KINDS; kind++)
    if ((kinds >> kind & 1) != 0) order[count++] = (plan_kind)kind;
  if (count == 0) return p;
  p.faults = calloc(faults, sizeof *p.faults);
  if (p.faults == NULL) abort();
  p.faults_count = faults;
  uint64_t at_ms = 0;
  for (uint32_t i = 0; i < faults; i++) {
    at_ms += GAP_LEAST_MS + random_below(&random, GAP_MORE_MS);
    plan_kind kind = next_kind(order, count, i, &random);
    p.faults[i] = (plan_fault){.kind = kind, .at_ms = at_ms, .length_ms = length_of(kind, &random)};
    p.faults[i].draw = (uint32_t)(random_bits(&random) >> 32);
    p.faults[i].also = random_one_in(&random, 2);
  }
  return p;
}

void plan_free(plan *p) {
  free(p->faults);
  *p = (plan){0};
}

void plan_print(const plan *p, FILE *out) {
  fprintf(out, "faults: seed %" PRIu64 ": appendfsync %s, %s, batches of %u, %s\n", p->seed,
          p->always ? "always" : "everysec", p->replica ? "a replica" : "no replica", p->batch,
          p->guarded ? "a policy and signed jobs" : "no policy");
  for (uint32_t i = 0; i < p->faults_count; i++) {
    const plan_fault *f = &p->faults[i];
    fprintf(out, "  plan %7.3f s  %-8s", (double)f->at_ms / 1000, names[f->kind]);
    if (f->kind <= PLAN_FREEZE) fprintf(out, " worker %u,", f->draw % PLAN_WORKERS);
    if (f->length_ms > 0) fprintf(out, " %u ms,", f->length_ms);
    fprintf(out, " %s\n", what[f->kind]);
  }
}
