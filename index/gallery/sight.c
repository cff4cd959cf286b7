#include "index/gallery/sight.h"

#include "base/clock.h"
#include "base/fail.h"
#include "index/gallery/gallery.h"

void lk_gallery_enter(const lk_gallery *gallery, lk_sight *sight) {
  pthread_rwlock_rdlock(&gallery->contents->lock);
  lk_catalog *before = sight->catalog;
  *sight = (lk_sight){.catalog = lk_catalog_hold(gallery->contents->catalog),
                      .epoch = gallery->contents->epoch,
                      .living = lk_catalog_living(gallery->contents->catalog),
                      .now_ms = lk_clock_unix_ms()};
  lk_catalog_release(before);
}

void lk_gallery_leave(const lk_gallery *gallery) { pthread_rwlock_unlock(&gallery->contents->lock); }

lk_status lk_gallery_check_entered(const lk_gallery *gallery, lk_error *error) {
  const char *failure = gallery->contents->failure.text;
  if (failure[0] == '\0') return LK_OK;
  return lk_fail(error, LK_EIO, "the gallery %s is behind its files: %s", gallery->manifest.name, failure);
}

void lk_sight_free(lk_sight *sight) {
  lk_catalog_release(sight->catalog);
  *sight = (lk_sight){0};
}

lk_filter lk_sight_filter(const lk_sight *sight) { return (lk_filter){.epoch = sight->epoch, .now_ms = sight->now_ms}; }
