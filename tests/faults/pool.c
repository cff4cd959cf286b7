#include "tests/faults/pool.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPLACED_AFTER_MS = 300, LEAVES_WITHIN_MS = 10000, LOG_SHOWN = 1500 };

static void start(pool *p, int number) {
  pool_worker *w = &p->workers[number];
  process kept = w->process;
  *w = (pool_worker){.process = kept};
  process_start(&w->process, p->words);
  p->started++;
}

static void await(pool *p, int number) {
  process *worker = &p->workers[number].process;
  if (process_logs(worker, "serving faces", PROCESS_PATIENCE_MS)) return;
  fprintf(stderr, "faults: worker %d does not serve: %s\n", number, process_log(worker));
  exit(2);
}

void pool_open(pool *p, const char *const *words) {
  *p = (pool){.words = words};
  for (int i = 0; i < PLAN_WORKERS; i++) start(p, i);
  for (int i = 0; i < PLAN_WORKERS; i++) await(p, i);
}

void pool_close(pool *p) {
  for (int i = 0; i < PLAN_WORKERS; i++) process_close(&p->workers[i].process);
}

int pool_find(const pool *p, uint32_t from) {
  for (uint32_t i = 0; i < PLAN_WORKERS; i++) {
    uint32_t number = (from + i) % PLAN_WORKERS;
    const pool_worker *w = &p->workers[number];
    if (w->process.pid != 0 && !w->told && !w->frozen) return (int)number;
  }
  return -1;
}

void pool_kill(pool *p, int number) {
  p->workers[number].told = true;
  process_signal(&p->workers[number].process, SIGKILL);
}

void pool_term(pool *p, int number) {
  p->workers[number].told = true;
  p->workers[number].term_ms = now_ms();
  process_signal(&p->workers[number].process, SIGTERM);
}

void pool_stop(pool *p, int number, uint32_t length_ms, bool kills) {
  pool_worker *w = &p->workers[number];
  w->frozen = true;
  *(kills ? &w->kill_ms : &w->cont_ms) = now_ms() + length_ms;
  process_signal(&w->process, SIGSTOP);
}

static void show_end(pool_worker *w, int number, int code) {
  const char *log = process_log(&w->process);
  size_t length = strlen(log);
  fprintf(stderr, "faults: worker %d ended with %d: %s\n", number, code,
          log + (length > LOG_SHOWN ? length - LOG_SHOWN : 0));
}

static void count_end(pool *p, int number, int code) {
  pool_worker *w = &p->workers[number];
  uint64_t took_ms = w->term_ms > 0 ? now_ms() - w->term_ms : 0;
  if (took_ms > p->slowest_term_ms) p->slowest_term_ms = took_ms;
  if (code == 128 + SIGSEGV)
    p->poisoned++;
  else if (!w->told)
    p->unasked++, show_end(w, number, code);
  else if (code == 128 + SIGKILL)
    p->killed++;
  else if (code == 0)
    p->ended_well++;
  else
    p->ended_badly++, show_end(w, number, code);
}

static void tick_running(pool *p, int number, uint64_t now) {
  pool_worker *w = &p->workers[number];
  if (w->cont_ms > 0 && now >= w->cont_ms) {
    process_signal(&w->process, SIGCONT);
    w->cont_ms = 0;
    w->frozen = false;
  }
  if (w->kill_ms > 0 && now >= w->kill_ms) {
    w->kill_ms = 0;
    pool_kill(p, number);
  }
  if (w->term_ms > 0 && now > w->term_ms + LEAVES_WITHIN_MS + 1000) {
    p->late++;
    w->term_ms = 0;
    show_end(w, number, PROCESS_LATE);
    process_signal(&w->process, SIGKILL);
  }
  int code = process_wait(&w->process, 0);
  if (code == PROCESS_LATE) return;
  count_end(p, number, code);
  w->start_ms = now + REPLACED_AFTER_MS;
}

void pool_tick(pool *p) {
  uint64_t now = now_ms();
  for (int i = 0; i < PLAN_WORKERS; i++) {
    if (p->workers[i].process.pid != 0)
      tick_running(p, i, now);
    else if (now >= p->workers[i].start_ms)
      start(p, i);
  }
}

void pool_recover(pool *p) {
  uint64_t now = now_ms();
  for (int i = 0; i < PLAN_WORKERS; i++) {
    if (p->workers[i].cont_ms > 0) p->workers[i].cont_ms = now;
    if (p->workers[i].kill_ms > 0) p->workers[i].kill_ms = now;
  }
  for (int i = 0; i < PLAN_WORKERS;) {
    pool_tick(p);
    sleep_ms(2);
    const pool_worker *w = &p->workers[i];
    if (w->process.pid != 0 && !w->told && !w->frozen) await(p, i++);
  }
}

bool pool_end(pool *p) {
  bool well = true;
  for (int i = 0; i < PLAN_WORKERS; i++)
    if (p->workers[i].process.pid != 0) pool_term(p, i);
  for (int i = 0; i < PLAN_WORKERS; i++) {
    if (p->workers[i].process.pid == 0) continue;
    int code = process_wait(&p->workers[i].process, LEAVES_WITHIN_MS);
    if (code == PROCESS_LATE)
      show_end(&p->workers[i], i, code);
    else
      count_end(p, i, code);
    well = well && code == 0;
  }
  return well;
}

bool pool_judge(const pool *p, FILE *out) {
  if (p->unasked > 0) fprintf(out, "  %u workers ended without being told to\n", p->unasked);
  if (p->late > 0) fprintf(out, "  %u workers were not out %d s after SIGTERM\n", p->late, LEAVES_WITHIN_MS / 1000);
  return p->unasked == 0 && p->late == 0;
}
