/* What the stages of the worker share. */
#ifndef ENGINE_WORKER_WORKER_H
#define ENGINE_WORKER_WORKER_H

#include <pthread.h>

#include "engine/queue/entry.h"
#include "engine/queue/functions.h"
#include "engine/worker/redis_session.h"
#include "engine/worker/refusal_log.h"
#include "engine/worker/running.h"
#include "engine/worker/task.h"
#include "engine/worker/worker_options.h"

/* A batch that compute has done: its tasks go to the finish stage together. */
typedef struct lk_done {
  struct lk_done *next;
  lk_task *tasks;
  lk_result *result; /* of the tasks whose status is LK_OK; belongs to this slot */
  uint32_t compute_us;
} lk_done;

/* At most two batches are computed at a time; one more is being finished, and one waits between. */
enum { LK_COMPUTE_MOST = LK_RUNNING_MOST, LK_DONE_SLOTS = LK_COMPUTE_MOST + 2 };

/* Intake stops reading at this many tasks: more than two batches of single probes. Those of `hi` may be more. */
enum { LK_TASKS_MOST = 4096, LK_TASKS_MORE_HI = LK_TASKS_MOST / 4 };

/* A thread of the compute stage, as others see it: whether it searches, and how the search goes on. */
typedef struct lk_computer {
  atomic_bool searches;
  lk_search_control control;
} lk_computer;

/* A job of as many and as long probes as the protocol allows, and its other fields; its task, which has the probes once
 * more as they are searched; and what all tasks in the worker may have together. */
#define LK_PROBES_BYTES_MOST ((size_t)LK_JOB_PROBES_MAX * LK_DIM_MAX * sizeof(float))
#define LK_ENTRY_BYTES_MOST (LK_PROBES_BYTES_MOST + (1 << 20))
#define LK_TASK_BYTES_MOST (LK_ENTRY_BYTES_MOST + LK_PROBES_BYTES_MOST)
#define LK_HELD_BYTES_MOST ((size_t)512 << 20)

/* Redis counts entries only: a reply may be larger than what there was room for. Beyond this, which is more than Redis
 * takes as one entry unless it is told otherwise, it is given up and read again entry by entry. */
#define LK_REPLY_BYTES_MOST ((size_t)1280 << 20)

/* Why a gallery is out of service. */
typedef enum lk_outage {
  LK_OUTAGE_NONE,
  LK_OUTAGE_BEHIND,   /* what others have changed could not be read for a while, or not be loaded */
  LK_OUTAGE_DIVERGED, /* its changes are not those of its log: until the worker is started again, */
  LK_OUTAGE_DAMAGED   /* as of this */
} lk_outage;

/* A gallery that is behind for longer than this would go on to show people who were deleted. */
#define LK_BEHIND_MOST_US 10000000

typedef struct lk_worker {
  const lk_worker_options *options;
  char consumer[128];
  lk_keys *keys;                       /* of each gallery */
  atomic_int_least64_t redis_ahead_ms; /* Redis' clock minus ours */
  lk_computer computers[LK_COMPUTE_MOST];
  atomic_uint computers_count;
  atomic_uint_least64_t told; /* the generation of the rules that the log says was read */
  lk_give_up reads_end;       /* when intake no longer waits for Redis */
  lk_give_up answers_end;     /* when no answer leaves any more, and what is left is handed back */
  lk_give_up give_up;         /* when nothing may wait for Redis any more */
  atomic_bool reached;        /* Redis was, at least once */
  lk_running running;
  atomic_size_t held_bytes;  /* of Redis' replies that tasks point into, and of their probes */
  atomic_uint recoveries;    /* counts when entries were given to this worker that may not have arrived */
  atomic_bool needs_mending; /* a stream has an id far ahead of the time */

  pthread_mutex_t lock;   /* all below */
  pthread_cond_t work;    /* signalled when a batch may be due, or has a slot: for compute */
  pthread_cond_t room;    /* when there may be room for more tasks, or compute has nothing to do: for the intakes */
  pthread_cond_t changed; /* when there is something to answer or to hand back */
  lk_batcher batcher;
  lk_task *taken;   /* all tasks in the worker */
  lk_entry *newest; /* of each stream, numbered as its gallery and there, the greatest entry that was a task */
  uint32_t tasks;
  uint32_t intakes_over;
  bool intake_over;   /* all of them are: no more tasks are taken */
  uint32_t computing; /* threads of the compute stage that have not ended, */
  uint32_t idle;      /* and those that wait for a batch */
  bool finish_over, follower_over, log_over;
  uint64_t stopped_us;   /* when the worker saw that it must stop; 0: not yet */
  lk_queued *unanswered; /* tasks that were begun, and are to be handed back */
  bool over;             /* everything is answered or handed back, or it is too late */
  uint32_t threads;      /* that have not ended */
  pthread_cond_t ended;  /* signalled when one of the last three changes */
  lk_done slots[LK_DONE_SLOTS];
  lk_done *free_slots;
  lk_done *done_first, **done_last;
  lk_queued *refused_first, **refused_last; /* tasks that intake refused, or that need no search: to be answered */
  lk_status status;                         /* what the run ends with */
  lk_error error;
  uint64_t jobs;     /* finished: answered, handed over to a log, or found to be answered already or lost */
  uint64_t probes;   /* searched */
  uint64_t returned; /* jobs that were handed back */

  lk_queued *waiting; /* searches that wait for their gallery (engine/worker/waiting.h) */
  uint32_t waiting_count;
  size_t waiting_bytes;
  pthread_cond_t waits;  /* signalled when there is one more, or no batch is begun any more */
  lk_entry *marks;       /* of each gallery, the last entry of its log that searches see */
  lk_outage *outages;    /* of the gallery of that number */
  uint64_t *followed_us; /* of each, when the last look for changes began that went well */

  lk_refusal_log head_refusals; /* the finish stage's, as is the next one */
  uint64_t published;           /* record that the last head in Redis covers */
} lk_worker;

void *lk_intake_hi_main(void *worker);
void *lk_intake_lo_main(void *worker);
void *lk_compute_main(void *worker);
void *lk_finish_main(void *worker);
void *lk_scrubber_main(void *worker);
void *lk_follower_main(void *worker);
void *lk_log_main(void *worker);
void *lk_waiting_main(void *worker);
/* Keeps the leases and takes over what dead workers held, until the worker is over; then gives the leases back. */
void *lk_steward_main(void *worker);

/* A session of a stage of this worker, not opened. */
lk_redis_session lk_worker_session(lk_worker *worker, const char *stage);

/* Whether there is an unfinished task for this entry of the stream with this key. Under the lock. */
bool lk_worker_has(const lk_worker *worker, const char *stream, const char *entry);
/* Forgets and frees the tasks of a list. Returns how many they were. */
uint32_t lk_worker_forget(lk_worker *worker, lk_task *tasks);
/* Leaves the tasks of a list to be handed back. */
void lk_worker_leave_unanswered(lk_worker *worker, lk_task *tasks);
void lk_worker_free_slot(lk_worker *worker, lk_done *slot);

/* Takes the gallery out of service, because its files are damaged, and logs why. The other galleries go on. */
void lk_worker_retire(lk_worker *worker, const lk_gallery *gallery, const lk_error *error);
/* The same, because its changes are not those of its log. */
void lk_worker_part(lk_worker *worker, uint32_t number, const lk_error *error);
/* Takes the gallery of this number out of service while it is behind what others have made of it, and logs the error.
 * Returns LK_EINTERNAL, as lk_worker_check_gallery. */
lk_status lk_worker_suspend(lk_worker *worker, uint32_t number, lk_error *error);
/* A look for changes that began at this time has found all. The gallery is in service again, if it was behind. */
void lk_worker_note_followed(lk_worker *worker, uint32_t number, uint64_t since_us);
/* LK_EINTERNAL: the gallery is out of service. Clients learn no path. One that was not followed for LK_BEHIND_MOST_US
 * is suspended here, whether looks failed or were not over. */
lk_status lk_worker_check_gallery(lk_worker *worker, uint32_t number, lk_error *error);

/* Ends the run with an error. The first error counts. */
void lk_worker_fail(lk_worker *worker, lk_status status, const lk_error *error);

/* Whether the worker was told to stop, or failed. */
bool lk_worker_is_stopping(lk_worker *worker);

uint64_t lk_worker_redis_ms(const lk_worker *worker);
/* Redis just said that it is this time. */
void lk_worker_set_redis_ms(lk_worker *worker, int64_t now_ms);

/* How many bytes of tasks may be read now. Room for one of the largest is kept, since what an entry has is not known
 * before; and for `hi` one more. */
size_t lk_worker_room_bytes(const lk_worker *worker, lk_priority priority);
/* Whether more tasks may be read. Call it with the lock. */
bool lk_worker_has_place(const lk_worker *worker, lk_priority priority);

#endif
