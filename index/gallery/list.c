#include "index/gallery/list.h"

#include <stdlib.h>

#include "base/fail.h"
#include "index/gallery/gallery.h"

enum { LOOKS_MOST = 1 << 16 }; /* rows that a page looks at: changes wait for it */

/* A row that the page did not get to is where the next one begins. */
static void stop_at(lk_gallery_page *page, const lk_part *part, uint32_t place) {
  page->more = true;
  page->next = part->segment.block.numbers[lk_segment_row_at(&part->segment, place)];
}

static void fill(lk_gallery_page *page, uint64_t from_number, uint32_t most) {
  const lk_catalog *catalog = page->sight.catalog;
  uint32_t part, place, looks = 0;
  lk_catalog_place_from(catalog, from_number, &part, &place);
  for (; part < catalog->parts_count; part++, place = 0) {
    const lk_part *in = catalog->parts[part];
    for (; place < in->segment.block.rows; place++) {
      if (page->count == most || looks++ == LOOKS_MOST) {
        stop_at(page, in, place);
        return;
      }
      uint32_t row = lk_segment_row_at(&in->segment, place);
      if (lk_part_lives(in, row)) page->templates[page->count++] = lk_part_template(in, row);
    }
  }
}

lk_status lk_gallery_page_open(const lk_gallery *gallery, uint64_t from_number, uint32_t most, lk_gallery_page *page,
                               lk_error *error) {
  *page = (lk_gallery_page){.templates = malloc(((size_t)most + 1) * sizeof *page->templates)};
  if (page->templates == NULL) return lk_fail_memory(error);
  lk_contents_enter(gallery->contents, &page->sight);
  lk_status status = lk_gallery_check_entered(gallery, error);
  if (status == LK_OK) fill(page, from_number, most);
  lk_contents_leave(gallery->contents);
  if (status != LK_OK) lk_gallery_page_close(page);
  return status;
}

lk_status lk_gallery_page_check(const lk_gallery_page *page, lk_error *error) {
  return lk_catalog_check_files(page->sight.catalog, error);
}

void lk_gallery_page_close(lk_gallery_page *page) {
  free(page->templates);
  lk_sight_free(&page->sight);
  *page = (lk_gallery_page){0};
}

bool lk_gallery_has_key(const lk_gallery *gallery, lk_text key) {
  uint32_t part, row;
  lk_catalog *shown = lk_gallery_shown(gallery);
  bool has = lk_catalog_find_key(shown, key, &part, &row);
  lk_catalog_release(shown);
  return has;
}

static void note(void *has, uint32_t part, uint32_t row) {
  (void)part;
  (void)row;
  *(bool *)has = true;
}

bool lk_gallery_has_subject(const lk_gallery *gallery, lk_text subject) {
  bool has = false;
  lk_catalog *shown = lk_gallery_shown(gallery);
  lk_catalog_each_of_subject(shown, subject, note, &has);
  lk_catalog_release(shown);
  return has;
}
