/* An owner: the gallery, its journal, and the changes that wait for it. Internal to index/live/. */
#ifndef INDEX_LIVE_OWNER_H
#define INDEX_LIVE_OWNER_H

#include <likeness/owner.h>
#include <pthread.h>

#include "index/catalog/group.h"
#include "index/gallery/gallery.h"

/* A change on its way. Whoever brings it waits until it is done. */
typedef struct lk_request {
  const lk_enrollment *enrollment; /* NULL: `changes` */
  const lk_change *changes;
  uint32_t count;      /* of rows or changes */
  uint64_t expired_ms; /* deletions by key: only of what has expired at this Unix time; 0: whatever has the key */
  lk_receipt receipt;
  lk_status status;
  lk_error error;
  bool accepted; /* the group's fate is its own */
  bool done;
  struct lk_request *next;
} lk_request;

struct lk_owner {
  lk_gallery_lock lock;
  lk_gallery *gallery;
  lk_pool *pool;
  lk_journal *journal;
  uint64_t cut_bytes;

  pthread_mutex_t mutex; /* of what follows */
  pthread_cond_t turned; /* a turn is over */
  lk_request *first, *last;
  bool busy;         /* somebody has the turn: to change the gallery or its files */
  bool folding;      /* somebody folds; one at a time */
  uint64_t recorded; /* bytes that the last journal has, about */
  uint64_t boundary; /* where there are two journals: the next number when the second one began */
  lk_error failure;  /* why it takes no more changes; "": it does */
  uint64_t fold_at;  /* begins a fold when so much is recorded; 0: when it is due */
  lk_error fold_failure; /* of the last fold in the background; "": it was none */
  uint64_t next_free;    /* all numbers below that are not a template's are keys; only with the turn */
};

/* As lk_owner_open, with a disk that a test puts in the place of the system's. */
lk_status lk_owner_open_on(const lk_disk *disk, const char *folder, lk_owner **owner, lk_error *error);

/* Waits for the turn, in which no other thread changes the gallery, and ends it. */
void lk_owner_take_turn(lk_owner *owner);
void lk_owner_end_turn(lk_owner *owner);

/* Makes a change, or waits until somebody has made it: the request is done then, and says how. */
void lk_owner_pass(lk_owner *owner, lk_request *request);

/* Takes no more changes from now on. The caller has the turn. */
void lk_owner_fail(lk_owner *owner, const lk_error *why);
/* LK_EIO: it has failed. */
lk_status lk_owner_check(lk_owner *owner, lk_error *error);

#endif
