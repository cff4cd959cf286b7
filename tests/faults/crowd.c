#include "tests/faults/crowd.h"

#include <pthread.h>
#include <stdlib.h>

#include "tests/faults/client.h"

enum { TURN_MS = 4 };

typedef struct member {
  crowd *crowd;
  client client;
  pthread_t thread;
} member;

struct crowd {
  crowd_options options;
  member members[CROWD_CLIENTS];
  pthread_rwlock_t gate; /* a client has it while it uses its connection */
  atomic_bool shut, rests, over;
  atomic_uint poison;
  uint64_t started_ms;
};

/* One client sends poison, a patient one. */
static void drink(member *m) {
  unsigned left = atomic_load(&m->crowd->poison);
  if (m->client.number == 0 && left > 0 && m->client.unsent_count == 0) {
    atomic_fetch_sub(&m->crowd->poison, 1);
    client_poison(&m->client);
  }
}

/* New jobs that this client may make now, so that all together keep the rate. */
static uint32_t allowed(const crowd *c, uint32_t made) {
  uint64_t due = (now_ms() - c->started_ms) * c->options.jobs / c->options.lasts_ms / CROWD_CLIENTS;
  if (due > c->options.jobs / CROWD_CLIENTS) due = c->options.jobs / CROWD_CLIENTS;
  return due > made ? (uint32_t)(due - made) : 0;
}

static void *run(void *argument) {
  member *m = argument;
  crowd *c = m->crowd;
  uint32_t made = 0;
  while (!atomic_load(&c->over)) {
    sleep_ms(TURN_MS);
    if (atomic_load(&c->shut)) continue;
    pthread_rwlock_rdlock(&c->gate);
    drink(m);
    made += client_turn(&m->client, allowed(c, made), atomic_load(&c->rests));
    pthread_rwlock_unlock(&c->gate);
  }
  return NULL;
}

static client_kind kind_of(uint32_t number) {
  if (number % 3 == 1) return CLIENT_IDEMPOTENT;
  return number % 3 == 2 ? CLIENT_FICKLE : CLIENT_PATIENT;
}

crowd *crowd_open(const crowd_options *options) {
  crowd *c = calloc(1, sizeof *c);
  if (c == NULL || pthread_rwlock_init(&c->gate, NULL) != 0) abort();
  c->options = *options;
  c->started_ms = now_ms();
  for (uint32_t i = 0; i < CROWD_CLIENTS; i++) {
    c->members[i].crowd = c;
    client_start(&c->members[i].client, &c->options, kind_of(i), i);
    if (pthread_create(&c->members[i].thread, NULL, run, &c->members[i]) != 0) abort();
  }
  return c;
}

void crowd_close(crowd *c) {
  atomic_store(&c->over, true);
  for (int i = 0; i < CROWD_CLIENTS; i++) {
    pthread_join(c->members[i].thread, NULL);
    client_end(&c->members[i].client);
  }
  pthread_rwlock_destroy(&c->gate);
  free(c);
}

void crowd_poison(crowd *c) { atomic_fetch_add(&c->poison, 1); }

void crowd_shut(crowd *c) {
  atomic_store(&c->shut, true);
  pthread_rwlock_wrlock(&c->gate);
}

void crowd_let(crowd *c) {
  pthread_rwlock_unlock(&c->gate);
  atomic_store(&c->shut, false);
}

void crowd_rest(crowd *c) { atomic_store(&c->rests, true); }
