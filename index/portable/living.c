#include "index/portable/living.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "index/gallery/probes.h"

/* Values that are the segment's never change; others are copied. False: out of memory. */
static bool keep(const uint64_t **kept, const uint64_t *now, const uint64_t *written, uint32_t rows) {
  *kept = written;
  if (now == written) return true;
  uint64_t *copy = malloc(rows * sizeof *copy);
  if (copy != NULL) memcpy(copy, now, rows * sizeof *copy);
  *kept = copy;
  return copy != NULL;
}

static bool keep_part(const lk_part *part, lk_visibility *kept) {
  const lk_visibility *written = &part->segment.block.visibility;
  uint32_t rows = part->segment.block.rows;
  lk_visibility now = lk_part_visibility(part);
  *kept = *written;
  return keep(&kept->died, now.died, written->died, rows) &&
         keep(&kept->expires_ms, now.expires_ms, written->expires_ms, rows) &&
         keep(&kept->tags, now.tags, written->tags, rows);
}

static lk_status keep_all(lk_living *living, lk_error *error) {
  const lk_catalog *catalog = living->sight.catalog;
  bool kept = (living->parts = calloc(catalog->parts_count + 1, sizeof *living->parts)) != NULL;
  for (uint32_t i = 0; kept && i < catalog->parts_count; i++) kept = keep_part(catalog->parts[i], &living->parts[i]);
  return kept ? LK_OK : lk_fail_memory(error);
}

static bool is_shown(const lk_living *living, uint32_t part, uint32_t row) {
  lk_filter filter = lk_sight_filter(&living->sight);
  return lk_visible(&living->parts[part], &filter, NULL, row);
}

lk_status lk_living_open(const lk_gallery *gallery, bool for_log, lk_living *living, lk_error *error) {
  *living = (lk_living){.count = 0};
  lk_contents_enter(gallery->contents, &living->sight);
  lk_status status = lk_gallery_check_entered(gallery, error);
  if (status == LK_OK) status = keep_all(living, error);
  living->next_number = gallery->contents->next_number;
  living->log = gallery->contents->log;
  if (for_log && living->log.seq > 0 && living->log.ms < living->sight.now_ms) living->sight.now_ms = living->log.ms;
  lk_contents_leave(gallery->contents);
  const lk_catalog *catalog = living->sight.catalog;
  for (uint32_t i = 0; status == LK_OK && i < catalog->parts_count; i++)
    for (uint32_t row = 0; row < catalog->parts[i]->segment.block.rows; row++)
      living->count += is_shown(living, i, row);
  return status;
}

static void drop(const uint64_t *values, const uint64_t *written) {
  if (values != written) free((void *)values);
}

void lk_living_close(lk_living *living) {
  for (uint32_t i = 0; living->parts != NULL && i < living->sight.catalog->parts_count; i++) {
    const lk_visibility *written = &living->sight.catalog->parts[i]->segment.block.visibility,
                        *kept = &living->parts[i];
    drop(kept->died, written->died);
    drop(kept->expires_ms, written->expires_ms);
    drop(kept->tags, written->tags);
  }
  free(living->parts);
  lk_sight_free(&living->sight);
  *living = (lk_living){.count = 0};
}

static lk_template template_of(const lk_living *living, uint32_t part, uint32_t row) {
  const lk_visibility *kept = &living->parts[part];
  lk_template t = lk_segment_template(&living->sight.catalog->parts[part]->segment, row);
  if (kept->tags != NULL) t.tags = kept->tags[row];
  if (kept->expires_ms != NULL) t.expires_ms = kept->expires_ms[row];
  return t;
}

static lk_status visit_row(const lk_segment *segment, uint32_t row, const lk_template *template, lk_living_visit *visit,
                           void *context, lk_error *error) {
  size_t row_bytes = (size_t)segment->shape.dim * lk_store_bytes(segment->shape.store);
  fenv_t callers = lk_enter_arithmetic();
  lk_status status = lk_segment_check_row(segment, row, error);
  fesetenv(&callers);
  if (status != LK_OK) return status;
  return visit(context, template, (const char *)segment->block.exact + row * row_bytes, error);
}

lk_status lk_living_each(const lk_living *living, lk_living_visit *visit, void *context, lk_error *error) {
  const lk_catalog *catalog = living->sight.catalog;
  lk_status status = LK_OK;
  for (uint32_t i = 0; status == LK_OK && i < catalog->parts_count; i++) {
    const lk_segment *segment = &catalog->parts[i]->segment;
    for (uint32_t place = 0; status == LK_OK && place < segment->block.rows; place++) {
      uint32_t row = lk_segment_row_at(segment, place);
      if (!is_shown(living, i, row)) continue;
      lk_template template = template_of(living, i, row);
      status = visit_row(segment, row, &template, visit, context, error);
    }
  }
  lk_status readable = lk_catalog_check_files(catalog, error);
  return readable != LK_OK ? readable : status;
}
