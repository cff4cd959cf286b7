#include "governance/binding.h"
#include "index/gallery/gallery.h"

static lk_status bind_locked(const lk_folder *folder, const lk_binding *binding, lk_error *error) {
  lk_manifest manifest;
  lk_binding kept;
  lk_status status = lk_manifest_read(folder, &manifest, error);
  if (status != LK_OK) return status;
  status = lk_binding_keep(folder->path, binding, &kept, error);
  if (status == LK_OK) {
    lk_binding_free(&manifest.binding);
    manifest.binding = kept;
    manifest.epoch++;
    status = lk_manifest_write(folder, &manifest, error);
  }
  lk_manifest_free(&manifest);
  return status;
}

lk_status lk_gallery_bind(const char *folder, const lk_binding *binding, lk_error *error) {
  lk_gallery_lock lock;
  lk_status status = lk_gallery_lock_take(folder, &lock, error);
  if (status != LK_OK) return status;
  status = bind_locked(&lock.folder, binding, error);
  lk_gallery_lock_release(&lock);
  return status;
}
