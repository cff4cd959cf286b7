/* One thread that sends jobs and collects their replies: by the clock (open loop), where a job's latency counts from
 * the time when it was meant to be sent, so that a slow queue cannot hide behind a slow sender; or so many outstanding
 * at a time (closed loop). Every job must be answered once, and with OK; else the process ends. */
#ifndef BENCH_QUEUE_LOAD_H
#define BENCH_QUEUE_LOAD_H

#include "bench/percentiles.h"
#include "bench/queue/serving.h"
#include "bench/queue/submission.h"
#include "engine/queue/keys.h"

typedef struct load_plan {
  lk_priority priority;
  uint32_t job_probes;
  bool json;
  submission_way way;
  double rate; /* jobs a second; 0: closed loop */
  bool poisson;
  uint64_t seed;
  uint32_t window;        /* jobs outstanding at most */
  double warm_s, seconds; /* what is measured begins after warm_s and lasts so long; */
  uint64_t jobs;          /* or, if this is not 0, is all of so many jobs */
} load_plan;

typedef struct load_outcome {
  percentiles latency_us, beyond_us, compute_us; /* of jobs; beyond: latency minus compute */
  double seconds;
  uint64_t jobs, batches;                    /* answered in these seconds; batches by runs of equal compute_us */
  double redis_us, workers_us, generator_us; /* CPU time a job */
  double computed_us;                        /* of the clock that the batches' searches took, a job */
} load_outcome;

typedef struct load load;

load *load_open(serving *serving, const load_plan *plan);
void load_close(load *load, load_outcome *outcome);

/* The list that its replies go to. */
const char *load_reply_key(const load *load);

/* Sends all and collects all. */
void load_run(load *load);
/* The same in two steps, of a plan by number of jobs. The first returns when Redis has all of them. */
void load_send(load *load);
void load_collect(load *load);

#endif
