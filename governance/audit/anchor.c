#include "governance/audit/anchor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/folder.h"

static const uint64_t sync_every_us = 1000000;

static lk_status fail(const lk_anchor *anchor, const char *what, lk_error *error) {
  return lk_fail(error, LK_EIO, "%s: cannot %s: %s", anchor->path, what, strerror(errno));
}

static lk_status read_seen(lk_anchor *anchor, lk_error *error) {
  lk_file file;
  if (access(anchor->path, F_OK) != 0 && errno == ENOENT) return LK_OK;
  lk_status status = lk_file_read(anchor->path, &file, error);
  if (status != LK_OK) return status;
  errno = 0;
  status = file.size <= LK_AUDIT_HEAD_MAX ? lk_audit_mark_parse(file.data, &anchor->seen, NULL) : LK_EFORMAT;
  lk_file_free(&file);
  if (status != LK_OK && errno == ENOMEM) return lk_fail_memory(error);
  if (status != LK_OK) return lk_fail(error, LK_EFORMAT, "%s: damaged: not a head of an audit log", anchor->path);
  anchor->met = false;
  return LK_OK;
}

lk_status lk_anchor_open(const char *path, const char *keeper, lk_anchor **anchor, lk_error *error) {
  lk_anchor *made = calloc(1, sizeof *made);
  if (made == NULL) return lk_fail_memory(error);
  made->fd = -1;
  made->met = true;
  snprintf(made->path, sizeof made->path, "%s", path);
  snprintf(made->keeper, sizeof made->keeper, "%s", keeper);
  lk_status status = read_seen(made, error);
  if (status == LK_OK)
    *anchor = made;
  else
    free(made);
  return status;
}

void lk_anchor_close(lk_anchor *list) {
  for (lk_anchor *next; list != NULL; list = next) {
    next = list->next;
    if (list->fd >= 0) {
      fdatasync(list->fd); /* if it fails, an older head is on the disk, which holds as well */
      close(list->fd);
    }
    free(list);
  }
}

bool lk_anchor_has_seen(const lk_anchor *list) {
  for (; list != NULL; list = list->next)
    if (list->seen.sequence > 0) return true;
  return false;
}

static lk_status check_one(const lk_anchor *anchor, const char *folder, const lk_audit_chain *end, lk_error *error) {
  const lk_audit_mark *seen = &anchor->seen;
  if (seen->sequence == 0) return LK_OK;
  if (end->sequence == 0)
    return lk_fail(error, LK_ECORRUPT,
                   "%s: the audit log is gone; %s has seen log %s up to record %" PRIu64 " (docs/audit.md: a lost log)",
                   folder, anchor->path, seen->log, seen->sequence);
  if (strcmp(seen->log, end->log) != 0)
    return lk_fail(error, LK_ECORRUPT,
                   "%s: the audit log was begun anew: it is log %s, but %s has seen log %s up to record %" PRIu64,
                   folder, end->log, anchor->path, seen->log, seen->sequence);
  if (end->sequence < seen->sequence)
    return lk_fail(error, LK_ECORRUPT,
                   "%s: the audit log was cut: it ends at record %" PRIu64 ", but %s has seen record %" PRIu64, folder,
                   end->sequence, anchor->path, seen->sequence);
  return LK_OK;
}

lk_status lk_anchor_check_end(const lk_anchor *list, const char *folder, const lk_audit_chain *end, lk_error *error) {
  lk_status status = LK_OK;
  for (; status == LK_OK && list != NULL; list = list->next) status = check_one(list, folder, end, error);
  return status;
}

void lk_anchor_meet(lk_anchor *list, const lk_audit_chain *chain) {
  for (; list != NULL; list = list->next)
    if (list->seen.sequence == chain->sequence && strcmp(list->seen.hash, chain->hash) == 0) list->met = true;
}

lk_status lk_anchor_check_met(const lk_anchor *anchor, const char *folder, lk_error *error) {
  if (anchor->met) return LK_OK;
  return lk_fail(error, LK_ECORRUPT,
                 "%s: the audit log was rewritten: record %" PRIu64 " is not the one that %s has seen", folder,
                 anchor->seen.sequence, anchor->path);
}

/* Padded to one size, so that a later write neither moves the file's end nor leaves the rest of an earlier one. */
static void print(const lk_audit_mark *mark, char text[LK_AUDIT_HEAD_MAX]) {
  lk_audit_mark_write(mark, text);
  size_t length = strlen(text);
  memset(text + length, ' ', LK_AUDIT_HEAD_MAX - length);
  text[LK_AUDIT_HEAD_MAX - 1] = '\n';
}

lk_status lk_anchor_hold(lk_anchor *anchor, const lk_audit_mark *end, lk_error *error) {
  char text[LK_AUDIT_HEAD_MAX];
  print(end, text);
  lk_status status = lk_folder_replace_path(anchor->path, text, sizeof text, error);
  if (status != LK_OK) return status;
  if (anchor->fd >= 0) close(anchor->fd);
  anchor->fd = open(anchor->path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
  if (anchor->fd < 0) return fail(anchor, "open", error);
  anchor->seen = *end;
  anchor->met = true;
  anchor->synced_us = lk_clock_us();
  return LK_OK;
}

static lk_status move_one(lk_anchor *anchor, const lk_audit_mark *end, uint64_t now_us, lk_error *error) {
  char text[LK_AUDIT_HEAD_MAX];
  if (anchor->seen.sequence == end->sequence) return LK_OK;
  print(end, text);
  errno = EIO; /* of a short write */
  if (pwrite(anchor->fd, text, sizeof text, 0) != (ssize_t)sizeof text) return fail(anchor, "write", error);
  anchor->seen = *end;
  if (now_us - anchor->synced_us < sync_every_us) return LK_OK;
  anchor->synced_us = now_us;
  return fdatasync(anchor->fd) == 0 ? LK_OK : fail(anchor, "fsync", error);
}

lk_status lk_anchor_move(lk_anchor *list, const lk_audit_mark *end, lk_error *error) {
  lk_status status = LK_OK;
  uint64_t now_us = lk_clock_us();
  for (; status == LK_OK && list != NULL; list = list->next) status = move_one(list, end, now_us, error);
  return status;
}
