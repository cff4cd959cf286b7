#include "index/catalog/subjects.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/text.h"

/* An open-addressing hash table with one row for each subject seen so far. */
typedef struct table {
  uint32_t *rows; /* row + 1; 0: empty */
  uint64_t mask;
} table;

static bool open_table(table *t, uint64_t rows) {
  uint64_t size = 16;
  while (size < 2 * rows) size *= 2;
  t->mask = size - 1;
  t->rows = calloc(size, sizeof *t->rows);
  return t->rows != NULL;
}

/* The first row of this subject: one seen before, or `row` itself. */
static uint32_t representative(table *t, const lk_catalog *catalog, uint32_t row, lk_text subject) {
  uint64_t at = lk_text_hash(subject) & t->mask;
  for (; t->rows[at] != 0; at = (at + 1) & t->mask)
    if (lk_text_equal(lk_catalog_template(catalog, t->rows[at] - 1).subject, subject)) return t->rows[at] - 1;
  t->rows[at] = row + 1;
  return row;
}

/* Numbers the rows, or only those that were not deleted. */
static lk_status number(const lk_catalog *catalog, bool living_only, uint32_t *numbers, uint32_t *count,
                        lk_error *error) {
  table t;
  if (!open_table(&t, catalog->rows)) return lk_fail_memory(error);
  *count = 0;
  uint32_t row = 0;
  for (uint32_t i = 0; i < catalog->parts_count; i++) {
    const lk_part *part = catalog->parts[i];
    for (uint32_t r = 0; r < part->segment.block.rows; r++, row++) {
      if (living_only && !lk_part_lives(part, r)) continue;
      uint32_t first = representative(&t, catalog, row, lk_part_template(part, r).subject);
      numbers[row] = first == row ? (*count)++ : numbers[first];
    }
  }
  free(t.rows);
  return LK_OK;
}

/* The part's numbers; of a part without any they are not known. NULL: out of memory. */
static uint32_t *numbers_of(lk_part *part) {
  uint32_t rows = part->segment.block.rows;
  if (part->subjects != NULL) return part->subjects;
  part->subjects = malloc(rows * sizeof *part->subjects);
  for (uint32_t r = 0; part->subjects != NULL && r < rows; r++) part->subjects[r] = LK_SUBJECT_UNKNOWN;
  return part->subjects;
}

lk_status lk_subjects_forget(lk_part *part, lk_error *error) {
  uint32_t *numbers = numbers_of(part);
  if (numbers == NULL) return lk_fail_memory(error);
  for (uint32_t r = 0; r < part->segment.block.rows; r++) numbers[r] = LK_SUBJECT_UNKNOWN;
  return LK_OK;
}

static lk_status number_all(const lk_catalog *catalog, bool living_only, uint32_t **numbers, uint32_t *count,
                            lk_error *error) {
  *numbers = malloc((catalog->rows + 1) * sizeof **numbers);
  if (*numbers == NULL) return lk_fail_memory(error);
  return number(catalog, living_only, *numbers, count, error);
}

lk_status lk_subjects_number(const lk_catalog *catalog, uint32_t *count, lk_error *error) {
  uint32_t *numbers;
  lk_status status = number_all(catalog, false, &numbers, count, error);
  for (uint32_t i = 0; status == LK_OK && i < catalog->parts_count; i++) {
    lk_part *part = catalog->parts[i];
    if (numbers_of(part) == NULL) status = lk_fail_memory(error);
    if (status != LK_OK) break;
    memcpy(part->subjects, numbers + catalog->first_row[i], part->segment.block.rows * sizeof *numbers);
  }
  free(numbers);
  return status;
}

lk_status lk_subjects_count(const lk_catalog *catalog, uint32_t *count, lk_error *error) {
  uint32_t *numbers;
  lk_status status = number_all(catalog, true, &numbers, count, error);
  free(numbers);
  return status;
}

struct naming {
  lk_part *const *parts;
  uint32_t number;
};

static void take_number(void *context, uint32_t part, uint32_t row) {
  struct naming *n = context;
  n->number = n->parts[part]->subjects[row];
}

/* The number that the subject has in these parts, where deleted rows keep theirs. */
static uint32_t known_number(lk_part *const *parts, uint32_t count, lk_text subject) {
  struct naming n = {.parts = parts, .number = LK_SUBJECT_UNKNOWN};
  for (uint32_t i = 0; n.number == LK_SUBJECT_UNKNOWN && i < count; i++)
    lk_segment_each_of_subject(&parts[i]->segment, subject, i, take_number, &n);
  return n.number;
}

struct giving {
  uint32_t *numbers, number;
};

static void give_number(void *context, uint32_t part, uint32_t row) {
  (void)part;
  const struct giving *g = context;
  g->numbers[row] = g->number;
}

lk_status lk_subjects_number_part(const lk_catalog *catalog, lk_part *const *parts, uint32_t number, uint32_t *count,
                                  lk_error *error) {
  lk_part *part = parts[number];
  uint32_t rows = part->segment.block.rows, *numbers = numbers_of(part);
  if (numbers == NULL) return lk_fail_memory(error);
  for (uint32_t r = 0; r < rows; r++) {
    if (numbers[r] != LK_SUBJECT_UNKNOWN) continue;
    lk_text subject = lk_part_template(part, r).subject;
    struct giving g = {.numbers = numbers, .number = known_number(catalog->parts, catalog->parts_count, subject)};
    if (g.number == LK_SUBJECT_UNKNOWN) g.number = known_number(parts, number, subject);
    if (g.number == LK_SUBJECT_UNKNOWN && *count == LK_SUBJECT_UNKNOWN)
      return lk_fail(error, LK_EINVAL, "there are no more numbers for subjects until the gallery is loaded again");
    if (g.number == LK_SUBJECT_UNKNOWN) g.number = (*count)++;
    lk_segment_each_of_subject(&part->segment, subject, 0, give_number, &g);
    numbers[r] = g.number;
  }
  return LK_OK;
}
