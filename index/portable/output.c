#include "index/portable/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER_BYTES = 1 << 20 };

static lk_status fail(const lk_output *output, const char *name, const char *what, lk_error *error) {
  return lk_fail(error, LK_EIO, "%s/%s: cannot %s: %s", output->folder.path, name, what, strerror(errno));
}

lk_status lk_output_folder(const char *path, lk_folder *folder, const char **name, lk_error *error) {
  char parent[PATH_MAX] = ".";
  const char *slash = strrchr(path, '/');
  size_t length = slash == NULL || slash == path ? 1 : (size_t)(slash - path);
  *name = slash != NULL ? slash + 1 : path;
  if (length >= sizeof parent || strlen(*name) + sizeof ".new" > NAME_MAX)
    return lk_fail(error, LK_EINVAL, "%s: the path is too long", path);
  if (**name == '\0') return lk_fail(error, LK_EINVAL, "'%s' is not the name of a file", path);
  if (slash != NULL) memcpy(parent, path, length);
  return lk_folder_open(parent, folder, error);
}

static lk_status fail_taken(const lk_output *output, lk_error *error) {
  return lk_fail(error, LK_EEXIST, "%s/%s: the file exists already", output->folder.path, output->name);
}

static lk_status create(lk_output *output, lk_error *error) {
  struct stat found;
  if (fstatat(output->folder.fd, output->name, &found, AT_SYMLINK_NOFOLLOW) == 0) return fail_taken(output, error);
  output->fd = lk_folder_create_file(&output->folder, output->fresh, O_WRONLY);
  if (output->fd >= 0) return LK_OK;
  if (errno != EEXIST) return fail(output, output->fresh, "create", error);
  return lk_fail(error, LK_EEXIST, "%s/%s: another process writes this file; if none does, remove it",
                 output->folder.path, output->fresh);
}

lk_status lk_output_open(const lk_folder *folder, const char *name, lk_output *output, lk_error *error) {
  *output = (lk_output){.fd = -1, .folder.fd = -1};
  lk_status status = lk_folder_copy(folder, &output->folder, error);
  if (status != LK_OK) return status;
  output->folder.file_mode = S_IRUSR | S_IWUSR; /* whatever the folder's group may read */
  snprintf(output->name, sizeof output->name, "%s", name);
  snprintf(output->fresh, sizeof output->fresh, "%.*s.new", (int)(sizeof output->fresh - sizeof ".new"), name);
  output->buffer = malloc(BUFFER_BYTES);
  output->hash = XXH3_createState();
  status = output->buffer != NULL && output->hash != NULL ? LK_OK : lk_fail_memory(error);
  if (status == LK_OK) status = create(output, error);
  if (status == LK_OK)
    XXH3_64bits_reset(output->hash);
  else
    lk_output_close(output);
  return status;
}

static lk_status flush(lk_output *output, lk_error *error) {
  if (!lk_disk_write_all(output->folder.disk, output->fd, output->buffer, output->used))
    return fail(output, output->fresh, "write", error);
  output->used = 0;
  return LK_OK;
}

lk_status lk_output_put(lk_output *output, const void *data, size_t size, lk_error *error) {
  const char *at = data;
  XXH3_64bits_update(output->hash, data, size);
  while (size > 0) {
    size_t room = BUFFER_BYTES - output->used, taken = size < room ? size : room;
    memcpy(output->buffer + output->used, at, taken);
    output->used += taken;
    at += taken;
    size -= taken;
    lk_status status = output->used == BUFFER_BYTES ? flush(output, error) : LK_OK;
    if (status != LK_OK) return status;
  }
  return LK_OK;
}

uint64_t lk_output_checksum(const lk_output *output) { return XXH3_64bits_digest(output->hash); }

lk_status lk_output_finish(lk_output *output, lk_error *error) {
  const lk_disk *disk = output->folder.disk;
  lk_status status = flush(output, error);
  if (status != LK_OK) return status;
  if (disk->sync(output->fd) != 0) return fail(output, output->fresh, "fsync", error);
  if (disk->rename_new(output->folder.fd, output->fresh, output->name) != 0)
    return errno == EEXIST ? fail_taken(output, error) : fail(output, output->name, "rename to", error);
  output->named = true;
  close(output->fd);
  output->fd = -1;
  return lk_folder_sync(&output->folder, error);
}

void lk_output_withdraw(lk_output *output) {
  if (output->named) lk_folder_remove(&output->folder, output->name);
  output->named = false;
}

void lk_output_close(lk_output *output) {
  if (output->fd >= 0) {
    close(output->fd);
    lk_folder_remove(&output->folder, output->fresh);
  }
  lk_folder_close(&output->folder);
  free(output->buffer);
  if (output->hash != NULL) XXH3_freeState(output->hash);
  *output = (lk_output){.fd = -1, .folder.fd = -1};
}
