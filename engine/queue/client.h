/* The client: splits probes into jobs, sends them, and collects the replies in order. */
#ifndef ENGINE_QUEUE_CLIENT_H
#define ENGINE_QUEUE_CLIENT_H

#include <stdatomic.h>

#include <likeness/likeness.h>
#include <likeness/signing_key.h>
#include "engine/queue/address.h"
#include "engine/queue/reply.h"
#include "engine/queue/text_list.h"

typedef struct lk_client_job {
  const char *gallery, *model, *priority; /* model: NULL for none */
  const lk_vectors *probes;
  uint32_t k;
  float threshold;
  bool by_subject;
  lk_fusion fusion; /* of a job's probes */
  uint64_t tags, mask;
  lk_text_list keys, subjects;
  lk_claims claims;       /* their key signs each job */
  const char *deployment; /* that signed jobs are for; NULL: none */
  uint64_t ttl_ms;        /* 0: no deadline */
  uint32_t job_probes;    /* probes in one job */
  uint32_t timeout_s;     /* without any reply for so long, it gives up */
} lk_client_job;

/* Called for each reply in the order of the probes; `first` is the reply's first probe. */
typedef lk_status lk_client_take(void *context, uint64_t first, lk_reply_reader *reply, lk_error *error);

/* Called when the client waits in vain: the text says why. */
typedef void lk_client_warn(void *context, const char *text);

typedef struct lk_client_caller {
  lk_client_take *take;
  lk_client_warn *warn;
  void *context; /* of both */
} lk_client_caller;

/* Sends all probes and passes all replies to `take`. Ends with the error of the first reply that has one. Whenever it
 * finds that no worker serves the gallery it warns, and goes on: one may come before the time is over. LK_EINVAL: the
 * gallery's name is none. LK_EDEADLINE: no reply for timeout_s. */
lk_status lk_client_run(const lk_address *address, const lk_client_job *job, const atomic_bool *stop,
                        const lk_client_caller *caller, lk_error *error);

#endif
