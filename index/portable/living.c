#include "index/portable/living.h"

#include "base/fail.h"
#include "index/gallery/probes.h"

static bool is_shown(const lk_living *living, const lk_part *part, uint32_t row) {
  return lk_part_lives(part, row) && lk_part_template(part, row).expires_ms > living->sight.now_ms;
}

void lk_living_enter(lk_living *living, const lk_gallery *gallery) {
  *living = (lk_living){.gallery = gallery};
  lk_contents_enter(gallery->contents, &living->sight);
  for (uint32_t i = 0; i < living->sight.catalog->parts_count; i++) {
    const lk_part *part = living->sight.catalog->parts[i];
    for (uint32_t row = 0; row < part->segment.block.rows; row++) living->count += is_shown(living, part, row);
  }
}

void lk_living_leave(lk_living *living) {
  lk_contents_leave(living->gallery->contents);
  lk_sight_free(&living->sight);
}

static lk_status visit_row(const lk_part *part, uint32_t row, lk_living_visit *visit, void *context, lk_error *error) {
  const lk_segment *segment = &part->segment;
  size_t row_bytes = (size_t)segment->shape.dim * lk_store_bytes(segment->shape.store);
  lk_template template = lk_part_template(part, row);
  fenv_t callers = lk_enter_arithmetic();
  lk_status status = lk_segment_check_row(segment, row, error);
  fesetenv(&callers);
  if (status != LK_OK) return status;
  return visit(context, &template, (const char *)segment->block.exact + row * row_bytes, error);
}

lk_status lk_living_each(const lk_living *living, lk_living_visit *visit, void *context, lk_error *error) {
  const lk_catalog *catalog = living->sight.catalog;
  lk_status status = LK_OK;
  for (uint32_t i = 0; status == LK_OK && i < catalog->parts_count; i++) {
    const lk_part *part = catalog->parts[i];
    for (uint32_t place = 0; status == LK_OK && place < part->segment.block.rows; place++) {
      uint32_t row = lk_segment_row_at(&part->segment, place);
      if (is_shown(living, part, row)) status = visit_row(part, row, visit, context, error);
    }
  }
  lk_status readable = lk_catalog_check_files(catalog, error);
  return readable != LK_OK ? readable : status;
}
