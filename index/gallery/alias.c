#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <likeness/portable.h>
#include "base/fail.h"
#include "base/text.h"
#include "index/gallery/gallery.h"

typedef struct alias {
  const char *path; /* as it was given */
  lk_folder parent;
  char name[NAME_MAX + 1];
} alias;

static lk_status fail(const alias *a, const char *what, lk_error *error) {
  return lk_fail(error, LK_EIO, "%s: cannot %s: %s", a->path, what, strerror(errno));
}

static lk_status take_name(alias *a, lk_error *error) {
  char copy[PATH_MAX];
  if (snprintf(copy, sizeof copy, "%s", a->path) >= (int)sizeof copy)
    return lk_fail(error, LK_EINVAL, "%s: the path is too long", a->path);
  const char *name = basename(copy);
  if (!lk_text_is_name(lk_text_of(name)))
    return lk_fail(error, LK_EINVAL, "%s: invalid name: an alias may have letters, digits, '.', '_' and '-'", a->path);
  strcpy(a->name, name);
  strcpy(copy, a->path);
  return lk_folder_open(dirname(copy), &a->parent, error);
}

/* What is no link was not made by us. */
static lk_status check_place(const alias *a, lk_error *error) {
  struct stat found;
  if (fstatat(a->parent.fd, a->name, &found, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT ? LK_OK : fail(a, "stat", error);
  if (S_ISLNK(found.st_mode)) return LK_OK;
  return lk_fail(error, LK_EEXIST, "%s: it exists already and is not a symbolic link", a->path);
}

static uint32_t dim_before(const alias *a) {
  char path[PATH_MAX];
  lk_folder folder = {.fd = -1};
  lk_manifest manifest = {.dim = 0};
  lk_status status = lk_file_join(path, a->parent.path, a->name, NULL);
  if (status == LK_OK) status = lk_folder_open(path, &folder, NULL);
  if (status == LK_OK) status = lk_manifest_read(&folder, &manifest, NULL);
  uint32_t dim = status == LK_OK ? manifest.dim : 0;
  if (status == LK_OK) lk_manifest_free(&manifest);
  lk_folder_close(&folder);
  return dim;
}

/* Where the folder is, and what the link then says: of a gallery beside the alias its name alone, so that their folder
 * can be moved. */
static lk_status find_target(const alias *a, const char *folder, char found[PATH_MAX], const char **target,
                             lk_error *error) {
  char parent[PATH_MAX];
  if (realpath(folder, found) == NULL || realpath(a->parent.path, parent) == NULL)
    return lk_fail(error, LK_EGALLERY, "%s: %s", folder, strerror(errno));
  const char *slash = strrchr(found, '/');
  size_t length = (size_t)(slash - found);
  bool beside = strlen(parent) == length && memcmp(parent, found, length) == 0;
  *target = beside ? slash + 1 : found;
  return LK_OK;
}

/* No gallery's name begins with '.', so nobody else's file has the name that the link has first. */
static lk_status put_link(const alias *a, const char *target, lk_error *error) {
  char fresh[32];
  uint64_t random;
  randombytes_buf(&random, sizeof random);
  snprintf(fresh, sizeof fresh, ".alias-%016" PRIx64, random);
  if (symlinkat(target, a->parent.fd, fresh) != 0) return fail(a, "make the link", error);
  lk_status status = check_place(a, error);
  if (status == LK_OK && a->parent.disk->rename(a->parent.fd, fresh, a->name) != 0)
    status = fail(a, "rename the link to it", error);
  if (status == LK_OK) return lk_folder_sync(&a->parent, error);
  lk_folder_remove(&a->parent, fresh);
  return status;
}

static lk_status move(const alias *a, const char *folder, lk_alias_change *change, lk_error *error) {
  lk_gallery *gallery;
  char found[PATH_MAX];
  const char *target = found;
  lk_status status = check_place(a, error);
  if (status == LK_OK) status = find_target(a, folder, found, &target, error);
  if (status == LK_OK) status = lk_gallery_open(found, &gallery, error);
  if (status != LK_OK) return status;
  if (change != NULL) *change = (lk_alias_change){.dim_before = dim_before(a), .dim = gallery->manifest.dim};
  lk_gallery_close(gallery);
  return put_link(a, target, error);
}

lk_status lk_gallery_alias(const char *path, const char *folder, lk_alias_change *change, lk_error *error) {
  alias a = {.path = path, .parent.fd = -1};
  lk_status status = take_name(&a, error);
  if (status == LK_OK) status = move(&a, folder, change, error);
  lk_folder_close(&a.parent);
  return status;
}
