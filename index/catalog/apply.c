#include "index/catalog/apply.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "index/catalog/gathering.h"
#include "kernels/search/device.h"

enum { LARGE_ROWS = 8192 };

/* Of each part the rows between the first and the last that change */
typedef struct row_span {
  uint32_t first, last;
  bool any;
} row_span;

typedef struct making {
  lk_contents *contents;
  const lk_group *group;
  uint32_t kept;       /* parts of the catalog that stay; those behind are merged */
  lk_gathering joined; /* the rows of the new part */
  row_span *spans;     /* of each part that stays */
} making;

/* How many parts of the catalog stay. */
static uint32_t count_kept(const lk_group *group) {
  const lk_catalog *catalog = group->catalog;
  uint64_t rows = group->rows_count;
  uint32_t kept = catalog->parts_count;
  for (; kept > 0 && rows > 0; kept--) {
    const lk_part *last = catalog->parts[kept - 1];
    if (last->file != 0 || last->living >= 2 * rows || last->living + rows > LK_SEGMENT_ROWS) break;
    rows += last->living;
  }
  return kept;
}

static void change_template(lk_template *t, const lk_row_change *change) {
  if (change->kind == LK_RECORD_EXPIRE) t->expires_ms = change->expires_ms;
  if (change->kind == LK_RECORD_TAG) t->tags = (t->tags & ~change->mask) | (change->tags & change->mask);
}

/* Of a row of a part whose rows were gathered from `first` on: where it is among them. NULL: it was deleted before. */
static lk_template *gathered(const making *m, uint32_t first, const lk_part *part, uint32_t row) {
  uint64_t number = part->segment.block.numbers[row];
  uint32_t low = first, high = m->joined.count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (m->joined.templates[middle].number < number)
      low = middle + 1;
    else
      high = middle;
  }
  return low < m->joined.count && m->joined.templates[low].number == number ? &m->joined.templates[low] : NULL;
}

/* Drops the rows from `first` on that the group deletes: their keys are empty. */
static void drop_deleted(lk_gathering *joined, uint32_t first) {
  uint32_t kept = first;
  for (uint32_t i = first; i < joined->count; i++) {
    if (joined->templates[i].key.length == 0) continue;
    joined->templates[kept] = joined->templates[i];
    joined->subjects[kept] = joined->subjects[i];
    joined->rows[kept++] = joined->rows[i];
  }
  joined->count = kept;
}

/* Takes the rows of a part in memory with what the group changes of them. */
static void take_part(making *m, uint32_t number) {
  const lk_part *part = m->group->catalog->parts[number];
  uint32_t first = m->joined.count;
  lk_gathering_add_part(&m->joined, part, 0);
  for (uint32_t i = 0; i < m->group->changes_count; i++) {
    const lk_row_change *change = &m->group->changes[i];
    lk_template *t = change->part == number ? gathered(m, first, part, change->row) : NULL;
    if (t == NULL) continue;
    if (change->kind == LK_RECORD_DELETE_KEY)
      t->key = (lk_text){0};
    else
      change_template(t, change);
  }
  drop_deleted(&m->joined, first);
}

/* *part: NULL if there are no rows. */
static lk_status make_part(making *m, lk_pool *pool, lk_part **part, lk_error *error) {
  const lk_group *group = m->group;
  char name[64];
  uint64_t most = group->rows_count;
  *part = NULL;
  for (uint32_t i = m->kept; i < group->catalog->parts_count; i++) most += group->catalog->parts[i]->living;
  lk_status status = lk_gathering_open(&m->joined, most, error);
  if (status != LK_OK) return status;
  for (uint32_t i = m->kept; i < group->catalog->parts_count; i++) take_part(m, i);
  for (uint32_t i = 0; i < group->rows_count; i++)
    if (!group->rows[i].deleted) lk_gathering_add(&m->joined, &group->rows[i].template, group->rows[i].stored);
  snprintf(name, sizeof name, "rows of the journal, up to epoch %" PRIu64, group->epoch);
  return lk_gathering_make(&m->joined, 0, m->joined.count, m->contents->shape, name, pool, part, error);
}

static lk_status make_catalog(const making *m, lk_part *part, lk_catalog **catalog, lk_error *error) {
  lk_part **parts = malloc((m->kept + 1) * sizeof *parts);
  if (parts == NULL) return lk_fail_memory(error);
  if (m->kept > 0) memcpy(parts, m->contents->catalog->parts, m->kept * sizeof *parts);
  parts[m->kept] = part;
  lk_status status = lk_catalog_make(parts, m->kept + (part != NULL), catalog, error);
  free(parts);
  return status;
}

/* ---- in place, while nobody searches ---- */

static row_span *find_spans(const making *m) {
  row_span *spans = calloc(m->kept + 1, sizeof *spans);
  for (uint32_t i = 0; spans != NULL && i < m->group->changes_count; i++) {
    const lk_row_change *change = &m->group->changes[i];
    if (change->part >= m->kept) continue;
    row_span *span = &spans[change->part];
    if (!span->any || change->row < span->first) span->first = change->row;
    if (!span->any || change->row > span->last) span->last = change->row;
    span->any = true;
  }
  return spans;
}

/* So that nothing fails once rows have begun to change. */
static lk_status reserve_changes(making *m, lk_error *error) {
  lk_status status = LK_OK;
  m->spans = find_spans(m);
  if (m->spans == NULL) return lk_fail_memory(error);
  for (uint32_t i = 0; status == LK_OK && i < m->group->changes_count; i++) {
    const lk_row_change *change = &m->group->changes[i];
    if (change->part < m->kept)
      status = lk_part_reserve(m->contents->catalog->parts[change->part], change->kind, error);
  }
  return status;
}

static void change_rows(const making *m) {
  for (uint32_t i = 0; i < m->group->changes_count; i++) {
    const lk_row_change *change = &m->group->changes[i];
    if (change->part >= m->kept) continue;
    lk_part *part = m->contents->catalog->parts[change->part];
    if (change->kind == LK_RECORD_DELETE_KEY) lk_part_kill(part, change->row, change->epoch);
    if (change->kind == LK_RECORD_EXPIRE) lk_part_expire(part, change->row, change->expires_ms);
    if (change->kind == LK_RECORD_TAG) lk_part_tag(part, change->row, change->tags, change->mask);
  }
}

static lk_status update_device(const making *m, lk_error *error) {
  lk_status status = LK_OK;
  for (uint32_t i = 0; status == LK_OK && i < m->kept; i++) {
    const lk_part *part = m->contents->catalog->parts[i];
    const row_span *span = &m->spans[i];
    if (!span->any || part->resident == NULL) continue;
    lk_visibility visibility = lk_part_visibility(part);
    status = lk_device_update_block(m->contents->device, part->resident, &visibility, span->first,
                                    span->last - span->first + 1, error);
  }
  return status;
}

static lk_status change_in_place(const making *m, lk_error *error) {
  lk_device *device = m->contents->device;
  if (m->group->changes_count == 0) return LK_OK;
  lk_status status = device != NULL ? lk_device_begin_changes(device, error) : LK_OK;
  if (status != LK_OK) return status;
  change_rows(m);
  if (device == NULL) return LK_OK;
  status = update_device(m, error);
  lk_device_end_changes(device);
  return status;
}

/* A small part is loaded here, so that its group waits for searches once; a large one was loaded before, as that takes
 * longer than a wait. */
static lk_status put_in_place(making *m, lk_part *part, lk_catalog **before, lk_error *error) {
  lk_contents *contents = m->contents;
  lk_catalog *catalog;
  lk_status status = part != NULL ? lk_contents_load_parts(contents, &part, 1, error) : LK_OK;
  if (status == LK_OK) status = make_catalog(m, part, &catalog, error);
  if (status != LK_OK) {
    if (part != NULL) lk_contents_drop(contents, part);
    return status;
  }
  status = change_in_place(m, &contents->failure);
  *before = lk_contents_replace(contents, catalog);
  contents->epoch = m->group->epoch;
  contents->log = m->group->log;
  if (m->group->next_number > contents->next_number) contents->next_number = m->group->next_number;
  return status == LK_OK ? LK_OK : lk_fail(error, status, "%s", contents->failure.text);
}

static lk_status apply(making *m, lk_pool *pool, lk_error *error) {
  lk_part *part;
  lk_catalog *before = NULL;
  lk_status status = make_part(m, pool, &part, error);
  if (status == LK_OK && part != NULL) status = lk_contents_number(m->contents, &part, 1, error);
  if (status == LK_OK) status = reserve_changes(m, error);
  if (status == LK_OK && m->joined.count > LARGE_ROWS) status = lk_contents_load_parts(m->contents, &part, 1, error);
  if (status == LK_OK) {
    pthread_rwlock_wrlock(&m->contents->lock);
    status = put_in_place(m, part, &before, error);
    pthread_rwlock_unlock(&m->contents->lock);
  }
  if (before != NULL) lk_contents_retire(m->contents, before);
  lk_part_release(part);
  return status;
}

lk_status lk_apply(lk_contents *contents, const lk_group *group, lk_pool *pool, lk_error *error) {
  making m = {.contents = contents, .group = group, .kept = count_kept(group)};
  lk_status status = apply(&m, pool, error);
  lk_gathering_free(&m.joined);
  free(m.spans);
  return status;
}
