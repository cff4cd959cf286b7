#include "engine/worker/log/eraser.h"

#include "base/clock.h"
#include "base/printable.h"

static const uint64_t retries_every_us = 10000000;

static void *erase(void *argument) {
  lk_eraser *eraser = argument;
  lk_error error;
  uint64_t erased = 0;
  lk_status status = lk_owner_log_erase(eraser->owner, &erased, &error);
  if (status == LK_OK)
    lk_printable_line(eraser->log, "likeness: log: the gallery %s has no byte of %llu templates any more",
                      eraser->gallery, (unsigned long long)erased);
  else
    lk_printable_line(eraser->log, "likeness: log: what was deleted of the gallery %s is not erased: %s",
                      eraser->gallery, error.text);
  atomic_store(&eraser->over, true);
  return NULL;
}

static void join(lk_eraser *eraser) {
  pthread_join(eraser->thread, NULL);
  eraser->runs = false;
}

void lk_eraser_turn(lk_eraser *eraser, uint64_t acknowledged) {
  if (eraser->runs && atomic_load(&eraser->over)) join(eraser);
  uint64_t asks = lk_owner_log_erases(eraser->owner), now_us = lk_clock_us();
  if (eraser->runs || asks == 0 || acknowledged < asks || now_us < eraser->retry_us) return;
  atomic_store(&eraser->over, false);
  eraser->retry_us = now_us + retries_every_us;
  eraser->runs = pthread_create(&eraser->thread, NULL, erase, eraser) == 0;
}

void lk_eraser_end(lk_eraser *eraser) {
  if (eraser->runs) join(eraser);
}
