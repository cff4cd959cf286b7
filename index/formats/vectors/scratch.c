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

static lk_status fail(const lk_scratch *scratch, lk_error *error) {
  return lk_fail(error, LK_EIO, "%s: cannot put its decoded content into a file in %s (TMPDIR): %s", scratch->name,
                 folder(), strerror(errno));
}

lk_status lk_scratch_open(const char *name, lk_scratch *scratch, lk_error *error) {
  char path[PATH_MAX];
  *scratch = (lk_scratch){.fd = -1, .name = name};
  if (snprintf(path, sizeof path, "%s/likeness-XXXXXX", folder()) >= PATH_MAX)
    errno = ENAMETOOLONG;
  else
    scratch->fd = mkostemp(path, O_CLOEXEC);
  if (scratch->fd < 0) return fail(scratch, error);
  unlink(path);
  return LK_OK;
}

lk_status lk_scratch_write(lk_scratch *scratch, const void *data, size_t size, lk_error *error) {
  const char *at = data;
  while (size > 0) {
    ssize_t written = write(scratch->fd, at, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail(scratch, error);
    at += written;
    size -= (size_t)written;
  }
  return LK_OK;
}

lk_status lk_scratch_map(lk_scratch *scratch, lk_file *file, lk_error *error) {
  int fd = scratch->fd;
  scratch->fd = -1;
  return lk_file_map_open(fd, scratch->name, file, error);
}

void lk_scratch_close(lk_scratch *scratch) {
  if (scratch->fd >= 0) close(scratch->fd);
  scratch->fd = -1;
}
