#include "index/gallery/open.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "index/gallery/recovery.h"

enum { TRIES = 10 };

static lk_status check_segment(const lk_gallery *gallery, const lk_manifest_segment *entry, const lk_segment *segment,
                               lk_error *error) {
  if (segment->block.rows != entry->rows || segment->header.checksum != entry->checksum)
    return lk_fail(error, LK_ECORRUPT, "%s: not the segment that the manifest names", segment->path);
  lk_shape shape = lk_gallery_shape(gallery);
  if (segment->shape.dim != shape.dim || segment->shape.metric != shape.metric || segment->shape.store != shape.store)
    return lk_fail(error, LK_ECORRUPT, "%s: its dimension, metric or store is not the gallery's", segment->path);
  return LK_OK;
}

/* A part of the segment in a catalog, which may be NULL. NULL: there is none. */
static lk_part *known_part(const lk_catalog *known, const lk_manifest_segment *entry) {
  for (uint32_t i = 0; known != NULL && i < known->parts_count; i++) {
    const lk_segment *segment = &known->parts[i]->segment;
    if (known->parts[i]->file == entry->id && segment->header.checksum == entry->checksum &&
        segment->block.rows == entry->rows)
      return known->parts[i];
  }
  return NULL;
}

static lk_status open_part(const lk_gallery *gallery, const lk_catalog *known, const lk_manifest_segment *entry,
                           lk_part **part, lk_error *error) {
  lk_part *twin = known_part(known, entry);
  if (twin != NULL) return lk_part_twin(twin, part, error);
  lk_segment segment;
  char name[LK_SEGMENT_NAME_MAX];
  lk_manifest_segment_name(entry->id, name);
  lk_status status = lk_segment_open(&gallery->folder, name, &segment, error);
  if (status != LK_OK) return status;
  status = check_segment(gallery, entry, &segment, error);
  if (status == LK_OK) status = lk_part_open(&segment, entry->id, part, error);
  if (status != LK_OK) lk_segment_close(&segment);
  return status;
}

static lk_status take_parts(lk_gallery *gallery, lk_part *const *parts, lk_error *error) {
  lk_catalog *catalog;
  lk_status status = lk_contents_open(lk_gallery_shape(gallery), &gallery->contents, error);
  if (status == LK_OK) status = lk_catalog_make(parts, gallery->manifest.segments_count, &catalog, error);
  if (status != LK_OK) return status;
  lk_contents_retire(gallery->contents, lk_contents_replace(gallery->contents, catalog));
  gallery->contents->epoch = gallery->manifest.epoch;
  gallery->contents->log = gallery->manifest.log.mark;
  gallery->contents->next_number = gallery->manifest.next_number;
  gallery->contents->filed_number = gallery->manifest.next_number;
  lk_gallery_show(gallery);
  return LK_OK;
}

static lk_status open_parts(lk_gallery *gallery, const lk_catalog *known, lk_error *error) {
  uint32_t count = gallery->manifest.segments_count, opened = 0;
  lk_part **parts = calloc(count + 1, sizeof *parts);
  lk_status status = parts != NULL ? LK_OK : lk_fail_memory(error);
  while (status == LK_OK && opened < count) {
    status = open_part(gallery, known, &gallery->manifest.segments[opened], &parts[opened], error);
    opened += status == LK_OK;
  }
  if (status == LK_OK) status = lk_recovery_state(gallery, parts, error);
  if (status == LK_OK) status = take_parts(gallery, parts, error);
  for (uint32_t i = 0; i < opened; i++) lk_part_release(parts[i]);
  free(parts);
  return status;
}

/* The stamp is older than what is read. */
static lk_status read_manifest(lk_gallery *gallery, lk_error *error) {
  const lk_folder *folder = &gallery->folder;
  gallery->stamp = lk_stamp_in(folder, LK_MANIFEST_FILE);
  lk_status status = lk_manifest_read(folder, &gallery->manifest, error);
  if (status != LK_OK) return status;
  return lk_open_binding_open(folder->path, &gallery->manifest.binding, gallery->stamp, &gallery->binding, error);
}

static lk_status open_files(const lk_folder *folder, const lk_catalog *known, lk_gallery **gallery, lk_error *error) {
  lk_gallery *opened = calloc(1, sizeof *opened);
  if (opened == NULL) return lk_fail_memory(error);
  lk_status status = lk_folder_copy(folder, &opened->folder, error);
  if (status == LK_OK) status = read_manifest(opened, error);
  if (status == LK_OK) status = open_parts(opened, known, error);
  if (status == LK_OK)
    *gallery = opened;
  else
    lk_gallery_close(opened);
  return status;
}

lk_status lk_gallery_open_files(const lk_folder *folder, lk_gallery **gallery, lk_error *error) {
  return open_files(folder, NULL, gallery, error);
}

static lk_status try_open(const lk_folder *folder, const lk_catalog *known, lk_gallery **gallery, lk_error *error) {
  lk_status status = open_files(folder, known, gallery, error);
  if (status != LK_OK) return status;
  status = lk_recovery_read(*gallery, NULL, error);
  if (status == LK_OK)
    lk_gallery_show(*gallery);
  else
    lk_gallery_close(*gallery);
  return status;
}

/* The owner may put other files in place of those that the manifest named when it was read. */
static lk_status open_in(const lk_folder *folder, const lk_catalog *known, lk_gallery **gallery, lk_error *error) {
  for (int tries = 1;; tries++) {
    lk_stamp before = lk_stamp_in(folder, LK_MANIFEST_FILE);
    lk_status status = try_open(folder, known, gallery, error);
    lk_stamp after = lk_stamp_in(folder, LK_MANIFEST_FILE);
    if (status == LK_OK || lk_stamp_equal(&before, &after) || tries == TRIES) return status;
  }
}

lk_status lk_gallery_open_in(const lk_folder *folder, lk_gallery **gallery, lk_error *error) {
  return open_in(folder, NULL, gallery, error);
}

lk_status lk_gallery_open_again(const lk_gallery *gallery, lk_gallery **fresh, lk_error *error) {
  return open_in(&gallery->folder, gallery->contents->catalog, fresh, error);
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
