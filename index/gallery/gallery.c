#include "index/gallery/gallery.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "governance/authorisation.h"
#include "governance/kept_log.h"
#include "index/formats/vector.h"
#include "index/gallery/subjects.h"
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

void lk_gallery_lock_release(lk_gallery_lock *lock) {
  close(lock->fd);
  lk_folder_close(&lock->folder);
}

static lk_status create_in(const lk_folder *folder, const lk_gallery_options *options, lk_error *error) {
  lk_status status = check_empty(folder, error);
  if (status != LK_OK) return status;
  lk_manifest manifest = {.metric = options->metric, .store = options->store, .dim = options->dim, .next_segment = 1};
  if (options->model != NULL) strcpy(manifest.model, options->model);
  status = lk_manifest_name_of(folder->path, manifest.name, error);
  if (status == LK_OK && options->binding != NULL)
    status = lk_gallery_rebind(folder->path, &manifest, options->binding, false, error);
  /* The new folder itself must survive a power cut too. */
  if (status == LK_OK) status = lk_folder_sync_parent(folder, error);
  if (status == LK_OK) status = lk_manifest_write(folder, &manifest, error);
  lk_manifest_free(&manifest);
  if (status != LK_OK && options->binding != NULL && options->binding->audit != NULL)
    lk_kept_log_forget(folder->path, options->binding->audit);
  return status;
}

lk_status lk_gallery_create(const char *path, const lk_gallery_options *options, lk_error *error) {
  lk_folder folder;
  bool made;
  int lock;
  lk_status status = check_options(options, error);
  if (status == LK_OK) status = lk_folder_make(path, &folder, &made, error);
  if (status != LK_OK) return status;
  status = lk_folder_lock(&folder, doing, &lock, error);
  if (status == LK_OK) {
    status = create_in(&folder, options, error);
    if (status != LK_OK && made) lk_folder_remove(&folder, LK_FOLDER_LOCK);
    close(lock);
  }
  lk_folder_close(&folder);
  if (status != LK_OK && made) rmdir(path);
  return status;
}

static lk_status check_segment(const lk_gallery *gallery, const lk_manifest_segment *entry, const lk_segment *segment,
                               lk_error *error) {
  if (segment->block.rows != entry->rows || segment->header.checksum != entry->checksum)
    return lk_fail(error, LK_ECORRUPT, "%s: not the segment that the manifest names", segment->path);
  lk_shape shape = lk_gallery_shape(gallery);
  if (segment->shape.dim != shape.dim || segment->shape.metric != shape.metric || segment->shape.store != shape.store)
    return lk_fail(error, LK_ECORRUPT, "%s: its dimension, metric or store is not the gallery's", segment->path);
  return LK_OK;
}

static lk_status open_segment(lk_gallery *gallery, uint32_t i, lk_error *error) {
  const lk_manifest_segment *entry = &gallery->manifest.segments[i];
  lk_segment *segment = &gallery->catalog.segments[i];
  char name[LK_SEGMENT_NAME_MAX];
  lk_manifest_segment_name(entry->id, name);
  lk_status status = lk_segment_open(&gallery->folder, name, segment, error);
  if (status != LK_OK) return status;
  status = check_segment(gallery, entry, segment, error);
  if (status == LK_OK)
    lk_catalog_add(&gallery->catalog);
  else
    lk_segment_close(segment);
  return status;
}

static lk_status open_segments(lk_gallery *gallery, lk_error *error) {
  uint32_t count = gallery->manifest.segments_count;
  lk_status status = lk_catalog_open(&gallery->catalog, count, error);
  for (uint32_t i = 0; status == LK_OK && i < count; i++) status = open_segment(gallery, i, error);
  return status;
}

/* The stamp is older than what is read. */
static lk_status read_manifest(lk_gallery *gallery, lk_error *error) {
  const lk_folder *folder = &gallery->folder;
  lk_stamp stamp = lk_stamp_in(folder, LK_MANIFEST_FILE);
  lk_status status = lk_manifest_read(folder, &gallery->manifest, error);
  if (status != LK_OK) return status;
  return lk_open_binding_open(folder->path, &gallery->manifest.binding, stamp, &gallery->binding, error);
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

lk_status lk_gallery_open_in(const lk_folder *folder, lk_gallery **gallery, lk_error *error) {
  lk_gallery *opened = calloc(1, sizeof *opened);
  if (opened == NULL) return lk_fail_memory(error);
  lk_status status = lk_folder_copy(folder, &opened->folder, error);
  if (status == LK_OK) status = read_manifest(opened, error);
  if (status == LK_OK) status = open_segments(opened, error);
  if (status == LK_OK)
    *gallery = opened;
  else
    lk_gallery_close(opened);
  return status;
}

lk_status lk_gallery_open(const char *path, lk_gallery **gallery, lk_error *error) {
  char name[LK_TEXT_MAX + 1];
  lk_folder folder;
  lk_status status = lk_manifest_name_of(path, name, error);
  if (status == LK_OK) status = lk_folder_open(path, &folder, error);
  if (status != LK_OK) return status;
  status = lk_gallery_open_in(&folder, gallery, error);
  lk_folder_close(&folder);
  return status;
}

static void unload(lk_gallery *gallery) {
  for (uint32_t i = 0; gallery->residents != NULL && i < gallery->manifest.segments_count; i++)
    if (gallery->residents[i] != NULL) lk_device_unload_block(gallery->device, gallery->residents[i]);
  free(gallery->residents);
  free(gallery->subjects);
  gallery->residents = NULL;
  gallery->subjects = NULL;
}

void lk_gallery_close(lk_gallery *gallery) {
  if (gallery == NULL) return;
  unload(gallery);
  lk_catalog_close(&gallery->catalog);
  lk_open_binding_close(gallery->binding);
  lk_manifest_free(&gallery->manifest);
  lk_folder_close(&gallery->folder);
  free(gallery);
}

static lk_status load_segment(lk_gallery *gallery, uint32_t i, lk_error *error) {
  const lk_segment *segment = &gallery->catalog.segments[i];
  lk_status status = lk_segment_verify(segment, LK_SECTION_CODES, error);
  if (status != LK_OK) return status;
  lk_shape shape = lk_gallery_shape(gallery);
  lk_block block;
  status = lk_catalog_block(&gallery->catalog, i, &block, error);
  if (status != LK_OK) return status;
  block.subjects = gallery->subjects + gallery->catalog.first_row[i];
  status = lk_device_load_block(gallery->device, shape, &block, &gallery->residents[i], error);
  if (status == LK_OK) lk_segment_forget_codes(segment);
  return status;
}

/* A segment has the lengths of its centred rows; the length of the mean is added. */
static double longest_of(const lk_segment *segment) {
  static const float origin[LK_DIM_MAX];
  float longest = 0;
  for (uint32_t r = 0; r < segment->block.rows; r++) longest = fmaxf(longest, segment->block.bounds[r].norm);
  return (lk_codes_length(segment->block.mean, segment->shape.dim, origin) + longest) * (1 + 0x1p-40);
}

lk_status lk_gallery_load(lk_gallery *gallery, lk_device *device, lk_error *error) {
  uint32_t segments = gallery->manifest.segments_count, subjects;
  unload(gallery);
  gallery->device = device;
  gallery->residents = calloc(segments + 1, sizeof *gallery->residents);
  if (gallery->residents == NULL) return lk_fail_memory(error);
  lk_status status = lk_subjects_number(&gallery->catalog, &gallery->subjects, &subjects, error);
  gallery->longest = 0;
  for (uint32_t i = 0; status == LK_OK && i < segments; i++) {
    const lk_segment *segment = &gallery->catalog.segments[i];
    status = load_segment(gallery, i, error);
    if (segment->shape.metric == LK_IP) gallery->longest = fmax(gallery->longest, longest_of(segment));
  }
  if (status != LK_OK) unload(gallery);
  return status;
}

lk_template lk_gallery_template(const lk_gallery *gallery, uint64_t position) {
  uint32_t place;
  if (position >= gallery->catalog.rows) return (lk_template){0};
  const lk_segment *segment = lk_catalog_segment_at(&gallery->catalog, position, &place);
  return lk_segment_template(segment, lk_segment_row_at(segment, place));
}

lk_status lk_gallery_find(const lk_gallery *gallery, lk_text key, uint64_t *position, lk_error *error) {
  uint32_t row;
  for (uint32_t s = 0; s < gallery->manifest.segments_count; s++)
    if (lk_segment_find_key(&gallery->catalog.segments[s], key, &row)) {
      *position = gallery->catalog.first_row[s] + lk_segment_place(&gallery->catalog.segments[s], row);
      return LK_OK;
    }
  return lk_fail(error, LK_ENOTFOUND, "the gallery %s has no key '%.*s'", gallery->manifest.name, lk_text_shown(key),
                 key.bytes);
}

void lk_gallery_stat_get(const lk_gallery *gallery, lk_gallery_stat *stat) {
  const lk_manifest *manifest = &gallery->manifest;
  *stat = (lk_gallery_stat){.name = gallery->manifest.name,
                            .model = manifest->model,
                            .metric = manifest->metric,
                            .store = manifest->store,
                            .dim = manifest->dim,
                            .templates = gallery->catalog.rows,
                            .epoch = manifest->epoch,
                            .next_number = manifest->next_number,
                            .segments = manifest->segments_count,
                            .bytes = gallery->catalog.bytes,
                            .binding = lk_open_binding_paths(gallery->binding)};
}

lk_status lk_gallery_subjects(const lk_gallery *gallery, uint64_t *subjects, lk_error *error) {
  uint32_t *numbers, count;
  lk_status status = lk_subjects_number(&gallery->catalog, &numbers, &count, error);
  if (status == LK_OK) *subjects = count;
  free(numbers);
  return status;
}

lk_status lk_gallery_check_vectors(const lk_gallery *gallery, const lk_vectors *vectors, lk_error *error) {
  if (vectors->dim == gallery->manifest.dim) return lk_vectors_check(vectors, error);
  return lk_fail(error, LK_EDIM, "%s: vectors of dimension %u; the gallery %s has %u", vectors->name, vectors->dim,
                 gallery->manifest.name, gallery->manifest.dim);
}
