/* What a file was like when it was read: how a process sees that it is another one now. */
#ifndef BASE_STAMP_H
#define BASE_STAMP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/folder.h"

typedef struct lk_stamp {
  struct timespec written, changed;
  uint64_t device, inode;
  int64_t size;
} lk_stamp;

/* Take the stamp before reading the file: then a change during the reading is seen later. All zeros: there is no such
 * file, or `path` is NULL. */
lk_stamp lk_stamp_of(const char *path);
/* Of a file of the folder; a symbolic link in its place is another file. */
lk_stamp lk_stamp_in(const lk_folder *folder, const char *name);

bool lk_stamp_equal(const lk_stamp *a, const lk_stamp *b);

/* Whether it is time to look again at files that must be followed within a second: looking costs system calls, and
 * operations may be many. Any thread may call; one of them gets true. */
bool lk_stamp_is_due(atomic_uint_least64_t *looked_us);

#endif
