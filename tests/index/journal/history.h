/* Random changes, and a model of a journal: all changes that it was given, in order. */
#ifndef TESTS_INDEX_JOURNAL_HISTORY_H
#define TESTS_INDEX_JOURNAL_HISTORY_H

#include "index/journal/journal.h"
#include "tests/support/random.h"

enum { HISTORY_DIM = 3, HISTORY_BATCH_MAX = 5 };

typedef struct history_change {
  lk_record record; /* points into the rest */
  char key[LK_TEXT_MAX], subject[LK_TEXT_MAX], group[LK_TEXT_MAX], metadata[LK_METADATA_MAX];
  char vector[HISTORY_DIM * 8];
  uint64_t epoch;
} history_change;

typedef struct history_model {
  history_change **changes;
  uint32_t count;
  uint32_t visited; /* by history_visit */
} history_model;

/* Of a small gallery under cosine; the journal's id is 1. */
lk_journal_header history_header(void);

/* A valid record of any kind but a seal. */
void history_draw(random_state *random, history_change *change);
bool history_equal(const lk_record *a, const lk_record *b);

/* Draws a batch of `count` and adds it to the journal and, if that took it, to the model. `sequence` as of
 * lk_journal_add. */
lk_status history_add(history_model *history, random_state *random, lk_journal *journal, uint32_t count,
                      uint64_t *sequence, lk_error *error);

/* Expects the model's changes, in order, with their numbers and epochs: an lk_journal_visit, with a history as context.
 * Set `visited` to 0 before. */
lk_journal_visit history_visit;

/* Whether a batch of the model ends behind so many changes. */
bool history_is_batch_end(const history_model *history, uint32_t count);

/* Forgets the changes from `count` on. */
void history_cut(history_model *history, uint32_t count);
void history_free(history_model *history);

/* Opens journal 1 of the folder, or makes it if there is none. What is in it must be what the model begins with. */
lk_journal *history_open(history_model *history, const lk_folder *folder, lk_journal_report *report);

#endif
