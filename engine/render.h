/* Candidate lists as text: a table for people, csv and JSON lines for programs. Commands that answer the same search
 * print the same bytes. Scores have the 9 digits that give the float back. */
#ifndef ENGINE_RENDER_H
#define ENGINE_RENDER_H

#include <stdio.h>

#include "engine/options.h"

/* Hands out the next candidate of the list that is being printed. */
typedef lk_candidate lk_next_candidate(void *context);

void lk_render_header(FILE *out, lk_format format);
/* One probe's list; `next` is called `count` times. LK_ENOMEM, or LK_EIO where the output cannot be written. */
lk_status lk_render_list(FILE *out, lk_format format, uint64_t probe, uint32_t count, lk_next_candidate *next,
                         void *context, lk_error *error);

/* A csv field, quoted where it has to be (RFC 4180). */
void lk_render_csv_text(FILE *out, lk_text text);

#endif
