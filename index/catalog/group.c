#include "index/catalog/group.h"

#include <fenv.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/text.h"
#include "index/formats/vector.h"
#include "index/journal/log_note.h"

#define MOST_ROWS LK_SEGMENT_ROWS /* they become one part */

void lk_group_begin(lk_group *group, lk_shape shape, const lk_catalog *catalog) {
  *group = (lk_group){.shape = shape, .catalog = catalog};
}

void lk_group_free(lk_group *group) {
  lk_arena_free(&group->arena);
  lk_buffer_free(&group->rows_buffer);
  lk_buffer_free(&group->changes_buffer);
  lk_buffer_free(&group->said_buffer);
  free(group->by_key.heads);
  free(group->by_key.next);
  free(group->by_subject.heads);
  free(group->by_subject.next);
  *group = (lk_group){0};
}

/* ---- rows that are new, by their texts ---- */

static void link_row(lk_row_chains *chains, uint32_t row, lk_text text) {
  uint32_t *head = &chains->heads[lk_text_hash(text) & (chains->size - 1)];
  chains->next[row] = *head;
  *head = row + 1;
}

static bool resize_chains(lk_row_chains *chains, uint32_t room) {
  uint32_t *next = realloc(chains->next, room * sizeof *next);
  if (next != NULL) chains->next = next;
  uint32_t *heads = next != NULL ? realloc(chains->heads, room * sizeof *heads) : NULL;
  if (heads == NULL) return false;
  memset(heads, 0, room * sizeof *heads);
  chains->heads = heads;
  chains->size = room;
  return true;
}

/* Makes room for one row more; chains are made anew when they grow. */
static bool have_room(lk_group *group) {
  if (group->rows_count < group->rows_room) return true;
  uint32_t room = group->rows_room > 0 ? 2 * group->rows_room : 64;
  lk_fresh_row *rows = lk_buffer_grow(&group->rows_buffer, room, sizeof *rows);
  if (rows == NULL) return false;
  group->rows = rows;
  if (!resize_chains(&group->by_key, room) || !resize_chains(&group->by_subject, room)) return false;
  group->rows_room = room;
  for (uint32_t r = 0; r < group->rows_count; r++) {
    link_row(&group->by_key, r, rows[r].template.key);
    link_row(&group->by_subject, r, rows[r].template.subject);
  }
  return true;
}

static uint32_t first_of(const lk_row_chains *chains, lk_text text) {
  return chains->size == 0 ? 0 : chains->heads[lk_text_hash(text) & (chains->size - 1)];
}

/* The new row with this key that lives; NULL: there is none. */
static lk_fresh_row *fresh_of_key(const lk_group *group, lk_text key) {
  for (uint32_t at = first_of(&group->by_key, key); at != 0; at = group->by_key.next[at - 1]) {
    lk_fresh_row *row = &group->rows[at - 1];
    if (!row->deleted && lk_text_equal(row->template.key, key)) return row;
  }
  return NULL;
}

/* ---- what was said of rows of the catalog ---- */

static uint64_t id_of(uint32_t part, uint32_t row) { return ((uint64_t)part << 32 | row) + 1; }

/* Where the row is in the table, or where it would be. */
static lk_row_said *slot_of(const lk_group *group, uint64_t id) {
  lk_row_said *slots = group->said_buffer.data;
  uint64_t mask = group->said_buffer.size / sizeof *slots - 1;
  uint64_t at = id * UINT64_C(0x9e3779b97f4a7c15) >> 32 & mask;
  while (slots[at].id != 0 && slots[at].id != id) at = (at + 1) & mask;
  return &slots[at];
}

static lk_row_said said_of(const lk_group *group, uint32_t part, uint32_t row) {
  return group->said_count > 0 ? *slot_of(group, id_of(part, row)) : (lk_row_said){0};
}

static bool is_deleted(const lk_group *group, uint32_t part, uint32_t row) { return said_of(group, part, row).deleted; }

static lk_template template_of(const lk_group *group, uint32_t part, uint32_t row) {
  lk_template t = lk_part_template(group->catalog->parts[part], row);
  uint64_t said_ms = said_of(group, part, row).expires_ms;
  if (said_ms != 0) t.expires_ms = said_ms;
  return t;
}

static bool grow_said(lk_group *group) {
  lk_buffer before = group->said_buffer;
  lk_row_said *old = before.data;
  size_t size = before.size / sizeof *old;
  if (2 * ((size_t)group->said_count + 1) <= size) return true;
  size_t larger = size > 0 ? 2 * size : 64;
  lk_row_said *slots = calloc(larger, sizeof *slots);
  if (slots == NULL) return false;
  group->said_buffer = (lk_buffer){.data = slots, .size = larger * sizeof *slots};
  for (size_t i = 0; i < size; i++)
    if (old[i].id != 0) *slot_of(group, old[i].id) = old[i];
  lk_buffer_free(&before);
  return true;
}

static void say(lk_group *group, const lk_row_change *change) {
  uint64_t id = id_of(change->part, change->row);
  lk_row_said *said = slot_of(group, id);
  group->said_count += said->id == 0;
  said->id = id;
  if (change->kind == LK_RECORD_EXPIRE) said->expires_ms = change->expires_ms;
  if (change->kind != LK_RECORD_DELETE_KEY) return;
  said->deleted = true;
  group->deleted_count++;
}

static lk_status add_change(lk_group *group, const lk_row_change *change, lk_error *error) {
  lk_row_change *changes = lk_buffer_grow(&group->changes_buffer, (size_t)group->changes_count + 1, sizeof *changes);
  if (changes == NULL) return lk_fail_memory(error);
  group->changes = changes;
  if (change->kind != LK_RECORD_TAG) {
    if (!grow_said(group)) return lk_fail_memory(error);
    say(group, change);
  }
  changes[group->changes_count++] = *change;
  return LK_OK;
}

static bool find_in_catalog(const lk_group *group, lk_text key, uint32_t *part, uint32_t *row) {
  return lk_catalog_find_key(group->catalog, key, part, row) && !is_deleted(group, *part, *row);
}

/* ---- changes ---- */

static bool copy_text(lk_group *group, lk_text *text) {
  if (text->length == 0) {
    *text = (lk_text){0};
    return true;
  }
  text->bytes = lk_arena_copy(&group->arena, text->bytes, text->length);
  return text->bytes != NULL;
}

/* The row's bytes as a segment stores them. The record was checked, so its vector can be a row; of one in a file that
 * has changed since, what it holds now is stored, and fails as a row of the new segment. */
static void *store_vector(lk_group *group, const lk_record *record) {
  uint32_t dim = group->shape.dim;
  lk_vectors one = {.name = "", .data = record->vector, .rows = 1, .dim = dim, .element = record->element};
  float prepared[LK_DIM_MAX];
  void *stored = lk_arena_take(&group->arena, (size_t)dim * lk_store_bytes(group->shape.store));
  if (stored == NULL) return NULL;
  fenv_t callers;
  fegetenv(&callers);
  fesetenv(FE_DFL_ENV);
  lk_vector_prepare(group->shape.metric, &one, 0, prepared);
  lk_vector_round(group->shape.metric, group->shape.store, prepared, dim);
  fesetenv(&callers);
  if (group->shape.store == LK_STORE_F32) {
    memcpy(stored, prepared, dim * sizeof *prepared);
  } else {
    uint16_t *halves = stored;
    for (uint32_t i = 0; i < dim; i++) halves[i] = lk_half_from_float(prepared[i]);
  }
  return stored;
}

static lk_status add_row(lk_group *group, const lk_record *record, lk_error *error) {
  lk_fresh_row row = {.template = {.number = record->number,
                                   .key = record->key,
                                   .subject = record->subject,
                                   .group = record->group,
                                   .tags = record->tags,
                                   .version = record->version,
                                   .expires_ms = record->expires_ms,
                                   .metadata = {.bytes = record->metadata, .length = record->metadata_bytes}}};
  if (group->rows_count == MOST_ROWS) return lk_fail(error, LK_EINVAL, "more than %u rows at once", MOST_ROWS);
  row.stored = store_vector(group, record);
  if (row.stored == NULL || !have_room(group) || !copy_text(group, &row.template.key) ||
      !copy_text(group, &row.template.subject) || !copy_text(group, &row.template.group) ||
      !copy_text(group, &row.template.metadata))
    return lk_fail_memory(error);
  group->rows[group->rows_count] = row;
  link_row(&group->by_key, group->rows_count, row.template.key);
  link_row(&group->by_subject, group->rows_count, row.template.subject);
  group->rows_count++;
  if (record->number >= group->next_number) group->next_number = record->number + 1;
  return LK_OK;
}

static void change_fresh(lk_fresh_row *row, const lk_record *record) {
  if (record->kind == LK_RECORD_DELETE_KEY) row->deleted = true;
  if (record->kind == LK_RECORD_EXPIRE) row->template.expires_ms = record->expires_ms;
  if (record->kind == LK_RECORD_TAG)
    row->template.tags = (row->template.tags & ~record->mask) | (record->tags & record->mask);
}

static lk_status change_key(lk_group *group, uint64_t epoch, const lk_record *record, lk_error *error) {
  lk_row_change change = {.kind = record->kind,
                          .epoch = epoch,
                          .tags = record->tags,
                          .mask = record->mask,
                          .expires_ms = record->expires_ms};
  lk_fresh_row *fresh = fresh_of_key(group, record->key);
  if (fresh != NULL)
    change_fresh(fresh, record);
  else if (find_in_catalog(group, record->key, &change.part, &change.row))
    return add_change(group, &change, error);
  return LK_OK;
}

struct deletion {
  lk_group *group;
  uint64_t epoch;
  lk_status status;
  lk_error *error;
};

static void delete_row(void *context, uint32_t part, uint32_t row) {
  struct deletion *d = context;
  if (d->status != LK_OK || is_deleted(d->group, part, row)) return;
  lk_row_change change = {.kind = LK_RECORD_DELETE_KEY, .part = part, .row = row, .epoch = d->epoch};
  d->status = add_change(d->group, &change, d->error);
}

static lk_status delete_subject(lk_group *group, uint64_t epoch, lk_text subject, lk_error *error) {
  struct deletion d = {.group = group, .epoch = epoch, .error = error};
  for (uint32_t at = first_of(&group->by_subject, subject); at != 0; at = group->by_subject.next[at - 1]) {
    lk_fresh_row *row = &group->rows[at - 1];
    if (lk_text_equal(row->template.subject, subject)) row->deleted = true;
  }
  lk_catalog_each_of_subject(group->catalog, subject, delete_row, &d);
  return d.status;
}

static lk_status take_mark(lk_group *group, const lk_record *record, lk_error *error) {
  lk_log_note note;
  lk_status status = lk_log_note_decode(record->note, record->note_bytes, &note, error);
  if (status == LK_OK) group->log = note.mark;
  return status;
}

lk_status lk_group_add(lk_group *group, uint64_t epoch, const lk_record *record, lk_error *error) {
  lk_status status = LK_OK;
  group->epoch = epoch;
  if (record->kind == LK_RECORD_ENROLL) {
    status = add_row(group, record, error);
  } else if (record->kind == LK_RECORD_DELETE_SUBJECT) {
    status = delete_subject(group, epoch, record->subject, error);
  } else if (record->kind == LK_RECORD_LOG) {
    status = take_mark(group, record, error);
  } else if (record->kind != LK_RECORD_SEAL) {
    status = change_key(group, epoch, record, error);
  }
  return status;
}

bool lk_group_find_key(const lk_group *group, lk_text key, lk_template *found) {
  const lk_fresh_row *fresh = fresh_of_key(group, key);
  uint32_t part, row;
  if (fresh != NULL)
    *found = fresh->template;
  else if (find_in_catalog(group, key, &part, &row))
    *found = template_of(group, part, row);
  else
    return false;
  return true;
}

struct counting {
  const lk_group *group;
  uint64_t now_ms, living;
};

static void count_row(void *context, uint32_t part, uint32_t row) {
  struct counting *c = context;
  c->living += !is_deleted(c->group, part, row) && template_of(c->group, part, row).expires_ms > c->now_ms;
}

uint64_t lk_group_count_subject(const lk_group *group, lk_text subject, uint64_t now_ms) {
  struct counting c = {.group = group, .now_ms = now_ms};
  for (uint32_t at = first_of(&group->by_subject, subject); at != 0; at = group->by_subject.next[at - 1]) {
    const lk_fresh_row *row = &group->rows[at - 1];
    c.living += !row->deleted && row->template.expires_ms > now_ms && lk_text_equal(row->template.subject, subject);
  }
  lk_catalog_each_of_subject(group->catalog, subject, count_row, &c);
  return c.living;
}
