/* A file without a name, for what is too large to be kept in memory: written from front to back, then mapped. It lies
 * in the folder TMPDIR, or else in /var/tmp, which is on a disk. Nobody else can open it, and its space is free again
 * when it is closed or unmapped, or the process ends. */
#ifndef INDEX_FORMATS_VECTORS_SCRATCH_H
#define INDEX_FORMATS_VECTORS_SCRATCH_H

#include "base/file.h"

typedef struct lk_scratch {
  int fd;           /* 3 or more; -1: none */
  int fault;        /* why there is none: errno */
  const char *name; /* for messages: the file whose content is put here; it outlives the scratch */
} lk_scratch;

/* A folder that cannot be written to is reported when something is written. */
void lk_scratch_open(const char *name, lk_scratch *scratch);
/* LK_EIO: the folder has no space, or cannot be written to. */
lk_status lk_scratch_write(lk_scratch *scratch, const void *data, size_t size, lk_error *error);
/* Maps what was written and closes the scratch, on failure too. The caller unmaps the file. */
lk_status lk_scratch_map(lk_scratch *scratch, lk_file *file, lk_error *error);
void lk_scratch_close(lk_scratch *scratch);

#endif
