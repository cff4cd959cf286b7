/* The fields of a stream's entry, as Redis gave them. */
#ifndef ENGINE_WORKER_ENTRY_FIELDS_H
#define ENGINE_WORKER_ENTRY_FIELDS_H

#include "engine/queue/redis.h"
#include "engine/queue/signature.h"

/* Reads names and values, which point into the reply, up to LK_FIELDS_MAX of them; returns how many. */
size_t lk_entry_fields_read(const lk_redis_reply *list, lk_field fields[LK_FIELDS_MAX]);

#endif
