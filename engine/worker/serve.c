#include "engine/worker/serve.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/printable.h"
#include "engine/worker/stop.h"
#include "index/gallery/unchecked.h"

static void init_signals(lk_worker *worker) {
  pthread_mutex_init(&worker->lock, NULL);
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&worker->work, &attributes);
  pthread_cond_init(&worker->room, &attributes);
  pthread_cond_init(&worker->changed, &attributes);
  pthread_cond_init(&worker->ended, &attributes);
  pthread_cond_init(&worker->waits, &attributes);
  pthread_condattr_destroy(&attributes);
}

static lk_status make_keys(lk_worker *worker, lk_error *error) {
  const lk_worker_options *options = worker->options;
  worker->keys = calloc(options->galleries_count, sizeof *worker->keys);
  worker->outages = calloc(options->galleries_count, sizeof *worker->outages);
  worker->followed_us = calloc(options->galleries_count, sizeof *worker->followed_us);
  worker->marks = calloc(options->galleries_count, sizeof *worker->marks);
  worker->newest = calloc(options->galleries_count, LK_PRIORITIES * LK_LANES * sizeof *worker->newest);
  bool made = worker->keys != NULL && worker->outages != NULL && worker->followed_us != NULL && worker->marks != NULL &&
              worker->newest != NULL;
  lk_status status = made ? LK_OK : lk_fail_memory(error);
  for (uint32_t i = 0; status == LK_OK && i < options->galleries_count; i++) {
    lk_gallery_stat stat;
    worker->followed_us[i] = lk_clock_us();
    lk_gallery_stat_get(options->galleries[i], &stat);
    lk_log_mark mark = lk_gallery_log_mark(options->galleries[i]);
    worker->marks[i] = (lk_entry){.ms = mark.ms, .sequence = mark.n};
    status = lk_keys_make(stat.name, &worker->keys[i], error);
  }
  return status;
}

static lk_status open_worker(lk_worker *worker, const lk_worker_options *options, lk_error *error) {
  char host[64] = "host";
  gethostname(host, sizeof host - 1);
  snprintf(worker->consumer, sizeof worker->consumer, "%s-%d-%llx", host, (int)getpid(),
           (unsigned long long)lk_clock_us());
  worker->options = options;
  worker->computing = options->searches < LK_COMPUTE_MOST ? options->searches : LK_COMPUTE_MOST;
  init_signals(worker);
  lk_running_init(&worker->running, worker->computing, worker->consumer, lk_worker_session(worker, "running"));
  lk_batcher_init(&worker->batcher, options->batch_probes, options->max_delay_us);
  worker->done_last = &worker->done_first;
  worker->refused_last = &worker->refused_first;
  worker->head_refusals = (lk_refusal_log){.stage = "finish", .log = options->log};
  lk_status status = make_keys(worker, error);
  for (int i = 0; status == LK_OK && i < LK_DONE_SLOTS; i++) {
    worker->slots[i].next = worker->free_slots;
    worker->free_slots = &worker->slots[i];
    status = lk_result_open(&worker->slots[i].result, error);
  }
  return status;
}

static void close_worker(lk_worker *worker) {
  for (lk_task *task = worker->taken, *next; task != NULL; task = next) {
    next = task->newer;
    lk_task_free(task);
  }
  lk_running_destroy(&worker->running);
  for (int i = 0; i < LK_DONE_SLOTS; i++) lk_result_close(worker->slots[i].result);
  free(worker->keys);
  free(worker->outages);
  free(worker->followed_us);
  free(worker->marks);
  free(worker->newest);
  pthread_cond_destroy(&worker->work);
  pthread_cond_destroy(&worker->room);
  pthread_cond_destroy(&worker->changed);
  pthread_cond_destroy(&worker->ended);
  pthread_cond_destroy(&worker->waits);
  pthread_mutex_destroy(&worker->lock);
}

static void *running_main(void *argument) {
  lk_worker *worker = argument;
  lk_running_keep(&worker->running);
  return NULL;
}

/* Compute comes last: it has one or two threads. */
typedef void *stage_main(void *worker);
static stage_main *const stages[] = {lk_stop_main,    lk_finish_main,  lk_intake_hi_main, lk_intake_lo_main,
                                     lk_steward_main, running_main,    lk_scrubber_main,  lk_follower_main,
                                     lk_log_main,     lk_waiting_main, lk_compute_main,   lk_compute_main};
enum { STAGES = sizeof stages / sizeof stages[0], OTHERS = STAGES - LK_COMPUTE_MOST };

typedef struct stage {
  lk_worker *worker;
  stage_main *main;
  pthread_t thread;
} stage;

static void *run_stage(void *argument) {
  stage *self = argument;
  lk_worker *worker = self->worker;
  stage_main *main = self->main; /* the stage is gone where nobody waits for this thread */
  main(worker);
  pthread_mutex_lock(&worker->lock);
  worker->threads--;
  worker->follower_over |= main == lk_follower_main;
  worker->log_over |= main == lk_log_main;
  pthread_cond_broadcast(&worker->ended);
  pthread_mutex_unlock(&worker->lock);
  return NULL;
}

/* So that the stages that did start end: each waits for the others. */
static void note_missing(lk_worker *worker, uint32_t started, uint32_t wanted) {
  lk_error error;
  pthread_mutex_lock(&worker->lock);
  worker->threads -= wanted - started;
  worker->computing -= wanted - (started > OTHERS ? started : OTHERS);
  for (uint32_t i = started; i < OTHERS; i++) {
    worker->intakes_over += stages[i] == lk_intake_hi_main || stages[i] == lk_intake_lo_main;
    worker->finish_over |= stages[i] == lk_finish_main;
    worker->follower_over |= stages[i] == lk_follower_main;
    worker->log_over |= stages[i] == lk_log_main;
  }
  worker->intake_over = worker->intakes_over == LK_PRIORITIES;
  bool computes = worker->computing > 0;
  pthread_mutex_unlock(&worker->lock);
  if (!computes) lk_running_end(&worker->running);
  lk_worker_fail(worker, lk_fail(&error, LK_ENOMEM, "cannot start a thread"), &error);
}

/* Waits until all threads have ended, or until this time after the stop. Returns how many still run. */
static uint32_t await_end(lk_worker *worker, uint64_t after_stop_us) {
  pthread_mutex_lock(&worker->lock);
  while (worker->threads > 0) {
    uint64_t end_us = worker->stopped_us + after_stop_us;
    if (worker->stopped_us == 0) {
      pthread_cond_wait(&worker->ended, &worker->lock);
    } else {
      const struct timespec until = lk_clock_timespec(end_us);
      if (lk_clock_us() >= end_us) break;
      pthread_cond_timedwait(&worker->ended, &worker->lock, &until);
    }
  }
  uint32_t left = worker->threads;
  pthread_mutex_unlock(&worker->lock);
  return left;
}

static void cancel_searches(lk_worker *worker) {
  for (uint32_t i = 0; i < LK_COMPUTE_MOST; i++) lk_search_cancel(&worker->computers[i].control);
}

static lk_serve_left what_is_left(lk_worker *worker) {
  pthread_mutex_lock(&worker->lock);
  bool only_searches = worker->intake_over && worker->finish_over && worker->log_over;
  pthread_mutex_unlock(&worker->lock);
  return only_searches ? LK_LEFT_GALLERIES : LK_LEFT_ALL;
}

static lk_serve_left run_stages(lk_worker *worker) {
  stage all[STAGES];
  uint32_t started = 0, wanted = OTHERS + worker->computing;
  worker->threads = wanted;
  for (uint32_t i = 0; i < wanted; i++) all[i] = (stage){.worker = worker, .main = stages[i]};
  while (started < wanted && pthread_create(&all[started].thread, NULL, run_stage, &all[started]) == 0) started++;
  if (started < wanted) note_missing(worker, started, wanted);
  if (await_end(worker, LK_STOP_CANCELS_US) > 0) cancel_searches(worker);
  if (await_end(worker, LK_STOP_LEAVES_US) > 0) return what_is_left(worker);
  for (uint32_t i = 0; i < started; i++) pthread_join(all[i].thread, NULL);
  return LK_LEFT_NOTHING;
}

static lk_status report(lk_worker *worker, lk_serve_left left, lk_error *error) {
  pthread_mutex_lock(&worker->lock);
  fprintf(worker->options->log, "likeness: stopped after %llu jobs, %llu probes searched; %llu jobs handed back\n",
          (unsigned long long)worker->jobs, (unsigned long long)worker->probes, (unsigned long long)worker->returned);
  lk_status status = worker->status;
  if (status != LK_OK) *error = worker->error;
  uint32_t harmless = (worker->follower_over ? 0U : 1U) + (worker->log_over ? 0U : 1U);
  bool hangs = left != LK_LEFT_NOTHING && worker->threads > harmless;
  pthread_mutex_unlock(&worker->lock);
  if (left != LK_LEFT_NOTHING && !hangs)
    lk_printable_line(worker->options->log,
                      "likeness: stopped while what has changed of a gallery was loaded or erased");
  return status == LK_OK && hangs
             ? lk_fail(error, LK_EINTERNAL, "a search or a call did not end in time; the worker leaves without it")
             : status;
}

lk_status lk_serve(const lk_worker_options *options, lk_serve_left *left, lk_error *error) {
  *left = LK_LEFT_NOTHING;
  lk_worker *worker = calloc(1, sizeof *worker);
  if (worker == NULL) return lk_fail_memory(error);
  lk_status status = open_worker(worker, options, error);
  if (status == LK_OK) {
    *left = run_stages(worker);
    status = report(worker, *left, error);
  }
  if (*left != LK_LEFT_NOTHING) return status;
  close_worker(worker);
  free(worker);
  return status;
}
