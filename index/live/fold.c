#include "index/live/fold.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "index/catalog/adopt.h"
#include "index/catalog/gathering.h"
#include "index/storage/leftovers.h"
#include "index/storage/state.h"

#define JOURNAL_BYTES (UINT64_C(64) << 20)
#define JOURNAL_BYTES_MOST (UINT64_C(1) << 30)
#define RETRY_US (UINT64_C(10) * 1000000)
#define ACKNOWLEDGED_US (UINT64_C(3) * 1000000) /* most that is waited for the log */

typedef struct fold {
  lk_owner *owner;
  lk_fold_kind kind;
  lk_sight sight;
  lk_manifest next;  /* that will be; shares what does not change with the gallery's */
  uint64_t boundary; /* rows with lower numbers go to segments */
  lk_log_mark boundary_log;
  bool *chosen;    /* of each part of the sight: it is written anew */
  lk_part **files; /* the parts that will be, in their order */
  lk_manifest_segment *segments;
  uint32_t files_count, room;
  lk_state_entry *entries;
  uint32_t entries_count, entries_room;
  lk_gathering gathering; /* of rows that go to the next segment */
} fold;

/* ---- sealing ---- */

lk_status lk_fold_begin_journal(lk_owner *owner, uint32_t id, lk_error *error) {
  lk_gallery *gallery = owner->gallery;
  lk_manifest next = gallery->manifest;
  lk_journal_report report;
  lk_journal *journal;
  if (next.next_file <= id) next.next_file = id + 1;
  next.journals[1] = (lk_manifest_journal){
      .id = id, .epoch = gallery->contents->epoch, .sequence = lk_journal_sequence(owner->journal)};
  next.journals_count = 2;
  lk_journal_header header = lk_manifest_journal_header(&next, 1);
  lk_status status = lk_journal_create(&gallery->folder, &header, error);
  if (status == LK_OK) status = lk_manifest_write(&gallery->folder, &next, error);
  if (status != LK_OK) return status;
  lk_manifest_follow(&gallery->manifest, &next);
  owner->boundary = gallery->contents->next_number;
  owner->boundary_log = gallery->contents->log;
  status = lk_journal_open(&gallery->folder, &header, NULL, NULL, &report, &journal, error);
  if (status != LK_OK) return status;
  lk_journal_close(owner->journal);
  owner->journal = journal;
  pthread_mutex_lock(&owner->mutex);
  owner->recorded = 0;
  pthread_mutex_unlock(&owner->mutex);
  return LK_OK;
}

/* The caller has the turn. After an error the owner takes no more changes: its journal may be sealed. */
static lk_status seal(lk_owner *owner, lk_error *error) {
  lk_contents *contents = owner->gallery->contents;
  lk_record record = {.kind = LK_RECORD_SEAL, .number = owner->gallery->manifest.next_file};
  uint64_t sequence, epoch;
  lk_status status = lk_journal_add(owner->journal, &record, 1, &sequence, &epoch, error);
  if (status == LK_OK) status = lk_journal_commit(owner->journal, sequence, error);
  if (status == LK_OK) {
    pthread_rwlock_wrlock(&contents->lock);
    contents->epoch = epoch;
    pthread_rwlock_unlock(&contents->lock);
    status = lk_fold_begin_journal(owner, (uint32_t)record.number, error);
  }
  if (status != LK_OK) lk_owner_fail(owner, error);
  return status;
}

/* ---- what is written ---- */

static lk_status add_file(fold *f, lk_part *part, lk_error *error) {
  if (f->files_count == f->room) {
    uint32_t room = f->room > 0 ? 2 * f->room : 16;
    lk_part **files = realloc(f->files, room * sizeof *files);
    if (files != NULL) f->files = files;
    lk_manifest_segment *segments = files != NULL ? realloc(f->segments, room * sizeof *segments) : NULL;
    if (segments == NULL) return lk_fail_memory(error);
    f->segments = segments;
    f->room = room;
  }
  atomic_fetch_add(&part->references, 1);
  f->segments[f->files_count] = (lk_manifest_segment){
      .id = part->file, .rows = part->segment.block.rows, .checksum = part->segment.header.checksum};
  f->files[f->files_count++] = part;
  return LK_OK;
}

static lk_status open_written(fold *f, uint32_t id, uint64_t checksum, lk_error *error) {
  char name[LK_SEGMENT_NAME_MAX];
  lk_segment segment;
  lk_part *part;
  lk_manifest_segment_name(id, name);
  lk_status status = lk_segment_open_written(&f->owner->gallery->folder, name, checksum, &segment, error);
  if (status != LK_OK) return status;
  status = lk_part_open(&segment, id, &part, error);
  if (status != LK_OK) {
    lk_segment_close(&segment);
    return status;
  }
  status = add_file(f, part, error);
  lk_part_release(part);
  return status;
}

/* Writes the first rows that were gathered, and drops them. */
static lk_status write_gathered(fold *f, uint32_t rows, lk_error *error) {
  lk_gallery *gallery = f->owner->gallery;
  uint32_t id = f->next.next_file++;
  char name[LK_SEGMENT_NAME_MAX];
  uint64_t checksum;
  lk_manifest_segment_name(id, name);
  lk_segment_content content = lk_gathering_content(&f->gathering, lk_gallery_shape(gallery), 0, rows, name);
  content.control = f->owner->control;
  lk_status status = lk_segment_write(&gallery->folder, name, &content, NULL, &checksum, error);
  if (status == LK_EBADPROBE) status = lk_fail(error, LK_ECORRUPT, "%s: a row was changed meanwhile", name);
  if (status == LK_OK) status = open_written(f, id, checksum, error);
  lk_gathering_drop(&f->gathering, rows);
  return status;
}

static bool is_small(const lk_part *part) { return part->living < LK_SEGMENT_ROWS / 2; }

static bool is_rewritten(const fold *f, const lk_part *part) {
  if (2 * (uint64_t)part->living < part->segment.block.rows) return true;
  if (f->kind != LK_FOLD_ALL) return false;
  return lk_part_has_changed(part) || part->segment.header.version != LK_SEGMENT_VERSION;
}

/* Decides what becomes of each part: those in memory, what is_rewritten says, and files that are merged: at the end as
 * long as not many more rows follow, so that each row is written a logarithmic number of times; in a fold of all also
 * small ones beside others that are written. */
static lk_status choose(fold *f, lk_error *error) {
  const lk_catalog *catalog = f->sight.catalog;
  uint32_t parts = catalog->parts_count;
  uint64_t fresh = 0;
  bool *chosen = f->chosen = calloc(parts + 1, sizeof *chosen);
  if (chosen == NULL) return lk_fail_memory(error);
  for (uint32_t i = 0; i < parts; i++) chosen[i] = catalog->parts[i]->file == 0 || is_rewritten(f, catalog->parts[i]);
  for (uint32_t i = parts; i-- > 0;) {
    uint64_t living = catalog->parts[i]->living;
    if (!chosen[i] && (living >= 2 * fresh || living + fresh > LK_SEGMENT_ROWS)) break;
    chosen[i] = true;
    fresh += living;
  }
  for (uint32_t i = 0; f->kind == LK_FOLD_ALL && i < parts; i++) {
    if (!is_small(catalog->parts[i])) continue;
    bool beside = (i > 0 && (chosen[i - 1] || is_small(catalog->parts[i - 1]))) ||
                  (i + 1 < parts && (chosen[i + 1] || is_small(catalog->parts[i + 1])));
    chosen[i] = chosen[i] || beside;
  }
  return LK_OK;
}

static lk_status add_entries(fold *f, const lk_part *part, lk_error *error) {
  if (!lk_part_has_changed(part)) return LK_OK;
  for (uint32_t r = 0; r < part->segment.block.rows; r++) {
    lk_template now = lk_part_template(part, r), written = lk_segment_template(&part->segment, r);
    bool lives = lk_part_lives(part, r);
    if (lives && now.expires_ms == written.expires_ms && now.tags == written.tags) continue;
    if (f->entries_count == f->entries_room) {
      uint32_t room = f->entries_room > 0 ? 2 * f->entries_room : 1024;
      lk_state_entry *entries = realloc(f->entries, room * sizeof *entries);
      if (entries == NULL) return lk_fail_memory(error);
      f->entries = entries;
      f->entries_room = room;
    }
    f->entries[f->entries_count++] = (lk_state_entry){.segment = part->file,
                                                      .row = r,
                                                      .died = lives ? UINT64_MAX : lk_part_died(part, r),
                                                      .expires_ms = now.expires_ms,
                                                      .tags = now.tags};
  }
  return LK_OK;
}

/* What is written anew must be what was written: its old file goes. */
static lk_status check_source(const lk_part *part, lk_error *error) {
  lk_status status = LK_OK;
  if (part->file == 0) return LK_OK;
  for (lk_section s = 0; status == LK_OK && s < LK_SECTIONS; s++) status = lk_segment_verify(&part->segment, s, error);
  return status;
}

/* The gathered rows, but for those that go to the next segment. */
static lk_status write_full(fold *f, lk_error *error) {
  lk_status status = LK_OK;
  while (status == LK_OK && f->gathering.count >= LK_SEGMENT_ROWS) status = write_gathered(f, LK_SEGMENT_ROWS, error);
  return status;
}

/* Writes the chosen parts from `i` on, up to the first that is not chosen. */
static lk_status write_run(fold *f, uint32_t *i, lk_error *error) {
  const lk_catalog *catalog = f->sight.catalog;
  lk_status status = lk_gathering_open(&f->gathering, UINT64_C(2) * LK_SEGMENT_ROWS, error);
  f->gathering.for_file = true;
  for (; status == LK_OK && *i < catalog->parts_count && f->chosen[*i]; (*i)++) {
    const lk_part *part = catalog->parts[*i];
    status = check_source(part, error);
    if (status != LK_OK) break;
    lk_gathering_add_part(&f->gathering, part, 0);
    while (f->gathering.count > 0 && f->gathering.templates[f->gathering.count - 1].number >= f->boundary)
      f->gathering.count--;
    status = write_full(f, error);
  }
  if (status == LK_OK && f->gathering.count > 0) status = write_gathered(f, f->gathering.count, error);
  lk_gathering_free(&f->gathering);
  return status;
}

static lk_status write_files(fold *f, lk_error *error) {
  const lk_catalog *catalog = f->sight.catalog;
  lk_status status = choose(f, error);
  for (uint32_t i = 0; status == LK_OK && i < catalog->parts_count;) {
    if (f->chosen[i]) {
      status = write_run(f, &i, error);
      continue;
    }
    status = add_file(f, catalog->parts[i], error);
    if (status == LK_OK) status = add_entries(f, catalog->parts[i], error);
    i++;
  }
  return status == LK_OK ? lk_catalog_check_files(catalog, error) : status;
}

static int compare_entries(const void *a, const void *b) {
  const lk_state_entry *x = a, *y = b;
  if (x->segment != y->segment) return x->segment < y->segment ? -1 : 1;
  return (x->row > y->row) - (x->row < y->row);
}

static lk_status write_state(fold *f, lk_error *error) {
  f->next.state = (lk_manifest_state){.id = 0};
  if (f->entries_count == 0) return LK_OK;
  qsort(f->entries, f->entries_count, sizeof *f->entries, compare_entries);
  f->next.state.id = f->next.next_file++;
  return lk_state_write(&f->owner->gallery->folder, f->next.state.id, f->next.id, f->entries, f->entries_count,
                        &f->next.state.checksum, error);
}

/* ---- putting it in place ---- */

static lk_status publish(fold *f, lk_error *error) {
  lk_gallery *gallery = f->owner->gallery;
  lk_manifest *old = &gallery->manifest;
  f->next.segments = f->segments;
  f->next.segments_count = f->files_count;
  f->next.journals[0] = old->journals[1];
  f->next.journals_count = 1;
  f->next.epoch = f->next.journals[0].epoch;
  f->next.sequence = f->next.journals[0].sequence;
  f->next.next_number = f->boundary;
  f->next.log = (lk_manifest_log){.mark = f->boundary_log, .seen = gallery->contents->log.seq};
  lk_status status = lk_folder_sync(&gallery->folder, error);
  if (status == LK_OK) status = lk_manifest_write(&gallery->folder, &f->next, error);
  if (status != LK_OK) {
    lk_owner_fail(f->owner, error); /* which of the two manifests is there is not known */
    return status;
  }
  f->segments = NULL;
  lk_manifest_follow(old, &f->next);
  status = lk_adopt(gallery->contents, f->files, f->files_count, f->boundary, f->owner->pool, error);
  if (status != LK_OK) lk_owner_fail(f->owner, error);
  if (status == LK_OK) status = lk_leftovers_remove(&gallery->folder, old, error);
  return status == LK_OK ? lk_folder_sync(&gallery->folder, error) : status;
}

/* What is folded cannot be appended to the log again. */
static lk_status check_acknowledged(lk_owner *owner, lk_error *error) {
  uint64_t last = owner->boundary_log.seq;
  pthread_mutex_lock(&owner->mutex);
  uint64_t acknowledged = owner->acknowledged;
  pthread_mutex_unlock(&owner->mutex);
  if (last <= acknowledged) return LK_OK;
  return lk_fail(error, LK_EBUSY,
                 "the gallery %s has %" PRIu64
                 " changes of its log that are not acknowledged; serve it, and try again when they are",
                 owner->gallery->manifest.name, last - acknowledged);
}

static bool asks_to_erase(lk_owner *owner) {
  pthread_mutex_lock(&owner->mutex);
  bool asks = owner->erases > 0;
  pthread_mutex_unlock(&owner->mutex);
  return asks;
}

/* Changes go on in the next journal while the sealed one waits to be acknowledged. An entry that erases is folded only
 * where that is done with it. */
static lk_status begin(fold *f, lk_error *error) {
  lk_owner *owner = f->owner;
  lk_owner_take_turn(owner);
  lk_status status = lk_owner_check(owner, error);
  if (status == LK_OK && owner->gallery->manifest.journals_count == 1) status = seal(owner, error);
  if (status == LK_OK) status = check_acknowledged(owner, error);
  f->next = owner->gallery->manifest;
  f->boundary = owner->boundary;
  f->boundary_log = owner->boundary_log;
  if (asks_to_erase(owner)) f->kind = LK_FOLD_ALL;
  lk_contents_enter(owner->gallery->contents, &f->sight);
  lk_contents_leave(owner->gallery->contents);
  lk_owner_end_turn(owner);
  return status;
}

static lk_status run(fold *f, lk_error *error) {
  lk_status status = begin(f, error);
  if (status == LK_OK) status = write_files(f, error);
  if (status == LK_OK) status = write_state(f, error);
  if (status != LK_OK) return status;
  lk_owner_take_turn(f->owner);
  status = lk_owner_check(f->owner, error);
  if (status == LK_OK) status = publish(f, error);
  lk_owner_end_turn(f->owner);
  return status;
}

static lk_status fold_now(lk_owner *owner, lk_fold_kind kind, lk_error *error) {
  fold f = {.owner = owner, .kind = kind};
  lk_error why;
  lk_status status = run(&f, &why);
  if (status != LK_OK) lk_fail(error, status, "%s", why.text);
  for (uint32_t i = 0; i < f.files_count; i++) lk_part_release(f.files[i]);
  lk_gathering_free(&f.gathering);
  lk_sight_free(&f.sight);
  free(f.chosen);
  free(f.files);
  free(f.segments);
  free(f.entries);
  return status;
}

/* ---- when ---- */

static bool try_begin(lk_owner *owner, bool wait) {
  pthread_mutex_lock(&owner->mutex);
  while (wait && owner->folding) pthread_cond_wait(&owner->turned, &owner->mutex);
  bool begun = !owner->folding;
  owner->folding = true;
  pthread_mutex_unlock(&owner->mutex);
  return begun;
}

/* A fold that fails leaves the sealed journal to the next one, which begins when as much again has come; one that has
 * to wait for the log, when that has come so far. */
static void end(lk_owner *owner, lk_status status, const lk_error *why) {
  bool waits = status == LK_EBUSY;
  pthread_mutex_lock(&owner->mutex);
  owner->folding = false;
  owner->awaited = waits ? owner->boundary_log.seq : 0;
  if (!waits) owner->fold_failure = status == LK_OK ? (lk_error){""} : *why;
  if (!waits) owner->fold_at = status == LK_OK ? JOURNAL_BYTES : owner->recorded + JOURNAL_BYTES;
  pthread_cond_broadcast(&owner->turned);
  pthread_mutex_unlock(&owner->mutex);
}

/* Waits for who acknowledges, if there is somebody. Whether to try again. */
static bool wait_acknowledged(lk_owner *owner, uint64_t until_us) {
  uint64_t last = owner->boundary_log.seq;
  const struct timespec until = lk_clock_timespec(until_us);
  pthread_mutex_lock(&owner->mutex);
  while (owner->acknowledges && owner->acknowledged < last && lk_clock_us() < until_us)
    pthread_cond_timedwait(&owner->turned, &owner->mutex, &until);
  bool acknowledged = owner->acknowledged >= last;
  pthread_mutex_unlock(&owner->mutex);
  return acknowledged;
}

static lk_status fold_when_acknowledged(lk_owner *owner, lk_fold_kind kind, lk_error *error) {
  uint64_t until_us = lk_clock_us() + ACKNOWLEDGED_US;
  lk_status status;
  do status = fold_now(owner, kind, error);
  while (status == LK_EBUSY && wait_acknowledged(owner, until_us));
  return status;
}

lk_status lk_fold(lk_owner *owner, lk_fold_kind kind, lk_error *error) {
  lk_error why = {""};
  lk_status status = LK_OK;
  try_begin(owner, true);
  /* Of a fold that failed, or whose process died, a sealed journal is there, and changes in the next one. */
  if (owner->gallery->manifest.journals_count == 2) status = fold_when_acknowledged(owner, LK_FOLD_JOURNAL, &why);
  if (status == LK_OK) status = fold_when_acknowledged(owner, kind, &why);
  end(owner, status, &why);
  return status == LK_OK ? LK_OK : lk_fail(error, status, "%s", why.text);
}

static void *fold_in_background(void *context) {
  lk_owner *owner = context;
  lk_error why = {""};
  lk_status status = fold_now(owner, LK_FOLD_JOURNAL, &why);
  end(owner, status, &why);
  return NULL;
}

/* Under the lock. Who serves the gallery erases, which folds all. */
static bool is_due(const lk_owner *owner) {
  bool is_left = owner->erases > 0 && owner->acknowledges;
  if (is_left || owner->failure.text[0] != '\0') return false;
  if (owner->awaited > 0) return owner->acknowledged >= owner->awaited;
  return owner->recorded >= (owner->fold_at > 0 ? owner->fold_at : JOURNAL_BYTES);
}

void lk_fold_if_due(lk_owner *owner) {
  pthread_t thread;
  pthread_mutex_lock(&owner->mutex);
  bool due = is_due(owner);
  pthread_mutex_unlock(&owner->mutex);
  if (!due || !try_begin(owner, false)) return;
  if (pthread_create(&thread, NULL, fold_in_background, owner) == 0)
    pthread_detach(thread);
  else
    end(owner, LK_ENOMEM, &(lk_error){"cannot start a thread"});
}

/* True at most each RETRY_US. */
static bool is_time_to_retry(lk_owner *owner) {
  uint64_t now_us = lk_clock_us();
  if (now_us < owner->retry_us) return false;
  owner->retry_us = now_us + RETRY_US;
  return true;
}

lk_status lk_fold_check(lk_owner *owner, lk_error *error) {
  pthread_mutex_lock(&owner->mutex);
  bool full = owner->recorded >= JOURNAL_BYTES_MOST;
  lk_error failure = owner->fold_failure;
  if (full && is_time_to_retry(owner)) owner->fold_at = owner->recorded;
  pthread_mutex_unlock(&owner->mutex);
  if (!full) return LK_OK;
  lk_fold_if_due(owner);
  const char *name = owner->gallery->manifest.name;
  if (failure.text[0] == '\0')
    return lk_fail(error, LK_EBUSY, "the journal of the gallery %s is being folded; try again soon", name);
  return lk_fail(error, LK_EIO, "the journal of the gallery %s has become too large, as it cannot be folded: %s", name,
                 failure.text);
}
