/* A job on its way through the worker. */
#ifndef ENGINE_WORKER_TASK_H
#define ENGINE_WORKER_TASK_H

#include <stdatomic.h>

#include <likeness/likeness.h>

#include "engine/queue/bytes.h"
#include "engine/queue/entry.h"
#include "engine/queue/job.h"
#include "engine/queue/redis.h"
#include "engine/worker/batcher.h"
#include "governance/authorisation.h"
#include "index/gallery/unchecked.h"

/* A reply of Redis that has entries. Its tasks read their fields in it; the last task frees it. */
typedef struct lk_delivery {
  lk_redis_reply *reply;
  atomic_uint tasks;
  size_t bytes;        /* of the entries that are tasks */
  uint32_t waiting;    /* tasks that wait for their gallery's log; under the worker's lock */
  atomic_size_t *held; /* what all deliveries have in bytes, and their tasks in prepared probes */
} lk_delivery;

/* What a job that is not searched for is told (engine/worker/intake/question.h). */
typedef struct lk_task_answer {
  lk_bytes text;                    /* JSON; without data: it was not asked */
  uint64_t epoch, total, templates; /* of the gallery then: its epoch and templates; and those that it tells of */
} lk_task_answer;

typedef struct lk_task {
  lk_queued queued;               /* first, so that the batcher's list is a list of tasks */
  struct lk_task *newer, **older; /* among the worker's tasks; `older` is where the pointer to this one stands */
  lk_delivery *delivery;
  uint32_t number;              /* of the gallery whose stream has the job */
  const char *stream;           /* its key */
  lk_priority priority;         /* of that stream */
  char entry[LK_ENTRY_TEXT];    /* id in it */
  bool claimed;                 /* another worker had it */
  uint32_t deaths;              /* workers that died of it, as far as is known */
  const lk_redis_reply *fields; /* of the entry; NULL: it was deleted */
  lk_job job;
  lk_gallery *gallery;             /* NULL: the job was refused before */
  lk_text *listed;                 /* the texts of its lists, keys first; NULL: it has none */
  float *prepared;                 /* its probes, as a search takes them; NULL until they were prepared */
  lk_authorisation *authorisation; /* of each operation that it needs, as far as they were decided: up to the first that
                                    * is refused; NULL: nothing governs it */
  uint32_t authorisations;
  lk_task_answer answer;
  char once[LK_ONCE_HASH]; /* hash of the signed job that it brought first; "": none */
  int64_t deadline_us;     /* lk_clock_us, perhaps before it began; INT64_MAX: none */
  int64_t waits_until_us;  /* at most, for its gallery's log */
  lk_status status;
  lk_error error; /* where status is not LK_OK */
  uint32_t wait_us;
  uint32_t first;       /* its first list in the batch's result */
  atomic_bool finished; /* a finish call has taken it */
  char list[12];        /* its arguments in the finish call: number of its reply list, and when the reply may leave */
  char since[24], until[24];
} lk_task;

static inline lk_task *lk_task_next(const lk_task *task) { return (lk_task *)task->queued.next; }

/* Takes the reply over, with one use of the delivery for the caller. Returns NULL when out of memory. */
lk_delivery *lk_delivery_new(lk_redis_reply *reply, atomic_size_t *held);
/* Ends a use. */
void lk_delivery_release(lk_delivery *delivery);

/* Returns NULL when out of memory. */
lk_task *lk_task_new(lk_delivery *delivery, size_t bytes);
void lk_task_free(lk_task *task);

/* Reads the job's lists of keys and subjects, and checks its labels. LK_EBADJOB. LK_EINTERNAL: out of memory. */
lk_status lk_task_read_lists(lk_task *task, lk_error *error);

/* Prepares the probes, once, into the memory that the search reads. Fails as lk_gallery_prepare does, or with
 * LK_EINTERNAL: out of memory. */
lk_status lk_task_prepare(lk_task *task, lk_error *error);
/* How many bytes that memory has. */
size_t lk_task_prepared_bytes(const lk_task *task);

/* Sets what the batcher sees of the task, when its gallery and the limits of its policy are known. */
void lk_task_queue_as(lk_task *task);

/* The templates that its search is confined to. */
lk_narrowing lk_task_narrowing(const lk_task *task);

/* The request of this operation that the policy decides. */
lk_policy_request lk_task_request(const lk_task *task, lk_operation operation);
/* What its reply says of how it was decided: the decision that refused it, or that of its own operation. NULL: nothing
 * governs it. */
const lk_verdict *lk_task_verdict(const lk_task *task);

/* The prepared probes. */
lk_prepared_run lk_task_run(const lk_task *task);

#endif
