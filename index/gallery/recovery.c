#include "index/gallery/recovery.h"

#include "base/fail.h"
#include "index/catalog/apply.h"
#include "index/storage/state.h"

/* ---- the state file ---- */

static lk_status set_row(lk_part *part, const lk_state_entry *entry, lk_error *error) {
  lk_template written = lk_part_template(part, entry->row);
  lk_status status = LK_OK;
  if (entry->died != UINT64_MAX) {
    status = lk_part_reserve(part, LK_RECORD_DELETE_KEY, error);
    if (status == LK_OK) lk_part_kill(part, entry->row, entry->died);
  }
  if (status == LK_OK && entry->expires_ms != written.expires_ms) {
    status = lk_part_reserve(part, LK_RECORD_EXPIRE, error);
    if (status == LK_OK) lk_part_expire(part, entry->row, entry->expires_ms);
  }
  if (status == LK_OK && entry->tags != written.tags) {
    status = lk_part_reserve(part, LK_RECORD_TAG, error);
    if (status == LK_OK) lk_part_tag(part, entry->row, entry->tags, UINT64_MAX);
  }
  return status;
}

static lk_part *part_of(const lk_manifest *manifest, lk_part *const *parts, uint32_t segment) {
  uint32_t i = 0;
  while (i < manifest->segments_count && manifest->segments[i].id != segment) i++;
  return i < manifest->segments_count ? parts[i] : NULL;
}

lk_status lk_recovery_state(const lk_gallery *gallery, lk_part *const *parts, lk_error *error) {
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
    status = set_row(part, entry, error);
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
  uint32_t sealed; /* the number of the last seal */
} collecting;

static void begin_group(collecting *c) {
  const lk_contents *contents = c->gallery->contents;
  lk_group_begin(&c->group, contents->shape, contents->catalog);
  c->group.epoch = contents->epoch;
}

static lk_status apply_group(collecting *c, lk_error *error) {
  lk_status status = lk_apply(c->gallery->contents, &c->group, c->pool, error);
  lk_group_free(&c->group);
  begin_group(c);
  return status;
}

/* The gallery cannot have more rows than a search can count. */
static lk_status check_room(const collecting *c, lk_error *error) {
  if (c->gallery->contents->catalog->rows + c->group.rows_count < UINT32_MAX) return LK_OK;
  return lk_fail(error, LK_ECORRUPT, "the journal has more templates than a gallery can have");
}

static lk_status collect(void *context, uint64_t epoch, uint64_t sequence, const lk_record *record, lk_error *error) {
  (void)sequence;
  collecting *c = context;
  bool full = c->group.rows_count >= GROUP_ROWS || c->group.changes_count >= GROUP_CHANGES;
  lk_status status = full && epoch != c->group.epoch ? apply_group(c, error) : LK_OK;
  if (status == LK_OK) status = check_room(c, error);
  if (record->kind == LK_RECORD_SEAL) c->sealed = (uint32_t)record->number;
  return status == LK_OK ? lk_group_add(&c->group, epoch, record, NULL, error) : status;
}

static lk_status finish(collecting *c, lk_status status, lk_error *error) {
  if (status == LK_OK && c->group.epoch != c->gallery->contents->epoch) status = apply_group(c, error);
  lk_group_free(&c->group);
  return status;
}

/* Of the manifest's journals the one that is being read; those before it are read. */
static uint32_t journal_at(const lk_gallery *gallery) {
  uint32_t i = 0;
  while (i < gallery->manifest.journals_count && gallery->manifest.journals[i].id < gallery->reading.journal) i++;
  return i;
}

/* A journal that another one follows was sealed, and vouched for, where that begins. */
static lk_status check_end(const lk_gallery *gallery, uint32_t i, lk_error *error) {
  const lk_manifest *manifest = &gallery->manifest;
  const lk_journal_place *end = &gallery->reading.place;
  char name[LK_JOURNAL_NAME_MAX];
  if (i + 1 == manifest->journals_count) return LK_OK;
  const lk_manifest_journal *next = &manifest->journals[i + 1];
  if (end->sealed && end->sequence == next->sequence && end->epoch == next->epoch) return LK_OK;
  lk_journal_name(manifest->journals[i].id, name);
  return lk_fail(error, LK_ECORRUPT, "%s/%s: it ends before the journal that follows it begins", gallery->folder.path,
                 name);
}

static lk_status follow(collecting *c, uint32_t i, lk_error *error) {
  lk_gallery *gallery = c->gallery;
  lk_journal_header header = lk_manifest_journal_header(&gallery->manifest, i);
  lk_journal_report report;
  if (header.id != gallery->reading.journal) gallery->reading = (lk_reading){.journal = header.id};
  lk_status status =
      lk_journal_follow(&gallery->folder, &header, &gallery->reading.place, collect, c, &report, error);
  return status == LK_OK ? check_end(gallery, i, error) : status;
}

lk_status lk_recovery_read(lk_gallery *gallery, lk_pool *pool, lk_error *error) {
  collecting c = {.gallery = gallery, .pool = pool};
  lk_status status = LK_OK;
  begin_group(&c);
  for (uint32_t i = journal_at(gallery); status == LK_OK && i < gallery->manifest.journals_count; i++)
    status = follow(&c, i, error);
  return finish(&c, status, error);
}

lk_status lk_recovery_own(lk_gallery *gallery, lk_pool *pool, lk_recovery *recovery, lk_error *error) {
  collecting c = {.gallery = gallery, .pool = pool};
  uint32_t last = gallery->manifest.journals_count - 1;
  lk_journal_header header = lk_manifest_journal_header(&gallery->manifest, last);
  lk_status status = LK_OK;
  *recovery = (lk_recovery){.journal = NULL};
  begin_group(&c);
  for (uint32_t i = 0; status == LK_OK && i < last; i++) status = follow(&c, i, error);
  if (status == LK_OK) status = apply_group(&c, error);
  recovery->boundary = gallery->contents->next_number;
  c.sealed = 0;
  if (status == LK_OK)
    status = lk_journal_open(&gallery->folder, &header, collect, &c, &recovery->report, &recovery->journal, error);
  status = finish(&c, status, error);
  recovery->next_journal = c.sealed;
  if (status != LK_OK) lk_journal_close(recovery->journal);
  return status;
}
