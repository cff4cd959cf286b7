/* A file for others, written from its beginning to its end. It gets its name once it is complete and on the disk; until
 * then it is NAME.new. It never takes the place of a file that is there, and has the mode 0600. One thread uses it. */
#ifndef INDEX_PORTABLE_OUTPUT_H
#define INDEX_PORTABLE_OUTPUT_H

#include <xxhash.h>

#include "base/folder.h"

typedef struct lk_output {
  lk_folder folder; /* a copy */
  char name[NAME_MAX + 1], fresh[NAME_MAX + 1];
  int fd;     /* -1: not open */
  bool named; /* the file that has the name is this one */
  char *buffer;
  size_t used;
  XXH3_state_t *hash; /* of all that was put */
} lk_output;

/* Opens the folder of a path, and gives the name in it, which points into the path. LK_EIO. LK_EINVAL: too long. */
lk_status lk_output_folder(const char *path, lk_folder *folder, const char **name, lk_error *error);

/* LK_EEXIST: there is such a file, or one that is being written. LK_EIO. */
lk_status lk_output_open(const lk_folder *folder, const char *name, lk_output *output, lk_error *error);

/* LK_EIO. */
lk_status lk_output_put(lk_output *output, const void *data, size_t size, lk_error *error);

/* XXH3, 64 bits, of all that was put so far. */
uint64_t lk_output_checksum(const lk_output *output);

/* Gives the complete file its name. The caller closes the output in any case. LK_EEXIST: there is a file of that name
 * meanwhile, which stays. LK_EIO: this one may be there under its name, if only the last step failed. */
lk_status lk_output_finish(lk_output *output, lk_error *error);

/* Takes its name from a file that was given it, which is gone then. Does nothing to one that was not. */
void lk_output_withdraw(lk_output *output);

/* Removes what is not complete. An output of zeros with `fd` -1 is allowed. */
void lk_output_close(lk_output *output);

#endif
