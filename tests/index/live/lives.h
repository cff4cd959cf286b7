/* Threads that change a gallery, and what each of them knows of its own templates at every epoch: nobody else changes
 * these. After the threads have ended this tells what any search or reader must have found. */
#ifndef TESTS_INDEX_LIVE_LIVES_H
#define TESTS_INDEX_LIVE_LIVES_H

#include <likeness/owner.h>
#include <stdatomic.h>
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

void lives_open(lives *l, uint32_t thread, uint64_t seed);
void lives_close(lives *l);

/* Makes a change of a random kind. NULL: it went as it should; else what did not. */
const char *lives_change(lives *l, lk_owner *owner);

/* Calls `each` for all that lived in this epoch. */
typedef void lives_each(void *context, const life *one);
void lives_in(const lives *l, uint64_t epoch, lives_each *each, void *context);

static inline bool life_has_expired(const life *one) { return one->expires_ms < 1000; }

#endif
