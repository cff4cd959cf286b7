#include "base/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/timestamp.h"

enum { OWNERS = 0600, OWNERS_FOLDER = 0700 };

static int reserve_blocks(int fd, off_t size) {
  int fault = posix_fallocate(fd, 0, size);
  if (fault != 0) errno = fault;
  return fault != 0 ? -1 : 0;
}

static int rename_in(int folder, const char *from, const char *to) { return renameat(folder, from, folder, to); }

/* Some file systems cannot rename so in one step; there the file has two names for a moment. */
static int rename_new_in(int folder, const char *from, const char *to) {
  if (renameat2(folder, from, folder, to, RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return -1;
  return linkat(folder, from, folder, to, 0) == 0 ? unlinkat(folder, from, 0) : -1;
}

const lk_disk lk_disk_system = {.write = write,
                                .reserve = reserve_blocks,
                                .sync = fsync,
                                .truncate = ftruncate,
                                .rename = rename_in,
                                .rename_new = rename_new_in};

bool lk_disk_write_all(const lk_disk *disk, int fd, const void *data, size_t size) {
  for (size_t done = 0; done < size;) {
    ssize_t n = disk->write(fd, (const char *)data + done, size - done);
    if (n >= 0)
      done += (size_t)n;
    else if (errno != EINTR)
      return false;
  }
  return true;
}

static lk_status fail(const lk_folder *folder, const char *name, const char *what, lk_error *error) {
  return lk_fail(error, LK_EIO, "%s/%s: cannot %s: %s", folder->path, name, what, strerror(errno));
}

static lk_status fail_folder(const char *path, const char *what, lk_error *error) {
  return lk_fail(error, LK_EIO, "%s: cannot %s: %s", path, what, strerror(errno));
}

/* Closes and keeps errno, which tells what failed before. */
static void close_quietly(int fd) {
  int saved = errno;
  close(fd);
  errno = saved;
}

/* A link may lead elsewhere later, so the folder keeps the path that it leads to now. False: it is too long. */
static bool keep_path(const char *path, char kept[PATH_MAX]) {
  struct stat found;
  size_t length = strlen(path);
  if (length >= PATH_MAX) return false;
  memcpy(kept, path, length + 1);
  while (length > 1 && kept[length - 1] == '/') kept[--length] = '\0';
  bool is_link = lstat(kept, &found) == 0 && S_ISLNK(found.st_mode);
  if (!is_link || realpath(path, kept) == NULL) memcpy(kept, path, strlen(path) + 1);
  return true;
}

lk_status lk_folder_open(const char *path, lk_folder *folder, lk_error *error) {
  struct stat found;
  folder->fd = -1;
  folder->disk = &lk_disk_system;
  if (!keep_path(path, folder->path)) {
    errno = ENAMETOOLONG;
    return lk_fail(error, LK_EINVAL, "%s: the path is too long", path);
  }
  int fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fail_folder(path, "open", error);
  if (fstat(fd, &found) != 0) {
    close_quietly(fd);
    return fail_folder(path, "stat", error);
  }
  folder->fd = fd;
  folder->file_mode = OWNERS | (found.st_mode & S_IRGRP);
  return LK_OK;
}

lk_status lk_folder_make(const char *path, lk_folder *folder, bool *made, lk_error *error) {
  folder->fd = -1;
  *made = mkdir(path, OWNERS_FOLDER) == 0;
  if (!*made && errno != EEXIST) return fail_folder(path, "make the folder", error);
  lk_status status = lk_folder_open(path, folder, error);
  if (status != LK_OK && *made) rmdir(path);
  return status;
}

lk_status lk_folder_copy(const lk_folder *folder, lk_folder *copy, lk_error *error) {
  *copy = *folder;
  copy->fd = fcntl(folder->fd, F_DUPFD_CLOEXEC, 0);
  return copy->fd >= 0 ? LK_OK : fail_folder(folder->path, "open", error);
}

void lk_folder_close(lk_folder *folder) {
  if (folder->fd >= 0) close(folder->fd);
  folder->fd = -1;
}

/* Without O_NONBLOCK the opening of a FIFO would wait for its other end. It changes nothing for a regular file. */
static int open_at(const lk_folder *folder, const char *name, int flags, mode_t mode) {
  return openat(folder->fd, name, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, mode);
}

int lk_folder_create_file(const lk_folder *folder, const char *name, int flags) {
  return open_at(folder, name, flags | O_CREAT | O_EXCL, folder->file_mode);
}

int lk_folder_open_file(const lk_folder *folder, const char *name, int flags) {
  return open_at(folder, name, flags, 0);
}

bool lk_folder_remove(const lk_folder *folder, const char *name) { return unlinkat(folder->fd, name, 0) == 0; }

/* ": " and who has the lock, as its file says; "" if that says nothing. */
enum { NAME_BYTES = 256 };

static void read_name(int lock, char name[NAME_BYTES]) {
  char text[NAME_BYTES - 2] = "";
  ssize_t size = pread(lock, text, sizeof text - 1, 0);
  text[size > 0 ? strcspn(text, "\n") : 0] = '\0';
  snprintf(name, NAME_BYTES, "%s%s", text[0] != '\0' ? ": " : "", text);
}

/* A hint for whoever is refused: that it cannot be written does not matter. */
static void write_name(int lock) {
  char host[65] = "unknown", since[LK_TIMESTAMP_SIZE], name[NAME_BYTES];
  gethostname(host, sizeof host - 1);
  lk_timestamp_format((int64_t)(lk_clock_unix_ms() / 1000 * 1000), since);
  int length = snprintf(name, sizeof name, "%.32s, process %d on host %s, since %s\n", program_invocation_short_name,
                        (int)getpid(), host, since);
  if (ftruncate(lock, 0) != 0 || pwrite(lock, name, (size_t)length, 0) != length) errno = 0;
}

static lk_status fail_busy(const lk_folder *folder, const char *doing, int lock, lk_error *error) {
  char name[NAME_BYTES];
  read_name(lock, name);
  return lk_fail(error, LK_EBUSY, "%s/%s: another process %s, and holds this file's lock%s", folder->path,
                 LK_FOLDER_LOCK, doing, name);
}

/* A lock of the folder itself, or of a file that others may read, could be taken by anyone who can open it. */
lk_status lk_folder_lock(const lk_folder *folder, const char *doing, int *lock, lk_error *error) {
  *lock = open_at(folder, LK_FOLDER_LOCK, O_RDWR | O_CREAT, OWNERS);
  struct stat found;
  if (*lock < 0) return fail(folder, LK_FOLDER_LOCK, "open", error);
  lk_status status = LK_OK;
  if (fstat(*lock, &found) != 0 || !S_ISREG(found.st_mode))
    status = lk_fail(error, LK_EIO, "%s/%s: not a regular file", folder->path, LK_FOLDER_LOCK);
  else if (flock(*lock, LOCK_EX | LOCK_NB) != 0)
    status =
        errno == EWOULDBLOCK ? fail_busy(folder, doing, *lock, error) : fail(folder, LK_FOLDER_LOCK, "lock", error);
  if (status == LK_OK) {
    write_name(*lock);
    return LK_OK;
  }
  close(*lock);
  *lock = -1;
  return status;
}

/* The folder is opened once more, as reading its entries moves its offset and closedir closes it. */
DIR *lk_folder_entries(const lk_folder *folder) {
  int fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *entries = fd >= 0 ? fdopendir(fd) : NULL;
  if (entries == NULL && fd >= 0) close_quietly(fd);
  return entries;
}

/* Calls `take`, which is lk_file_read_open or lk_file_map_open, for the file of this name. */
static lk_status take_file(const lk_folder *folder, const char *name, lk_file_taker *take, lk_file *file,
                           lk_error *error) {
  char path[PATH_MAX];
  *file = (lk_file){0};
  lk_status status = lk_file_join(path, folder->path, name, error);
  if (status != LK_OK) return status;
  int fd = lk_folder_open_file(folder, name, O_RDONLY);
  if (fd >= 0) return take(fd, path, file, error);
  if (errno == ELOOP) return lk_fail(error, LK_EFORMAT, "%s: a symbolic link, not a regular file", path);
  return fail(folder, name, "open", error);
}

lk_status lk_folder_read(const lk_folder *folder, const char *name, lk_file *file, lk_error *error) {
  return take_file(folder, name, lk_file_read_open, file, error);
}

lk_status lk_folder_map(const lk_folder *folder, const char *name, lk_file *file, lk_error *error) {
  return take_file(folder, name, lk_file_map_open, file, error);
}

/* A killed process may have left a file of this name, and a stranger a link. Removing a link leaves its target. */
static int create_anew(const lk_folder *folder, const char *name, int flags) {
  lk_folder_remove(folder, name);
  return lk_folder_create_file(folder, name, flags);
}

lk_status lk_folder_make_file(const lk_folder *folder, const char *name, size_t size, lk_new_file *file,
                              lk_error *error) {
  int fd = create_anew(folder, name, O_RDWR);
  if (fd < 0) return fail(folder, name, "create", error);
  /* Without the reservation a write to the map would raise SIGBUS when the disk is full. */
  bool reserved = folder->disk->reserve(fd, (off_t)size) == 0;
  void *data = reserved ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
  if (data != MAP_FAILED) {
    *file = (lk_new_file){.fd = fd, .data = data, .size = size};
    return LK_OK;
  }
  close_quietly(fd);
  lk_status status = fail(folder, name, reserved ? "map" : "reserve space", error);
  lk_folder_remove(folder, name);
  return status;
}

lk_status lk_folder_seal_file(const lk_folder *folder, const char *name, lk_new_file *file, lk_error *error) {
  lk_status status = LK_OK;
  if (msync(file->data, file->size, MS_SYNC) != 0)
    status = fail(folder, name, "write", error);
  else if (folder->disk->sync(file->fd) != 0)
    status = fail(folder, name, "fsync", error);
  munmap(file->data, file->size);
  close(file->fd);
  return status;
}

static lk_status write_all(int fd, const lk_folder *folder, const char *name, const char *data, size_t size,
                           lk_error *error) {
  if (!lk_disk_write_all(folder->disk, fd, data, size)) return fail(folder, name, "write", error);
  return folder->disk->sync(fd) == 0 ? LK_OK : fail(folder, name, "fsync", error);
}

lk_status lk_folder_replace(const lk_folder *folder, const char *name, const void *data, size_t size, lk_error *error) {
  char fresh[NAME_MAX + 1], path[PATH_MAX];
  lk_status status = lk_file_join(path, folder->path, name, error);
  if (status != LK_OK) return status;
  if (snprintf(fresh, sizeof fresh, "%s.new", name) >= (int)sizeof fresh)
    return lk_fail(error, LK_EINVAL, "%s: the name is too long", path);
  int fd = create_anew(folder, fresh, O_WRONLY);
  if (fd < 0) return fail(folder, fresh, "create", error);
  status = write_all(fd, folder, fresh, data, size, error);
  close(fd);
  if (status == LK_OK && folder->disk->rename(folder->fd, fresh, name) != 0)
    status = fail(folder, name, "rename to", error);
  if (status == LK_OK) return lk_folder_sync(folder, error);
  lk_folder_remove(folder, fresh);
  return status;
}

lk_status lk_folder_replace_path(const char *path, const void *data, size_t size, lk_error *error) {
  char parent[PATH_MAX] = ".";
  const char *slash = strrchr(path, '/');
  size_t length = slash == NULL ? 1 : slash == path ? 1 : (size_t)(slash - path);
  if (length >= sizeof parent) return lk_fail(error, LK_EINVAL, "%s: the path is too long", path);
  if (slash != NULL) memcpy(parent, path, length);
  lk_folder folder;
  if (lk_folder_open(parent, &folder, NULL) != LK_OK) return fail_folder(path, "create", error);
  lk_status status = lk_folder_replace(&folder, slash == NULL ? path : slash + 1, data, size, error);
  lk_folder_close(&folder);
  return status;
}

lk_status lk_folder_sync(const lk_folder *folder, lk_error *error) {
  return folder->disk->sync(folder->fd) == 0 ? LK_OK : fail_folder(folder->path, "fsync", error);
}

lk_status lk_folder_sync_parent(const lk_folder *folder, lk_error *error) {
  int fd = openat(folder->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fail(folder, "..", "open", error);
  lk_status status = folder->disk->sync(fd) == 0 ? LK_OK : fail(folder, "..", "fsync", error);
  close(fd);
  return status;
}
