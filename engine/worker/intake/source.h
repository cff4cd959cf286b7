/* The streams that a worker reads. A gallery's are numbered, those of priority hi first. */
#ifndef ENGINE_WORKER_INTAKE_SOURCE_H
#define ENGINE_WORKER_INTAKE_SOURCE_H

#include "engine/queue/keys.h"
#include "engine/queue/redis.h"

enum { LK_SOURCES = LK_PRIORITIES * LK_LANES }; /* of a gallery */

typedef struct lk_source {
  const char *key;
  uint32_t gallery; /* its number */
  lk_priority priority;
} lk_source;

static inline lk_source lk_source_of(const lk_keys *keys, uint32_t gallery, uint32_t number) {
  return (lk_source){.key = keys[gallery].lanes[number / LK_LANES][number % LK_LANES],
                     .gallery = gallery,
                     .priority = (lk_priority)(number / LK_LANES)};
}

/* The number of a stream, whose key is one of `keys`, within its gallery. */
static inline uint32_t lk_source_number(const lk_keys *keys, const char *stream) {
  return (uint32_t)((size_t)(stream - keys->lanes[0][0]) / sizeof keys->lanes[0][0]);
}

/* Adds the keys of all streams of a gallery, in the order of their numbers. */
static inline void lk_source_add_all(lk_command *command, const lk_keys *keys) {
  for (uint32_t i = 0; i < LK_SOURCES; i++) lk_command_add_string(command, keys->lanes[i / LK_LANES][i % LK_LANES]);
}

#endif
