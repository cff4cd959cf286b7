#include "index/catalog/catalog.h"

#include <stdlib.h>

#include "base/fail.h"
#include "kernels/begins.h"

lk_status lk_catalog_make(lk_part *const *parts, uint32_t count, lk_catalog **catalog, lk_error *error) {
  lk_catalog *made = calloc(1, sizeof *made);
  if (made == NULL) return lk_fail_memory(error);
  atomic_init(&made->references, 1);
  made->parts = calloc(count + 1, sizeof *made->parts);
  made->residents = calloc(count + 1, sizeof *made->residents);
  made->first_row = calloc(count + 1, sizeof *made->first_row);
  if (made->parts == NULL || made->residents == NULL || made->first_row == NULL) {
    lk_catalog_release(made);
    return lk_fail_memory(error);
  }
  for (uint32_t i = 0; i < count; i++) {
    atomic_fetch_add(&parts[i]->references, 1);
    made->parts[i] = parts[i];
    made->residents[i] = parts[i]->resident;
    made->first_row[i] = (uint32_t)made->rows;
    made->rows += parts[i]->segment.block.rows;
    made->bytes += parts[i]->segment.file.size;
    made->parts_count++;
  }
  *catalog = made;
  return LK_OK;
}

lk_catalog *lk_catalog_hold(lk_catalog *catalog) {
  atomic_fetch_add(&catalog->references, 1);
  return catalog;
}

void lk_catalog_release(lk_catalog *catalog) {
  if (catalog == NULL || atomic_fetch_sub(&catalog->references, 1) > 1) return;
  for (uint32_t i = 0; i < catalog->parts_count; i++) lk_part_release(catalog->parts[i]);
  free(catalog->parts);
  free(catalog->residents);
  free(catalog->first_row);
  free(catalog);
}

bool lk_catalog_has(const lk_catalog *catalog, const lk_part *part) {
  for (uint32_t i = 0; i < catalog->parts_count; i++)
    if (catalog->parts[i] == part) return true;
  return false;
}

const lk_part *lk_catalog_part_at(const lk_catalog *catalog, uint64_t row, uint32_t *inside) {
  uint32_t at = lk_last_begin(catalog->first_row, sizeof *catalog->first_row, catalog->parts_count, (uint32_t)row);
  *inside = (uint32_t)(row - catalog->first_row[at]);
  return catalog->parts[at];
}

uint64_t lk_catalog_living(const lk_catalog *catalog) {
  uint64_t living = 0;
  for (uint32_t i = 0; i < catalog->parts_count; i++) living += catalog->parts[i]->living;
  return living;
}

lk_status lk_catalog_check_files(const lk_catalog *catalog, lk_error *error) {
  lk_status status = LK_OK;
  for (uint32_t i = 0; status == LK_OK && i < catalog->parts_count; i++)
    status = lk_file_check(&catalog->parts[i]->segment.file, catalog->parts[i]->segment.path, error);
  return status;
}

lk_template lk_catalog_template(const lk_catalog *catalog, uint64_t row) {
  uint32_t inside;
  const lk_part *part = lk_catalog_part_at(catalog, row, &inside);
  return lk_part_template(part, inside);
}

/* How many parts begin at or before a number: they are in the order of their rows' numbers. */
static uint32_t count_parts_before(const lk_catalog *catalog, uint64_t number) {
  uint32_t low = 0, high = catalog->parts_count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    const lk_segment *segment = &catalog->parts[middle]->segment;
    if (segment->block.numbers[lk_segment_row_at(segment, 0)] <= number)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

bool lk_catalog_find_number(const lk_catalog *catalog, uint64_t number, uint32_t *part, uint32_t *row) {
  uint32_t before = count_parts_before(catalog, number);
  if (before == 0) return false;
  *part = before - 1;
  return lk_segment_find_number(&catalog->parts[*part]->segment, number, row);
}

void lk_catalog_place_from(const lk_catalog *catalog, uint64_t number, uint32_t *part, uint32_t *place) {
  uint32_t before = count_parts_before(catalog, number);
  *part = before > 0 ? before - 1 : 0;
  *place = before > 0 ? lk_segment_place_from(&catalog->parts[*part]->segment, number) : 0;
  if (before > 0 && *place == catalog->parts[*part]->segment.block.rows) ++*part, *place = 0;
}

struct finding {
  const lk_catalog *catalog;
  bool found;
  uint32_t part, row;
};

static void take_living(void *context, uint32_t part, uint32_t row) {
  struct finding *f = context;
  if (f->found || !lk_part_lives(f->catalog->parts[part], row)) return;
  f->found = true;
  f->part = part;
  f->row = row;
}

bool lk_catalog_find_key(const lk_catalog *catalog, lk_text key, uint32_t *part, uint32_t *row) {
  struct finding f = {.catalog = catalog};
  for (uint32_t i = catalog->parts_count; !f.found && i-- > 0;)
    lk_segment_each_of_key(&catalog->parts[i]->segment, key, i, take_living, &f);
  *part = f.part;
  *row = f.row;
  return f.found;
}

struct living {
  const lk_catalog *catalog;
  lk_each_row *each;
  void *context;
};

static void pass_living(void *context, uint32_t part, uint32_t row) {
  struct living *l = context;
  if (lk_part_lives(l->catalog->parts[part], row)) l->each(l->context, part, row);
}

void lk_catalog_each_of_subject(const lk_catalog *catalog, lk_text subject, lk_each_row *each, void *context) {
  struct living living = {.catalog = catalog, .each = each, .context = context};
  for (uint32_t i = 0; i < catalog->parts_count; i++)
    lk_segment_each_of_subject(&catalog->parts[i]->segment, subject, i, pass_living, &living);
}
