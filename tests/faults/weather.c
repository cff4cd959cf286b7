#include "tests/faults/weather.h"

#include <stdio.h>

#include "engine/queue/protocol.h"

enum { TICK_MS = 5, DROP_EVERY_MS = 50, CLOCK_STEP_MS = 30000 };

static void last(weather *w, uint64_t ms) {
  for (uint64_t end_ms = now_ms() + ms; now_ms() < end_ms; sleep_ms(TICK_MS)) pool_tick(w->pool);
}

/* What Redis had acknowledged and lacks now, while no client sends. With appendfsync always it may lack nothing. */
static void lose(weather *w, const char *reason) {
  for (uint32_t s = 0; s < STORE_STREAMS; s++)
    w->lost += account_lose(w->account, s, store_last_entry(w->store, s), reason);
}

static bool strike_worker(weather *w, const plan_fault *f) {
  int number = pool_find(w->pool, f->draw % PLAN_WORKERS);
  if (number < 0) return false;
  if (f->kind == PLAN_KILL)
    pool_kill(w->pool, number);
  else if (f->kind == PLAN_TERM)
    pool_term(w->pool, number);
  else
    pool_stop(w->pool, number, f->length_ms, f->kind == PLAN_FREEZE);
  return true;
}

static void kill_redis(weather *w, const plan_fault *f) {
  store_kill(w->store);
  last(w, f->length_ms);
  crowd_shut(w->crowd);
  store_restart(w->store);
  if (!w->plan->always) lose(w, "Redis was killed, with appendfsync everysec");
  crowd_let(w->crowd);
}

static bool promote(weather *w, const plan_fault *f) {
  if (!store_follows(w->store)) return false;
  store_kill(w->store);
  last(w, f->length_ms);
  crowd_shut(w->crowd);
  store_promote(w->store);
  lose(w, "Redis was killed, and the replica took over with what it had");
  crowd_let(w->crowd);
  return true;
}

static bool fail_over(weather *w) {
  bool done = store_fail_over(w->store);
  if (done && !w->fixed) proxy_cut_all(w->proxy);
  return done;
}

static bool destroy_group(weather *w, uint32_t draw) {
  for (uint32_t i = 0; i < STORE_STREAMS; i++) {
    const char *stream = store_stream((draw + i) % STORE_STREAMS);
    if (store_number(w->store, "EXISTS", stream, NULL) == 0) continue;
    store_do(w->store, "XGROUP", "DESTROY", stream, LK_GROUP, NULL);
    return true;
  }
  return false;
}

static void fill_memory(weather *w, const plan_fault *f) {
  char below[24];
  snprintf(below, sizeof below, "%lld", (long long)(store_info(w->store, "memory", "used_memory") * 9 / 10));
  store_do(w->store, "CONFIG", "SET", "maxmemory", below, NULL);
  if (f->also) store_do(w->store, "FUNCTION", "FLUSH", NULL);
  last(w, f->length_ms);
  store_do(w->store, "CONFIG", "SET", "maxmemory", "0", NULL);
}

static void drop_clients(weather *w, const plan_fault *f) {
  for (uint64_t end_ms = now_ms() + f->length_ms; now_ms() < end_ms; last(w, DROP_EVERY_MS))
    store_do(w->store, "CLIENT", "KILL", "TYPE", "normal", NULL);
}

static void pause_clients(weather *w, const plan_fault *f) {
  char ms[16];
  snprintf(ms, sizeof ms, "%u", f->length_ms);
  store_do(w->store, "CLIENT", "PAUSE", ms, "ALL", NULL);
  last(w, f->length_ms);
}

static void cut_connections(weather *w, const plan_fault *f) {
  proxy_cuts(w->proxy, true);
  last(w, f->length_ms);
  proxy_cuts(w->proxy, false);
}

static void set_clock(weather *w, const plan_fault *f) {
  redis_clock_set(w->store->clock, f->also ? CLOCK_STEP_MS : -CLOCK_STEP_MS);
  last(w, f->length_ms);
  redis_clock_set(w->store->clock, 0);
}

/* False: there was nothing to strike. */
static bool strike(weather *w, const plan_fault *f) {
  switch (f->kind) {
    case PLAN_REDIS:
      return kill_redis(w, f), true;
    case PLAN_FAILOVER:
      return fail_over(w);
    case PLAN_PROMOTE:
      return promote(w, f);
    case PLAN_FLUSH:
      return store_do(w->store, "FUNCTION", "FLUSH", NULL), true;
    case PLAN_DESTROY:
      return destroy_group(w, f->draw);
    case PLAN_MEMORY:
      return fill_memory(w, f), true;
    case PLAN_DROP:
      return drop_clients(w, f), true;
    case PLAN_PAUSE:
      return pause_clients(w, f), true;
    case PLAN_CUT:
      return cut_connections(w, f), true;
    case PLAN_CLOCK:
      return set_clock(w, f), true;
    case PLAN_POISON:
      return crowd_poison(w->crowd), true;
    default:
      return strike_worker(w, f);
  }
}

void weather_run(weather *w) {
  uint64_t began_ms = now_ms();
  for (uint32_t i = 0; i < w->plan->faults_count; i++) {
    const plan_fault *f = &w->plan->faults[i];
    uint64_t now = now_ms();
    if (now < began_ms + f->at_ms) last(w, began_ms + f->at_ms - now);
    uint64_t struck_ms = now_ms() - began_ms;
    uint32_t lost = w->lost;
    bool struck = strike(w, f);
    w->counts[f->kind] += struck;
    w->skipped += !struck;
    fprintf(w->out, "  %7.3f s  %-8s to %7.3f s", (double)struck_ms / 1000, plan_name(f->kind),
            (double)(now_ms() - began_ms) / 1000);
    if (!struck) fprintf(w->out, ", not possible now");
    if (w->lost > lost) fprintf(w->out, ", Redis lost %u acknowledged jobs", w->lost - lost);
    fputc('\n', w->out);
    fflush(w->out);
  }
}
