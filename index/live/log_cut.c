/* Cuts a journal back to an entry of the log. What lies between that entry and the next one stays: it came without the
 * log, after the entry. Where the cut is in a journal that is sealed, first the manifest forgets the next one: its
 * entries are gone then, and the seal names a file that will be made. */
#include <inttypes.h>
#include <string.h>

#include "base/fail.h"
#include "index/gallery/recovery.h"
#include "index/journal/log_note.h"
#include "index/live/log.h"
#include "index/live/owner.h"

typedef struct cutting {
  const lk_folder *folder;
  const lk_log_mark *common;
  lk_manifest manifest;
  bool found;       /* `common` is there */
  uint64_t dropped; /* entries behind it */
  bool begun;       /* the first of these was met */
  uint32_t journal; /* where, of the manifest's, and from which byte on */
  uint64_t from;
} cutting;

static bool is_common(const cutting *c, const lk_log_mark *mark) {
  return mark->seq == c->common->seq && strcmp(mark->hash, c->common->hash) == 0;
}

/* Counts what goes. LK_ECANCELLED at its first entry: the place of the reading is before it. */
static lk_status look(void *context, uint64_t epoch, uint64_t sequence, const lk_record *record, lk_error *error) {
  (void)epoch, (void)sequence;
  cutting *c = context;
  lk_log_note note;
  if (record->kind != LK_RECORD_LOG) return LK_OK;
  lk_status status = lk_log_note_decode(record->note, record->note_bytes, &note, error);
  if (status != LK_OK) return status;
  c->found = c->found || is_common(c, &note.mark);
  if (note.mark.seq <= c->common->seq) return LK_OK;
  if (!c->begun) return lk_fail(error, LK_ECANCELLED, "the first entry that goes");
  c->dropped++;
  return LK_OK;
}

static lk_status read_journal(cutting *c, uint32_t i, lk_error *error) {
  lk_journal_header header = lk_manifest_journal_header(&c->manifest, i);
  lk_journal_place place = {0};
  lk_journal_report report;
  lk_status status = lk_journal_follow(c->folder, &header, &place, look, c, &report, error);
  if (status == LK_ECANCELLED) {
    c->begun = true;
    c->journal = i;
    c->from = place.offset;
    status = lk_journal_follow(c->folder, &header, &place, look, c, &report, error);
  }
  return status == LK_OK ? lk_recovery_check_end(c->folder, &c->manifest, i, &place, error) : status;
}

static lk_status find(cutting *c, lk_error *error) {
  lk_status status = LK_OK;
  const lk_manifest_log *folded = &c->manifest.log;
  if (c->common->seq < folded->seen)
    return lk_fail(error, LK_EINVAL,
                   "%s: what follows entry %" PRIu64 " of the log is in segments, up to entry %" PRIu64
                   "; start again from an export",
                   c->folder->path, c->common->seq, folded->seen);
  c->found = c->common->seq == 0 || is_common(c, &folded->mark);
  for (uint32_t i = 0; status == LK_OK && i < c->manifest.journals_count; i++) status = read_journal(c, i, error);
  if (status != LK_OK || c->found) return status;
  return lk_fail(error, LK_EINVAL, "%s: the journals do not have entry %" PRIu64 " of the log with this hash",
                 c->folder->path, c->common->seq);
}

static lk_status forget_next(cutting *c, lk_error *error) {
  lk_manifest *manifest = &c->manifest;
  if (c->journal + 1 == manifest->journals_count) return LK_OK;
  manifest->journals_count = c->journal + 1;
  manifest->next_file = manifest->journals[manifest->journals_count].id;
  return lk_manifest_write(c->folder, manifest, error);
}

static lk_status cut(cutting *c, lk_error *error) {
  lk_status status = find(c, error);
  if (status != LK_OK || !c->begun) return status;
  status = forget_next(c, error);
  return status == LK_OK ? lk_journal_cut(c->folder, c->manifest.journals[c->journal].id, c->from, error) : status;
}

lk_status lk_log_cut_on(const lk_disk *disk, const char *folder, const lk_log_mark *common, uint64_t *dropped,
                        lk_error *error) {
  lk_gallery_lock lock;
  lk_status status = lk_gallery_lock_take(folder, &lock, error);
  if (status != LK_OK) return status;
  lock.folder.disk = disk;
  cutting c = {.folder = &lock.folder, .common = common};
  status = lk_manifest_read(&lock.folder, &c.manifest, error);
  if (status == LK_OK) {
    status = cut(&c, error);
    lk_manifest_free(&c.manifest);
  }
  if (status == LK_OK && dropped != NULL) *dropped = c.dropped;
  lk_gallery_lock_release(&lock);
  return status;
}

lk_status lk_log_cut(const char *folder, const lk_log_mark *common, uint64_t *dropped, lk_error *error) {
  return lk_log_cut_on(&lk_disk_system, folder, common, dropped, error);
}
