/* An owner: the gallery, its journal, and the changes that wait for it. Internal to index/live/. */
#ifndef INDEX_LIVE_OWNER_H
#define INDEX_LIVE_OWNER_H

#include <likeness/owner.h>
#include <pthread.h>

#include "index/gallery/gallery.h"

struct lk_owner {
  lk_gallery_lock lock;
  lk_gallery *gallery;
  lk_pool *pool;
  lk_journal *journal;
  uint64_t cut_bytes;
  const lk_search_control *control; /* ends a fold when it is cancelled; NULL: nothing does. Set before the first */

  pthread_mutex_t mutex;           /* of what follows */
  pthread_cond_t turned;           /* a turn is over */
  struct lk_request *first, *last; /* that wait (index/live/queue.h) */
  bool busy;                       /* somebody has the turn: to change the gallery or its files */
  bool folding;                    /* somebody folds; one at a time */
  uint64_t recorded;               /* bytes that the last journal has, about */
  uint64_t boundary;               /* where there are two journals: the next number when the second one began */
  lk_log_mark boundary_log;        /* and the last entry of the log */
  uint64_t acknowledged;           /* entries of the log up to this seq */
  uint64_t awaited;                /* a sealed journal waits until entries up to this seq are; 0: none waits */
  uint64_t erases;                 /* as lk_owner_log_erases */
  bool acknowledges;               /* somebody has acknowledged since it was opened */
  lk_error failure;                /* why it takes no more changes; "": it does */
  uint64_t fold_at;                /* begins a fold when so much is recorded; 0: when it is due */
  uint64_t retry_us;               /* a full journal is not folded again before that */
  lk_error fold_failure;           /* of the last fold; "": it was none */
  lk_result *matches;              /* of the duplicate check; NULL: there was none yet; only with the turn */
  uint64_t next_free;              /* all numbers below that are not a template's are keys; only with the turn */
};

/* As lk_owner_open, with a disk that a test puts in the place of the system's. */
lk_status lk_owner_open_on(const lk_disk *disk, const char *folder, lk_owner **owner, lk_error *error);

lk_status lk_log_cut_on(const lk_disk *disk, const char *folder, const struct lk_log_mark *common, uint64_t *dropped,
                        lk_error *error);

/* Waits for the turn, in which no other thread changes the gallery, and ends it. */
void lk_owner_take_turn(lk_owner *owner);
void lk_owner_end_turn(lk_owner *owner);

/* Takes no more changes from now on. The caller has the turn. */
void lk_owner_fail(lk_owner *owner, const lk_error *why);
/* LK_EIO: it has failed. */
lk_status lk_owner_check(lk_owner *owner, lk_error *error);

#endif
