#include "index/gallery/scrub.h"

#include <stdlib.h>
#include <xxhash.h>

#include "base/fail.h"
#include "index/catalog/sight.h"
#include "index/gallery/gallery.h"
#include "index/gallery/probes.h"

enum { PIECE_BYTES = 1 << 20 };

struct lk_scrub {
  const lk_gallery *gallery;
  lk_sight sight;     /* one for each time through all files */
  XXH3_state_t *hash; /* of the section so far */
  uint32_t part;
  uint32_t section; /* LK_SECTIONS: the rows are held against their codes */
  uint64_t at;      /* bytes of the section, or rows */
};

static void take_sight(lk_scrub *scrub) {
  lk_contents_enter(scrub->gallery->contents, &scrub->sight);
  lk_contents_leave(scrub->gallery->contents);
}

lk_status lk_scrub_open(const lk_gallery *gallery, lk_scrub **scrub, lk_error *error) {
  lk_scrub *made = calloc(1, sizeof *made);
  if (made == NULL) return lk_fail_memory(error);
  *made = (lk_scrub){.gallery = gallery, .hash = XXH3_createState()};
  if (made->hash == NULL) {
    free(made);
    return lk_fail_memory(error);
  }
  take_sight(made);
  *scrub = made;
  return LK_OK;
}

void lk_scrub_close(lk_scrub *scrub) {
  if (scrub == NULL) return;
  XXH3_freeState(scrub->hash);
  lk_sight_free(&scrub->sight);
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
  scrub->part++;
  scrub->section = 0;
  scrub->at = 0;
}

lk_status lk_scrub_step(lk_scrub *scrub, bool *over, lk_error *error) {
  *over = scrub->part >= scrub->sight.catalog->parts_count;
  if (*over) {
    scrub->part = 0;
    take_sight(scrub);
    return LK_OK;
  }
  const lk_segment *segment = &scrub->sight.catalog->parts[scrub->part]->segment;
  lk_status status = scrub->section == 0 && scrub->at == 0 ? lk_segment_verify_header(segment, error) : LK_OK;
  if (status == LK_OK)
    status = scrub->section < LK_SECTIONS ? hash_piece(scrub, segment, error) : check_tile(scrub, segment, error);
  if (status != LK_OK || (scrub->section == LK_SECTIONS && scrub->at == segment->block.rows)) begin_next(scrub);
  if (status != LK_OK) return status;
  return lk_file_check(&segment->file, segment->path, error);
}
