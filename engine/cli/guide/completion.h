/* Writes the guide as scripts that complete command lines in a shell. */
#ifndef ENGINE_CLI_GUIDE_COMPLETION_H
#define ENGINE_CLI_GUIDE_COMPLETION_H

#include <stdio.h>

void lk_completion_bash(FILE *out);
void lk_completion_zsh(FILE *out);

#endif
