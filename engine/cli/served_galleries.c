#include "engine/cli/served_galleries.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/folder.h"
#include "base/printable.h"
#include "engine/worker/log/comparison.h"

/* Streams are named after the gallery's name in its manifest, which a copy of its folder has too: jobs for one would be
 * searched in the other. */
static lk_status check_name(const lk_options *options, lk_gallery *const *galleries, int number, lk_error *error) {
  lk_gallery_stat stat, other;
  lk_gallery_stat_get(galleries[number], &stat);
  for (int i = 0; i < number; i++) {
    lk_gallery_stat_get(galleries[i], &other);
    if (strcmp(stat.name, other.name) == 0)
      return lk_fail(error, LK_EINVAL, "the galleries in %s and %s have one name: %s", options->words[i],
                     options->words[number], stat.name);
  }
  return LK_OK;
}

/* A file system that is read-only, or files of somebody else. */
static bool may_write(const char *folder) {
  char lock[PATH_MAX];
  if (access(folder, W_OK) != 0) return false;
  int length = snprintf(lock, sizeof lock, "%s/%s", folder, LK_FOLDER_LOCK);
  return length >= (int)sizeof lock || access(lock, F_OK) != 0 || access(lock, W_OK) == 0;
}

/* *why is empty where it was asked for. */
static lk_status open_to_follow(const char *folder, lk_gallery **gallery, const lk_error *why, FILE *log,
                                lk_error *error) {
  lk_status status = lk_gallery_open(folder, gallery, error);
  if (status != LK_OK || why->text[0] == '\0') return status;
  lk_gallery_stat stat;
  lk_gallery_stat_get(*gallery, &stat);
  lk_printable_line(log, "likeness: this worker does not change the gallery %s, it follows it: %s", stat.name,
                    why->text);
  return LK_OK;
}

static void say_cut(const char *folder, uint64_t dropped, FILE *log) {
  lk_printable_line(log,
                    "likeness: %s: cut off %" PRIu64
                    " changes that the log in redis does not have: another worker owned "
                    "it meanwhile, and logged others",
                    folder, dropped);
}

/* Where Redis cannot be asked now, the worker finds it out later. */
static lk_status compare(const char *folder, const lk_address *address, lk_owner **owner, FILE *log, lk_error *error) {
  bool parted;
  lk_log_mark common;
  uint64_t dropped;
  lk_status status = lk_log_compare(address, *owner, &parted, &common, error);
  if (status == LK_EIO) {
    lk_printable_line(log, "likeness: %s is not compared with its log: %s", folder, error->text);
    return LK_OK;
  }
  if (status == LK_EINVAL) return LK_EIO; /* nothing is wrong with the command */
  if (status != LK_OK || !parted) return status;
  lk_owner_close(*owner);
  *owner = NULL;
  status = lk_log_cut(folder, &common, &dropped, error);
  if (status != LK_OK) return status == LK_EINVAL ? LK_EIO : status;
  say_cut(folder, dropped, log);
  return lk_owner_open(folder, owner, error);
}

static lk_status open_one(const char *folder, bool follow, const lk_address *address, lk_served_galleries *served,
                          FILE *log, lk_error *error) {
  lk_error why = {0};
  lk_gallery **gallery = &served->galleries[served->count];
  lk_owner **owner = &served->owners[served->count];
  if (follow) return open_to_follow(folder, gallery, &why, log, error);
  lk_status status = lk_owner_open(folder, owner, &why);
  if (status == LK_EBUSY || (status == LK_EIO && !may_write(folder)))
    return open_to_follow(folder, gallery, &why, log, error);
  if (status == LK_OK) status = compare(folder, address, owner, log, &why);
  if (status != LK_OK) {
    lk_owner_close(*owner);
    if (error != NULL) *error = why;
    return status;
  }
  *gallery = lk_owner_gallery(*owner);
  if (lk_owner_cut_bytes(*owner) > 0)
    lk_printable_line(log,
                      "likeness: %s: cut off %" PRIu64 " bytes that were being written when its last owner ended; "
                      "nobody was told that they were there",
                      folder, lk_owner_cut_bytes(*owner));
  return LK_OK;
}

lk_status lk_served_galleries_open(const lk_options *options, const lk_address *address, FILE *log,
                                   lk_served_galleries *served, lk_error *error) {
  lk_status status = LK_OK;
  *served = (lk_served_galleries){0};
  for (int i = 0; status == LK_OK && i < options->words_count; i++) {
    status = open_one(options->words[i], options->follow, address, served, log, error);
    if (status != LK_OK) break;
    served->count++;
    status = check_name(options, served->galleries, i, error);
  }
  return status;
}

void lk_served_galleries_close(lk_served_galleries *served) {
  for (int i = 0; i < served->count; i++) {
    if (served->owners[i] != NULL)
      lk_owner_close(served->owners[i]);
    else
      lk_gallery_close(served->galleries[i]);
  }
}

static void say_served(const lk_gallery *gallery, const lk_device *device, FILE *log) {
  lk_gallery_stat stat;
  lk_gallery_stat_get(gallery, &stat);
  lk_printable_line(log, "likeness: serving %s: %" PRIu64 " templates of dimension %u, %s, on %s", stat.name,
                    stat.templates, stat.dim, lk_metric_name(stat.metric), lk_device_name(device));
}

lk_status lk_served_galleries_load(const lk_served_galleries *served, lk_device *device, const atomic_bool *stop,
                                   FILE *log, lk_error *error) {
  lk_status status = LK_OK;
  for (int i = 0; i < served->count && !atomic_load(stop); i++) {
    lk_owner *owner = served->owners[i];
    lk_gallery *gallery = served->galleries[i];
    status = owner != NULL ? lk_owner_load(owner, device, error) : lk_gallery_load(gallery, device, error);
    if (status != LK_OK || atomic_load(stop)) break;
    say_served(gallery, device, log);
  }
  return status;
}
