#include "index/gallery/subjects.h"

#include <stdlib.h>

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

lk_status lk_subjects_number(const lk_catalog *catalog, uint32_t **numbers, uint32_t *count, lk_error *error) {
  uint32_t rows = (uint32_t)catalog->rows;
  table t;
  *numbers = malloc(((size_t)rows + 1) * sizeof **numbers);
  if (!open_table(&t, rows) || *numbers == NULL) {
    free(t.rows);
    free(*numbers);
    *numbers = NULL;
    return lk_fail_memory(error);
  }
  *count = 0;
  for (uint32_t row = 0; row < rows; row++) {
    uint32_t first = representative(&t, catalog, row, lk_catalog_template(catalog, row).subject);
    (*numbers)[row] = first == row ? (*count)++ : (*numbers)[first];
  }
  free(t.rows);
  return LK_OK;
}
