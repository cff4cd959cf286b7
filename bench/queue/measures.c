#include "bench/queue/measures.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/queue/load.h"

static const double warm_s = 1;

enum {
  LONE_JOBS = 2000,
  SHARED_JOBS = 400,
  SHARED_PROBES = 256,
  LO_JOBS = 256,
  LO_PROBES = 1024,
  LOAD_TURNS = 9,
  SHARING_TURNS = 3
};

static void print_row(const char *what, double value, const char *unit) {
  printf("  %-58s %11.1f %-11s\n", what, value, unit);
}

static void print_target(const char *what, double value, const char *unit, const char *sign, double target) {
  bool holds = sign[0] == '<' ? value <= target : value >= target;
  printf("  %-58s %11.2f %-11s %s %-6g %s\n", what, value, unit, sign, target, holds ? "holds" : "MISSED");
  fflush(stdout);
}

/* Enough for several batches, yet soon answered once the load ends. */
static uint32_t window_of(const queue_options *o, uint32_t job_probes) {
  if (job_probes == 1) return o->window;
  return 4 * o->window / job_probes > 16 ? 4 * o->window / job_probes : 16;
}

static load_plan plan_of(const queue_options *o, uint32_t job_probes) {
  return (load_plan){.priority = LK_LO,
                     .job_probes = job_probes,
                     .way = o->way,
                     .window = window_of(o, job_probes),
                     .poisson = o->poisson,
                     .seed = o->seed,
                     .warm_s = warm_s,
                     .seconds = o->seconds};
}

static serving_options serving_of(const queue_options *o, uint32_t workers) {
  return (serving_options){.workers = workers, .threads = o->threads, .batch = o->batch, .aof = o->aof};
}

static load_outcome run(serving *s, const load_plan *plan) {
  load_outcome outcome;
  load *l = load_open(s, plan);
  load_run(l);
  load_close(l, &outcome);
  return outcome;
}

/* Runs a load on a Redis and workers of its own, and stops them. */
static load_outcome run_alone(const faces *f, const serving_options *options, const load_plan *plan, uint64_t *jobs) {
  serving s;
  serving_open(&s, f, options);
  load_outcome outcome = run(&s, plan);
  serving_close(&s, jobs);
  return outcome;
}

static double rate_of(const load_outcome *outcome) { return (double)outcome->jobs / outcome->seconds; }

/* The probes of a usual batch, as far as the library can be asked for so many. */
static uint32_t batch_of(const load_outcome *outcome, uint32_t job_probes) {
  double batch = outcome->batches > 0 ? (double)(outcome->jobs * job_probes) / (double)outcome->batches : 1;
  return batch < 1 ? 1 : batch > FACES_PROBES ? FACES_PROBES : (uint32_t)batch;
}

/* The jobs a second that are sustained. */
static double find_capacity(const queue_options *o, const faces *f, uint32_t workers, uint32_t job_probes) {
  load_plan plan = plan_of(o, job_probes);
  plan.seconds = 2;
  serving_options on = serving_of(o, workers);
  load_outcome outcome = run_alone(f, &on, &plan, NULL);
  return rate_of(&outcome);
}

static void measure_open_at(const queue_options *o, const faces *f, uint32_t workers, uint32_t job_probes) {
  serving_options on = serving_of(o, workers);
  load_plan plan = plan_of(o, job_probes);
  plan.rate = o->rate > 0 ? o->rate : 0.5 * find_capacity(o, f, workers, job_probes);
  for (int json = 0; json < 2; json++) {
    plan.json = json;
    load_outcome outcome = run_alone(f, &on, &plan, NULL);
    const percentiles *p = &outcome.latency_us;
    printf("  %7u %10u %-6s %9.0f %9.0f %9llu %9llu %9llu %9llu %9llu %8.1f %8.1f\n", workers, job_probes,
           json ? "json" : "binary", plan.rate, rate_of(&outcome), (unsigned long long)percentiles_at(p, 0.5),
           (unsigned long long)percentiles_at(p, 0.9), (unsigned long long)percentiles_at(p, 0.99),
           (unsigned long long)percentiles_at(p, 0.999), (unsigned long long)p->most, outcome.redis_us,
           outcome.workers_us);
    fflush(stdout);
  }
}

static void measure_open(const queue_options *o, const faces *f) {
  printf("  arrivals %s; latency from the intended start, us; CPU time a job, us\n",
         o->poisson ? "Poisson" : "at a constant rate");
  printf("  workers probes/job reply    wanted/s    jobs/s       p50       p90       p99     p99.9       max    redis  "
         "workers\n");
  for (uint32_t workers = 1; workers <= o->workers; workers += o->workers > 1 ? o->workers - 1 : 1) {
    measure_open_at(o, f, workers, 1);
    if (o->job_probes > 1) measure_open_at(o, f, workers, o->job_probes);
  }
}

static void print_cost(const queue_options *o, const serving_options *on, const load_outcome *outcome,
                       const faces_cost *search, const load_plan *plan) {
  double search_us = search->cpu_us * plan->job_probes, beyond_us = outcome->workers_us - search_us;
  char what[100];
  snprintf(what, sizeof what, "%s, %s, jobs of %u, %s loop (batches of %u)",
           o->way == SUBMISSION_XADD ? "XADD" : "lk_submit_5", on->aof ? "AOF" : "no AOF", plan->job_probes,
           plan->rate > 0 ? "open" : "closed", batch_of(outcome, plan->job_probes));
  print_row(what, rate_of(outcome), "jobs/s");
  if (plan->job_probes == 1) {
    double most_us = o->way == SUBMISSION_FUNCTION ? 40 : on->aof ? 30 : 25;
    print_target("  CPU of Redis", outcome->redis_us, "us/job", "<=", most_us);
    print_target("  CPU of the worker beyond the library's search", beyond_us, "us/job", "<=", 40);
  } else {
    print_row("  CPU of Redis", outcome->redis_us, "us/job");
    print_row("  CPU of the worker beyond the library's search", beyond_us, "us/job");
  }
  print_row("  CPU of the worker", outcome->workers_us, "us/job");
  print_row("  CPU of the same search by the library", search_us, "us/job");
  print_row("  time that the worker's searches took", outcome->computed_us, "us/job");
  print_row("  CPU of the generator", outcome->generator_us, "us/job");
}

/* Closed loop for the greatest rate; then open loop at nearly this rate, where jobs come one by one. */
static void measure_cost(const queue_options *o, const faces *f, bool aof, uint32_t job_probes) {
  serving_options on = serving_of(o, 1);
  on.aof = aof;
  load_plan plan = plan_of(o, job_probes);
  for (int open = 0; open < 2; open++) {
    load_outcome outcome = run_alone(f, &on, &plan, NULL);
    faces_cost search = faces_search(f, o->threads, batch_of(&outcome, job_probes), 0.5);
    print_cost(o, &on, &outcome, &search, &plan);
    plan.rate = 0.9 * rate_of(&outcome);
  }
}

static void measure_saturation(const queue_options *o, const faces *f) {
  (void)f;
  faces small;
  faces_make(&small, o->small_rows, o->dim, o->k);
  measure_cost(o, &small, false, 1);
  measure_cost(o, &small, true, 1);
  if (o->job_probes > 1) measure_cost(o, &small, o->aof, o->job_probes);
  faces_free(&small);
}

/* Of a gallery whose search is the greater part of a job. Each load follows its capacity at once, on the same
 * processes, since the machine may be half as fast a second later. */
static void measure_load(const queue_options *o, const faces *f) {
  (void)f;
  faces large;
  serving s;
  serving_options on = serving_of(o, 1);
  double rates[LOAD_TURNS], batches_us[LOAD_TURNS], p99s_us[LOAD_TURNS], ratios[LOAD_TURNS];
  faces_make(&large, o->large_rows, o->dim, o->k);
  serving_open(&s, &large, &on);
  for (int i = 0; i < LOAD_TURNS; i++) {
    load_plan plan = plan_of(o, 1);
    plan.seconds = 0.5 * o->seconds;
    load_outcome closed = run(&s, &plan);
    plan.seconds = o->seconds;
    plan.rate = rates[i] = 0.7 * rate_of(&closed);
    load_outcome open = run(&s, &plan);
    batches_us[i] = percentiles_mean(&open.compute_us);
    p99s_us[i] = (double)percentiles_at(&open.latency_us, 0.99);
    ratios[i] = p99s_us[i] / batches_us[i];
  }
  serving_close(&s, NULL);
  faces_free(&large);
  char what[100];
  snprintf(what, sizeof what, "rate, jobs of one probe (medians of %d turns)", LOAD_TURNS);
  print_row(what, bench_quantile(rates, LOAD_TURNS, 0.5), "jobs/s");
  print_row("batch time, mean over jobs", bench_quantile(batches_us, LOAD_TURNS, 0.5), "us");
  print_row("latency, p99", bench_quantile(p99s_us, LOAD_TURNS, 0.5), "us");
  print_row("latency, p99, in batch times, the best turn", bench_quantile(ratios, LOAD_TURNS, 0), "");
  print_row("latency, p99, in batch times, the worst turn", bench_quantile(ratios, LOAD_TURNS, 1), "");
  print_target("latency, p99, in batch times", bench_quantile(ratios, LOAD_TURNS, 0.5), "", "<=", 3);
}

static void measure_lone(const queue_options *o, const faces *f) {
  serving_options on = serving_of(o, 1);
  load_plan plan = plan_of(o, 1);
  plan.window = 1;
  plan.jobs = LONE_JOBS;
  load_outcome outcome = run_alone(f, &on, &plan, NULL);
  print_row("search, p50", (double)percentiles_at(&outcome.compute_us, 0.5), "us");
  print_row("beyond the search, p50", (double)percentiles_at(&outcome.beyond_us, 0.5), "us");
  print_target("beyond the search, p99", (double)percentiles_at(&outcome.beyond_us, 0.99), "us", "<=", 1000);
}

static void measure_library(const queue_options *o, const faces *f) {
  serving_options on = serving_of(o, 1);
  load_plan plan = plan_of(o, o->job_probes);
  load_outcome outcome = run_alone(f, &on, &plan, NULL);
  uint32_t batch = batch_of(&outcome, o->job_probes);
  double probes_per_s = rate_of(&outcome) * o->job_probes;
  faces_cost cost = faces_search(f, o->threads, batch, o->seconds);
  char what[100];
  snprintf(what, sizeof what, "through Redis, jobs of %u probes", o->job_probes);
  print_row(what, probes_per_s, "probes/s");
  snprintf(what, sizeof what, "the library, batches of %u probes", batch);
  print_row(what, cost.probes_per_s, "probes/s");
  print_target("ratio", probes_per_s / cost.probes_per_s, "", ">=", 0.9);
}

/* One worker and two in turn, and the library with one thread and two, so that each meets the machine as it is. */
static void measure_sharing(const queue_options *o, const faces *f) {
  load_plan plan = plan_of(o, SHARED_PROBES);
  plan.jobs = plan.window = SHARED_JOBS;
  serving_options one = serving_of(o, 1), two = serving_of(o, 2);
  one.threads = two.threads = 1;
  double rates[SHARING_TURNS], shares[SHARING_TURNS], ratios[SHARING_TURNS], threads[SHARING_TURNS];
  for (int i = 0; i < SHARING_TURNS; i++) {
    uint64_t jobs[SERVING_WORKERS_MOST];
    load_outcome by_one = run_alone(f, &one, &plan, NULL), by_two = run_alone(f, &two, &plan, jobs);
    rates[i] = rate_of(&by_one);
    ratios[i] = rate_of(&by_two) / rates[i];
    shares[i] = (double)(jobs[0] < jobs[1] ? jobs[0] : jobs[1]) / SHARED_JOBS;
    threads[i] = 1 / faces_search(f, 1, SHARED_PROBES, 1).probes_per_s;
    threads[i] *= faces_search(f, 2, SHARED_PROBES, 1).probes_per_s;
  }
  char what[100];
  snprintf(what, sizeof what, "%d jobs of %d probes, one worker (medians of %d turns)", SHARED_JOBS, SHARED_PROBES,
           SHARING_TURNS);
  print_row(what, bench_quantile(rates, SHARING_TURNS, 0.5), "jobs/s");
  print_target("share of the lesser of two workers", bench_quantile(shares, SHARING_TURNS, 0.5), "", ">=", 0.4);
  print_target("two workers, times one", bench_quantile(ratios, SHARING_TURNS, 0.5), "", ">=", 1.8);
  print_row("two threads of the library, times one", bench_quantile(threads, SHARING_TURNS, 0.5), "");
}

/* Jobs of `hi` one after the other for as long as there are jobs of `lo`. */
static void measure_priority(const queue_options *o, const faces *f) {
  serving s;
  serving_options on = serving_of(o, 1);
  load_plan lo = plan_of(o, LO_PROBES), hi = plan_of(o, 1);
  lo.jobs = lo.window = LO_JOBS;
  hi.priority = LK_HI;
  hi.jobs = hi.window = 1;
  load_outcome of_lo;
  percentiles latency_us = {0};
  serving_open(&s, f, &on);
  load *behind = load_open(&s, &lo);
  const char *const answered[] = {"LLEN", load_reply_key(behind)};
  load_send(behind);
  while (serving_ask(&s, 2, answered) < LO_JOBS) percentiles_add(&latency_us, run(&s, &hi).latency_us.most);
  load_collect(behind);
  load_close(behind, &of_lo);
  serving_close(&s, NULL);
  double batch_us = (double)percentiles_at(&of_lo.compute_us, 0.5);
  print_row("batch time, median of lo", batch_us, "us");
  print_row("jobs of hi", (double)latency_us.count, "");
  print_row("latency of hi, p50, in batch times", (double)percentiles_at(&latency_us, 0.5) / batch_us, "");
  print_target("latency of hi, p99, in batch times", (double)percentiles_at(&latency_us, 0.99) / batch_us, "", "<=", 2);
}

const queue_measure queue_measures[] = {
    {"open", "open loop", measure_open},
    {"saturation", "what a job costs at saturation", measure_saturation},
    {"load", "at 70 % of the capacity", measure_load},
    {"lone", "a lone probe on an idle queue", measure_lone},
    {"library", "through Redis against the library", measure_library},
    {"sharing", "two workers against one", measure_sharing},
    {"priority", "hi behind 256 lo jobs of 1024 probes", measure_priority},
    {NULL, NULL, NULL},
};
