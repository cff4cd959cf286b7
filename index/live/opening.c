#include <stdlib.h>
#include <time.h>

#include "base/fail.h"
#include "index/gallery/open.h"
#include "index/gallery/recovery.h"
#include "index/live/fold.h"
#include "index/storage/leftovers.h"

/* Gives a gallery its first journal, which makes it one of version 3. */
static lk_status make_journal(lk_owner *owner, lk_error *error) {
  lk_gallery *gallery = owner->gallery;
  lk_manifest *manifest = &gallery->manifest;
  if (manifest->journals_count > 0) return LK_OK;
  lk_status status = lk_manifest_give_identity(manifest, error);
  if (status != LK_OK) return status;
  manifest->journals[0] =
      (lk_manifest_journal){.id = manifest->next_file++, .epoch = manifest->epoch, .sequence = manifest->sequence};
  manifest->journals_count = 1;
  lk_journal_header header = lk_manifest_journal_header(manifest, 0);
  status = lk_journal_create(&gallery->folder, &header, error);
  return status == LK_OK ? lk_manifest_write(&gallery->folder, manifest, error) : status;
}

static lk_status start(lk_owner *owner, const lk_disk *disk, const char *folder, lk_error *error) {
  lk_recovery found;
  lk_status status = lk_gallery_lock_take(folder, &owner->lock, error);
  if (status != LK_OK) return status;
  owner->lock.folder.disk = disk;
  status = lk_gallery_open_files(&owner->lock.folder, &owner->gallery, error);
  if (status != LK_OK) return status;
  owner->gallery->owned = true;
  status = lk_pool_open(0, &owner->pool, error);
  if (status == LK_OK) status = make_journal(owner, error);
  if (status == LK_OK) status = lk_recovery_own(owner->gallery, owner->pool, &found, error);
  if (status != LK_OK) return status;
  owner->journal = found.journal;
  owner->cut_bytes = found.report.tail_bytes;
  owner->recorded = found.report.whole_bytes;
  owner->boundary = found.boundary;
  owner->boundary_log = found.boundary_log;
  owner->erases = found.erases;
  owner->acknowledged = owner->gallery->manifest.log.mark.seq;
  if (found.boundary_log.seq > owner->acknowledged && owner->gallery->manifest.journals_count == 2)
    owner->awaited = found.boundary_log.seq;
  lk_gallery_show(owner->gallery);
  status = lk_leftovers_remove(&owner->lock.folder, &owner->gallery->manifest, error);
  if (status == LK_OK && found.report.sealed) status = lk_fold_begin_journal(owner, found.next_journal, error);
  return status;
}

lk_status lk_owner_open_on(const lk_disk *disk, const char *folder, lk_owner **owner, lk_error *error) {
  pthread_condattr_t attributes;
  lk_owner *opened = calloc(1, sizeof *opened);
  if (opened == NULL) return lk_fail_memory(error);
  opened->lock.fd = -1;
  pthread_mutex_init(&opened->mutex, NULL);
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&opened->turned, &attributes);
  pthread_condattr_destroy(&attributes);
  lk_status status = start(opened, disk, folder, error);
  if (status == LK_OK)
    *owner = opened;
  else
    lk_owner_close(opened);
  return status;
}

lk_status lk_owner_open(const char *folder, lk_owner **owner, lk_error *error) {
  return lk_owner_open_on(&lk_disk_system, folder, owner, error);
}
