#include "index/gallery/catalog.h"

#include <stdlib.h>

#include "base/fail.h"
#include "kernels/begins.h"

lk_status lk_catalog_open(lk_catalog *catalog, uint32_t segments, lk_error *error) {
  *catalog = (lk_catalog){.segments = calloc(segments + 1, sizeof *catalog->segments),
                          .first_row = calloc(segments + 1, sizeof *catalog->first_row)};
  if (catalog->segments != NULL && catalog->first_row != NULL) return LK_OK;
  lk_catalog_close(catalog);
  return lk_fail_memory(error);
}

void lk_catalog_add(lk_catalog *catalog) {
  const lk_segment *added = &catalog->segments[catalog->segments_count];
  catalog->first_row[catalog->segments_count++] = (uint32_t)catalog->rows;
  catalog->rows += added->block.rows;
  catalog->bytes += added->file.size;
}

void lk_catalog_close(lk_catalog *catalog) {
  for (uint32_t i = 0; i < catalog->segments_count; i++) lk_segment_close(&catalog->segments[i]);
  free(catalog->segments);
  free(catalog->first_row);
  *catalog = (lk_catalog){0};
}

const lk_segment *lk_catalog_segment_at(const lk_catalog *catalog, uint64_t row, uint32_t *inside) {
  uint32_t at = lk_last_begin(catalog->first_row, sizeof *catalog->first_row, catalog->segments_count, (uint32_t)row);
  *inside = (uint32_t)(row - catalog->first_row[at]);
  return &catalog->segments[at];
}

lk_status lk_catalog_check_files(const lk_catalog *catalog, lk_error *error) {
  lk_status status = LK_OK;
  for (uint32_t s = 0; status == LK_OK && s < catalog->segments_count; s++)
    status = lk_file_check(&catalog->segments[s].file, catalog->segments[s].path, error);
  return status;
}

lk_template lk_catalog_template(const lk_catalog *catalog, uint64_t row) {
  uint32_t inside;
  const lk_segment *segment = lk_catalog_segment_at(catalog, row, &inside);
  return lk_segment_template(segment, inside);
}

void lk_catalog_each_of_subject(const lk_catalog *catalog, lk_text subject, lk_each_row *each, void *context) {
  for (uint32_t s = 0; s < catalog->segments_count; s++)
    lk_segment_each_of_subject(&catalog->segments[s], subject, s, each, context);
}
