/* Writes the guide as man pages: likeness.1, and likeness-COMMAND.1 for each. */
#ifndef ENGINE_CLI_GUIDE_MANUAL_H
#define ENGINE_CLI_GUIDE_MANUAL_H

#include <stdio.h>

#include "engine/cli/guide/commands.h"

void lk_manual_overview(FILE *out);
void lk_manual_command(FILE *out, const lk_guide *guide);

enum { LK_MANUAL_NAME_MAX = 40 };
/* The name of the command's page, as `likeness-policy-check`. */
void lk_manual_name(const lk_guide *guide, char name[LK_MANUAL_NAME_MAX]);

#endif
