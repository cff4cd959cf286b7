/* Prints what a command has done to a gallery: a line of plain words, or JSON. */
#ifndef ENGINE_CLI_RECEIPT_H
#define ENGINE_CLI_RECEIPT_H

#include <likeness/owner.h>
#include <likeness/policy.h>
#include <stdio.h>

#include "engine/cli/options.h"

/* The operation is LK_OPERATION_DELETE, _TAG, _EXPIRE or _ERASE. */
typedef struct lk_done {
  lk_operation operation;
  const char *folder; /* as the user calls it */
  uint64_t epoch;
  uint64_t templates;
  uint64_t missing;       /* keys that nobody has, or subjects */
  bool by_subject;        /* it was asked for a subject, not for keys */
  const lk_change *asked; /* whose keys, or subject, JSON names; NULL: nobody's */
  uint32_t asked_count;
  uint64_t expires_ms;          /* expire: up to the end of the year 9999, or LK_NEVER */
  bool in_journal, in_segments; /* delete: what still has bytes of deleted templates, or their keys */
} lk_done;

/* LK_ENOTFOUND: nothing was changed, because nobody has any of the keys or the subject; JSON is printed nevertheless.
 * `format`: LK_TABLE or LK_JSON. */
lk_status lk_receipt_print(FILE *out, lk_format format, const lk_done *done, lk_error *error);

#endif
