#include "index/gallery/presence.h"

#include "index/gallery/gallery.h"

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
