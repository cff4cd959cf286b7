#include "index/catalog/contents.h"

#include <math.h>
#include <stdlib.h>

#include "base/fail.h"
#include "index/catalog/subjects.h"
#include "kernels/search/device.h"

lk_status lk_contents_open(lk_shape shape, lk_contents **contents, lk_error *error) {
  pthread_rwlockattr_t attributes;
  lk_contents *opened = calloc(1, sizeof *opened);
  if (opened == NULL) return lk_fail_memory(error);
  /* A stream of searches must not keep changes out. */
  pthread_rwlockattr_init(&attributes);
  pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
  pthread_rwlock_init(&opened->lock, &attributes);
  pthread_rwlockattr_destroy(&attributes);
  opened->shape = shape;
  lk_status status = lk_catalog_make(NULL, 0, &opened->catalog, error);
  if (status == LK_OK)
    *contents = opened;
  else
    lk_contents_close(opened);
  return status;
}

void lk_contents_close(lk_contents *contents) {
  if (contents == NULL) return;
  lk_contents_unload(contents);
  lk_catalog_release(contents->catalog);
  pthread_rwlock_destroy(&contents->lock);
  free(contents);
}

void lk_contents_drop(lk_contents *contents, lk_part *part) {
  if (part->resident != NULL) lk_device_unload_block(contents->device, part->resident);
  part->resident = NULL;
}

void lk_contents_unload(lk_contents *contents) {
  if (contents->device == NULL) return;
  for (uint32_t i = 0; i < contents->catalog->parts_count; i++) {
    lk_contents_drop(contents, contents->catalog->parts[i]);
    contents->catalog->residents[i] = NULL;
  }
  lk_device_release(contents->device);
  contents->device = NULL;
}

/* A segment has the lengths of its centred rows; the length of the mean is added. */
static double longest_of(const lk_segment *segment) {
  static const float origin[LK_DIM_MAX];
  float longest = 0;
  for (uint32_t r = 0; r < segment->block.rows; r++) longest = fmaxf(longest, segment->block.bounds[r].norm);
  return (lk_codes_length(segment->block.mean, segment->shape.dim, origin) + longest) * (1 + 0x1p-40);
}

static double longest_in(const lk_catalog *catalog) {
  double longest = 0;
  for (uint32_t i = 0; i < catalog->parts_count; i++) longest = fmax(longest, catalog->parts[i]->longest);
  return longest;
}

static lk_status load_part(lk_contents *contents, lk_part *part, lk_error *error) {
  lk_block block;
  lk_status status = lk_part_block(part, &block, error);
  if (status != LK_OK) return status;
  status = lk_device_load_block(contents->device, contents->shape, &block, &part->resident, error);
  if (status != LK_OK) return status;
  if (contents->shape.metric == LK_IP) part->longest = longest_of(&part->segment);
  lk_segment_forget_codes(&part->segment);
  return LK_OK;
}

lk_status lk_contents_load(lk_contents *contents, lk_device *device, lk_error *error) {
  lk_status status = lk_device_hold(device, error); /* before it is left, if it is the same */
  lk_contents_unload(contents);
  if (status != LK_OK) return status;
  contents->device = device;
  const lk_catalog *catalog = contents->catalog;
  status = lk_subjects_number(catalog, &contents->subjects_count, error);
  for (uint32_t i = 0; status == LK_OK && i < catalog->parts_count; i++) {
    status = lk_segment_verify(&catalog->parts[i]->segment, LK_SECTION_CODES, error);
    if (status == LK_OK) status = load_part(contents, catalog->parts[i], error);
    catalog->residents[i] = catalog->parts[i]->resident;
  }
  if (status != LK_OK) lk_contents_unload(contents);
  contents->longest = longest_in(catalog);
  return status;
}

lk_status lk_contents_number(lk_contents *contents, lk_part *const *parts, uint32_t count, lk_error *error) {
  lk_status status = LK_OK;
  for (uint32_t i = 0; contents->device != NULL && status == LK_OK && i < count; i++)
    if (!lk_catalog_has(contents->catalog, parts[i]))
      status = lk_subjects_number_part(contents->catalog, parts, i, &contents->subjects_count, error);
  return status;
}

lk_status lk_contents_load_parts(lk_contents *contents, lk_part *const *parts, uint32_t count, lk_error *error) {
  lk_status status = LK_OK;
  for (uint32_t i = 0; contents->device != NULL && status == LK_OK && i < count; i++)
    if (parts[i]->resident == NULL) status = load_part(contents, parts[i], error);
  return status;
}

/* A journal's templates have the numbers that were given since; of those that died, memory may have dropped the rows.
 */
lk_deleted lk_contents_deleted(const lk_contents *contents) {
  lk_deleted deleted = {.in_journals = contents->next_number - contents->filed_number};
  for (uint32_t i = 0; i < contents->catalog->parts_count; i++) {
    const lk_part *part = contents->catalog->parts[i];
    if (part->file != 0)
      deleted.in_segments += part->segment.block.rows - part->living;
    else
      deleted.in_journals -= part->living;
  }
  return deleted;
}

lk_catalog *lk_contents_replace(lk_contents *contents, lk_catalog *catalog) {
  lk_catalog *before = contents->catalog;
  contents->catalog = catalog;
  contents->longest = longest_in(catalog);
  return before;
}

void lk_contents_retire(lk_contents *contents, lk_catalog *before) {
  for (uint32_t i = 0; i < before->parts_count; i++)
    if (!lk_catalog_has(contents->catalog, before->parts[i])) lk_contents_drop(contents, before->parts[i]);
  lk_catalog_release(before);
}
