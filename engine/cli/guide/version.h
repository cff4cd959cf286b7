/* What this program is made of. */
#ifndef ENGINE_CLI_GUIDE_VERSION_H
#define ENGINE_CLI_GUIDE_VERSION_H

#include <stdio.h>

/* Prints the version, which instruction sets and GPUs can be used here, and the libraries that run with it. */
void lk_version_print(FILE *out);

#endif
