#include "governance/audit/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fail.h"
#include "governance/audit/files.h"
#include "governance/audit/head.h"

typedef struct reading {
  const char *path;
  const lk_folder *folder; /* NULL: the path is of one file */
  lk_audit_chain chain;
  lk_audit_mark mark; /* sequence 0: no head was given */
  lk_signing_key key; /* "": no key was given */
  lk_audit_visit *visit;
  void *context;
  uint64_t first;
  uint32_t files;
} reading;

static lk_status check_identity(const reading *r, lk_error *error) {
  if (r->key.public_hex[0] != '\0' && strcmp(r->key.public_hex, r->chain.key) != 0)
    return lk_fail(error, LK_ECORRUPT, "%s: the log's heads are signed by %s, not by the given key", r->path,
                   r->chain.key[0] != '\0' ? r->chain.key : "nobody");
  if (r->mark.sequence > 0 && strcmp(r->mark.log, r->chain.log) != 0)
    return lk_fail(error, LK_ECORRUPT, "the head belongs to log %s, but %s is log %s", r->mark.log, r->path,
                   r->chain.log);
  return LK_OK;
}

static lk_status take(void *context, const lk_audit_chain *chain, const char *line, size_t length, lk_error *error) {
  reading *r = context;
  if (r->first == 0) {
    r->first = chain->sequence;
    lk_status status = check_identity(r, error);
    if (status != LK_OK) return status;
  }
  if (chain->sequence == r->mark.sequence && strcmp(chain->hash, r->mark.hash) != 0)
    return lk_fail(error, LK_ECORRUPT, "%s: record %" PRIu64 " is not the one that the head covers", r->path,
                   chain->sequence);
  return r->visit != NULL ? r->visit(r->context, chain, line, length, error) : LK_OK;
}

static lk_status read_file(reading *r, const char *path, lk_error *error) {
  size_t size, whole;
  lk_status status = lk_audit_file_read(r->folder, path, &r->chain, &size, &whole, take, r, error);
  if (status != LK_OK) return status;
  if (whole < size)
    return lk_fail(error, LK_ECORRUPT, "%s: offset %zu: incomplete record: torn, or still being written", path, whole);
  if (size == 0) return lk_fail(error, LK_ECORRUPT, "%s: the file holds no record", path);
  r->files++;
  return LK_OK;
}

static lk_status read_folder(reading *r, lk_error *error) {
  uint32_t last;
  lk_status status = lk_audit_files_last(r->folder, &last, error);
  if (status == LK_OK && last == 0) return lk_fail(error, LK_ENOTFOUND, "%s: no audit log in this folder", r->path);
  for (uint32_t number = 1; status == LK_OK && number <= last; number++) {
    char name[LK_AUDIT_FILE_NAME], path[PATH_MAX];
    status = lk_audit_file_path(r->folder, number, path, error);
    if (status != LK_OK) break;
    lk_audit_file_name(number, name);
    if (faccessat(r->folder->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
      return lk_fail(error, LK_ECORRUPT, "%s: the file is missing; the last file of the log is number %" PRIu32, path,
                     last);
    status = read_file(r, path, error);
  }
  return status;
}

static lk_status read_path(reading *r, lk_error *error) {
  struct stat found;
  if (stat(r->path, &found) != 0)
    return lk_fail(error, errno == ENOENT ? LK_ENOTFOUND : LK_EIO, "%s: %s", r->path, strerror(errno));
  r->chain = lk_audit_chain_start(S_ISDIR(found.st_mode));
  if (!S_ISDIR(found.st_mode)) return read_file(r, r->path, error);
  lk_folder folder;
  lk_status status = lk_folder_open(r->path, &folder, error);
  if (status != LK_OK) return status;
  r->folder = &folder;
  status = read_folder(r, error);
  r->folder = NULL;
  lk_folder_close(&folder);
  return status;
}

static lk_status prepare(reading *r, const char *head, const char *key_file, lk_error *error) {
  if (sodium_init() < 0) return lk_fail(error, LK_EINTERNAL, "libsodium cannot start");
  lk_status status = key_file != NULL ? lk_signing_key_read_public(key_file, &r->key, error) : LK_OK;
  if (status != LK_OK || head == NULL) return status;
  status = lk_audit_mark_parse(head, &r->mark, error);
  if (status != LK_OK) return status;
  if (r->mark.key[0] != '\0' && !lk_audit_mark_is_signed(&r->mark))
    return lk_fail(error, LK_ECORRUPT, "the head's signature does not match");
  if (key_file != NULL && strcmp(r->mark.key, r->key.public_hex) != 0)
    return lk_fail(error, LK_ECORRUPT, "the head is signed by %s, not by the given key",
                   r->mark.key[0] != '\0' ? r->mark.key : "nobody");
  return LK_OK;
}

static lk_status check_head_covered(const reading *r, lk_error *error) {
  if (r->mark.sequence == 0) return LK_OK;
  if (r->mark.sequence > r->chain.sequence)
    return lk_fail(error, LK_ECORRUPT,
                   "%s: the log was cut: it ends with record %" PRIu64 ", but its head covers record %" PRIu64, r->path,
                   r->chain.sequence, r->mark.sequence);
  if (r->mark.sequence < r->first)
    return lk_fail(error, LK_ENOTFOUND,
                   "%s begins with record %" PRIu64 ", but the head covers records up to %" PRIu64 " only", r->path,
                   r->first, r->mark.sequence);
  return LK_OK;
}

static void fill(const reading *r, lk_audit_report *report) {
  const lk_audit_chain *chain = &r->chain;
  *report = (lk_audit_report){.first = r->first,
                              .last = chain->sequence,
                              .last_time_ms = chain->time_ms,
                              .files = r->files,
                              .heads = chain->heads,
                              .signed_to = chain->signed_to,
                              .cuts = chain->cuts,
                              .closed = chain->is_closed};
  memcpy(report->log, chain->log, sizeof report->log);
  memcpy(report->key, chain->key, sizeof report->key);
  memcpy(report->hash, chain->hash, sizeof report->hash);
}

lk_status lk_audit_read(const char *path, const char *head, const char *key_file, lk_audit_visit *visit, void *context,
                        lk_audit_report *report, lk_error *error) {
  reading r = {.path = path, .visit = visit, .context = context};
  lk_status status = prepare(&r, head, key_file, error);
  if (status == LK_OK) status = read_path(&r, error);
  if (status == LK_OK) status = check_head_covered(&r, error);
  if (status == LK_OK) fill(&r, report);
  return status;
}

lk_status lk_audit_verify(const char *path, const char *head, const char *key_file, lk_audit_report *report,
                          lk_error *error) {
  return lk_audit_read(path, head, key_file, NULL, NULL, report, error);
}

lk_status lk_audit_head_of(const char *path, const char *key_file, char head[LK_AUDIT_HEAD_MAX], lk_error *error) {
  lk_audit_report report;
  lk_signing_key key;
  lk_audit_mark mark = {0};
  lk_status status = lk_audit_read(path, NULL, NULL, NULL, NULL, &report, error);
  if (status != LK_OK) return status;
  mark.time_ms = lk_clock_unix_ms();
  mark.sequence = report.last;
  memcpy(mark.log, report.log, sizeof mark.log);
  memcpy(mark.hash, report.hash, sizeof mark.hash);
  if (key_file != NULL) {
    status = lk_signing_key_read_secret(key_file, &key, error);
    if (status == LK_OK) lk_audit_mark_sign(&mark, &key);
    lk_signing_key_forget(&key);
  }
  if (status == LK_OK) lk_audit_mark_write(&mark, head);
  return status;
}
