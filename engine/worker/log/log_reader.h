/* Reads entries of a gallery's log in order, with their vectors, as many as an owner applies together. */
#ifndef ENGINE_WORKER_LOG_LOG_READER_H
#define ENGINE_WORKER_LOG_LOG_READER_H

#include "engine/queue/keys.h"
#include "engine/queue/redis.h"
#include "engine/worker/log/log_change.h"

enum { LK_LOG_READ_MOST = 256 };

/* What was read; it begins as zeros. */
typedef struct lk_log_reading {
  lk_redis_reply *read, *vectors[LK_LOG_READ_MOST];
  lk_log_change changes[LK_LOG_READ_MOST];
  lk_log_entry entries[LK_LOG_READ_MOST];
  uint32_t count;
  uint32_t most; /* entries of the next read */
} lk_log_reading;

/* Reads what comes after `mark`, and waits a moment where there is nothing. LK_EIO: the connection broke, also because
 * a reply was too large; the next read then asks for less. LK_EFORMAT: the log has an entry that cannot be read; those
 * before it are read. LK_ENOMEM. */
lk_status lk_log_reading_next(lk_log_reading *reading, lk_redis *redis, const lk_keys *keys, const lk_log_mark *mark,
                              lk_error *error);
/* Forgets what was read. */
void lk_log_reading_clear(lk_log_reading *reading);

#endif
