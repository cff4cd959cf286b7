/* A reader follows its gallery in one of two ways. If the manifest still names the same segments and the same state,
 * the reader goes on in the journals from where it is. If not, the gallery is opened once more beside, with parts that
 * share the segments that stay, and what that comes to is put in place in one step: so a gallery that was refreshed is
 * what one that is opened now would be, however far behind it was. */
#include <string.h>

#include "base/fail.h"
#include "index/catalog/renew.h"
#include "index/gallery/open.h"
#include "index/gallery/recovery.h"

static bool is_same_segment(const lk_manifest_segment *a, const lk_manifest_segment *b) {
  return a->id == b->id && a->checksum == b->checksum && a->rows == b->rows;
}

static bool is_same_journal(const lk_manifest_journal *a, const lk_manifest_journal *b) {
  return a->id == b->id && a->epoch == b->epoch && a->sequence == b->sequence;
}

/* Whether `next` names the same files, or one more journal behind them. */
static bool is_continued(const lk_manifest *now, const lk_manifest *next) {
  static const uint8_t none[LK_GALLERY_ID_BYTES];
  bool same = now->epoch == next->epoch && now->segments_count == next->segments_count &&
              now->state.checksum == next->state.checksum && now->journals_count <= next->journals_count;
  if (memcmp(now->id, none, sizeof none) != 0) same = same && memcmp(now->id, next->id, sizeof now->id) == 0;
  for (uint32_t i = 0; same && i < now->segments_count; i++)
    same = is_same_segment(&now->segments[i], &next->segments[i]);
  for (uint32_t i = 0; same && i < now->journals_count; i++)
    same = is_same_journal(&now->journals[i], &next->journals[i]);
  return same;
}

/* Whether the journals go on from where the reader is, by the manifest that is there now, which is then taken. */
static bool take_continued(lk_gallery *gallery) {
  lk_stamp stamp = lk_stamp_in(&gallery->folder, LK_MANIFEST_FILE);
  lk_manifest next;
  if (gallery->reading.lost || gallery->contents->failure.text[0] != '\0') return false;
  if (lk_stamp_equal(&stamp, &gallery->stamp)) return true;
  if (lk_manifest_read(&gallery->folder, &next, NULL) != LK_OK) return false;
  bool continued = is_continued(&gallery->manifest, &next);
  if (continued) {
    lk_manifest_follow(&gallery->manifest, &next);
    next.segments = NULL;
    gallery->stamp = stamp;
  }
  lk_manifest_free(&next);
  return continued;
}

/* Whether there is more in the journals than was read. */
static bool has_grown(const lk_gallery *gallery) {
  const lk_manifest *manifest = &gallery->manifest;
  char name[LK_JOURNAL_NAME_MAX];
  if (manifest->journals_count == 0) return false;
  uint32_t last = manifest->journals[manifest->journals_count - 1].id;
  lk_journal_name(last, name);
  lk_stamp stamp = lk_stamp_in(&gallery->folder, name);
  return gallery->reading.journal != last || (uint64_t)stamp.size != gallery->reading.place.offset;
}

static bool go_on(lk_gallery *gallery) {
  if (!take_continued(gallery)) return false;
  if (!has_grown(gallery)) return true;
  gallery->reading.lost = lk_recovery_read(gallery, NULL, NULL) != LK_OK;
  return !gallery->reading.lost;
}

static lk_status check_same(const lk_gallery *gallery, const lk_gallery *fresh, lk_error *error) {
  static const uint8_t none[LK_GALLERY_ID_BYTES];
  const lk_manifest *now = &gallery->manifest, *next = &fresh->manifest;
  bool same = now->metric == next->metric && now->store == next->store && now->dim == next->dim &&
              strcmp(now->name, next->name) == 0 && strcmp(now->model, next->model) == 0;
  if (memcmp(now->id, none, sizeof none) != 0) same = same && memcmp(now->id, next->id, sizeof now->id) == 0;
  if (same) return LK_OK;
  return lk_fail(error, LK_EGALLERY, "%s: another gallery is there now; open it again", gallery->folder.path);
}

static lk_status renew(lk_gallery *gallery, lk_error *error) {
  lk_gallery *fresh;
  lk_status status = lk_gallery_open_again(gallery, &fresh, error);
  if (status != LK_OK) return status;
  status = check_same(gallery, fresh, error);
  if (status == LK_OK) status = lk_renew(gallery->contents, fresh->contents, error);
  if (status == LK_OK) {
    lk_manifest_follow(&gallery->manifest, &fresh->manifest);
    fresh->manifest.segments = NULL;
    gallery->reading = fresh->reading;
    gallery->stamp = fresh->stamp;
  }
  lk_gallery_close(fresh);
  return status;
}

/* What looks like damage may be an owner that starts, and cuts the tail off a journal: it is read twice. */
static lk_status follow(lk_gallery *gallery, lk_error *error) {
  if (go_on(gallery)) return LK_OK;
  lk_status status = renew(gallery, error);
  return status == LK_OK || status == LK_ENOMEM ? status : renew(gallery, error);
}

lk_status lk_gallery_refresh(lk_gallery *gallery, bool *changed, lk_error *error) {
  lk_status status = gallery->owned ? LK_OK : follow(gallery, error);
  if (status != LK_OK) return status;
  bool another = lk_gallery_show(gallery);
  if (changed != NULL) *changed = another;
  return LK_OK;
}
