/* `list` and `stat`: what the gallery has in memory answers them, at once and without a search. */
#ifndef ENGINE_WORKER_INTAKE_QUESTION_H
#define ENGINE_WORKER_INTAKE_QUESTION_H

#include "engine/worker/task.h"

/* Writes the task's answer, for a caller that is authorised. LK_EDEADLINE: its time is over. LK_EINTERNAL: the gallery
 * is behind its files or cannot be read, or memory ran out. */
lk_status lk_question_answer(lk_task *task, lk_error *error);

#endif
