/* Memory for many small pieces that are freed together. Pieces never move. */
#ifndef INDEX_CATALOG_ARENA_H
#define INDEX_CATALOG_ARENA_H

#include <stddef.h>

/* Starts as {0}. */
typedef struct lk_arena {
  struct lk_arena_chunk *chunks;
} lk_arena;

/* A piece of `size` bytes, aligned to 8; NULL: out of memory. */
void *lk_arena_take(lk_arena *arena, size_t size);
/* The same with a copy of these bytes; for none, a piece that may not be read. */
void *lk_arena_copy(lk_arena *arena, const void *bytes, size_t size);
/* Makes it {0} again. */
void lk_arena_free(lk_arena *arena);

#endif
