#include "index/gallery/scrub.h"

#include <stdlib.h>
#include <xxhash.h>

#include "base/fail.h"
#include "index/gallery/gallery.h"
#include "index/gallery/probes.h"

enum { PIECE_BYTES = 1 << 20 };

struct lk_scrub {
  const lk_catalog *catalog;
  XXH3_state_t *hash; /* of the section so far */
  uint32_t segment;
  uint32_t section; /* LK_SECTIONS: the rows are held against their codes */
  uint64_t at;      /* bytes of the section, or rows */
};

lk_status lk_scrub_open(const lk_gallery *gallery, lk_scrub **scrub, lk_error *error) {
  lk_scrub *made = calloc(1, sizeof *made);
  if (made == NULL) return lk_fail_memory(error);
  *made = (lk_scrub){.catalog = &gallery->catalog, .hash = XXH3_createState()};
  if (made->hash == NULL) {
    free(made);
    return lk_fail_memory(error);
  }
  *scrub = made;
  return LK_OK;
}

void lk_scrub_close(lk_scrub *scrub) {
  if (scrub == NULL) return;
  XXH3_freeState(scrub->hash);
  free(scrub);
}

static lk_status hash_piece(lk_scrub *scrub, const lk_segment *segment, lk_error *error) {
  lk_section section = (lk_section)scrub->section;
  const lk_section_entry *entry = &segment->header.sections[section];
  uint64_t left = entry->bytes - scrub->at, bytes = left < PIECE_BYTES ? left : PIECE_BYTES;
  if (scrub->at == 0) XXH3_64bits_reset(scrub->hash);
  XXH3_64bits_update(scrub->hash, (const char *)lk_segment_section(segment, section) + scrub->at, bytes);
  scrub->at += bytes;
  if (scrub->at < entry->bytes) return LK_OK;
  scrub->section++;
  scrub->at = 0;
  if (XXH3_64bits_digest(scrub->hash) == entry->checksum) return LK_OK;
  return lk_segment_fail(segment, section, "the checksum does not match", error);
}

static lk_status check_tile(lk_scrub *scrub, const lk_segment *segment, lk_error *error) {
  lk_status status = LK_OK;
  fenv_t callers = lk_enter_arithmetic();
  uint64_t end = scrub->at + LK_TILE_ROWS < segment->block.rows ? scrub->at + LK_TILE_ROWS : segment->block.rows;
  for (; status == LK_OK && scrub->at < end; scrub->at++)
    status = lk_segment_check_row(segment, (uint32_t)scrub->at, error);
  fesetenv(&callers);
  return status;
}

static void begin_next(lk_scrub *scrub) {
  scrub->segment++;
  scrub->section = 0;
  scrub->at = 0;
}

lk_status lk_scrub_step(lk_scrub *scrub, bool *over, lk_error *error) {
  *over = scrub->segment >= scrub->catalog->segments_count;
  if (*over) {
    scrub->segment = 0;
    return LK_OK;
  }
  const lk_segment *segment = &scrub->catalog->segments[scrub->segment];
  lk_status status = scrub->section == 0 && scrub->at == 0 ? lk_segment_verify_header(segment, error) : LK_OK;
  if (status == LK_OK)
    status = scrub->section < LK_SECTIONS ? hash_piece(scrub, segment, error) : check_tile(scrub, segment, error);
  if (status != LK_OK || (scrub->section == LK_SECTIONS && scrub->at == segment->block.rows)) begin_next(scrub);
  if (status != LK_OK) return status;
  return lk_file_check(&segment->file, segment->path, error);
}

static lk_status check_keys(const lk_gallery *gallery, uint32_t s, lk_error *error) {
  const lk_segment *segment = &gallery->catalog.segments[s];
  for (uint32_t r = 0; r < segment->block.rows; r++) {
    lk_template t = lk_segment_template(segment, r);
    if (t.number >= gallery->manifest.next_number)
      return lk_fail(error, LK_ECORRUPT, "%s: row %u: template number %llu was never given", segment->path, r,
                     (unsigned long long)t.number);
    bool indexed = false, again = false;
    for (uint32_t other = 0, row; other < gallery->manifest.segments_count; other++) {
      if (!lk_segment_find_key(&gallery->catalog.segments[other], t.key, &row)) continue;
      if (other == s && row == r)
        indexed = true;
      else
        again = true;
    }
    if (again || !indexed)
      return lk_fail(error, LK_ECORRUPT, "%s: row %u: the gallery has another template with key '%.*s'", segment->path,
                     r, (int)t.key.length, t.key.bytes);
  }
  return LK_OK;
}

lk_status lk_gallery_check(const lk_gallery *gallery, lk_error *error) {
  lk_scrub *scrub = NULL;
  lk_status status = lk_scrub_open(gallery, &scrub, error);
  for (bool over = false; status == LK_OK && !over;) status = lk_scrub_step(scrub, &over, error);
  for (uint32_t i = 0; status == LK_OK && i < gallery->manifest.segments_count; i++)
    status = check_keys(gallery, i, error);
  lk_scrub_close(scrub);
  return status;
}
