#include "index/gallery/gallery.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "governance/authorisation.h"
#include "governance/kept_log.h"
#include "index/catalog/sight.h"
#include "index/catalog/subjects.h"
#include "index/formats/vector.h"
#include "index/gallery/unchecked.h"
#include "kernels/search/device.h"

/* A lock may be left from a creation that failed. */
static bool is_expected(const char *name) {
  return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, LK_FOLDER_LOCK) == 0;
}

static lk_status check_empty(const lk_folder *folder, lk_error *error) {
  DIR *entries = lk_folder_entries(folder);
  if (entries == NULL) return lk_fail(error, LK_EIO, "%s: cannot read the folder: %s", folder->path, strerror(errno));
  lk_status status = LK_OK;
  for (struct dirent *entry; status == LK_OK && (entry = readdir(entries)) != NULL;)
    if (!is_expected(entry->d_name))
      status = lk_fail(error, LK_EEXIST, "%s: the folder exists already and is not empty", folder->path);
  closedir(entries);
  return status;
}

static lk_status check_options(const lk_gallery_options *options, lk_error *error) {
  if (options->dim < 1 || options->dim > LK_DIM_MAX)
    return lk_fail(error, LK_EDIM, "dimension %u is outside 1 .. %d", options->dim, LK_DIM_MAX);
  if ((unsigned)options->metric > LK_L2) return lk_fail(error, LK_EINVAL, "invalid metric %d", (int)options->metric);
  if ((unsigned)options->store > LK_STORE_F16)
    return lk_fail(error, LK_EINVAL, "invalid store %d", (int)options->store);
  const char *fault = options->model != NULL ? lk_text_fault(lk_text_of(options->model)) : NULL;
  return fault == NULL ? LK_OK : lk_fail(error, LK_EINVAL, "the model's name %s", fault);
}

static const char doing[] = "is changing this gallery";

lk_status lk_gallery_lock_take(const char *folder, lk_gallery_lock *lock, lk_error *error) {
  if (lk_folder_open(folder, &lock->folder, NULL) != LK_OK)
    return lk_fail(error, LK_EGALLERY, "%s: no such gallery: %s", folder, strerror(errno));
  lk_status status = lk_folder_lock(&lock->folder, doing, &lock->fd, error);
  if (status != LK_OK) lk_folder_close(&lock->folder);
  return status;
}

lk_log_mark lk_gallery_log_mark(const lk_gallery *gallery) {
  pthread_rwlock_rdlock(&gallery->contents->lock);
  lk_log_mark mark = gallery->contents->log;
  pthread_rwlock_unlock(&gallery->contents->lock);
  return mark;
}

void lk_gallery_lock_release(lk_gallery_lock *lock) {
  close(lock->fd);
  lk_folder_close(&lock->folder);
}

static lk_status create_in(void *context, const lk_folder *folder, lk_error *error) {
  const lk_gallery_options *options = context;
  lk_manifest manifest = {.metric = options->metric, .store = options->store, .dim = options->dim, .next_file = 1};
  if (options->model != NULL) strcpy(manifest.model, options->model);
  lk_status status = lk_manifest_name_of(folder->path, manifest.name, error);
  if (status == LK_OK && options->binding != NULL)
    status = lk_gallery_rebind(folder->path, &manifest, options->binding, false, error);
  if (status == LK_OK) status = lk_manifest_write(folder, &manifest, error);
  lk_manifest_free(&manifest);
  if (status != LK_OK && options->binding != NULL && options->binding->audit != NULL)
    lk_kept_log_forget(folder->path, options->binding->audit);
  return status;
}

lk_status lk_gallery_make(const char *path, lk_gallery_filler *fill, void *context, lk_error *error) {
  lk_folder folder;
  bool made;
  int lock;
  lk_status status = lk_folder_make(path, &folder, &made, error);
  if (status != LK_OK) return status;
  status = lk_folder_lock(&folder, doing, &lock, error);
  if (status == LK_OK) {
    status = check_empty(&folder, error);
    /* The new folder itself must survive a power cut too. */
    if (status == LK_OK) status = lk_folder_sync_parent(&folder, error);
    if (status == LK_OK) status = fill(context, &folder, error);
    if (status != LK_OK && made) lk_folder_remove(&folder, LK_FOLDER_LOCK);
    close(lock);
  }
  lk_folder_close(&folder);
  if (status != LK_OK && made) rmdir(path);
  return status;
}

lk_status lk_gallery_create(const char *path, const lk_gallery_options *options, lk_error *error) {
  lk_gallery_options copy = *options;
  lk_status status = check_options(options, error);
  return status == LK_OK ? lk_gallery_make(path, create_in, &copy, error) : status;
}

/* Searches wait for it only where there is something else to show. */
bool lk_gallery_show(lk_gallery *gallery) {
  lk_contents *contents = gallery->contents;
  pthread_rwlock_rdlock(&contents->lock);
  bool another = gallery->shown != contents->catalog;
  pthread_rwlock_unlock(&contents->lock);
  if (!another) return false;
  pthread_rwlock_wrlock(&contents->lock);
  lk_catalog *before = gallery->shown;
  gallery->shown = lk_catalog_hold(contents->catalog);
  pthread_rwlock_unlock(&contents->lock);
  lk_catalog_release(before);
  return true;
}

lk_status lk_gallery_follow_binding(const lk_gallery *gallery, lk_error *error) {
  lk_stamp stamp;
  lk_manifest now;
  if (!lk_open_binding_is_stale(gallery->binding, &gallery->folder, LK_MANIFEST_FILE, &stamp)) return LK_OK;
  lk_status status = lk_manifest_read(&gallery->folder, &now, error);
  if (status != LK_OK) return status;
  status = lk_open_binding_follow(gallery->binding, &now.binding, stamp, error);
  lk_manifest_free(&now);
  return status;
}

lk_status lk_gallery_check_binding(const lk_gallery *gallery, lk_error *error) {
  lk_error fault;
  if (lk_gallery_follow_binding(gallery, &fault) != LK_OK)
    return lk_fail(error, LK_EPOLICY, "refused: nobody knows the rules of the gallery %s: %s", gallery->manifest.name,
                   fault.text);
  if (lk_open_binding_generation(gallery->binding) == 0) return LK_OK;
  return lk_fail(error, LK_EPOLICY, "refused: the gallery %s was bound anew since this worker started; start it again",
                 gallery->manifest.name);
}

lk_catalog *lk_gallery_shown(const lk_gallery *gallery) {
  pthread_rwlock_rdlock(&gallery->contents->lock);
  lk_catalog *shown = lk_catalog_hold(gallery->shown);
  pthread_rwlock_unlock(&gallery->contents->lock);
  return shown;
}

bool lk_gallery_find_number(const lk_gallery *gallery, uint64_t number, lk_template *found) {
  uint32_t part, row;
  pthread_rwlock_rdlock(&gallery->contents->lock);
  const lk_catalog *catalog = gallery->contents->catalog;
  bool lives = lk_catalog_find_number(catalog, number, &part, &row) && lk_part_lives(catalog->parts[part], row);
  if (lives) *found = lk_part_template(catalog->parts[part], row);
  pthread_rwlock_unlock(&gallery->contents->lock);
  return lives;
}

lk_status lk_gallery_check_entered(const lk_gallery *gallery, lk_error *error) {
  const char *failure = gallery->contents->failure.text;
  if (failure[0] == '\0') return LK_OK;
  return lk_fail(error, LK_EIO, "the gallery %s is behind its files: %s", gallery->manifest.name, failure);
}

void lk_gallery_close(lk_gallery *gallery) {
  if (gallery == NULL) return;
  lk_catalog_release(gallery->shown);
  lk_contents_close(gallery->contents);
  lk_open_binding_close(gallery->binding);
  lk_manifest_free(&gallery->manifest);
  lk_folder_close(&gallery->folder);
  free(gallery);
}

lk_status lk_gallery_load(lk_gallery *gallery, lk_device *device, lk_error *error) {
  return lk_contents_load(gallery->contents, device, error);
}

/* Texts are those of what is shown, which stays; all that can change is as it is now. */
lk_template lk_gallery_template_of(const lk_gallery *gallery, const lk_catalog *shown, uint64_t position) {
  uint32_t place;
  lk_template now;
  if (position >= shown->rows) return (lk_template){0};
  const lk_part *part = lk_catalog_part_at(shown, position, &place);
  lk_template t = lk_part_template(part, lk_segment_row_at(&part->segment, place));
  if (!lk_gallery_find_number(gallery, t.number, &now)) return (lk_template){0};
  t.tags = now.tags;
  t.expires_ms = now.expires_ms;
  return t;
}

lk_template lk_gallery_template(const lk_gallery *gallery, uint64_t position) {
  lk_catalog *shown = lk_gallery_shown(gallery);
  lk_template t = lk_gallery_template_of(gallery, shown, position);
  lk_catalog_release(shown);
  return t;
}

lk_status lk_gallery_find(const lk_gallery *gallery, lk_text key, uint64_t *position, lk_error *error) {
  lk_catalog *shown = lk_gallery_shown(gallery);
  uint32_t part, row;
  bool found = lk_catalog_find_key(shown, key, &part, &row);
  if (found) *position = shown->first_row[part] + lk_segment_place(&shown->parts[part]->segment, row);
  found = found && lk_gallery_template_of(gallery, shown, *position).key.length > 0;
  lk_catalog_release(shown);
  if (found) return LK_OK;
  return lk_fail(error, LK_ENOTFOUND, "the gallery %s has no key '%.*s'", gallery->manifest.name, lk_text_shown(key),
                 key.bytes);
}

void lk_gallery_stat_get_constant(const lk_gallery *gallery, lk_gallery_stat *stat) {
  const lk_manifest *manifest = &gallery->manifest;
  *stat = (lk_gallery_stat){.name = manifest->name,
                            .model = manifest->model,
                            .metric = manifest->metric,
                            .store = manifest->store,
                            .dim = manifest->dim};
}

void lk_gallery_stat_get(const lk_gallery *gallery, lk_gallery_stat *stat) {
  lk_sight sight = {0};
  lk_gallery_stat_get_constant(gallery, stat);
  lk_contents_enter(gallery->contents, &sight);
  stat->templates = sight.living;
  lk_deleted deleted = lk_contents_deleted(gallery->contents);
  stat->positions = gallery->shown->rows;
  stat->deleted_in_segments = deleted.in_segments;
  stat->deleted_in_journals = deleted.in_journals;
  stat->epoch = sight.epoch;
  stat->next_number = gallery->contents->next_number;
  stat->segments = sight.catalog->parts_count;
  stat->bytes = sight.catalog->bytes;
  stat->binding = lk_open_binding_paths(gallery->binding);
  lk_contents_leave(gallery->contents);
  lk_sight_free(&sight);
}

static uint64_t count_expired_in(const lk_part *part, uint64_t now_ms) {
  const uint64_t *expires_ms = lk_part_visibility(part).expires_ms;
  uint64_t expired = 0;
  for (uint32_t row = 0; expires_ms != NULL && row < part->segment.block.rows; row++)
    expired += expires_ms[row] <= now_ms && lk_part_lives(part, row);
  return expired;
}

uint64_t lk_gallery_count_expired(const lk_gallery *gallery) {
  lk_sight sight = {0};
  uint64_t expired = 0;
  lk_contents_enter(gallery->contents, &sight);
  for (uint32_t i = 0; i < sight.catalog->parts_count; i++)
    expired += count_expired_in(sight.catalog->parts[i], sight.now_ms);
  lk_contents_leave(gallery->contents);
  lk_sight_free(&sight);
  return expired;
}

uint64_t lk_gallery_journal_bytes(const lk_gallery *gallery) {
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < gallery->manifest.journals_count; i++) {
    char name[LK_JOURNAL_NAME_MAX];
    struct stat file;
    lk_journal_name(gallery->manifest.journals[i].id, name);
    if (fstatat(gallery->folder.fd, name, &file, AT_SYMLINK_NOFOLLOW) == 0) bytes += (uint64_t)file.st_size;
  }
  return bytes;
}

lk_status lk_gallery_subjects(const lk_gallery *gallery, uint64_t *subjects, lk_error *error) {
  uint32_t count;
  lk_sight sight = {0};
  lk_contents_enter(gallery->contents, &sight);
  lk_contents_leave(gallery->contents);
  lk_status status = lk_subjects_count(sight.catalog, &count, error);
  lk_sight_free(&sight);
  if (status == LK_OK) *subjects = count;
  return status;
}

lk_status lk_gallery_check_vectors(const lk_gallery *gallery, const lk_vectors *vectors, lk_error *error) {
  if (vectors->dim == gallery->manifest.dim) return lk_vectors_check(vectors, error);
  return lk_fail(error, LK_EDIM, "%s: vectors of dimension %u; the gallery %s has %u", vectors->name, vectors->dim,
                 gallery->manifest.name, gallery->manifest.dim);
}
