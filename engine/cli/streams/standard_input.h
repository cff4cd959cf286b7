/* `-` as the name of a file: stdin. Files are mapped, or recognised before they are read, so what comes through a pipe
 * is first put into a file without a name. */
#ifndef ENGINE_CLI_STREAMS_STANDARD_INPUT_H
#define ENGINE_CLI_STREAMS_STANDARD_INPUT_H

#include <likeness/status.h>

/* Puts the path of stdin in the place of `-` in these names of files, of which any may be NULL. LK_EINVAL: more than
 * one of them is `-`. LK_EIO. */
lk_status lk_standard_input_take(const char **const *names, int count, lk_error *error);

#endif
