#include "index/gallery/recovery.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/fail.h"
#include "index/catalog/apply.h"
#include "index/journal/log_note.h"
#include "index/storage/state.h"

/* ---- the state file ---- */

static lk_part *part_of(const lk_manifest *manifest, lk_part *const *parts, uint32_t segment) {
  uint32_t i = 0;
  while (i < manifest->segments_count && manifest->segments[i].id != segment) i++;
  return i < manifest->segments_count ? parts[i] : NULL;
}

lk_status lk_recovery_state(lk_gallery *gallery, lk_part *const *parts, lk_error *error) {
  const lk_manifest *manifest = &gallery->manifest;
  lk_state state;
  if (manifest->state.id == 0) return LK_OK;
  lk_status status = lk_state_read(&gallery->folder, manifest, &state, error);
  if (status != LK_OK) return status;
  status = lk_state_check(&state, manifest, error);
  lk_part *part = NULL;
  for (uint32_t i = 0; status == LK_OK && i < state.count; i++) {
    const lk_state_entry *entry = &state.entries[i];
    if (i == 0 || state.entries[i - 1].segment != entry->segment) part = part_of(manifest, parts, entry->segment);
    status = lk_part_set(part, entry->row, entry->died, entry->expires_ms, entry->tags, error);
    if (entry->died != UINT64_MAX && entry->died > gallery->last_death) gallery->last_death = entry->died;
  }
  lk_state_free(&state);
  return status;
}

/* ---- journals ---- */

enum { GROUP_ROWS = 16384, GROUP_CHANGES = 65536 };

/* Collects groups and applies them, each at the end of a batch. */
typedef struct collecting {
  lk_gallery *gallery;
  lk_pool *pool;
  lk_group group;
  uint32_t journal; /* the id of the one that is read */
  uint64_t sealed;  /* the number of its seal; 0: none was read */
  uint64_t erases;  /* as in lk_recovery */
} collecting;

static void begin_group(collecting *c) {
  const lk_contents *contents = c->gallery->contents;
  lk_group_begin(&c->group, contents->shape, contents->catalog);
  c->group.epoch = contents->epoch;
  c->group.log = contents->log;
}

static lk_status apply_group(collecting *c, lk_error *error) {
  lk_status status = lk_apply(c->gallery->contents, &c->group, c->pool, error);
  lk_group_free(&c->group);
  begin_group(c);
  return status;
}

static lk_status fail_journal(const lk_gallery *gallery, uint32_t id, const char *fault, lk_error *error) {
  char name[LK_JOURNAL_NAME_MAX];
  lk_journal_name(id, name);
  return lk_fail(error, LK_ECORRUPT, "%s/%s: %s", gallery->folder.path, name, fault);
}

/* Why a row cannot be added, although its record can be read; NULL: it can. */
static const char *row_fault(const collecting *c, const lk_record *record) {
  const lk_contents *contents = c->gallery->contents;
  lk_template found;
  if (contents->catalog->rows + c->group.rows_count + 1 >= UINT32_MAX) return "is a template too many for a gallery";
  if (record->number < contents->next_number || record->number < c->group.next_number)
    return "gives a template's number again";
  if (lk_group_find_key(&c->group, record->key, &found)) return "gives a template a key that another one has";
  return NULL;
}

/* Why an entry of the log cannot be noted. */
static const char *note_fault(collecting *c, uint64_t epoch, const lk_record *record) {
  lk_log_note note;
  if (epoch == c->group.epoch) return "is not the first of its batch";
  if (lk_log_note_decode(record->note, record->note_bytes, &note, NULL) != LK_OK) return "changed while it was read";
  if (note.erases) c->erases = note.mark.seq;
  return lk_log_mark_follows(&c->group.log, &note.mark, note.prev) ? NULL : "does not follow the log's entry before it";
}

static lk_status check_record(collecting *c, uint64_t epoch, uint64_t sequence, const lk_record *record,
                              lk_error *error) {
  const char *fault = NULL;
  if (record->kind == LK_RECORD_ENROLL) fault = row_fault(c, record);
  if (record->kind == LK_RECORD_LOG) fault = note_fault(c, epoch, record);
  char named[96];
  if (fault == NULL) return LK_OK;
  snprintf(named, sizeof named, "record %" PRIu64 " %s", sequence, fault);
  return fail_journal(c->gallery, c->journal, named, error);
}

static lk_status collect(void *context, uint64_t epoch, uint64_t sequence, const lk_record *record, lk_error *error) {
  collecting *c = context;
  bool full = c->group.rows_count >= GROUP_ROWS || c->group.changes_count >= GROUP_CHANGES;
  lk_status status = full && epoch != c->group.epoch ? apply_group(c, error) : LK_OK;
  if (status == LK_OK) status = check_record(c, epoch, sequence, record, error);
  if (record->kind == LK_RECORD_SEAL) c->sealed = record->number;
  return status == LK_OK ? lk_group_add(&c->group, epoch, record, error) : status;
}

static lk_status finish(collecting *c, lk_status status, lk_error *error) {
  lk_gallery *gallery = c->gallery;
  if (status == LK_OK && c->group.epoch != gallery->contents->epoch) status = apply_group(c, error);
  lk_group_free(&c->group);
  if (status != LK_OK || gallery->last_death <= gallery->contents->epoch) return status;
  return lk_fail(error, LK_ECORRUPT,
                 "%s: changes are lost: a row was deleted in epoch %" PRIu64 ", and the journal ends in %" PRIu64,
                 gallery->folder.path, gallery->last_death, gallery->contents->epoch);
}

/* Of the manifest's journals the one that is being read; those before it are read. */
static uint32_t journal_at(const lk_gallery *gallery) {
  uint32_t i = 0;
  while (i < gallery->manifest.journals_count && gallery->manifest.journals[i].id < gallery->reading.journal) i++;
  return i;
}

lk_status lk_recovery_check_end(const lk_folder *folder, const lk_manifest *manifest, uint32_t i,
                                const lk_journal_place *end, lk_error *error) {
  char name[LK_JOURNAL_NAME_MAX];
  if (i + 1 == manifest->journals_count) return LK_OK;
  const lk_manifest_journal *next = &manifest->journals[i + 1];
  if (end->sealed && end->sequence == next->sequence && end->epoch == next->epoch) return LK_OK;
  lk_journal_name(manifest->journals[i].id, name);
  return lk_fail(error, LK_ECORRUPT, "%s/%s: it ends before the journal that follows it begins", folder->path, name);
}

static lk_status follow(collecting *c, uint32_t i, lk_error *error) {
  lk_gallery *gallery = c->gallery;
  lk_journal_header header = lk_manifest_journal_header(&gallery->manifest, i);
  lk_journal_report report;
  c->journal = header.id;
  c->sealed = 0;
  if (header.id != gallery->reading.journal) gallery->reading = (lk_reading){.journal = header.id};
  lk_status status = lk_journal_follow(&gallery->folder, &header, &gallery->reading.place, collect, c, &report, error);
  if (status != LK_OK) return status;
  return lk_recovery_check_end(&gallery->folder, &gallery->manifest, i, &gallery->reading.place, error);
}

lk_status lk_recovery_read(lk_gallery *gallery, lk_pool *pool, lk_error *error) {
  collecting c = {.gallery = gallery, .pool = pool};
  lk_status status = LK_OK;
  begin_group(&c);
  for (uint32_t i = journal_at(gallery); status == LK_OK && i < gallery->manifest.journals_count; i++)
    status = follow(&c, i, error);
  return finish(&c, status, error);
}

/* A seal names the journal that follows or, of the last one, the file that will be made next. Only the first journal
 * can be sealed while no other is there: where a second one is, it is the last. */
static lk_status check_seal(const collecting *c, uint32_t i, lk_error *error) {
  const lk_manifest *manifest = &c->gallery->manifest;
  bool is_last = i + 1 == manifest->journals_count;
  if (is_last && c->sealed == 0) return LK_OK;
  if (is_last && i == 0 && c->sealed == manifest->next_file) return LK_OK;
  if (!is_last && c->sealed == manifest->journals[i + 1].id) return LK_OK;
  return fail_journal(c->gallery, c->journal, "its seal does not name the journal that follows", error);
}

lk_status lk_recovery_own(lk_gallery *gallery, lk_pool *pool, lk_recovery *recovery, lk_error *error) {
  collecting c = {.gallery = gallery, .pool = pool};
  uint32_t last = gallery->manifest.journals_count - 1;
  lk_journal_header header = lk_manifest_journal_header(&gallery->manifest, last);
  lk_status status = LK_OK;
  *recovery = (lk_recovery){.journal = NULL};
  begin_group(&c);
  for (uint32_t i = 0; status == LK_OK && i < last; i++) {
    status = follow(&c, i, error);
    if (status == LK_OK) status = check_seal(&c, i, error);
  }
  if (status == LK_OK) status = apply_group(&c, error);
  recovery->boundary = gallery->contents->next_number;
  recovery->boundary_log = gallery->contents->log;
  c.journal = header.id;
  c.sealed = 0;
  if (status == LK_OK)
    status = lk_journal_open(&gallery->folder, &header, collect, &c, &recovery->report, &recovery->journal, error);
  status = finish(&c, status, error);
  if (status == LK_OK) status = check_seal(&c, last, error);
  recovery->next_journal = (uint32_t)c.sealed;
  recovery->erases = c.erases;
  if (status != LK_OK) lk_journal_close(recovery->journal);
  return status;
}
