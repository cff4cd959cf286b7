/* Holds every byte of a gallery against a checksum: its segments as it has them open, the other files as the manifest
 * names them now. */
#include "base/fail.h"
#include "index/catalog/namesakes.h"
#include "index/catalog/sight.h"
#include "index/gallery/gallery.h"
#include "index/gallery/recovery.h"
#include "index/gallery/scrub.h"
#include "index/storage/state.h"

enum { TRIES = 10 };

static lk_status check_numbers(const lk_part *part, uint64_t next_number, lk_error *error) {
  for (uint32_t r = 0; r < part->segment.block.rows; r++)
    if (part->segment.block.numbers[r] >= next_number)
      return lk_fail(error, LK_ECORRUPT, "%s: row %u: template number %llu was never given", part->segment.path, r,
                     (unsigned long long)part->segment.block.numbers[r]);
  return LK_OK;
}

/* Of one moment; who waits to change the gallery does not wait for this. */
static lk_status check_catalog(const lk_gallery *gallery, lk_error *error) {
  lk_sight sight = {0};
  lk_contents_enter(gallery->contents, &sight);
  uint64_t next_number = gallery->contents->next_number;
  lk_status status = lk_gallery_check_entered(gallery, error);
  lk_contents_leave(gallery->contents);
  if (status == LK_OK) status = lk_namesakes_check(sight.catalog, error);
  for (uint32_t i = 0; status == LK_OK && i < sight.catalog->parts_count; i++)
    status = check_numbers(sight.catalog->parts[i], next_number, error);
  lk_sight_free(&sight);
  return status;
}

static lk_status check_state(const lk_folder *folder, const lk_manifest *manifest, lk_error *error) {
  lk_state state;
  if (manifest->state.id == 0) return LK_OK;
  lk_status status = lk_state_read(folder, manifest, &state, error);
  if (status != LK_OK) return status;
  status = lk_state_check(&state, manifest, error);
  lk_state_free(&state);
  return status;
}

/* The tail of the last journal is what its owner is writing, or what is left of one that died: no damage. */
static lk_status check_journals(const lk_folder *folder, const lk_manifest *manifest, lk_error *error) {
  for (uint32_t i = 0; i < manifest->journals_count; i++) {
    lk_journal_header header = lk_manifest_journal_header(manifest, i);
    lk_journal_report report;
    lk_journal_place place = {.offset = 0};
    lk_status status = lk_journal_follow(folder, &header, &place, NULL, NULL, &report, error);
    if (status == LK_OK) status = lk_recovery_check_end(folder, manifest, i, &place, error);
    if (status != LK_OK) return status;
  }
  return LK_OK;
}

static lk_status check_named(const lk_folder *folder, lk_error *error) {
  lk_manifest manifest;
  lk_status status = lk_manifest_read(folder, &manifest, error);
  if (status != LK_OK) return status;
  status = check_state(folder, &manifest, error);
  if (status == LK_OK) status = check_journals(folder, &manifest, error);
  lk_manifest_free(&manifest);
  return status;
}

/* The owner may put other files in place of those that the manifest named when it was read. */
static lk_status check_changes(const lk_folder *folder, lk_error *error) {
  for (int tries = 1;; tries++) {
    lk_stamp before = lk_stamp_in(folder, LK_MANIFEST_FILE);
    lk_status status = check_named(folder, error);
    lk_stamp after = lk_stamp_in(folder, LK_MANIFEST_FILE);
    if (status == LK_OK || lk_stamp_equal(&before, &after) || tries == TRIES) return status;
  }
}

lk_status lk_gallery_check(const lk_gallery *gallery, lk_error *error) {
  lk_scrub *scrub = NULL;
  lk_status status = lk_scrub_open(gallery, &scrub, error);
  for (bool over = false; status == LK_OK && !over;) status = lk_scrub_step(scrub, &over, error);
  lk_scrub_close(scrub);
  if (status == LK_OK) status = check_changes(&gallery->folder, error);
  return status == LK_OK ? check_catalog(gallery, error) : status;
}
