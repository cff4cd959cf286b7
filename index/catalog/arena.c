#include "index/catalog/arena.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 1 << 16, ALIGN = 8 };

struct lk_arena_chunk {
  struct lk_arena_chunk *next;
  size_t used, size;
  char bytes[];
};

static struct lk_arena_chunk *add_chunk(lk_arena *arena, size_t least) {
  size_t size = least > CHUNK_BYTES ? least : CHUNK_BYTES;
  struct lk_arena_chunk *chunk = malloc(sizeof *chunk + size);
  if (chunk == NULL) return NULL;
  *chunk = (struct lk_arena_chunk){.next = arena->chunks, .size = size};
  return arena->chunks = chunk;
}

void *lk_arena_take(lk_arena *arena, size_t size) {
  size_t rounded = (size + ALIGN - 1) / ALIGN * ALIGN;
  struct lk_arena_chunk *chunk = arena->chunks;
  if (chunk == NULL || chunk->size - chunk->used < rounded) chunk = add_chunk(arena, rounded);
  if (chunk == NULL) return NULL;
  void *piece = chunk->bytes + chunk->used;
  chunk->used += rounded;
  return piece;
}

void *lk_arena_copy(lk_arena *arena, const void *bytes, size_t size) {
  void *piece = lk_arena_take(arena, size);
  if (piece != NULL && size > 0) memcpy(piece, bytes, size);
  return piece;
}

void lk_arena_free(lk_arena *arena) {
  while (arena->chunks != NULL) {
    struct lk_arena_chunk *next = arena->chunks->next;
    free(arena->chunks);
    arena->chunks = next;
  }
}
