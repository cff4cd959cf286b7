#include "index/catalog/adopt.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "index/catalog/gathering.h"
#include "index/catalog/subjects.h"

/* What is known of a row of the catalog, to the same row of a new part. */
static lk_status carry_row(const lk_part *from, uint32_t was, lk_part *to, uint32_t row, lk_error *error) {
  lk_template known = lk_part_template(from, was);
  if (from->subjects != NULL && to->subjects != NULL) to->subjects[row] = from->subjects[was];
  return lk_part_set(to, row, lk_part_died(from, was), known.expires_ms, known.tags, error);
}

/* A place among the catalog's rows in the order of their numbers. */
typedef struct cursor {
  const lk_catalog *catalog;
  uint32_t part, position;
} cursor;

/* Moves on to the first row with at least this number; false if there is none. */
static bool move_to(cursor *c, uint64_t number, uint64_t *found) {
  for (; c->part < c->catalog->parts_count; c->part++, c->position = 0) {
    const lk_segment *segment = &c->catalog->parts[c->part]->segment;
    uint32_t last = segment->block.rows - 1;
    if (segment->block.numbers[lk_segment_row_at(segment, last)] < number) continue;
    while ((*found = segment->block.numbers[lk_segment_row_at(segment, c->position)]) < number) c->position++;
    return true;
  }
  return false;
}

/* A row that the catalog had and has no more was deleted, and dropped when parts in memory were merged. */
static lk_status carry_part(const lk_contents *contents, lk_part *to, lk_error *error) {
  cursor c = {.catalog = contents->catalog};
  lk_status status = LK_OK;
  for (uint32_t position = 0; status == LK_OK && position < to->segment.block.rows; position++) {
    uint32_t row = lk_segment_row_at(&to->segment, position);
    uint64_t number = to->segment.block.numbers[row], found;
    lk_template written = lk_part_template(to, row);
    if (move_to(&c, number, &found) && found == number) {
      const lk_part *from = c.catalog->parts[c.part];
      status = carry_row(from, lk_segment_row_at(&from->segment, c.position), to, row, error);
    } else if (number < contents->next_number) {
      status = lk_part_set(to, row, contents->epoch, written.expires_ms, written.tags, error);
    }
  }
  return status;
}

static lk_status take_over(const lk_contents *contents, lk_part *part, lk_error *error) {
  lk_status status = contents->device != NULL ? lk_subjects_forget(part, error) : LK_OK;
  return status == LK_OK ? carry_part(contents, part, error) : status;
}

/* Rows in memory that are in no file yet become parts of LK_SEGMENT_ROWS each, behind the `count` that are there. */
static lk_status make_rest(const lk_contents *contents, const lk_gathering *rest, lk_pool *pool, lk_part **parts,
                           uint32_t *count, lk_error *error) {
  lk_status status = LK_OK;
  for (uint32_t first = 0; status == LK_OK && first < rest->count; first += LK_SEGMENT_ROWS) {
    uint32_t left = rest->count - first, rows = left < LK_SEGMENT_ROWS ? left : LK_SEGMENT_ROWS;
    status = lk_gathering_make(rest, first, rows, contents->shape, "rows of the journal", pool, &parts[*count], error);
    *count += status == LK_OK;
  }
  return status;
}

static lk_status gather_rest(const lk_contents *contents, uint64_t first_number, lk_gathering *rest, lk_error *error) {
  const lk_catalog *catalog = contents->catalog;
  uint64_t most = 0;
  for (uint32_t i = 0; i < catalog->parts_count; i++)
    if (catalog->parts[i]->file == 0) most += catalog->parts[i]->segment.block.rows;
  lk_status status = lk_gathering_open(rest, most, error);
  for (uint32_t i = 0; status == LK_OK && i < catalog->parts_count; i++)
    if (catalog->parts[i]->file == 0) lk_gathering_add_part(rest, catalog->parts[i], first_number);
  return status;
}

static void put_in_place(lk_contents *contents, lk_catalog *catalog, uint64_t first_number) {
  pthread_rwlock_wrlock(&contents->lock);
  lk_catalog *before = lk_contents_replace(contents, catalog);
  contents->filed_number = first_number;
  pthread_rwlock_unlock(&contents->lock);
  lk_contents_retire(contents, before);
}

static lk_status adopt(lk_contents *contents, lk_part *const *parts, uint32_t count, uint64_t first_number,
                       lk_error *error) {
  lk_catalog *catalog;
  lk_status status = lk_contents_number(contents, parts, count, error);
  if (status == LK_OK) status = lk_contents_load_parts(contents, parts, count, error);
  if (status == LK_OK) status = lk_catalog_make(parts, count, &catalog, error);
  if (status == LK_OK) {
    put_in_place(contents, catalog, first_number);
    return LK_OK;
  }
  for (uint32_t i = 0; i < count; i++)
    if (!lk_catalog_has(contents->catalog, parts[i])) lk_contents_drop(contents, parts[i]);
  return status;
}

static lk_status adopt_all(lk_contents *contents, lk_part *const *files, uint32_t files_count, uint64_t first_number,
                           const lk_gathering *rest, lk_pool *pool, lk_error *error) {
  lk_part **parts = malloc((files_count + rest->count / LK_SEGMENT_ROWS + 1) * sizeof *parts);
  uint32_t count = files_count;
  if (parts == NULL) return lk_fail_memory(error);
  if (files_count > 0) memcpy(parts, files, files_count * sizeof *parts);
  lk_status status = make_rest(contents, rest, pool, parts, &count, error);
  for (uint32_t i = 0; status == LK_OK && i < files_count; i++)
    if (!lk_catalog_has(contents->catalog, files[i])) status = take_over(contents, files[i], error);
  if (status == LK_OK) status = adopt(contents, parts, count, first_number, error);
  for (uint32_t i = files_count; i < count; i++) lk_part_release(parts[i]);
  free(parts);
  return status;
}

lk_status lk_adopt(lk_contents *contents, lk_part *const *files, uint32_t files_count, uint64_t first_number,
                   lk_pool *pool, lk_error *error) {
  lk_gathering rest = {0};
  lk_status status = gather_rest(contents, first_number, &rest, error);
  if (status == LK_OK) status = adopt_all(contents, files, files_count, first_number, &rest, pool, error);
  lk_gathering_free(&rest);
  return status;
}
