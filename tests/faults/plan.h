/* What happens when in a run of the fault suite: all of it follows from the seed. Pure. */
#ifndef TESTS_FAULTS_PLAN_H
#define TESTS_FAULTS_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define PLAN_FAULTS(X)                                                                    \
  X(KILL, "kill", "a worker is killed")                                                   \
  X(TERM, "term", "a worker gets SIGTERM, and another one starts")                        \
  X(STOP, "stop", "a worker is stopped and continued")                                    \
  X(FREEZE, "freeze", "a worker is stopped, and killed later")                            \
  X(REDIS, "redis", "Redis is killed and started again")                                  \
  X(FAILOVER, "failover", "the replica, which has everything, takes over")                \
  X(PROMOTE, "promote", "Redis is killed, and the replica takes over with what it has")   \
  X(FLUSH, "flush", "FUNCTION FLUSH")                                                     \
  X(DESTROY, "destroy", "XGROUP DESTROY of a stream")                                     \
  X(MEMORY, "memory", "maxmemory lies below what is used; half of the time with a flush") \
  X(DROP, "drop", "CLIENT KILL TYPE normal again and again")                              \
  X(PAUSE, "pause", "CLIENT PAUSE")                                                       \
  X(CUT, "cut", "connections of workers are cut in the middle of calls")                  \
  X(CLOCK, "clock", "Redis' clock is set 30 s forward or back, and then right again")     \
  X(POISON, "poison", "a job that kills who searches for it, in a batch of 256")

#define PLAN_KIND(kind, name, words) PLAN_##kind,
typedef enum plan_kind { PLAN_FAULTS(PLAN_KIND) PLAN_KINDS } plan_kind;
#undef PLAN_KIND

enum { PLAN_WORKERS = 3 };

typedef struct plan_fault {
  plan_kind kind;
  uint64_t at_ms;     /* from the start; later where the one before lasts */
  uint32_t length_ms; /* of what lasts */
  uint32_t draw;      /* chooses whom or what it strikes */
  bool also;          /* one time in two */
} plan_fault;

typedef struct plan {
  uint64_t seed;
  bool always;    /* appendfsync always; else everysec */
  bool replica;   /* Redis has a replica */
  uint32_t batch; /* of the workers, in probes */
  bool guarded;   /* the workers have a policy, and half of the jobs are signed */
  uint32_t faults_count;
  plan_fault *faults;
} plan;

/* `kinds` has a bit for each plan_kind that may come. Each of them comes about equally often. */
plan plan_make(uint64_t seed, uint32_t faults, uint32_t kinds);
void plan_free(plan *plan);
void plan_print(const plan *plan, FILE *out);

const char *plan_name(plan_kind kind);
/* PLAN_KINDS: no fault has this name. */
plan_kind plan_kind_of(const char *name, size_t length);

#endif
