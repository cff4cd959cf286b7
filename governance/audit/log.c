/* The log's writer. Records collect in memory and go to the file in one write, so a group costs one fsync. What depends
 * on a record must wait for its commit. */
#include "governance/audit/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "governance/audit/files.h"
#include "governance/audit/verify.h"

enum { PENDING_MAX = 1 << 20, FILE_BYTES = 64 << 20 };

struct lk_audit {
  pthread_mutex_t mutex;
  lk_folder folder;
  char path[PATH_MAX]; /* of the current file */
  int lock, fd;        /* of the folder's lock; of the current file */
  uint32_t number;     /* of the current file */
  uint64_t file_bytes; /* written to it */
  uint64_t file_bytes_max, head_interval_ms;
  lk_signing_key key;
  lk_audit_chain chain;
  char *pending; /* records that are not written yet */
  size_t pending_bytes;
  bool synced; /* every record is on the disk */
  bool failed;
  lk_error why;
  lk_audit_mark latest;
  uint64_t head_due_ms;
  uint64_t cut;
  const lk_anchor *seen; /* what the log must have; only while it is opened */
  lk_anchor *anchors;    /* that follow its end */
};

/* After a failure the content of the disk is unknown: a later fsync may succeed although the data are lost. */
static lk_status fail(lk_audit *audit, const char *what, lk_error *error) {
  audit->failed = true;
  lk_fail(&audit->why, LK_EIO, "%s: cannot %s: %s", audit->path, what, strerror(errno));
  return lk_fail(error, LK_EIO, "%s", audit->why.text);
}

/* The bytes are in the file that is open, yet whoever looks for the log finds another, or none. */
static lk_status lose(lk_audit *audit, const char *what, lk_error *error) {
  audit->failed = true;
  lk_fail(&audit->why, LK_EIO, "%s: the audit log's file was %s while it was in use", audit->path, what);
  return lk_fail(error, LK_EIO, "%s", audit->why.text);
}

/* Whether the open file is still the log's: under its name, and as long as what was written. */
static lk_status check_place(lk_audit *audit, lk_error *error) {
  struct stat ours, named;
  if (fstat(audit->fd, &ours) != 0) return fail(audit, "stat", error);
  if (stat(audit->path, &named) != 0) return lose(audit, ours.st_nlink == 0 ? "deleted" : "moved away", error);
  if (named.st_dev != ours.st_dev || named.st_ino != ours.st_ino) return lose(audit, "replaced", error);
  if ((uint64_t)ours.st_size < audit->file_bytes) return lose(audit, "cut", error);
  if ((uint64_t)ours.st_size > audit->file_bytes) return lose(audit, "written to by another", error);
  return LK_OK;
}

static lk_status check_usable(const lk_audit *audit, lk_error *error) {
  if (!audit->failed) return LK_OK;
  return lk_fail(error, LK_EIO, "the audit log failed and accepts no records until it is opened again: %s",
                 audit->why.text);
}

static lk_status write_pending(lk_audit *audit, lk_error *error) {
  for (size_t done = 0; done < audit->pending_bytes;) {
    ssize_t n = write(audit->fd, audit->pending + done, audit->pending_bytes - done);
    if (n >= 0)
      done += (size_t)n;
    else if (errno != EINTR)
      return fail(audit, "write", error);
  }
  audit->file_bytes += audit->pending_bytes;
  audit->pending_bytes = 0;
  return LK_OK;
}

static lk_status append(lk_audit *audit, lk_audit_entry *entry, lk_error *error) {
  char hash[LK_AUDIT_HEX];
  size_t length;
  entry->sequence = audit->chain.sequence + 1;
  entry->previous = (lk_text){.bytes = audit->chain.hash, .length = LK_AUDIT_HEX - 1};
  if (entry->record.time_ms == 0) entry->record.time_ms = lk_clock_unix_ms();
  lk_status status = LK_OK;
  if (audit->pending_bytes > PENDING_MAX - LK_AUDIT_LINE_MAX - 1) status = write_pending(audit, error);
  char *line = audit->pending + audit->pending_bytes;
  if (status == LK_OK) status = lk_audit_encode(entry, line, &length, hash, error);
  if (status != LK_OK) return status;
  line[length] = '\n';
  audit->pending_bytes += length + 1;
  audit->synced = false;
  lk_audit_chain_move(&audit->chain, entry, hash);
  return LK_OK;
}

/* Appends `opened` or `rotated`, the records that name the log and its key. */
static lk_status append_identity(lk_audit *audit, lk_audit_type type, const char *log, lk_error *error) {
  lk_audit_entry entry = {.record.type = type,
                          .version = LK_AUDIT_VERSION,
                          .log = {.bytes = log, .length = LK_AUDIT_LOG_HEX - 1},
                          .key = {.bytes = audit->key.public_hex, .length = (uint32_t)strlen(audit->key.public_hex)},
                          .cut = type == LK_AUDIT_OPENED ? audit->cut : 0};
  return append(audit, &entry, error);
}

static lk_status sync_pending(lk_audit *audit, lk_error *error) {
  if (audit->synced) return check_place(audit, error);
  lk_status status = write_pending(audit, error);
  if (status == LK_OK && fdatasync(audit->fd) != 0) status = fail(audit, "fsync", error);
  if (status == LK_OK) status = check_place(audit, error);
  audit->synced = status == LK_OK;
  return status;
}

/* Creates the file `number` and syncs the folder, so that the file's name is on the disk. */
static lk_status make_file(lk_audit *audit, uint32_t number, lk_error *error) {
  char name[LK_AUDIT_FILE_NAME];
  lk_status status = lk_audit_file_path(&audit->folder, number, audit->path, error);
  if (status != LK_OK) return status;
  lk_audit_file_name(number, name);
  if (audit->fd >= 0) close(audit->fd);
  audit->fd = lk_folder_create_file(&audit->folder, name, O_WRONLY | O_APPEND);
  if (audit->fd < 0) return fail(audit, "create", error);
  if (fsync(audit->folder.fd) != 0) return fail(audit, "fsync the folder", error);
  audit->number = number;
  audit->file_bytes = 0;
  return LK_OK;
}

static lk_status rotate(lk_audit *audit, lk_error *error) {
  lk_status status = make_file(audit, audit->number + 1, error);
  if (status == LK_OK) status = append_identity(audit, LK_AUDIT_ROTATED, audit->chain.log, error);
  return status == LK_OK ? sync_pending(audit, error) : status;
}

static lk_audit_mark mark_end(const lk_audit *audit) {
  lk_audit_mark mark = {.sequence = audit->chain.sequence, .time_ms = lk_clock_unix_ms()};
  memcpy(mark.log, audit->chain.log, sizeof mark.log);
  memcpy(mark.hash, audit->chain.hash, sizeof mark.hash);
  return mark;
}

static lk_status append_head(lk_audit *audit, lk_audit_mark *mark, lk_error *error) {
  if (audit->key.public_hex[0] == '\0') return LK_OK;
  lk_audit_mark_sign(mark, &audit->key);
  lk_audit_entry entry = {.record = {.type = LK_AUDIT_HEAD, .time_ms = mark->time_ms},
                          .signature = {.bytes = mark->signature, .length = sizeof mark->signature - 1}};
  return append(audit, &entry, error);
}

/* Never, for an interval that no clock will see the end of. */
static uint64_t due_after(uint64_t time_ms, uint64_t interval_ms) {
  return interval_ms < UINT64_MAX - time_ms ? time_ms + interval_ms : UINT64_MAX;
}

/* An anchor that fell behind would not find a cut. */
static lk_status move_anchors(lk_audit *audit, lk_error *error) {
  if (audit->anchors == NULL) return LK_OK;
  lk_audit_mark end = mark_end(audit);
  lk_status status = lk_anchor_move(audit->anchors, &end, &audit->why);
  if (status == LK_OK) return LK_OK;
  audit->failed = true;
  return lk_fail(error, status, "%s", audit->why.text);
}

static lk_status commit(lk_audit *audit, bool with_head, lk_error *error) {
  lk_audit_mark mark = mark_end(audit);
  lk_status status = with_head ? append_head(audit, &mark, error) : LK_OK;
  if (status == LK_OK) status = sync_pending(audit, error);
  if (status == LK_OK && with_head) {
    audit->latest = mark;
    audit->head_due_ms = due_after(mark.time_ms, audit->head_interval_ms);
  }
  if (status == LK_OK && audit->file_bytes >= audit->file_bytes_max) status = rotate(audit, error);
  return status == LK_OK ? move_anchors(audit, error) : status;
}

static lk_status make_log(lk_audit *audit, lk_error *error) {
  unsigned char random[(LK_AUDIT_LOG_HEX - 1) / 2];
  char log[LK_AUDIT_LOG_HEX];
  randombytes_buf(random, sizeof random);
  sodium_bin2hex(log, sizeof log, random, sizeof random);
  audit->chain = lk_audit_chain_start(true);
  return append_identity(audit, LK_AUDIT_OPENED, log, error);
}

static lk_status check_key(const lk_audit *audit, lk_error *error) {
  const char *ours = audit->key.public_hex, *theirs = audit->chain.key;
  if (audit->chain.log[0] == '\0' || strcmp(ours, theirs) == 0) return LK_OK;
  return lk_fail(error, LK_EINVAL,
                 "%s: the log's key is %s, but the given key is %s; start a new log to use another key",
                 audit->folder.path, theirs[0] != '\0' ? theirs : "none", ours[0] != '\0' ? ours : "none");
}

/* Reads the last file and, if that holds no whole record yet, the one before it. */
static lk_status read_end(lk_audit *audit, size_t *whole, lk_error *error) {
  char path[PATH_MAX];
  size_t size, before;
  audit->chain = lk_audit_chain_start(audit->number == 1);
  lk_status status = lk_audit_file_read(&audit->folder, audit->path, &audit->chain, &size, whole, NULL, NULL, error);
  audit->cut = size - *whole;
  if (status != LK_OK || *whole > 0 || audit->number == 1) return status;
  audit->chain = lk_audit_chain_start(audit->number == 2);
  status = lk_audit_file_path(&audit->folder, audit->number - 1, path, error);
  if (status == LK_OK)
    status = lk_audit_file_read(&audit->folder, path, &audit->chain, &size, &before, NULL, NULL, error);
  if (status == LK_OK && (before != size || size == 0))
    status = lk_fail(error, LK_ECORRUPT, "%s: offset %zu: incomplete record", path, before);
  return status;
}

static lk_status cut_to(lk_audit *audit, size_t whole, lk_error *error) {
  if (audit->cut > 0 && (ftruncate(audit->fd, (off_t)whole) != 0 || fsync(audit->fd) != 0))
    return fail(audit, "cut off the torn record", error);
  audit->file_bytes = whole;
  return LK_OK;
}

static lk_status resume(lk_audit *audit, lk_error *error) {
  size_t whole;
  char name[LK_AUDIT_FILE_NAME];
  lk_audit_file_name(audit->number, name);
  lk_status status = lk_audit_file_path(&audit->folder, audit->number, audit->path, error);
  if (status == LK_OK) status = read_end(audit, &whole, error);
  if (status == LK_OK) status = lk_anchor_check_end(audit->seen, audit->folder.path, &audit->chain, error);
  if (status == LK_OK) status = check_key(audit, error);
  if (status != LK_OK) return status;
  audit->fd = lk_folder_open_file(&audit->folder, name, O_WRONLY | O_APPEND);
  if (audit->fd < 0) return fail(audit, "open", error);
  status = cut_to(audit, whole, error);
  if (status == LK_OK && audit->chain.log[0] == '\0') return make_log(audit, error);
  if (status == LK_OK && whole == 0) status = append_identity(audit, LK_AUDIT_ROTATED, audit->chain.log, error);
  if (status == LK_OK) status = append_identity(audit, LK_AUDIT_OPENED, audit->chain.log, error);
  return status;
}

/* Another process may make the same log at this moment, so the folder stays even if it was made in vain. */
static lk_status open_folder(lk_audit *audit, const char *path, lk_error *error) {
  const lk_audit_chain nothing = {0};
  bool is_there = access(path, F_OK) == 0 || errno != ENOENT, made = false;
  lk_status status = is_there ? LK_OK : lk_anchor_check_end(audit->seen, path, &nothing, error);
  if (status == LK_OK) status = lk_folder_make(path, &audit->folder, &made, error);
  if (status == LK_OK) status = lk_folder_lock(&audit->folder, "writes this audit log", &audit->lock, error);
  return status == LK_OK && made ? lk_folder_sync_parent(&audit->folder, error) : status;
}

static lk_status start(lk_audit *audit, const char *path, const char *key_file, lk_error *error) {
  lk_status status = key_file != NULL ? lk_signing_key_read_secret(key_file, &audit->key, error) : LK_OK;
  if (status == LK_OK) status = open_folder(audit, path, error);
  if (status == LK_OK) status = lk_audit_files_last(&audit->folder, &audit->number, error);
  if (status != LK_OK) return status;
  if (audit->number > 0) {
    status = resume(audit, error);
  } else {
    status = lk_anchor_check_end(audit->seen, audit->folder.path, &audit->chain, error);
    if (status == LK_OK) status = make_file(audit, 1, error);
    if (status == LK_OK) status = make_log(audit, error);
  }
  return status == LK_OK ? commit(audit, false, error) : status;
}

static void discard(lk_audit *audit) {
  lk_anchor_close(audit->anchors);
  if (audit->fd >= 0) close(audit->fd);
  if (audit->lock >= 0) close(audit->lock);
  lk_folder_close(&audit->folder);
  lk_signing_key_forget(&audit->key);
  pthread_mutex_destroy(&audit->mutex);
  free(audit->pending);
  free(audit);
}

lk_status lk_audit_open(const char *folder, const lk_audit_options *options, lk_audit **audit, lk_error *error) {
  return lk_audit_open_seen(folder, options, NULL, audit, error);
}

lk_status lk_audit_open_seen(const char *folder, const lk_audit_options *options, const lk_anchor *seen,
                             lk_audit **audit, lk_error *error) {
  if (sodium_init() < 0) return lk_fail(error, LK_EINTERNAL, "libsodium cannot start");
  lk_audit *made = calloc(1, sizeof *made);
  if (made == NULL) return lk_fail_memory(error);
  made->folder.fd = made->lock = made->fd = -1;
  made->file_bytes_max = options->file_bytes > 0 ? options->file_bytes : FILE_BYTES;
  made->head_interval_ms = options->head_interval_ms;
  made->head_due_ms = due_after(lk_clock_unix_ms(), made->head_interval_ms);
  made->synced = true;
  made->seen = seen;
  pthread_mutex_init(&made->mutex, NULL);
  made->pending = malloc(PENDING_MAX);
  lk_status status = made->pending != NULL ? start(made, folder, options->key_file, error) : lk_fail_memory(error);
  made->seen = NULL;
  if (status == LK_OK)
    *audit = made;
  else
    discard(made);
  return status;
}

const char *lk_audit_log_id(const lk_audit *audit) { return audit->chain.log; }

static lk_status meet(lk_audit *audit, lk_anchor *anchor, lk_error *error) {
  char head[LK_AUDIT_HEAD_MAX];
  lk_audit_report report;
  lk_anchor_meet(anchor, &audit->chain);
  if (anchor->met) return LK_OK;
  lk_audit_mark_write(&anchor->seen, head);
  lk_status status = lk_audit_read(audit->folder.path, head, NULL, NULL, NULL, &report, error);
  anchor->met = status == LK_OK;
  return status;
}

lk_status lk_audit_meet(lk_audit *audit, lk_anchor *anchor, lk_error *error) {
  pthread_mutex_lock(&audit->mutex);
  lk_status status = check_usable(audit, error);
  if (status == LK_OK) status = commit(audit, false, error);
  if (status == LK_OK) status = meet(audit, anchor, error);
  pthread_mutex_unlock(&audit->mutex);
  return status;
}

/* Forgets the anchor with this path: the gallery's folder may be another one since. */
static void drop_anchor(lk_audit *audit, const char *path) {
  for (lk_anchor **at = &audit->anchors; *at != NULL; at = &(*at)->next) {
    if (strcmp((*at)->path, path) != 0) continue;
    lk_anchor *dropped = *at;
    *at = dropped->next;
    dropped->next = NULL;
    lk_anchor_close(dropped);
    return;
  }
}

static lk_status keep(lk_audit *audit, lk_anchor *anchor, lk_error *error) {
  lk_audit_mark end = mark_end(audit);
  lk_status status = lk_anchor_hold(anchor, &end, error);
  if (status == LK_OK) {
    drop_anchor(audit, anchor->path);
    anchor->next = audit->anchors;
    audit->anchors = anchor;
  } else {
    lk_anchor_close(anchor);
  }
  return status;
}

lk_status lk_audit_keep(lk_audit *audit, lk_anchor *list, lk_error *error) {
  pthread_mutex_lock(&audit->mutex);
  lk_status status = check_usable(audit, error);
  if (status == LK_OK) status = commit(audit, false, error);
  while (status == LK_OK && list != NULL) {
    lk_anchor *anchor = list;
    list = anchor->next;
    anchor->next = NULL;
    status = keep(audit, anchor, error);
  }
  pthread_mutex_unlock(&audit->mutex);
  lk_anchor_close(list);
  return status;
}

uint64_t lk_audit_cut_bytes(const lk_audit *audit) { return audit->cut; }

lk_status lk_audit_append(lk_audit *audit, const lk_audit_record *record, uint64_t *sequence, lk_error *error) {
  if (record->type >= LK_AUDIT_OPENED)
    return lk_fail(error, LK_EINVAL, "audit record %s: only the log itself writes this type",
                   lk_audit_type_name(record->type));
  lk_audit_entry entry = {.record = *record};
  pthread_mutex_lock(&audit->mutex);
  lk_status status = check_usable(audit, error);
  if (status == LK_OK) status = append(audit, &entry, error);
  if (status == LK_OK && sequence != NULL) *sequence = entry.sequence;
  pthread_mutex_unlock(&audit->mutex);
  return status;
}

static bool head_is_due(const lk_audit *audit) {
  return audit->head_interval_ms > 0 && audit->chain.type != LK_AUDIT_HEAD && lk_clock_unix_ms() >= audit->head_due_ms;
}

lk_status lk_audit_commit(lk_audit *audit, lk_error *error) {
  pthread_mutex_lock(&audit->mutex);
  lk_status status = check_usable(audit, error);
  if (status == LK_OK) status = commit(audit, head_is_due(audit), error);
  pthread_mutex_unlock(&audit->mutex);
  return status;
}

lk_status lk_audit_head(lk_audit *audit, char head[LK_AUDIT_HEAD_MAX], lk_error *error) {
  pthread_mutex_lock(&audit->mutex);
  lk_status status = check_usable(audit, error);
  if (status == LK_OK) status = commit(audit, true, error);
  if (status == LK_OK) lk_audit_mark_write(&audit->latest, head);
  pthread_mutex_unlock(&audit->mutex);
  return status;
}

uint64_t lk_audit_latest_head(lk_audit *audit, char head[LK_AUDIT_HEAD_MAX]) {
  pthread_mutex_lock(&audit->mutex);
  uint64_t sequence = audit->latest.sequence;
  if (sequence > 0) lk_audit_mark_write(&audit->latest, head);
  pthread_mutex_unlock(&audit->mutex);
  return sequence;
}

void lk_audit_abandon(lk_audit *audit) {
  if (audit != NULL) discard(audit);
}

lk_status lk_audit_close(lk_audit *audit, lk_error *error) {
  if (audit == NULL) return LK_OK;
  lk_audit_entry entry = {.record.type = LK_AUDIT_CLOSED};
  lk_status status = check_usable(audit, error);
  if (status == LK_OK) status = append(audit, &entry, error);
  if (status == LK_OK) status = commit(audit, true, error);
  discard(audit);
  return status;
}
