/* Tells Redis how far this worker has applied a log, so that entries which everybody has applied can be removed. */
#ifndef ENGINE_WORKER_LOG_READER_PLACE_H
#define ENGINE_WORKER_LOG_READER_PLACE_H

#include <stdio.h>

#include "engine/queue/keys.h"
#include "engine/queue/redis.h"

typedef struct lk_reader_place {
  const lk_keys *keys;
  const char *nonce;
  char name[320];   /* of the gallery's folder: the same after a restart */
  uint64_t told_us; /* when it last was */
  uint64_t erases;  /* entries up to this one are to be removed however young they are; 0: none are */
  bool refused;     /* what Redis refuses was said */
  FILE *log;
} lk_reader_place;

lk_reader_place lk_reader_place_of(const lk_keys *keys, const char *folder, const char *nonce, FILE *log);

/* An entry that erases was applied. */
void lk_reader_place_erase(lk_reader_place *place, uint64_t seq);

/* Tells it now; or, in a turn, where it is due. LK_EIO: the connection broke. */
lk_status lk_reader_place_tell(lk_reader_place *place, lk_redis *redis, uint64_t seq, lk_error *error);
lk_status lk_reader_place_turn(lk_reader_place *place, lk_redis *redis, uint64_t seq, lk_error *error);

#endif
