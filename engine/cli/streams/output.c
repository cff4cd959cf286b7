#include "engine/cli/streams/output.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"

/* `fresh` is set once the file is this process' own: a signal handler may remove it then. */
lk_status lk_answer_file_open(const char *path, lk_answer_file *file, lk_error *error) {
  struct stat found;
  char fresh[PATH_MAX];
  bool as_it_is = lstat(path, &found) == 0 && !S_ISREG(found.st_mode);
  *file = (lk_answer_file){.path = path};
  if (snprintf(fresh, sizeof fresh, "%s.new", path) >= (int)sizeof fresh)
    return lk_fail(error, LK_EIO, "%s: the path is too long", path);
  file->stream = as_it_is ? fopen(path, "we") : fopen(fresh, "wxe");
  if (file->stream == NULL && errno == EEXIST)
    return lk_fail(error, LK_EBUSY, "%s: another process writes this file; if none does, remove it", fresh);
  if (file->stream == NULL) return lk_fail(error, LK_EIO, "%s: cannot create: %s", path, strerror(errno));
  if (!as_it_is) strcpy(file->fresh, fresh);
  return LK_OK;
}

lk_status lk_answer_file_finish(lk_answer_file *file, lk_error *error) {
  bool failed = ferror(file->stream) != 0;
  errno = 0;
  failed = fclose(file->stream) != 0 || failed;
  file->stream = NULL;
  if (!failed && (file->fresh[0] == '\0' || rename(file->fresh, file->path) == 0)) return LK_OK;
  lk_fail(error, LK_EIO, "%s: cannot write: %s", file->path, strerror(errno != 0 ? errno : EIO));
  lk_answer_file_drop(file);
  return LK_EIO;
}

void lk_answer_file_drop(lk_answer_file *file) {
  if (file->stream != NULL) fclose(file->stream);
  if (file->fresh[0] != '\0') unlink(file->fresh);
  *file = (lk_answer_file){0};
}
