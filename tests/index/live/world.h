/* A gallery that is changed at random, and a model of what was acknowledged. */
#ifndef TESTS_INDEX_LIVE_WORLD_H
#define TESTS_INDEX_LIVE_WORLD_H

#include <likeness/owner.h>
#include "kernels/backend.h"
#include "tests/support/random.h"

enum {
  WORLD_DIM = 12,
  WORLD_TEMPLATES = 4096,
  WORLD_LEAST = 200,
  WORLD_KEYS = 400,
  WORLD_SUBJECTS = 60,
  WORLD_ROWS = 40
};

typedef struct world_template {
  uint64_t number, tags, expires_ms, version;
  char key[24], subject[16], group[8], metadata[16];
  float stored[WORLD_DIM]; /* as it is stored */
} world_template;

typedef struct world {
  lk_metric metric;
  lk_store store;
  uint64_t epoch;
  uint64_t next_number;
  world_template *living; /* in the order of their numbers; expired ones too */
  uint32_t count;
  uint32_t least;   /* below so many it only grows: WORLD_LEAST, unless a test sets another */
  uint32_t deleted; /* so far */
} world;

void world_open(world *w, lk_metric metric, lk_store store);
void world_close(world *w);
/* `to` is open, too. */
void world_copy(world *to, const world *from);

/* Makes a change of a random kind with the owner and, if it is acknowledged, in the model. Returns its status. An owner
 * of NULL acknowledges all that can be: what the same draw would have come to. */
lk_status world_change(world *w, random_state *random, lk_owner *owner, lk_error *error);

/* What the gallery has otherwise than the model, in one buffer; NULL: nothing. */
const char *world_difference(const world *w, lk_gallery *gallery);

/* Enrolls some rows with new keys in the folder of a gallery that nobody owns, in bulk, and in the model. */
void world_enroll_bulk(world *w, random_state *random, const char *folder);

/* The gallery has exactly what the model has: each template with all of its fields, and nothing else. */
void world_expect_templates(const world *w, lk_gallery *gallery, const char *when);

/* Searches of the loaded gallery, under several filters, give what the model gives. */
void world_expect_searches(const world *w, random_state *random, lk_gallery *gallery, lk_result *result,
                           const char *when);

#endif
