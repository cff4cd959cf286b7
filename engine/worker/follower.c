/* The follower brings galleries that others own up to what these have made of them: a change that one of them was
 * promised is seen by all searches that begin a second later. It has a thread of its own, since loading what is new can
 * take longer than the steward may be away, and whoever changes a gallery makes searches wait, which the scrubber, that
 * runs when nothing else wants to, must not do. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/printable.h"
#include "engine/worker/waiting.h"
#include "index/gallery/unchecked.h"

static const uint64_t looks_every_us = 250000;
/* After a look that failed, the next one waits; what it does in vain may be to open and load a large gallery. */
static const uint64_t pause_most_us = 4000000;

/* How following a gallery goes. */
typedef struct following {
  uint64_t next_us, pause_us; /* after a look that failed */
  lk_error logged;            /* why; the last cause that was said */
} following;

static const char *name_of(const lk_gallery *gallery) {
  lk_gallery_stat stat;
  lk_gallery_stat_get_constant(gallery, &stat);
  return stat.name;
}

static void say(lk_worker *worker, uint32_t number, following *f, const lk_error *error) {
  if (strcmp(f->logged.text, error->text) == 0) return;
  f->logged = *error;
  lk_printable_line(worker->options->log, "likeness: follower: cannot read what has changed of the gallery %s: %s",
                    name_of(worker->options->galleries[number]), error->text);
}

/* Whether the worker has a batch to compute, or may have. */
static bool goes_on(lk_worker *worker) {
  pthread_mutex_lock(&worker->lock);
  bool computes = worker->computing > 0;
  pthread_mutex_unlock(&worker->lock);
  return computes;
}

static void note_failure(lk_worker *worker, uint32_t number, following *f, lk_error *error) {
  say(worker, number, f, error);
  f->pause_us = f->pause_us == 0 ? looks_every_us : 2 * f->pause_us;
  if (f->pause_us > pause_most_us) f->pause_us = pause_most_us;
  f->next_us = lk_clock_us() + f->pause_us;
  lk_worker_check_gallery(worker, number, error);
}

/* A look may last until nobody waits for it any more. */
static void follow(lk_worker *worker, uint32_t number, following *f) {
  lk_error error;
  uint64_t since_us = lk_clock_us();
  if (since_us < f->next_us) return;
  lk_status status = lk_gallery_refresh(worker->options->galleries[number], NULL, &error);
  if (!goes_on(worker)) return;
  if (status != LK_OK) {
    note_failure(worker, number, f, &error);
    return;
  }
  *f = (following){0};
  lk_worker_note_followed(worker, number, since_us);
  lk_log_mark mark = lk_gallery_log_mark(worker->options->galleries[number]);
  lk_waiting_note(worker, number, &mark);
}

/* Waits until the next look; false: the worker has computed its last batch. */
static bool wait_for_look(lk_worker *worker) {
  const struct timespec until = lk_clock_timespec(lk_clock_us() + looks_every_us);
  pthread_mutex_lock(&worker->lock);
  int waited = 0;
  while (worker->computing > 0 && waited == 0) waited = pthread_cond_timedwait(&worker->ended, &worker->lock, &until);
  pthread_mutex_unlock(&worker->lock);
  return goes_on(worker);
}

void *lk_follower_main(void *argument) {
  lk_worker *worker = argument;
  uint32_t count = worker->options->galleries_count;
  following *followings = calloc(count, sizeof *followings);
  if (followings == NULL) {
    lk_error error;
    lk_worker_fail(worker, lk_fail_memory(&error), &error);
    return NULL;
  }
  do
    for (uint32_t i = 0; i < count && goes_on(worker); i++)
      if (worker->options->owners[i] == NULL) follow(worker, i, &followings[i]);
  while (wait_for_look(worker));
  free(followings);
  return NULL;
}
