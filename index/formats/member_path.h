/* FILE:MEMBER, one array of several in a file. */
#ifndef INDEX_FORMATS_MEMBER_PATH_H
#define INDEX_FORMATS_MEMBER_PATH_H

#include <limits.h>

typedef struct lk_member_path {
  char file[PATH_MAX];
  const char *member; /* the part of the name after the file's; NULL: the name is the file's */
} lk_member_path;

/* A name is split where that leaves the name of a regular file, unless something has the whole name. One
 * that is too long for a file is cut off: no file has it. */
void lk_member_path_split(const char *name, lk_member_path *path);

#endif
