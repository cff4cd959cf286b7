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

/* Closes and keeps errno, which tells what failed before. */
static void close_quietly(int fd) {
  int saved = errno;
  close(fd);
  errno = saved;
}

/* Opens a regular file for reading; `size` receives its size. -1: it failed, and `status` says how. */
static int open_regular(const char *path, size_t *size, lk_status *status, lk_error *error) {
  struct stat stat;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  *status = LK_OK;
  if (fd < 0)
    *status = fail(error, path, "open");
  else if (fstat(fd, &stat) != 0)
    *status = fail(error, path, "stat");
  else if (!S_ISREG(stat.st_mode))
    *status = lk_fail(error, LK_EFORMAT, "%s: not a regular file", path);
  if (*status == LK_OK) {
    *size = (size_t)stat.st_size;
    return fd;
  }
  if (fd >= 0) close(fd);
  return -1;
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

lk_status lk_file_read(const char *path, lk_file *file, lk_error *error) {
  *file = (lk_file){0};
  size_t size;
  lk_status status;
  int fd = open_regular(path, &size, &status, error);
  if (fd < 0) return status;
  char *bytes = malloc(size + 1);
  status = bytes != NULL ? read_all(fd, path, bytes, &size, error) : lk_fail_memory(error);
  close(fd);
  if (status == LK_OK)
    *file = (lk_file){.data = bytes, .size = size};
  else
    free(bytes);
  return status;
}

void lk_file_free(lk_file *file) {
  free((void *)file->data);
  *file = (lk_file){0};
}

lk_status lk_file_map(const char *path, lk_file *file, lk_error *error) {
  *file = (lk_file){0};
  size_t size;
  lk_status status;
  int fd = open_regular(path, &size, &status, error);
  if (fd < 0) return status;
  void *data = size > 0 ? mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0) : NULL;
  if (data == MAP_FAILED) status = fail(error, path, "map");
  close_quietly(fd);
  if (status != LK_OK || size == 0) return status;
  *file = (lk_file){.data = data, .size = size, .mapping = lk_mapping_add(data, size)};
  if (file->mapping != NULL) return LK_OK;
  lk_file_unmap(file);
  return lk_fail_memory(error);
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

lk_status lk_file_make(const char *path, size_t size, void **data, lk_error *error) {
  int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return fail(error, path, "create");
  /* Without the reservation a write to the map would raise SIGBUS when the disk is full. */
  int reserved = posix_fallocate(fd, 0, (off_t)size);
  void *mapped = MAP_FAILED;
  if (reserved != 0)
    errno = reserved;
  else
    mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close_quietly(fd);
  if (mapped == MAP_FAILED) {
    lk_status status = fail(error, path, reserved != 0 ? "reserve space" : "map");
    unlink(path);
    return status;
  }
  *data = mapped;
  return LK_OK;
}

lk_status lk_file_seal(const char *path, void *data, size_t size, lk_error *error) {
  lk_status status = msync(data, size, MS_SYNC) == 0 ? LK_OK : fail(error, path, "write");
  munmap(data, size);
  if (status != LK_OK) return status;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail(error, path, "open");
  if (fsync(fd) != 0) status = fail(error, path, "fsync");
  close_quietly(fd);
  return status;
}

static lk_status write_synced(const char *path, const void *data, size_t size, lk_error *error) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return fail(error, path, "create");
  lk_status status = LK_OK;
  for (size_t done = 0; status == LK_OK && done < size;) {
    ssize_t n = write(fd, (const char *)data + done, size - done);
    if (n >= 0)
      done += (size_t)n;
    else if (errno != EINTR)
      status = fail(error, path, "write");
  }
  if (status == LK_OK && fsync(fd) != 0) status = fail(error, path, "fsync");
  close_quietly(fd);
  return status;
}

lk_status lk_file_sync_folder(const char *folder, lk_error *error) {
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fail(error, folder, "open");
  lk_status status = fsync(fd) == 0 ? LK_OK : fail(error, folder, "fsync");
  close_quietly(fd);
  return status;
}

static void parent_of(const char *path, char parent[PATH_MAX]) {
  snprintf(parent, PATH_MAX, "%s", path);
  char *slash = strrchr(parent, '/');
  if (slash == NULL)
    snprintf(parent, PATH_MAX, ".");
  else
    slash[slash == parent] = '\0';
}

lk_status lk_file_replace(const char *path, const void *data, size_t size, lk_error *error) {
  char fresh[PATH_MAX], parent[PATH_MAX];
  if (snprintf(fresh, sizeof fresh, "%s.new", path) >= (int)sizeof fresh)
    return lk_fail(error, LK_EINVAL, "%s: the path is too long", path);
  lk_status status = write_synced(fresh, data, size, error);
  if (status == LK_OK && rename(fresh, path) != 0) status = fail(error, path, "rename to");
  if (status != LK_OK) {
    unlink(fresh);
    return status;
  }
  parent_of(path, parent);
  return lk_file_sync_folder(parent, error);
}

lk_status lk_file_join(char *path, const char *folder, const char *name, lk_error *error) {
  if (snprintf(path, PATH_MAX, "%s/%s", folder, name) >= PATH_MAX)
    return lk_fail(error, LK_EINVAL, "%s/%s: the path is too long", folder, name);
  return LK_OK;
}
