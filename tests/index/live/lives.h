/* Threads that change a gallery, and what each of them knows of its own templates at every epoch: nobody else changes
 * these. After the threads have ended this tells what any search or reader must have found. */
#ifndef TESTS_INDEX_LIVE_LIVES_H
#define TESTS_INDEX_LIVE_LIVES_H

#include <likeness/owner.h>
#include "tests/support/random.h"

enum { LIVES_DIM = 8, LIVES_KEYS = 25, LIVES_SUBJECTS = 6, LIVES_MAX = 8192 };

/* A template between two changes of it: from epoch `from` on, before epoch `until`. */
typedef struct life {
  uint64_t number, tags, expires_ms, from, until;
  char key[16], subject[16];
  float vector[LIVES_DIM];
} life;

typedef struct lives {
  uint32_t thread; /* part of its keys and subjects */
  random_state random;
  life *all;
  uint32_t count;
} lives;

enum { LIVES_ROWS = 4 };

/* A change of a thread's own templates. An enrollment has no kind. */
typedef struct lives_change {
  bool enrolls;
  life rows[LIVES_ROWS];
  uint32_t count; /* of rows */
  lk_change_kind kind;
  char text[16]; /* key or subject */
  uint64_t tags, expires_ms;
} lives_change;

void lives_open(lives *l, uint32_t thread, uint64_t seed);
void lives_close(lives *l);

lives_change lives_draw(lives *l);
lk_status lives_send(const lives_change *change, lk_owner *owner, lk_receipt *receipt, lk_error *error);
/* It was acknowledged. NULL: as it should be; else what is wrong with the receipt. */
const char *lives_take(lives *l, const lives_change *change, const lk_receipt *receipt);

/* Calls `each` for all that lived in this epoch. */
typedef void lives_each(void *context, const life *one);
void lives_in(const lives *l, uint64_t epoch, lives_each *each, void *context);

/* The one that lives now; NULL: none does. */
const life *lives_find(const lives *l, const char *key);
/* Forgets all that do not live. */
void lives_forget(lives *l);

/* Others may have deleted it: they compact. */
static inline bool life_has_expired(const life *one) { return one->expires_ms < 1000; }

#endif
