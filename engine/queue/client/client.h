/* The client: sends probes in jobs, and collects the replies in order. It loses nothing: what was sent and not answered
 * is sent again when a connection broke or Redis lost it, and a second reply is dropped. */
#ifndef ENGINE_QUEUE_CLIENT_CLIENT_H
#define ENGINE_QUEUE_CLIENT_CLIENT_H

#include <stdatomic.h>

#include "engine/queue/address.h"
#include "engine/queue/client/client_job.h"
#include "engine/queue/link/deadline.h"
#include "engine/queue/reply.h"

/* Called for each reply in the order of the probes; `first` is the reply's first probe. */
typedef lk_status lk_client_take(void *context, uint64_t first, lk_reply_reader *reply, lk_error *error);

/* Called when the client waits in vain: the text says why. */
typedef void lk_client_warn(void *context, const char *text);

typedef struct lk_client_caller {
  lk_client_take *take;
  lk_client_warn *warn;
  void *context; /* of both */
} lk_client_caller;

typedef struct lk_client_stop {
  const atomic_bool *asked;  /* it shall leave */
  const lk_give_up *give_up; /* no call of Redis lasts beyond then; NULL: there is no such time */
} lk_client_stop;

/* Sends all probes and passes all replies to `take`. Ends with the error of the first reply that has one. What keeps it
 * waiting (no worker serves the gallery, Redis is away) it warns of, and waits on until timeout_s have passed. However
 * it ends, where Redis can be reached, it removes its list and kept replies, and cancels what is unanswered. LK_EINVAL:
 * the gallery's name is none. LK_EPOLICY: Redis refuses what the client needs. LK_ECANCELLED: it was told to stop.
 * LK_EDEADLINE: no reply for timeout_s; the text says where the oldest job is. Then `take` was given what had come,
 * without the probes between that have no reply, and `warn` a list of these. */
lk_status lk_client_run(const lk_address *address, const lk_client_job *job, const lk_client_stop *stop,
                        const lk_client_caller *caller, lk_error *error);

#endif
