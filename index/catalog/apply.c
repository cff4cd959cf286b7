#include "index/catalog/apply.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "kernels/search/device.h"

/* The rows of a part that is being made, in the order of their numbers. */
typedef struct making {
  lk_contents *contents;
  const lk_group *group;
  uint32_t kept; /* parts of the catalog that stay; those behind are merged */
  lk_template *templates;
  const void **rows;
  const char **faults;
  uint32_t count;
} making;

/* How many parts of the catalog stay. */
static uint32_t count_kept(const lk_group *group) {
  const lk_catalog *catalog = group->catalog;
  uint64_t rows = group->rows_count;
  uint32_t kept = catalog->parts_count;
  for (; kept > 0 && rows > 0; kept--) {
    const lk_part *last = catalog->parts[kept - 1];
    if (!lk_part_is_in_memory(last) || last->living >= 2 * rows || last->living + rows > LK_SEGMENT_ROWS) break;
    rows += last->living;
  }
  return kept;
}

static void change_template(lk_template *t, const lk_row_change *change) {
  if (change->kind == LK_RECORD_EXPIRE) t->expires_ms = change->expires_ms;
  if (change->kind == LK_RECORD_TAG) t->tags = (t->tags & ~change->mask) | (change->tags & change->mask);
}

/* Takes the living rows of a part in memory with what the group changes of them. `at`: of each row its place among
 * those that are made; UINT32_MAX: it is dropped. */
static void take_part(making *m, uint32_t number, uint32_t *at) {
  const lk_part *part = m->contents->catalog->parts[number];
  size_t row_bytes = m->contents->shape.dim * lk_store_bytes(m->contents->shape.store);
  uint32_t rows = part->segment.block.rows;
  for (uint32_t r = 0; r < rows; r++) at[r] = lk_part_lives(part, r) ? 0 : UINT32_MAX;
  for (uint32_t i = 0; i < m->group->changes_count; i++) {
    const lk_row_change *change = &m->group->changes[i];
    if (change->part == number && change->kind == LK_RECORD_DELETE_KEY) at[change->row] = UINT32_MAX;
  }
  for (uint32_t position = 0; position < rows; position++) {
    uint32_t row = lk_segment_row_at(&part->segment, position);
    if (at[row] == UINT32_MAX) continue;
    m->templates[m->count] = lk_part_template(part, row);
    m->rows[m->count] = (const char *)part->segment.block.exact + row * row_bytes;
    at[row] = m->count++;
  }
  for (uint32_t i = 0; i < m->group->changes_count; i++) {
    const lk_row_change *change = &m->group->changes[i];
    if (change->part == number && at[change->row] != UINT32_MAX) change_template(&m->templates[at[change->row]], change);
  }
}

static void take_fresh(making *m) {
  for (uint32_t i = 0; i < m->group->rows_count; i++) {
    const lk_fresh_row *row = &m->group->rows[i];
    if (row->deleted) continue;
    m->templates[m->count] = row->template;
    m->rows[m->count++] = row->stored;
  }
}

/* False: out of memory. */
static bool take_rows(making *m) {
  const lk_catalog *catalog = m->group->catalog;
  uint64_t most = m->group->rows_count, largest = 0;
  for (uint32_t i = m->kept; i < catalog->parts_count; i++) {
    uint32_t rows = catalog->parts[i]->segment.block.rows;
    most += rows;
    if (rows > largest) largest = rows;
  }
  uint32_t *at = malloc((largest + 1) * sizeof *at);
  m->templates = malloc((most + 1) * sizeof *m->templates);
  m->rows = malloc((most + 1) * sizeof *m->rows);
  m->faults = malloc((most + 1) * sizeof *m->faults);
  bool taken = at != NULL && m->templates != NULL && m->rows != NULL && m->faults != NULL;
  for (uint32_t i = m->kept; taken && i < catalog->parts_count; i++) take_part(m, i, at);
  if (taken) take_fresh(m);
  free(at);
  return taken;
}

/* *part: NULL if there are no rows. */
static lk_status make_part(making *m, lk_pool *pool, lk_part **part, lk_error *error) {
  lk_shape shape = m->contents->shape;
  char name[64];
  lk_segment segment;
  *part = NULL;
  if (!take_rows(m)) return lk_fail_memory(error);
  if (m->count == 0) return LK_OK;
  snprintf(name, sizeof name, "rows of the journal, up to epoch %" PRIu64, m->group->epoch);
  lk_segment_content content = {
      .metric = shape.metric,
      .store = shape.store,
      .vectors = {.name = name,
                  .rows = m->count,
                  .dim = shape.dim,
                  .element = shape.store == LK_STORE_F16 ? LK_F16 : LK_F32},
      .scattered = m->rows,
      .rows = m->count,
      .templates = m->templates,
      .faults = m->faults,
  };
  lk_status status = lk_segment_make(&content, name, pool, &segment, error);
  if (status == LK_EBADPROBE) return lk_fail(error, LK_ECORRUPT, "%s: a row was changed in memory", name);
  if (status == LK_OK) status = lk_part_open(&segment, part, error);
  return status;
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

/* So that nothing fails once rows have begun to change. */
static lk_status reserve_changes(const making *m, lk_error *error) {
  lk_status status = LK_OK;
  for (uint32_t i = 0; status == LK_OK && i < m->group->changes_count; i++) {
    const lk_row_change *change = &m->group->changes[i];
    if (change->part < m->kept) status = lk_part_reserve(m->contents->catalog->parts[change->part], change->kind, error);
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

/* Tells the device of each part's rows that have changed. */
static lk_status update_part(const making *m, uint32_t number, lk_error *error) {
  lk_part *part = m->contents->catalog->parts[number];
  uint32_t first = UINT32_MAX, last = 0;
  for (uint32_t i = 0; i < m->group->changes_count; i++) {
    const lk_row_change *change = &m->group->changes[i];
    if (change->part != number) continue;
    if (change->row < first) first = change->row;
    if (change->row > last) last = change->row;
  }
  if (first > last || part->resident == NULL) return LK_OK;
  lk_visibility visibility = lk_part_visibility(part);
  return lk_device_update_block(m->contents->device, part->resident, &visibility, first, last - first + 1, error);
}

static lk_status update_device(const making *m, lk_error *error) {
  lk_status status = LK_OK;
  for (uint32_t i = 0; status == LK_OK && m->group->changes_count > 0 && i < m->kept; i++)
    status = update_part(m, i, error);
  return status;
}

static lk_status put_in_place(making *m, lk_catalog *catalog, lk_error *error) {
  lk_contents *contents = m->contents;
  lk_error why;
  pthread_rwlock_wrlock(&contents->lock);
  change_rows(m);
  lk_status status = update_device(m, &why);
  lk_contents_replace(contents, catalog);
  contents->epoch = m->group->epoch;
  if (m->group->next_number > contents->next_number) contents->next_number = m->group->next_number;
  if (status != LK_OK) contents->failure = why;
  pthread_rwlock_unlock(&contents->lock);
  return status == LK_OK ? LK_OK : lk_fail(error, status, "%s", why.text);
}

static lk_status apply(making *m, lk_pool *pool, lk_error *error) {
  lk_part *part;
  lk_catalog *catalog;
  lk_status status = make_part(m, pool, &part, error);
  if (status != LK_OK) return status;
  if (part != NULL) status = lk_contents_prepare(m->contents, part, error);
  if (status == LK_OK) status = reserve_changes(m, error);
  if (status == LK_OK) status = make_catalog(m, part, &catalog, error);
  if (status == LK_OK)
    status = put_in_place(m, catalog, error);
  else if (part != NULL)
    lk_contents_drop(m->contents, part);
  lk_part_release(part);
  return status;
}

lk_status lk_apply(lk_contents *contents, const lk_group *group, lk_pool *pool, lk_error *error) {
  making m = {.contents = contents, .group = group, .kept = count_kept(group)};
  lk_status status = apply(&m, pool, error);
  free(m.templates);
  free(m.rows);
  free(m.faults);
  return status;
}
