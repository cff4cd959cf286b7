#include "index/catalog/renew.h"

#include <stdlib.h>

#include "base/fail.h"
#include "kernels/search/device.h"

typedef struct renewal {
  lk_contents *contents;
  const lk_contents *fresh;
  lk_part **parts;       /* that will be */
  lk_row_range *changed; /* of each that stays: rows that are not what they were */
  uint32_t count;
} renewal;

/* Of a part that stays, its twin; NULL: it is new. */
static const lk_part *twin_of(const renewal *w, uint32_t i) {
  const lk_part *fresh = w->fresh->catalog->parts[i];
  return fresh != w->parts[i] ? fresh : NULL;
}

/* After a device has failed nobody knows what it has of any row. */
static lk_row_range rows_to_set(const renewal *w, const lk_part *part, const lk_part *twin) {
  if (w->contents->failure.text[0] == '\0') return lk_part_differences(part, twin);
  return (lk_row_range){.first = 0, .count = part->segment.block.rows};
}

static lk_status choose_parts(renewal *w, lk_error *error) {
  const lk_catalog *catalog = w->fresh->catalog;
  lk_status status = LK_OK;
  w->count = catalog->parts_count;
  w->parts = malloc((w->count + 1) * sizeof *w->parts);
  w->changed = calloc(w->count + 1, sizeof *w->changed);
  if (w->parts == NULL || w->changed == NULL) return lk_fail_memory(error);
  for (uint32_t i = 0; status == LK_OK && i < w->count; i++) {
    lk_part *fresh = catalog->parts[i];
    w->parts[i] = fresh->lender != NULL ? fresh->lender : fresh;
    if (fresh->lender == NULL) continue;
    w->changed[i] = rows_to_set(w, w->parts[i], fresh);
    status = lk_part_reserve_as(w->parts[i], fresh, error);
  }
  return status;
}

/* The codes of files are verified before they are loaded, as lk_contents_load does. */
static lk_status prepare_new(const renewal *w, lk_error *error) {
  lk_status status = LK_OK;
  for (uint32_t i = 0; status == LK_OK && w->contents->device != NULL && i < w->count; i++)
    if (twin_of(w, i) == NULL && w->parts[i]->file != 0)
      status = lk_segment_verify(&w->parts[i]->segment, LK_SECTION_CODES, error);
  return status == LK_OK ? lk_contents_number(w->contents, w->parts, w->count, error) : status;
}

static void drop_new(const renewal *w) {
  for (uint32_t i = 0; i < w->count; i++)
    if (!lk_catalog_has(w->contents->catalog, w->parts[i])) lk_contents_drop(w->contents, w->parts[i]);
}

static void set_failure(lk_contents *contents, const lk_error *why) {
  pthread_rwlock_wrlock(&contents->lock);
  contents->failure = *why;
  pthread_rwlock_unlock(&contents->lock);
}

/* Whether the device has the part, and will not need it. */
static bool goes(const renewal *w, const lk_part *part) {
  bool stays = false;
  for (uint32_t i = 0; i < w->count; i++) stays |= w->parts[i] == part;
  return !stays && part->resident != NULL;
}

/* Unloads the parts that go before those are loaded that come; until these are there nobody may search, which then
 * keeps nobody waiting. False: no part goes. */
static bool make_room(const renewal *w) {
  static const lk_error loading = {"the device has no room for what goes and what comes, and loads what comes"};
  const lk_catalog *catalog = w->contents->catalog;
  uint32_t first = 0;
  while (first < catalog->parts_count && !goes(w, catalog->parts[first])) first++;
  if (first == catalog->parts_count) return false;
  set_failure(w->contents, &loading);
  for (uint32_t i = first; i < catalog->parts_count; i++)
    if (goes(w, catalog->parts[i])) lk_contents_drop(w->contents, catalog->parts[i]);
  return true;
}

/* ---- in place, while nobody searches ---- */

static bool is_changed(const renewal *w, uint32_t i) { return w->changed[i].count > 0; }

static lk_status update_part(const renewal *w, uint32_t i, lk_row_range rows, lk_error *error) {
  const lk_part *part = w->parts[i];
  lk_visibility visibility = lk_part_visibility(part);
  if (!is_changed(w, i) || part->resident == NULL) return LK_OK;
  return lk_device_update_block(w->contents->device, part->resident, &visibility, rows.first, rows.count, error);
}

/* What may fail for want of memory comes before the first row changes. */
static lk_status begin_changes(const renewal *w, lk_error *error) {
  lk_device *device = w->contents->device;
  if (device == NULL) return LK_OK;
  lk_status status = lk_device_begin_changes(device, error);
  if (status != LK_OK) return status;
  for (uint32_t i = 0; status == LK_OK && i < w->count; i++) status = update_part(w, i, (lk_row_range){0}, error);
  if (status != LK_OK) lk_device_end_changes(device);
  return status;
}

static lk_status change_rows(const renewal *w, lk_error *error) {
  lk_status status = LK_OK;
  for (uint32_t i = 0; i < w->count; i++)
    if (is_changed(w, i)) lk_part_copy(w->parts[i], twin_of(w, i), w->changed[i]);
  for (uint32_t i = 0; status == LK_OK && i < w->count; i++) status = update_part(w, i, w->changed[i], error);
  if (w->contents->device != NULL) lk_device_end_changes(w->contents->device);
  return status;
}

static lk_status put_in_place(const renewal *w, lk_catalog *catalog, lk_error *error) {
  lk_contents *contents = w->contents;
  lk_catalog *before = NULL;
  lk_error why = {.text = ""};
  pthread_rwlock_wrlock(&contents->lock);
  lk_status status = begin_changes(w, &why);
  bool begun = status == LK_OK;
  if (begun) {
    status = change_rows(w, &why);
    before = lk_contents_replace(contents, catalog);
    contents->epoch = w->fresh->epoch;
    contents->log = w->fresh->log;
    contents->next_number = w->fresh->next_number;
    contents->filed_number = w->fresh->filed_number;
    contents->failure = why;
  }
  pthread_rwlock_unlock(&contents->lock);
  if (begun)
    lk_contents_retire(contents, before);
  else
    lk_catalog_release(catalog);
  return status == LK_OK ? LK_OK : lk_fail(error, status, "%s", why.text);
}

static lk_status load_new(const renewal *w, lk_error *error) {
  lk_catalog *catalog;
  lk_status status = lk_contents_load_parts(w->contents, w->parts, w->count, error);
  if (status == LK_OK) status = lk_catalog_make(w->parts, w->count, &catalog, error);
  return status == LK_OK ? put_in_place(w, catalog, error) : status;
}

static lk_status renew(renewal *w, lk_error *error) {
  lk_status status = choose_parts(w, error);
  if (status == LK_OK) status = prepare_new(w, error);
  if (status != LK_OK) return status;
  status = load_new(w, error);
  if (status == LK_ENOMEM && make_room(w)) status = load_new(w, error);
  if (status != LK_OK) drop_new(w);
  return status;
}

lk_status lk_renew(lk_contents *contents, const lk_contents *fresh, lk_error *error) {
  renewal w = {.contents = contents, .fresh = fresh};
  const lk_catalog *before = contents->catalog;
  uint32_t subjects_count = contents->subjects_count;
  lk_error why;
  lk_status status = renew(&w, &why);
  if (status != LK_OK) {
    if (contents->catalog == before) contents->subjects_count = subjects_count;
    if (contents->failure.text[0] != '\0') set_failure(contents, &why);
    lk_fail(error, status, "%s", why.text);
  }
  free(w.parts);
  free(w.changed);
  return status;
}
