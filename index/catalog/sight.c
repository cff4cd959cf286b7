#include "index/catalog/sight.h"

#include "base/clock.h"

void lk_contents_enter(lk_contents *contents, lk_sight *sight) {
  pthread_rwlock_rdlock(&contents->lock);
  lk_catalog *before = sight->catalog;
  *sight = (lk_sight){.catalog = lk_catalog_hold(contents->catalog),
                      .epoch = contents->epoch,
                      .living = lk_catalog_living(contents->catalog),
                      .now_ms = lk_clock_unix_ms()};
  lk_catalog_release(before);
}

void lk_contents_leave(lk_contents *contents) { pthread_rwlock_unlock(&contents->lock); }

void lk_sight_free(lk_sight *sight) {
  lk_catalog_release(sight->catalog);
  *sight = (lk_sight){0};
}

lk_filter lk_sight_filter(const lk_sight *sight) { return (lk_filter){.epoch = sight->epoch, .now_ms = sight->now_ms}; }
