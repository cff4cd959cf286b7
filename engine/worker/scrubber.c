/* The scrubber looks for damage in the galleries' files while the worker serves: rows and texts are read where they lie
 * in the files, so what changes there changes answers. One piece of up to 1 MiB every 20 ms is at most 50 MB/s of
 * reading and one percent of a core. A gallery that is found damaged is not searched again. */
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fail.h"
#include "engine/worker/worker.h"
#include "index/gallery/scrub.h"

static const uint64_t pause_us = 20000;

/* Waits a moment; false: the worker has computed its last batch. */
static bool pause_between(lk_worker *worker) {
  const struct timespec until = lk_clock_timespec(lk_clock_us() + pause_us);
  pthread_mutex_lock(&worker->lock);
  int waited = 0;
  while (worker->computing > 0 && waited == 0) waited = pthread_cond_timedwait(&worker->ended, &worker->lock, &until);
  bool goes_on = worker->computing > 0;
  pthread_mutex_unlock(&worker->lock);
  return goes_on;
}

/* Scrubs a gallery once. False: the worker ends. */
static bool scrub_once(lk_worker *worker, const lk_gallery *gallery, lk_scrub *scrub) {
  lk_error error;
  for (bool over = false; !over;) {
    if (!pause_between(worker)) return false;
    if (lk_scrub_step(scrub, &over, &error) == LK_OK) continue;
    lk_worker_retire(worker, gallery, &error);
    return true;
  }
  return true;
}

static bool scrub_gallery(lk_worker *worker, uint32_t number) {
  const lk_gallery *gallery = worker->options->galleries[number];
  lk_scrub *scrub;
  lk_error error;
  if (lk_worker_check_gallery(worker, number, &error) != LK_OK || lk_scrub_open(gallery, &scrub, &error) != LK_OK)
    return pause_between(worker);
  bool goes_on = scrub_once(worker, gallery, scrub);
  lk_scrub_close(scrub);
  return goes_on;
}

void *lk_scrubber_main(void *argument) {
  lk_worker *worker = argument;
  setpriority(PRIO_PROCESS, (id_t)gettid(), 19); /* on Linux: of this thread */
  for (uint32_t number = 0; scrub_gallery(worker, number);) number = (number + 1) % worker->options->galleries_count;
  return NULL;
}
