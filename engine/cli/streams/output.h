/* A file that a command writes its answer into. It is FILE.new until the answer is complete, and takes the place of a
 * file that is there. What is no regular file, such as a device or a link (as /dev/stdout
 * is), is written as it is, and never replaced. */
#ifndef ENGINE_CLI_STREAMS_OUTPUT_H
#define ENGINE_CLI_STREAMS_OUTPUT_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

#include <likeness/status.h>

typedef struct lk_answer_file {
  FILE *stream;
  const char *path;
  char fresh[PATH_MAX]; /* "": it is written as it is */
} lk_answer_file;

/* `path` must outlive the file. LK_EIO. LK_EBUSY: another process writes it. */
lk_status lk_answer_file_open(const char *path, lk_answer_file *file, lk_error *error);
/* Closes it, and gives it its name. LK_EIO: there is no new file. */
lk_status lk_answer_file_finish(lk_answer_file *file, lk_error *error);
/* Closes it, and leaves no new file. */
void lk_answer_file_drop(lk_answer_file *file);

#endif
