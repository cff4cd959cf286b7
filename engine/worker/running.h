/* What each compute thread is about to search for, noted in Redis before it begins. If the worker dies of it, whoever
 * claims its jobs runs those alone, so that one job cannot kill workers together with its neighbours.
 *
 * A search never waits for Redis here: a note is sent without waiting for its answer, and where the connection is
 * broken, or Redis silent, the batch is searched unnoted while a keeper, a thread of its own, connects again. */
#ifndef ENGINE_WORKER_RUNNING_H
#define ENGINE_WORKER_RUNNING_H

#include <pthread.h>

#include "engine/queue/bytes.h"
#include "engine/queue/keys.h"
#include "engine/worker/redis_session.h"
#include "engine/worker/refusal_log.h"
#include "engine/worker/task.h"

enum { LK_RUNNING_MOST = 2 }; /* compute threads */

/* Of one compute thread. */
typedef struct lk_running_batch {
  lk_redis_session session;
  char field[136];     /* the consumer and the number of the thread */
  const lk_keys *keys; /* of the gallery of the batch; NULL: there was none yet */
  lk_bytes text;       /* the batch, as it is noted, with its NUL */
  bool works;          /* the session is the compute thread's; else the keeper's */
  uint32_t unread;     /* answers, on this connection */
  lk_refusal_log refusals;
} lk_running_batch;

typedef struct lk_running {
  pthread_mutex_t lock; /* all below; a session is used without it by whose it is */
  pthread_cond_t changed;
  bool over;
  uint32_t threads; /* of the compute stage */
  lk_running_batch batches[LK_RUNNING_MOST];
} lk_running;

void lk_running_init(lk_running *running, uint32_t threads, const char *consumer, lk_redis_session session);
void lk_running_destroy(lk_running *running);

/* Notes the tasks that are to be searched, which are of the gallery with these keys, as the batch of this compute
 * thread. It takes some milliseconds at most. */
void lk_running_note(lk_running *running, uint32_t thread, const lk_keys *keys, const lk_task *tasks);

/* Keeps the connections, until the last note. */
void lk_running_keep(lk_running *running);
/* Call it after the last note. */
void lk_running_end(lk_running *running);

#endif
