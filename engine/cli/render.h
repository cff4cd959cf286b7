/* Prints candidate lists: a table for people, csv and JSON lines for programs. Commands print the same bytes for the
 * same search. Scores have 9 digits, from which the float can be read back. */
#ifndef ENGINE_CLI_RENDER_H
#define ENGINE_CLI_RENDER_H

#include <jansson.h>
#include <stdio.h>

#include "engine/cli/options.h"

/* Returns the next candidate of the list that is being printed. */
typedef lk_candidate lk_next_candidate(void *context);

void lk_render_header(FILE *out, lk_format format);
/* Prints one probe's list; calls `next` `count` times. `decision`: the decision record, JSON that becomes a member of
 * the list's JSON. LK_ENOMEM. LK_EIO: the output cannot be written. */
lk_status lk_render_list(FILE *out, lk_format format, uint64_t probe, uint32_t count, lk_next_candidate *next,
                         void *context, lk_text decision, lk_error *error);
/* Prints the policy and its rules after the last list of a table. LK_ENOMEM. */
lk_status lk_render_footer(FILE *out, lk_format format, lk_text decision, lk_error *error);

/* Prints `root` with its decision as a line of JSON, and releases it. LK_ENOMEM, also if `root` is NULL. */
lk_status lk_render_json_line(FILE *out, json_t *root, lk_text decision, lk_error *error);

/* A score as it is printed; `hidden` where the policy releases none. As JSON: null; NULL: out of memory. */
typedef struct lk_score_text {
  char text[24];
} lk_score_text;
lk_score_text lk_render_score(float score, const char *hidden);
json_t *lk_render_score_json(float score);

/* Prints a csv field, quoted if RFC 4180 wants it, or where `enroll --labels` might read something else. On a terminal
 * it is shown by the rule of base/printable.h. */
void lk_render_csv_text(FILE *out, lk_text text);
/* Whether it is UTF-8 without control characters but tabs and line ends, so that a csv can keep it. */
bool lk_render_is_csv_text(lk_text text);

/* Prints a text as a string of JSON. LK_ENOMEM; LK_EFORMAT: it is not UTF-8. */
lk_status lk_render_json_text(FILE *out, lk_text text, lk_error *error);

#endif
