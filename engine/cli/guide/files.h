/* Writes the man pages and the shells' completions as the files that are installed. */
#ifndef ENGINE_CLI_GUIDE_FILES_H
#define ENGINE_CLI_GUIDE_FILES_H

#include <likeness/status.h>

/* Into the folder man1, and as likeness.bash and _likeness. The folders must be there. LK_EIO. */
lk_status lk_guide_write_files(const char *folder, lk_error *error);

#endif
