#include "governance/kept_log.h"

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/file.h"
#include "base/text.h"
#include "governance/recall.h"

/* Where a log lies. An absolute path is taken as it is written, as a binding keeps it: a link that is put where the log
 * or a folder above it was is the same place, and a folder above it may be gone. */
static bool place_of(const char *folder, char place[PATH_MAX]) {
  char parent[PATH_MAX], last[PATH_MAX], real[PATH_MAX];
  size_t length = strlen(folder);
  if (length >= PATH_MAX) return false;
  if (folder[0] == '/') {
    while (length > 1 && folder[length - 1] == '/') length--;
    memcpy(place, folder, length);
    place[length] = '\0';
    return true;
  }
  strcpy(parent, folder);
  strcpy(last, folder);
  if (realpath(dirname(parent), real) == NULL) return false;
  return lk_file_join(place, real, basename(last), NULL) == LK_OK;
}

/* The anchor's file is named after the log's place. A place inside the gallery moves with it. */
static lk_status anchor_path(const char *home, const char *folder, char path[PATH_MAX], lk_error *error) {
  char place[PATH_MAX], name[32];
  if (!place_of(folder, place)) return lk_fail(error, LK_EIO, "%s: %s", folder, strerror(errno));
  size_t length = strlen(home);
  bool inside = strncmp(place, home, length) == 0 && place[length] == '/';
  const char *kept = inside ? place + length + 1 : place;
  snprintf(name, sizeof name, "audit-%016" PRIx64 ".head", (uint64_t)XXH3_64bits(kept, strlen(kept)));
  return lk_file_join(path, home, name, error);
}

lk_status lk_kept_log_anchor(const char *keeper, const char *folder, lk_anchor **anchor, lk_error *error) {
  char home[PATH_MAX], path[PATH_MAX];
  if (realpath(keeper, home) == NULL) return lk_fail(error, LK_EGALLERY, "%s: %s", keeper, strerror(errno));
  lk_status status = anchor_path(home, folder, path, error);
  return status == LK_OK ? lk_anchor_open(path, strrchr(home, '/') + 1, anchor, error) : status;
}

void lk_kept_log_forget(const char *keeper, const char *folder) {
  char home[PATH_MAX], path[PATH_MAX];
  if (realpath(keeper, home) != NULL && anchor_path(home, folder, path, NULL) == LK_OK) unlink(path);
}

static lk_status read_anchors(const lk_kept_log *log, lk_anchor **list, lk_error *error) {
  lk_status status = LK_OK;
  for (uint32_t i = 0; status == LK_OK && i < log->keepers_count; i++) {
    lk_anchor *anchor;
    status = lk_kept_log_anchor(log->keepers[i], log->folder, &anchor, error);
    if (status != LK_OK) break;
    anchor->next = *list;
    *list = anchor;
  }
  return status;
}

lk_status lk_kept_log_lose(lk_audit *audit, const lk_anchor *anchor, lk_error *error) {
  lk_audit_record record = {.type = LK_AUDIT_LOST,
                            .gallery = lk_text_of(anchor->keeper),
                            .other = lk_text_of(anchor->seen.log),
                            .seen = anchor->seen.sequence,
                            .threshold = -INFINITY};
  return lk_audit_append(audit, &record, NULL, error);
}

/* Each keeper must have met what it saw, or a person has said that it is lost, which the log then says. */
static lk_status settle(const lk_kept_log *log, const lk_anchor *list, lk_audit *audit, lk_error *error) {
  lk_status status = LK_OK;
  for (; status == LK_OK && list != NULL; list = list->next) {
    if (log->lost && !list->met)
      status = lk_kept_log_lose(audit, list, error);
    else
      status = lk_anchor_check_met(list, log->folder, error);
  }
  return status;
}

lk_status lk_kept_log_open(const lk_kept_log *log, uint64_t valid_ms, lk_cases *cases, lk_seen *seen, lk_audit **audit,
                           lk_error *error) {
  lk_audit_options options = {.key_file = log->key, .head_interval_ms = 60000};
  lk_anchor *list = NULL;
  lk_audit *opened = NULL;
  lk_status status = read_anchors(log, &list, error);
  if (status == LK_OK) status = lk_audit_open_seen(log->folder, &options, log->lost ? NULL : list, &opened, error);
  if (status == LK_OK) status = lk_recall(log->folder, valid_ms, cases, seen, list, error);
  if (status == LK_OK) status = settle(log, list, opened, error);
  if (status == LK_OK) {
    status = lk_audit_keep(opened, list, error);
    list = NULL;
  }
  lk_anchor_close(list);
  if (status == LK_OK)
    *audit = opened;
  else
    lk_audit_abandon(opened);
  return status;
}

lk_status lk_kept_log_join(lk_audit *audit, const char *folder, const char *keeper, lk_error *error) {
  lk_anchor *anchor;
  lk_status status = lk_kept_log_anchor(keeper, folder, &anchor, error);
  if (status != LK_OK) return status;
  status = lk_audit_meet(audit, anchor, error);
  if (status == LK_OK) return lk_audit_keep(audit, anchor, error);
  lk_anchor_close(anchor);
  return status;
}
