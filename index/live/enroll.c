/* Enrollment adds all rows of a file or none. It checks everything before it writes anything. New segment files do not
 * count until the manifest that names them replaces the old one. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "governance/authorisation.h"
#include "index/formats/vector.h"
#include "index/gallery/authorise.h"
#include "index/gallery/open.h"
#include "index/live/enroll.h"
#include "index/live/fold.h"
#include "index/live/same_rows.h"
#include "index/storage/leftovers.h"

enum { NUMBER_ROOM = 21, BAD_ROWS_NAMED = 6 };

typedef struct enrollment {
  lk_gallery *gallery;
  const lk_vectors *vectors;
  const lk_label *labels;
  const lk_claims *claims;
  lk_gallery_authorisation authorisation;
  lk_pool *pool;
  uint64_t *default_keys; /* of the rows without a key */
  const char **faults;    /* what is wrong with each row; NULL: nothing */
  lk_progress *progress;
  void *progress_context;
  const lk_search_control *control;
  uint64_t *enrolled_before;
} enrollment;

static void report(const enrollment *e, uint64_t rows) {
  if (e->progress != NULL) e->progress(e->progress_context, rows, e->vectors->rows);
}

static lk_text put_number(uint64_t number, char digits[NUMBER_ROOM]) {
  snprintf(digits, NUMBER_ROOM, "%" PRIu64, number);
  return lk_text_of(digits);
}

/* The template that row `row` becomes. `digits` receives the default key. */
static lk_template template_of(const enrollment *e, uint64_t row, char digits[NUMBER_ROOM]) {
  lk_label label = e->labels != NULL ? e->labels[row] : (lk_label){0};
  lk_template t = {.number = e->gallery->manifest.next_number + row,
                   .key = label.key,
                   .subject = label.subject,
                   .group = label.group,
                   .tags = label.tags,
                   .version = label.version,
                   .expires_ms = label.expires_ms,
                   .metadata = label.metadata};
  if (t.key.length == 0) {
    t.key = put_number(e->default_keys[row], digits);
  }
  if (t.subject.length == 0) t.subject = t.key;
  return t;
}

/* Names the first bad rows and counts all of them. */
static lk_status refuse_faults(const enrollment *e, lk_error *error) {
  char text[384] = "";
  size_t used = 0;
  uint64_t bad = 0;
  for (uint64_t row = 0; row < e->vectors->rows; row++) {
    if (e->faults[row] == NULL) continue;
    if (bad < BAD_ROWS_NAMED)
      used = lk_text_append(text, sizeof text, used, "%srow %" PRIu64 " %s", bad > 0 ? "; " : "", row, e->faults[row]);
    bad++;
  }
  return lk_fail(error, LK_EBADPROBE, "%s: %" PRIu64 " of %" PRIu64 " rows cannot be enrolled: %s%s", e->vectors->name,
                 bad, e->vectors->rows, text, bad > BAD_ROWS_NAMED ? "; ..." : "");
}

static lk_status check_vectors(const enrollment *e, lk_error *error) {
  lk_status status = lk_gallery_check_vectors(e->gallery, e->vectors, error);
  if (status != LK_OK) return status;
  if (e->vectors->rows == 0) return lk_fail(error, LK_EFORMAT, "%s: the file has no rows", e->vectors->name);
  if (e->vectors->rows > UINT32_MAX - e->gallery->contents->catalog->rows)
    return lk_fail(error, LK_EINVAL, "%s: the gallery would have more than %u templates", e->vectors->name, UINT32_MAX);
  return LK_OK;
}

/* Labels from a file were checked when it was read, but the API takes others. A text that is too long would make the
 * gallery unreadable. */
static lk_status check_labels(const enrollment *e, lk_error *error) {
  for (uint64_t row = 0; e->labels != NULL && row < e->vectors->rows; row++) {
    const lk_label *label = &e->labels[row];
    const char *what = "key", *fault = lk_text_fault(label->key);
    if (fault == NULL) what = "subject", fault = lk_text_fault(label->subject);
    if (fault == NULL) what = "group", fault = lk_text_fault(label->group);
    if (fault == NULL && label->metadata.length > LK_METADATA_MAX)
      what = "metadata", fault = "is longer than 256 bytes";
    if (fault != NULL)
      return lk_fail(error, LK_EINVAL, "%s: row %" PRIu64 ": its %s %s", e->vectors->name, row, what, fault);
  }
  return LK_OK;
}

typedef struct key_entry {
  uint64_t hash;
  uint64_t row;
} key_entry;

static int compare_keys(const void *a, const void *b) {
  const key_entry *x = a, *y = b;
  if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
  return x->row < y->row ? -1 : x->row > y->row;
}

/* The rows with keys of their own, sorted by these keys' hashes. */
typedef struct key_list {
  key_entry *entries;
  uint64_t count;
} key_list;

static lk_status refuse_key(const enrollment *e, uint64_t row, const char *why, lk_error *error) {
  lk_text key = e->labels[row].key;
  return lk_fail(error, LK_EEXIST, "%s: row %" PRIu64 ": key '%.*s' %s", e->vectors->name, row, (int)key.length,
                 key.bytes, why);
}

static bool is_in_gallery(const enrollment *e, lk_text key) {
  uint32_t part, row;
  return lk_catalog_find_key(e->gallery->contents->catalog, key, &part, &row);
}

static bool is_listed(const enrollment *e, const key_list *keys, lk_text key) {
  uint64_t hash = lk_text_hash(key), low = 0, high = keys->count;
  while (low < high) {
    uint64_t middle = low + (high - low) / 2;
    if (keys->entries[middle].hash < hash)
      low = middle + 1;
    else
      high = middle;
  }
  for (; low < keys->count && keys->entries[low].hash == hash; low++)
    if (lk_text_equal(e->labels[keys->entries[low].row].key, key)) return true;
  return false;
}

static lk_status check_distinct(const enrollment *e, const key_list *keys, lk_error *error) {
  const key_entry *entries = keys->entries;
  for (uint64_t i = 1; i < keys->count; i++)
    for (uint64_t j = i; j > 0 && entries[j - 1].hash == entries[i].hash; j--)
      if (lk_text_equal(e->labels[entries[j - 1].row].key, e->labels[entries[i].row].key))
        return refuse_key(e, entries[i].row, "is used twice in this file", error);
  return LK_OK;
}

static lk_status list_keys(const enrollment *e, key_list *keys, lk_error *error) {
  for (uint64_t row = 0; e->labels != NULL && row < e->vectors->rows; row++) {
    lk_text key = e->labels[row].key;
    if (key.length == 0) continue;
    if (is_in_gallery(e, key)) return refuse_key(e, row, "is in the gallery already", error);
    keys->entries[keys->count++] = (key_entry){.hash = lk_text_hash(key), .row = row};
  }
  qsort(keys->entries, keys->count, sizeof *keys->entries, compare_keys);
  return check_distinct(e, keys, error);
}

/* A template's number or, where somebody has that as a key, the next that is free beyond the numbers of this file. */
static void choose_defaults(enrollment *e, const key_list *keys) {
  char digits[NUMBER_ROOM];
  uint64_t first = e->gallery->manifest.next_number, next_free = first + e->vectors->rows;
  for (uint64_t row = 0; row < e->vectors->rows; row++) {
    uint64_t number = first + row;
    if (e->labels != NULL && e->labels[row].key.length > 0) continue;
    lk_text key = put_number(number, digits);
    while (is_in_gallery(e, key) || is_listed(e, keys, key)) key = put_number(number = next_free++, digits);
    e->default_keys[row] = number;
  }
}

static lk_status take_keys(enrollment *e, lk_error *error) {
  key_list keys = {.entries = malloc(e->vectors->rows * sizeof *keys.entries)};
  e->default_keys = malloc(e->vectors->rows * sizeof *e->default_keys);
  bool has_room = keys.entries != NULL && e->default_keys != NULL;
  lk_status status = has_room ? list_keys(e, &keys, error) : lk_fail_memory(error);
  if (status == LK_OK) choose_defaults(e, &keys);
  free(keys.entries);
  return status;
}

static lk_status check_written(const lk_folder *folder, const char *name, uint64_t checksum, lk_error *error) {
  lk_segment segment;
  lk_status status = lk_segment_open_written(folder, name, checksum, &segment, error);
  if (status == LK_OK) lk_segment_close(&segment);
  return status;
}

static lk_status write_segment(const enrollment *e, uint64_t first, lk_manifest_segment *entry, lk_error *error) {
  uint64_t left = e->vectors->rows - first;
  entry->rows = left < LK_SEGMENT_ROWS ? (uint32_t)left : LK_SEGMENT_ROWS;
  const lk_folder *folder = &e->gallery->folder;
  char name[LK_SEGMENT_NAME_MAX];
  lk_manifest_segment_name(entry->id, name);
  lk_status status;
  lk_template *templates = malloc(entry->rows * sizeof *templates);
  char(*digits)[NUMBER_ROOM] = malloc(entry->rows * sizeof *digits);
  if (templates == NULL || digits == NULL) {
    status = lk_fail_memory(error);
  } else {
    for (uint32_t r = 0; r < entry->rows; r++) templates[r] = template_of(e, first + r, digits[r]);
    lk_segment_content content = {.metric = e->gallery->manifest.metric,
                                  .store = e->gallery->manifest.store,
                                  .vectors = *e->vectors,
                                  .first = first,
                                  .rows = entry->rows,
                                  .templates = templates,
                                  .faults = e->faults + first,
                                  .control = e->control};
    status = lk_segment_write(folder, name, &content, e->pool, &entry->checksum, error);
    if (status == LK_OK) status = check_written(folder, name, entry->checksum, error);
  }
  free(templates);
  free(digits);
  return status;
}

/* If the rename of the manifest happened and a later step failed, the new segments belong to the gallery and stay. */
static void remove_unnamed(const enrollment *e) {
  lk_manifest now;
  if (lk_manifest_read(&e->gallery->folder, &now, NULL) != LK_OK) return;
  lk_leftovers_remove(&e->gallery->folder, &now, NULL);
  lk_manifest_free(&now);
}

/* Writes all rows, also after a segment with bad rows, so that all bad rows are known. */
static lk_status write_segments(enrollment *e, lk_manifest *next, uint32_t added, lk_error *error) {
  bool faulty = false;
  for (uint32_t i = 0; i < added; i++) {
    lk_manifest_segment *entry = &next->segments[next->segments_count++];
    entry->id = next->next_file++;
    uint64_t first = (uint64_t)i * LK_SEGMENT_ROWS;
    lk_status status = write_segment(e, first, entry, error);
    faulty = faulty || status == LK_EBADPROBE;
    if (status != LK_OK && status != LK_EBADPROBE) return status;
    report(e, first + entry->rows);
  }
  lk_status readable = lk_file_check_at(e->vectors->data, e->vectors->name, error);
  if (readable != LK_OK) return readable;
  return faulty ? refuse_faults(e, error) : LK_OK;
}

static lk_status write_all(enrollment *e, lk_error *error) {
  const lk_manifest *old = &e->gallery->manifest;
  uint32_t added = (uint32_t)((e->vectors->rows + LK_SEGMENT_ROWS - 1) / LK_SEGMENT_ROWS);
  lk_manifest next = *old;
  next.segments = malloc((old->segments_count + added) * sizeof *next.segments);
  e->faults = calloc(e->vectors->rows, sizeof *e->faults);
  lk_status status = next.segments == NULL || e->faults == NULL ? lk_fail_memory(error) : LK_OK;
  if (status == LK_OK) {
    if (old->segments_count > 0) memcpy(next.segments, old->segments, old->segments_count * sizeof *next.segments);
    status = write_segments(e, &next, added, error);
  }
  next.next_number += e->vectors->rows;
  next.epoch++;
  next.journals_count = 0; /* it is empty, and of the epoch before */
  if (status == LK_OK) status = lk_folder_sync(&e->gallery->folder, error);
  if (status == LK_OK) status = lk_gallery_release(&e->authorisation, e->vectors->rows, next.epoch, error);
  if (status == LK_OK) status = lk_manifest_write(&e->gallery->folder, &next, error);
  if (status != LK_OK) remove_unnamed(e);
  free(next.segments);
  free(e->faults);
  return status;
}

static lk_status open_folded(const lk_folder *folder, lk_gallery **gallery, lk_error *error) {
  lk_status status = lk_gallery_open_in(folder, gallery, error);
  if (status != LK_OK || (*gallery)->contents->epoch == (*gallery)->manifest.epoch) return status;
  lk_gallery_close(*gallery);
  return lk_fail(error, LK_EBUSY, "%s: another process has changed this gallery meanwhile", folder->path);
}

/* Whoever must ask a policy is not told what the gallery has. */
static void find_same(const enrollment *e) {
  const lk_gallery *gallery = e->gallery;
  uint64_t number;
  if (gallery->manifest.binding.policy != NULL) return;
  for (uint64_t row = 0; e->labels != NULL && row < e->vectors->rows; row++)
    if (e->labels[row].key.length > 0) return;
  if (lk_same_rows_find(gallery->contents->catalog, lk_gallery_shape(gallery), e->vectors, &number))
    *e->enrolled_before = number;
}

static lk_status enroll_locked(enrollment *e, const lk_folder *folder, uint64_t *numbered_from, lk_error *error) {
  static const lk_policy_request request = {.operation = LK_OPERATION_ENROLL, .k = 1, .threshold = -INFINITY};
  lk_status status = open_folded(folder, &e->gallery, error);
  if (status != LK_OK) return status;
  lk_evidence evidence = {.fault = check_vectors(e, error)};
  if (evidence.fault == LK_OK) evidence.fault = check_labels(e, error);
  status = lk_gallery_authorise(&e->authorisation, e->gallery, &request, &evidence, e->claims, error);
  if (status == LK_OK) status = lk_pool_open(0, &e->pool, error);
  if (status == LK_OK) {
    report(e, 0);
    find_same(e);
    status = take_keys(e, error);
    if (status == LK_OK) status = lk_leftovers_remove(folder, &e->gallery->manifest, error);
    if (status == LK_OK) status = write_all(e, error);
    if (status == LK_OK && numbered_from != NULL) *numbered_from = e->gallery->manifest.next_number;
    free(e->default_keys);
    lk_pool_close(e->pool);
  }
  lk_gallery_authorise_end(&e->authorisation);
  lk_gallery_close(e->gallery);
  return status;
}

/* What is in the journal comes before the new segments. */
static lk_status fold_journal(const char *folder, lk_error *error) {
  lk_gallery *gallery;
  lk_owner *owner;
  lk_status status = lk_gallery_open(folder, &gallery, error);
  if (status != LK_OK) return status;
  bool is_folded = gallery->contents->epoch == gallery->manifest.epoch && gallery->manifest.journals_count < 2;
  lk_gallery_close(gallery);
  if (is_folded) return LK_OK;
  status = lk_owner_open(folder, &owner, error);
  if (status != LK_OK) return status;
  status = lk_fold(owner, LK_FOLD_JOURNAL, error);
  lk_owner_close(owner);
  return status;
}

lk_status lk_gallery_enroll(const char *folder, const lk_vectors *vectors, const lk_label *labels,
                            const lk_claims *claims, lk_progress *progress, void *context, uint64_t *numbered_from,
                            lk_error *error) {
  uint64_t before;
  return lk_gallery_enroll_under(NULL, folder, vectors, labels, claims, progress, context, numbered_from, &before,
                                 error);
}

lk_status lk_gallery_enroll_under(lk_search_control *control, const char *folder, const lk_vectors *vectors,
                                  const lk_label *labels, const lk_claims *claims, lk_progress *progress, void *context,
                                  uint64_t *numbered_from, uint64_t *enrolled_before, lk_error *error) {
  enrollment e = {.vectors = vectors,
                  .labels = labels,
                  .claims = claims,
                  .progress = progress,
                  .progress_context = context,
                  .control = control,
                  .enrolled_before = enrolled_before};
  *enrolled_before = LK_NEW_ROWS;
  lk_gallery_lock lock;
  lk_status status = fold_journal(folder, error);
  if (status == LK_OK) status = lk_gallery_lock_take(folder, &lock, error);
  if (status != LK_OK) return status;
  status = enroll_locked(&e, &lock.folder, numbered_from, error);
  lk_gallery_lock_release(&lock);
  return status;
}
