#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "governance/binding.h"
#include "governance/rebind.h"
#include "index/gallery/gallery.h"

static lk_status tell_logs(const char *folder, const lk_manifest *manifest, const lk_binding *kept, bool lost,
                           lk_error *error) {
  char home[PATH_MAX];
  lk_binding from = {0}, to = {0};
  if (realpath(folder, home) == NULL) return lk_fail(error, LK_EGALLERY, "%s: %s", folder, strerror(errno));
  lk_status status = lk_binding_resolve(home, &manifest->binding, &from, error);
  if (status == LK_OK) status = lk_binding_resolve(home, kept, &to, error);
  lk_rebinding change = {
      .folder = home, .name = manifest->name, .epoch = manifest->epoch, .from = &from, .to = &to, .lost = lost};
  if (status == LK_OK) status = lk_rebind(&change, error);
  lk_binding_free(&from);
  lk_binding_free(&to);
  return status;
}

lk_status lk_gallery_rebind(const char *folder, lk_manifest *manifest, const lk_binding *binding, bool lost,
                            lk_error *error) {
  lk_binding kept;
  lk_status status = lk_binding_keep(folder, binding, &kept, error);
  if (status == LK_OK) status = tell_logs(folder, manifest, &kept, lost, error);
  if (status != LK_OK) {
    lk_binding_free(&kept);
    return status;
  }
  lk_binding_free(&manifest->binding);
  manifest->binding = kept;
  return LK_OK;
}

static lk_status bind_locked(const lk_folder *folder, const lk_binding *binding, bool lost, lk_error *error) {
  lk_manifest manifest;
  lk_status status = lk_manifest_read(folder, &manifest, error);
  if (status != LK_OK) return status;
  if (manifest.journals_count == 0) manifest.epoch++; /* else the journals go on from it */
  status = lk_gallery_rebind(folder->path, &manifest, binding, lost, error);
  if (status == LK_OK) status = lk_manifest_write(folder, &manifest, error);
  lk_manifest_free(&manifest);
  return status;
}

static lk_status bind_gallery(const char *folder, const lk_binding *binding, bool lost, lk_error *error) {
  lk_gallery_lock lock;
  lk_status status = lk_gallery_lock_take(folder, &lock, error);
  if (status != LK_OK) return status;
  status = bind_locked(&lock.folder, binding, lost, error);
  lk_gallery_lock_release(&lock);
  return status;
}

lk_status lk_gallery_bind(const char *folder, const lk_binding *binding, lk_error *error) {
  return bind_gallery(folder, binding, false, error);
}

lk_status lk_gallery_bind_after_loss(const char *folder, const lk_binding *binding, lk_error *error) {
  return bind_gallery(folder, binding, true, error);
}
