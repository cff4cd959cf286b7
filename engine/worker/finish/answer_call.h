/* A call of lk_finish_5: the answers to tasks of one stream. It is bounded, so that it takes little memory and does not
 * keep Redis from others for long: at most 1000 tasks, and 4 MiB of replies or one reply that is larger. */
#ifndef ENGINE_WORKER_FINISH_ANSWER_CALL_H
#define ENGINE_WORKER_FINISH_ANSWER_CALL_H

#include <stdbool.h>
#include <stdio.h>

#include "engine/queue/bytes.h"
#include "engine/queue/keys.h"
#include "engine/queue/redis.h"
#include "engine/worker/task.h"

enum { LK_ANSWER_CALL_TASKS = 1000, LK_ANSWER_CALL_BYTES = 4 << 20 };

/* It begins as zeros. */
typedef struct lk_answer_call {
  lk_bytes replies; /* of its tasks, one after the other: the caller appends each and then adds the task */
  lk_task **tasks;
  size_t *ends;   /* where each task's reply ends in `replies` */
  size_t count;   /* tasks that the call answers */
  size_t encoded; /* the same, or one more, whose reply begins the next call since it did not fit into this one */
  size_t capacity;
  lk_bytes keys; /* of the reply lists, then of the signed jobs; each with its NUL */
  uint32_t lists, signed_jobs;
  char keys_count[12];
  lk_command command;
} lk_answer_call;

void lk_answer_call_free(lk_answer_call *call);

/* Begins the next call with the reply that did not fit into the last one; `anew`: with none. */
void lk_answer_call_next(lk_answer_call *call, bool anew);

/* Whether the call begins with this task, so that its reply is there already. */
bool lk_answer_call_begins_with(const lk_answer_call *call, const lk_task *task);

/* Adds a task, whose reply the caller has just appended. False: the call takes no more, or memory ran out: then
 * `replies` failed. */
bool lk_answer_call_add(lk_answer_call *call, lk_task *task);

/* The command, which points into the call. NULL: out of memory. The keys are those of the tasks' gallery. */
const lk_command *lk_answer_call_build(lk_answer_call *call, const lk_keys *keys);

/* Marks the tasks that Redis has answered as finished: all but those whose decision does not hold at Redis' time, which
 * *ahead_ms then says. LK_EIO: the answer is none; the call must be sent again. */
lk_status lk_answer_call_judge(lk_answer_call *call, const lk_redis_reply *reply, const lk_keys *keys,
                               atomic_int_least64_t *ahead_ms, FILE *log, lk_error *error);

/* Whether this refusal, which is then logged, says that Redis has not got the jobs any more: nobody can answer them. */
bool lk_answer_jobs_are_gone(const lk_redis_reply *reply, FILE *log);

#endif
