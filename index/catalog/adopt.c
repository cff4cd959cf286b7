#include "index/catalog/adopt.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "index/catalog/gathering.h"

static uint64_t number_at(const lk_part *part, uint32_t position) {
  return part->segment.block.numbers[lk_segment_row_at(&part->segment, position)];
}

static bool find_in_part(const lk_part *part, uint64_t number, uint32_t *row) {
  uint32_t low = 0, high = part->segment.block.rows;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (number_at(part, middle) < number)
      low = middle + 1;
    else
      high = middle;
  }
  if (low == part->segment.block.rows) return false;
  *row = lk_segment_row_at(&part->segment, low);
  return part->segment.block.numbers[*row] == number;
}

bool lk_catalog_find_number(const lk_catalog *catalog, uint64_t number, uint32_t *part, uint32_t *row) {
  uint32_t low = 0, high = catalog->parts_count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (number_at(catalog->parts[middle], 0) <= number)
      low = middle + 1;
    else
      high = middle;
  }
  if (low == 0) return false;
  *part = low - 1;
  return find_in_part(catalog->parts[low - 1], number, row);
}

/* What is known of a row of the catalog, to the same row of a new part. */
static lk_status carry_row(const lk_part *from, uint32_t was, lk_part *to, uint32_t row, lk_error *error) {
  lk_template known = lk_part_template(from, was), written = lk_part_template(to, row);
  lk_status status = LK_OK;
  if (!lk_part_lives(from, was)) {
    status = lk_part_reserve(to, LK_RECORD_DELETE_KEY, error);
    if (status == LK_OK) lk_part_kill(to, row, lk_part_died(from, was));
  }
  if (status == LK_OK && known.expires_ms != written.expires_ms) {
    status = lk_part_reserve(to, LK_RECORD_EXPIRE, error);
    if (status == LK_OK) lk_part_expire(to, row, known.expires_ms);
  }
  if (status == LK_OK && known.tags != written.tags) {
    status = lk_part_reserve(to, LK_RECORD_TAG, error);
    if (status == LK_OK) lk_part_tag(to, row, known.tags, UINT64_MAX);
  }
  return status;
}

/* A row that the catalog had and has no more was deleted, and dropped when parts in memory were merged. */
static lk_status carry_part(const lk_contents *contents, lk_part *to, lk_error *error) {
  const lk_catalog *catalog = contents->catalog;
  lk_status status = LK_OK;
  for (uint32_t r = 0, part, row; status == LK_OK && r < to->segment.block.rows; r++) {
    uint64_t number = to->segment.block.numbers[r];
    if (lk_catalog_find_number(catalog, number, &part, &row)) {
      status = carry_row(catalog->parts[part], row, to, r, error);
    } else if (number < contents->next_number) {
      status = lk_part_reserve(to, LK_RECORD_DELETE_KEY, error);
      if (status == LK_OK) lk_part_kill(to, r, contents->epoch);
    }
  }
  return status;
}

/* The rows in memory that are in no file yet. */
static lk_status gather_rest(const lk_contents *contents, uint64_t first_number, lk_pool *pool, lk_part **rest,
                             lk_error *error) {
  const lk_catalog *catalog = contents->catalog;
  lk_gathering gathering;
  uint64_t most = 0;
  for (uint32_t i = 0; i < catalog->parts_count; i++)
    if (catalog->parts[i]->file == 0) most += catalog->parts[i]->segment.block.rows;
  lk_status status = lk_gathering_open(&gathering, most, error);
  if (status != LK_OK) return status;
  for (uint32_t i = 0; i < catalog->parts_count; i++)
    if (catalog->parts[i]->file == 0)
      lk_gathering_add_part(&gathering, catalog->parts[i], first_number);
  status = lk_gathering_make(&gathering, contents->shape, "rows of the journal", pool, rest, error);
  lk_gathering_free(&gathering);
  return status;
}

static void put_in_place(lk_contents *contents, lk_catalog *catalog) {
  pthread_rwlock_wrlock(&contents->lock);
  lk_contents_replace(contents, catalog);
  pthread_rwlock_unlock(&contents->lock);
}

static lk_status adopt(lk_contents *contents, lk_part *const *parts, uint32_t count, lk_error *error) {
  lk_catalog *catalog;
  lk_status status = lk_contents_number(contents, parts, count, error);
  if (status == LK_OK) status = lk_contents_load_parts(contents, parts, count, error);
  if (status == LK_OK) status = lk_catalog_make(parts, count, &catalog, error);
  if (status == LK_OK) {
    put_in_place(contents, catalog);
    return LK_OK;
  }
  for (uint32_t i = 0; i < count; i++)
    if (!lk_catalog_has(contents->catalog, parts[i])) lk_contents_drop(contents, parts[i]);
  return status;
}

lk_status lk_adopt(lk_contents *contents, lk_part *const *files, uint32_t files_count, uint64_t first_number,
                   lk_pool *pool, lk_error *error) {
  lk_part *rest = NULL, **parts = malloc((files_count + 1) * sizeof *parts);
  if (parts == NULL) return lk_fail_memory(error);
  lk_status status = gather_rest(contents, first_number, pool, &rest, error);
  for (uint32_t i = 0; status == LK_OK && i < files_count; i++)
    if (!lk_catalog_has(contents->catalog, files[i])) status = carry_part(contents, files[i], error);
  if (status == LK_OK) {
    if (files_count > 0) memcpy(parts, files, files_count * sizeof *parts);
    parts[files_count] = rest;
    status = adopt(contents, parts, files_count + (rest != NULL), error);
  }
  lk_part_release(rest);
  free(parts);
  return status;
}
