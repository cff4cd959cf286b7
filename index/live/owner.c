#include "index/live/owner.h"

#include <stdlib.h>

#include "base/fail.h"

void lk_owner_close(lk_owner *owner) {
  if (owner == NULL) return;
  pthread_mutex_lock(&owner->mutex);
  while (owner->folding) pthread_cond_wait(&owner->turned, &owner->mutex);
  pthread_mutex_unlock(&owner->mutex);
  lk_journal_close(owner->journal);
  lk_result_close(owner->matches);
  lk_gallery_close(owner->gallery);
  if (owner->pool != NULL) lk_pool_close(owner->pool);
  if (owner->lock.fd >= 0) lk_gallery_lock_release(&owner->lock);
  pthread_cond_destroy(&owner->turned);
  pthread_mutex_destroy(&owner->mutex);
  free(owner);
}

lk_gallery *lk_owner_gallery(const lk_owner *owner) { return owner->gallery; }

uint64_t lk_owner_cut_bytes(const lk_owner *owner) { return owner->cut_bytes; }

void lk_owner_take_turn(lk_owner *owner) {
  pthread_mutex_lock(&owner->mutex);
  while (owner->busy) pthread_cond_wait(&owner->turned, &owner->mutex);
  owner->busy = true;
  pthread_mutex_unlock(&owner->mutex);
}

void lk_owner_end_turn(lk_owner *owner) {
  pthread_mutex_lock(&owner->mutex);
  owner->busy = false;
  pthread_cond_broadcast(&owner->turned);
  pthread_mutex_unlock(&owner->mutex);
}

void lk_owner_fail(lk_owner *owner, const lk_error *why) {
  pthread_mutex_lock(&owner->mutex);
  if (owner->failure.text[0] == '\0') owner->failure = *why;
  pthread_mutex_unlock(&owner->mutex);
}

lk_status lk_owner_check(lk_owner *owner, lk_error *error) {
  pthread_mutex_lock(&owner->mutex);
  lk_error failure = owner->failure;
  pthread_mutex_unlock(&owner->mutex);
  if (failure.text[0] == '\0') return LK_OK;
  return lk_fail(error, LK_EIO, "the gallery %s takes no changes until it is opened again: %s",
                 owner->gallery->manifest.name, failure.text);
}

lk_status lk_owner_load(lk_owner *owner, lk_device *device, lk_error *error) {
  lk_owner_take_turn(owner);
  lk_status status = lk_gallery_load(owner->gallery, device, error);
  lk_owner_end_turn(owner);
  return status;
}
