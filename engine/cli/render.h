/* Candidate lists as text: a table for people, csv and JSON lines for programs. Commands that answer the same search
 * print the same bytes. Scores have the 9 digits that give the float back. */
#ifndef ENGINE_CLI_RENDER_H
#define ENGINE_CLI_RENDER_H

#include <jansson.h>
#include <stdio.h>

#include "engine/cli/options.h"

/* Hands out the next candidate of the list that is being printed. */
typedef lk_candidate lk_next_candidate(void *context);

void lk_render_header(FILE *out, lk_format format);
/* One probe's list; `next` is called `count` times. `decision`: what governed the search, as JSON, which the list's
 * JSON gets. LK_ENOMEM, or LK_EIO where the output cannot be written. */
lk_status lk_render_list(FILE *out, lk_format format, uint64_t probe, uint32_t count, lk_next_candidate *next,
                         void *context, lk_text decision, lk_error *error);
/* After the last list of a table: the policy and its rules. LK_ENOMEM. */
lk_status lk_render_footer(FILE *out, lk_format format, lk_text decision, lk_error *error);

/* A line of JSON: an object, which is freed, and its decision. LK_ENOMEM, also where `root` is NULL. */
lk_status lk_render_json_line(FILE *out, json_t *root, lk_text decision, lk_error *error);

/* A csv field, quoted where it has to be (RFC 4180). */
void lk_render_csv_text(FILE *out, lk_text text);

#endif
