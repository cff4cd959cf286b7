/* Reads and maps files, and writes them so that they survive a power cut. Messages name the file. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stddef.h>

#include "base/fail.h"
#include "base/mapping.h"

typedef struct lk_file {
  const void *data; /* NULL for an empty file that is mapped */
  size_t size;
  lk_mapping *mapping; /* NULL where it is not mapped */
} lk_file;

/* Reads a regular file into memory, followed by a NUL. The bytes cannot change afterwards. */
lk_status lk_file_read(const char *path, lk_file *file, lk_error *error);
void lk_file_free(lk_file *file);

/* Maps a regular file, for what is too large to be read. It may change or be cut off beneath its map: check what says
 * where something lies, and ask lk_file_check after use. */
lk_status lk_file_map(const char *path, lk_file *file, lk_error *error);
void lk_file_unmap(lk_file *file);

/* LK_EIO: a part of the mapped file could not be read while it was in use; its bytes were zeros instead. The second
 * form is for an address in any file that may be mapped. `name`: for the message. */
lk_status lk_file_check(const lk_file *file, const char *name, lk_error *error);
lk_status lk_file_check_at(const void *address, const char *name, lk_error *error);

/* Creates or replaces a file of `size` bytes, reserves its blocks and maps it for writing. LK_EIO. */
lk_status lk_file_make(const char *path, size_t size, void **data, lk_error *error);
/* Writes what lk_file_make mapped to the disk and unmaps it, on failure too. LK_EIO. */
lk_status lk_file_seal(const char *path, void *data, size_t size, lk_error *error);

/* Replaces `path` atomically: writes a new file beside it, fsyncs and renames it, and fsyncs the folder. LK_EIO;
 * LK_EINVAL: the path is too long. */
lk_status lk_file_replace(const char *path, const void *data, size_t size, lk_error *error);
lk_status lk_file_sync_folder(const char *folder, lk_error *error);

/* Writes folder/name into `path` of PATH_MAX bytes. LK_EINVAL: it is too long. */
lk_status lk_file_join(char *path, const char *folder, const char *name, lk_error *error);

#endif
