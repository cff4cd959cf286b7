/* Prints the guide for people at a terminal, 80 columns wide. */
#ifndef ENGINE_CLI_GUIDE_HELP_H
#define ENGINE_CLI_GUIDE_HELP_H

#include <stdio.h>

#include "engine/cli/guide/commands.h"

/* All commands, a line each. */
void lk_help_overview(FILE *out);
/* Those whose names begin with this word. Returns their number. */
int lk_help_group(FILE *out, const char *word);
/* One command. */
void lk_help_command(FILE *out, const lk_guide *guide);

/* The command of this name, or the nearest to it; NULL: there is none. */
const lk_guide *lk_guide_of(const char *name);
const char *lk_guide_nearest(const char *name);
/* The command's option that was probably meant; NULL: none is near. */
const char *lk_guide_nearest_option(const lk_guide *guide, const char *name, size_t length);

#endif
