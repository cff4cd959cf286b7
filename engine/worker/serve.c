#include "engine/worker/serve.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fail.h"
#include "engine/worker/worker.h"

static void init_signals(lk_worker *worker) {
  pthread_mutex_init(&worker->lock, NULL);
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&worker->changed, &attributes);
  pthread_cond_init(&worker->ended, &attributes);
  pthread_condattr_destroy(&attributes);
}

static lk_status make_keys(lk_worker *worker, lk_error *error) {
  const lk_worker_options *options = worker->options;
  worker->keys = calloc(options->galleries_count, sizeof *worker->keys);
  worker->retired = calloc(options->galleries_count, sizeof *worker->retired);
  lk_status status = worker->keys != NULL && worker->retired != NULL ? LK_OK : lk_fail_memory(error);
  for (uint32_t i = 0; status == LK_OK && i < options->galleries_count; i++) {
    lk_gallery_stat stat;
    lk_gallery_stat_get(options->galleries[i], &stat);
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
  init_signals(worker);
  lk_batcher_init(&worker->batcher, options->batch_probes, options->max_delay_us);
  worker->done_last = &worker->done_first;
  worker->refused_last = &worker->refused_first;
  lk_status status = make_keys(worker, error);
  for (int i = 0; status == LK_OK && i < LK_DONE_SLOTS; i++) {
    worker->slots[i].next = worker->free_slots;
    worker->free_slots = &worker->slots[i];
    status = lk_result_open(&worker->slots[i].result, error);
  }
  return status;
}

static void close_worker(lk_worker *worker) {
  for (int i = 0; i < LK_DONE_SLOTS; i++) lk_result_close(worker->slots[i].result);
  free(worker->keys);
  free(worker->retired);
  pthread_cond_destroy(&worker->changed);
  pthread_cond_destroy(&worker->ended);
  pthread_mutex_destroy(&worker->lock);
}

/* The threads of all stages but compute, which has one or two. */
enum { OTHERS = 3 };

static lk_status run_stages(lk_worker *worker, lk_error *error) {
  void *(*const stages[])(void *) = {lk_intake_main, lk_finish_main, lk_scrubber_main, lk_compute_main,
                                     lk_compute_main};
  pthread_t threads[OTHERS + LK_COMPUTE_MOST];
  uint32_t searches = worker->options->searches, started = 0;
  worker->computing = searches < LK_COMPUTE_MOST ? searches : LK_COMPUTE_MOST;
  uint32_t wanted = OTHERS + worker->computing;
  while (started < wanted && pthread_create(&threads[started], NULL, stages[started], worker) == 0) started++;
  if (started < wanted) {
    /* Ends the stages that did start: each waits for the others. */
    pthread_mutex_lock(&worker->lock);
    worker->intake_over = true;
    worker->computing -= wanted - (started > OTHERS ? started : OTHERS);
    pthread_mutex_unlock(&worker->lock);
    lk_error text;
    lk_worker_fail(worker, lk_fail(&text, LK_ENOMEM, "cannot start a thread"), &text);
  }
  if (started == wanted) lk_lease_keep(worker);
  for (uint32_t i = 0; i < started; i++) pthread_join(threads[i], NULL);
  if (worker->status != LK_OK) *error = worker->error;
  return worker->status;
}

lk_status lk_serve(const lk_worker_options *options, lk_error *error) {
  lk_worker *worker = calloc(1, sizeof *worker);
  if (worker == NULL) return lk_fail_memory(error);
  lk_status status = open_worker(worker, options, error);
  if (status == LK_OK) status = run_stages(worker, error);
  fprintf(options->log, "likeness: stopped after %llu jobs, %llu probes searched\n", (unsigned long long)worker->jobs,
          (unsigned long long)worker->probes);
  close_worker(worker);
  free(worker);
  return status;
}
