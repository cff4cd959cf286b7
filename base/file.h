/* Reads and maps files; base/folder.h writes them. Messages name the file. */
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

/* Opens a file to be read, with a descriptor of 3 or more; a FIFO is not waited for. LK_EIO. */
lk_status lk_file_open(const char *path, int *fd, lk_error *error);

/* The same open file with a descriptor of 3 or more, so that nobody who writes to a closed stderr writes into it. -1,
 * and errno: there is none; `fd` is closed. */
int lk_file_raise(int fd);

/* Reads a regular file into memory, followed by a NUL. The bytes cannot change afterwards. */
lk_status lk_file_read(const char *path, lk_file *file, lk_error *error);
void lk_file_free(lk_file *file);

/* Maps a regular file, for what is too large to be read. It may change or be cut off beneath its map: check what says
 * where something lies, and ask lk_file_check after use. */
lk_status lk_file_map(const char *path, lk_file *file, lk_error *error);
void lk_file_unmap(lk_file *file);

/* The same for a file that is open; they close it. `path`: for messages. */
typedef lk_status lk_file_taker(int fd, const char *path, lk_file *file, lk_error *error);
lk_file_taker lk_file_read_open, lk_file_map_open;

/* LK_EIO: a part of the mapped file could not be read while it was in use; its bytes were zeros instead. The second
 * form is for an address in any file that may be mapped. `name`: for the message. */
lk_status lk_file_check(const lk_file *file, const char *name, lk_error *error);
lk_status lk_file_check_at(const void *address, const char *name, lk_error *error);

/* Writes folder/name into `path` of PATH_MAX bytes. LK_EINVAL: it is too long. */
lk_status lk_file_join(char *path, const char *folder, const char *name, lk_error *error);

#endif
