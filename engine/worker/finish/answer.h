/* The answer to a task: what its search found, if that may be told, or why it was not searched. */
#ifndef ENGINE_WORKER_FINISH_ANSWER_H
#define ENGINE_WORKER_FINISH_ANSWER_H

#include "engine/queue/bytes.h"
#include "engine/worker/worker.h"

/* Decides again whether the result may leave, logs what leaves, and appends the reply. Where memory runs out, the bytes
 * say that they failed. */
void lk_answer_encode(const lk_worker *worker, lk_task *task, const lk_done *done, lk_bytes *out);

#endif
