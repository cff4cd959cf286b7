#include "index/formats/vectors/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *folder(void) {
  const char *wanted = getenv("TMPDIR");
  return wanted != NULL && wanted[0] != '\0' ? wanted : "/var/tmp";
}

static lk_status fail(const lk_scratch *scratch, int fault, lk_error *error) {
  return lk_fail(error, LK_EIO, "%s: cannot put its decoded content into a file in %s (TMPDIR): %s", scratch->name,
                 folder(), strerror(fault));
}

/* Where the file system has no files without names. -1, and errno. */
static int make_and_unlink(void) {
  char path[PATH_MAX];
  if (snprintf(path, sizeof path, "%s/likeness-XXXXXX", folder()) >= PATH_MAX) return errno = ENAMETOOLONG, -1;
  int fd = mkostemp(path, O_CLOEXEC);
  if (fd >= 0) unlink(path);
  return fd;
}

void lk_scratch_open(const char *name, lk_scratch *scratch) {
  *scratch = (lk_scratch){.name = name};
  int fd = open(folder(), O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (fd < 0) fd = make_and_unlink();
  if (fd >= 0) fd = lk_file_raise(fd);
  scratch->fd = fd;
  scratch->fault = fd < 0 ? errno : 0;
}

lk_status lk_scratch_write(lk_scratch *scratch, const void *data, size_t size, lk_error *error) {
  const char *at = data;
  if (scratch->fd < 0) return fail(scratch, scratch->fault, error);
  while (size > 0) {
    ssize_t written = write(scratch->fd, at, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail(scratch, errno, error);
    at += written;
    size -= (size_t)written;
  }
  return LK_OK;
}

lk_status lk_scratch_map(lk_scratch *scratch, lk_file *file, lk_error *error) {
  int fd = scratch->fd;
  scratch->fd = -1;
  return fd >= 0 ? lk_file_map_open(fd, scratch->name, file, error) : fail(scratch, scratch->fault, error);
}

void lk_scratch_close(lk_scratch *scratch) {
  if (scratch->fd >= 0) close(scratch->fd);
  scratch->fd = -1;
}
