/* A folder that is opened once, and its files by their names in it. What is put in the place of the folder afterwards
 * has no effect, and a symbolic link in the place of a file is never followed.
 *
 * A new folder has the mode 0700. A new file has 0600; where the folder lets its group read, so does the file (0640).
 * So whoever makes a folder before likeness does, or changes its mode, decides about the group. The umask can only take
 * more away. Messages name the file. */
#ifndef BASE_FOLDER_H
#define BASE_FOLDER_H

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/file.h"

/* The calls by which changes reach the disk, as a table, so that a test can let each of them fail, and can forget what
 * was not synced. They return what the system's do, and set errno. */
typedef struct lk_disk {
  ssize_t (*write)(int fd, const void *data, size_t size); /* where the file stands */
  int (*reserve)(int fd, off_t size);                      /* gives an empty file its size, and blocks for all of it */
  int (*sync)(int fd); /* a file's content, what was written to its map included, or the names in a folder */
  int (*truncate)(int fd, off_t size);
  int (*rename)(int folder, const char *from, const char *to);     /* replaces what has the name */
  int (*rename_new)(int folder, const char *from, const char *to); /* replaces nothing: EEXIST */
} lk_disk;

/* The system's. */
extern const lk_disk lk_disk_system;

/* Writes all of it. False, and errno: it failed, and a part may be written. */
bool lk_disk_write_all(const lk_disk *disk, int fd, const void *data, size_t size);

typedef struct lk_folder {
  int fd;
  mode_t file_mode;    /* of new files */
  const lk_disk *disk; /* what writes its files: lk_disk_system, unless a test puts another one here */
  char path[PATH_MAX];
} lk_folder;

/* The file whose lock a writer of the folder needs. */
#define LK_FOLDER_LOCK "LOCK"

/* The path may be a symbolic link to a folder; the folder's path is then the one that it leads to. LK_EIO; errno says
 * why. LK_EINVAL: it is too long. */
lk_status lk_folder_open(const char *path, lk_folder *folder, lk_error *error);
/* The same, but makes the folder if there is none; `made` says so. */
lk_status lk_folder_make(const char *path, lk_folder *folder, bool *made, lk_error *error);
/* A second one, to be closed for itself. LK_EIO. */
lk_status lk_folder_copy(const lk_folder *folder, lk_folder *copy, lk_error *error);
void lk_folder_close(lk_folder *folder);

/* Takes the writers' lock. Closing `*lock` releases it, as the end of the process does. Only the owner of the lock's
 * file can open it, so nobody else can keep a writer out. LK_EBUSY, at once: another process has it; `doing` says in
 * the message what for, and the file's text, which whoever takes the lock writes, which process that is. LK_EIO. */
lk_status lk_folder_lock(const lk_folder *folder, const char *doing, int *lock, lk_error *error);

/* Its entries, for readdir and closedir. NULL: it failed, and errno says why. */
DIR *lk_folder_entries(const lk_folder *folder);

/* As lk_file_read and lk_file_map. LK_EFORMAT: not a regular file, or a symbolic link. */
lk_status lk_folder_read(const lk_folder *folder, const char *name, lk_file *file, lk_error *error);
lk_status lk_folder_map(const lk_folder *folder, const char *name, lk_file *file, lk_error *error);

/* Creates a file that must not exist yet, or opens an existing one; `flags` are O_WRONLY, O_APPEND and the like.
 * Returns the file; -1: it failed, and errno says why. */
int lk_folder_create_file(const lk_folder *folder, const char *name, int flags);
int lk_folder_open_file(const lk_folder *folder, const char *name, int flags);
/* False: there is no such file, or it cannot be removed. */
bool lk_folder_remove(const lk_folder *folder, const char *name);

/* A new file that is mapped for writing. */
typedef struct lk_new_file {
  int fd;
  void *data;
  size_t size;
} lk_new_file;

/* Creates a file of `size` bytes, in place of any that has the name, and reserves its blocks. LK_EIO: it is not there
 * then. */
lk_status lk_folder_make_file(const lk_folder *folder, const char *name, size_t size, lk_new_file *file,
                              lk_error *error);
/* Writes it to the disk and closes it, on failure too. LK_EIO. Its name is on the disk once the folder is synced. */
lk_status lk_folder_seal_file(const lk_folder *folder, const char *name, lk_new_file *file, lk_error *error);

/* Replaces a file atomically: writes a new one beside it, fsyncs and renames it, and fsyncs the folder. LK_EIO;
 * LK_EINVAL: the name is too long. The second form opens the folder of `path` for it. */
lk_status lk_folder_replace(const lk_folder *folder, const char *name, const void *data, size_t size, lk_error *error);
lk_status lk_folder_replace_path(const char *path, const void *data, size_t size, lk_error *error);

/* Puts the names of its files, or its own name in its parent, on the disk. LK_EIO. */
lk_status lk_folder_sync(const lk_folder *folder, lk_error *error);
lk_status lk_folder_sync_parent(const lk_folder *folder, lk_error *error);

#endif
