/* Folds the journal into segments. It is sealed, and the next journal takes the changes that come meanwhile; the rows
 * that the catalog has from it are written into a segment, and what has changed of rows in other segments into a state
 * file. The manifest then names these in place of the sealed journal. docs/live.md has the steps and what a crash in
 * each of them leaves.
 *
 * What is written is what the catalog says while it is written, so it may have changes that only the next journal has.
 * That does no harm: who opens the gallery makes all changes of that journal again, in order. A row that is dead dies
 * only once, and of tags and expiries the last word counts. */
#ifndef INDEX_LIVE_FOLD_H
#define INDEX_LIVE_FOLD_H

#include "index/live/owner.h"

/* What becomes of segments that are there. */
typedef enum lk_fold_kind {
  LK_FOLD_JOURNAL, /* small ones are merged with what is new, so that there are only so many; of whose rows half are
                      dead are written anew */
  LK_FOLD_ALL      /* also those of older versions, and those of whose rows anything has changed, are written anew */
} lk_fold_kind;

/* One fold at a time; waits for one that runs. LK_EBUSY: the journal has entries of the gallery's log that nobody
 * acknowledges. LK_EIO, LK_ENOMEM, LK_ECORRUPT: the gallery has the templates that it had, and its old files or, if
 * only their removal failed, both. */
lk_status lk_fold(lk_owner *owner, lk_fold_kind kind, lk_error *error);

/* Starts a fold in the background if the journal has become large, or if a sealed one has waited to be acknowledged,
 * and is. */
void lk_fold_if_due(lk_owner *owner);

/* Whether the journal may grow. LK_EIO: folds have failed for so long that it may not. LK_EBUSY: a fold takes so long.
 * Both see to it that one runs. */
lk_status lk_fold_check(lk_owner *owner, lk_error *error);

/* Makes the journal that takes the place of one that is sealed. The caller has the turn, or is alone. LK_EIO. */
lk_status lk_fold_begin_journal(lk_owner *owner, uint32_t id, lk_error *error);

#endif
