#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static lk_status fail(lk_error *error, const char *path, const char *what) {
  return lk_fail(error, LK_EIO, "%s: cannot %s: %s", path, what, strerror(errno));
}

/* `size` receives the size of an open file, which must be a regular one. */
static lk_status check_regular(int fd, const char *path, size_t *size, lk_error *error) {
  struct stat stat;
  if (fstat(fd, &stat) != 0) return fail(error, path, "stat");
  if (!S_ISREG(stat.st_mode)) return lk_fail(error, LK_EFORMAT, "%s: not a regular file", path);
  *size = (size_t)stat.st_size;
  return LK_OK;
}

/* Reads up to the end, or up to `size` bytes. */
static lk_status read_all(int fd, const char *path, char *bytes, size_t *size, lk_error *error) {
  size_t done = 0;
  while (done < *size) {
    ssize_t n = read(fd, bytes + done, *size - done);
    if (n == 0) break;
    if (n < 0 && errno != EINTR) return fail(error, path, "read");
    if (n > 0) done += (size_t)n;
  }
  bytes[done] = '\0';
  *size = done;
  return LK_OK;
}

lk_status lk_file_read_open(int fd, const char *path, lk_file *file, lk_error *error) {
  *file = (lk_file){0};
  size_t size;
  lk_status status = check_regular(fd, path, &size, error);
  char *bytes = status == LK_OK ? malloc(size + 1) : NULL;
  if (status == LK_OK) status = bytes != NULL ? read_all(fd, path, bytes, &size, error) : lk_fail_memory(error);
  close(fd);
  if (status == LK_OK)
    *file = (lk_file){.data = bytes, .size = size};
  else
    free(bytes);
  return status;
}

int lk_file_raise(int fd) {
  if (fd > STDERR_FILENO) return fd;
  int raised = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1), fault = errno;
  close(fd);
  errno = fault;
  return raised;
}

/* Without O_NONBLOCK the opening of a FIFO would wait for its other end. It changes nothing for a regular file. */
lk_status lk_file_open(const char *path, int *fd, lk_error *error) {
  *fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (*fd >= 0) *fd = lk_file_raise(*fd);
  return *fd >= 0 ? LK_OK : fail(error, path, "open");
}

static lk_status take_file(const char *path, lk_file_taker *take, lk_file *file, lk_error *error) {
  *file = (lk_file){0};
  int fd;
  lk_status status = lk_file_open(path, &fd, error);
  return status == LK_OK ? take(fd, path, file, error) : status;
}

lk_status lk_file_read(const char *path, lk_file *file, lk_error *error) {
  return take_file(path, lk_file_read_open, file, error);
}

void lk_file_free(lk_file *file) {
  free((void *)file->data);
  *file = (lk_file){0};
}

lk_status lk_file_map_open(int fd, const char *path, lk_file *file, lk_error *error) {
  *file = (lk_file){0};
  size_t size = 0;
  lk_status status = check_regular(fd, path, &size, error);
  void *data = size > 0 ? mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0) : NULL;
  if (data == MAP_FAILED) status = fail(error, path, "map");
  close(fd);
  if (status != LK_OK || size == 0) return status;
  *file = (lk_file){.data = data, .size = size, .mapping = lk_mapping_add(data, size)};
  if (file->mapping != NULL) return LK_OK;
  lk_file_unmap(file);
  return lk_fail_memory(error);
}

lk_status lk_file_map(const char *path, lk_file *file, lk_error *error) {
  return take_file(path, lk_file_map_open, file, error);
}

void lk_file_unmap(lk_file *file) {
  lk_mapping_remove(file->mapping);
  if (file->data != NULL) munmap((void *)file->data, file->size);
  *file = (lk_file){0};
}

static lk_status check(const lk_mapping *mapping, const char *name, lk_error *error) {
  if (!lk_mapping_is_damaged(mapping)) return LK_OK;
  return lk_fail(error, LK_EIO, "%s: the file was cut off, or could not be read, while it was in use", name);
}

lk_status lk_file_check(const lk_file *file, const char *name, lk_error *error) {
  return check(file->mapping, name, error);
}

lk_status lk_file_check_at(const void *address, const char *name, lk_error *error) {
  return check(lk_mapping_find(address), name, error);
}

lk_status lk_file_join(char *path, const char *folder, const char *name, lk_error *error) {
  if (snprintf(path, PATH_MAX, "%s/%s", folder, name) >= PATH_MAX)
    return lk_fail(error, LK_EINVAL, "%s/%s: the path is too long", folder, name);
  return LK_OK;
}
