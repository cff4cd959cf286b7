/* Searches that wait until their gallery has an entry of its log (`after`). They hold no thread: whoever brings the
 * gallery up to the log lets go those that have what they waited for, and one thread those whose time is over. */
#ifndef ENGINE_WORKER_WAITING_H
#define ENGINE_WORKER_WAITING_H

#include "engine/worker/worker.h"
#include "index/journal/log_mark.h"

enum { LK_WAITING_MOST = 1024 };
#define LK_WAITING_US 10000000                    /* a search waits at most so long, and not beyond its deadline */
#define LK_WAITING_BYTES (LK_HELD_BYTES_MOST / 4) /* when they have so many bytes, no more may wait */

/* Whether the task must wait. Under the lock. */
bool lk_waiting_must(const lk_worker *worker, const lk_task *task);
/* Keeps a task that must wait. LK_EBUSY: too many do. LK_EBADJOB: it waits for an entry that lies so far ahead of
 * Redis' clock that it is none. Under the lock. */
lk_status lk_waiting_add(lk_worker *worker, lk_task *task, lk_error *error);

/* The gallery of this number has all of its log up to this entry. */
void lk_waiting_note(lk_worker *worker, uint32_t number, const lk_log_mark *mark);

/* Takes all that wait, to be handed back, as a list. Under the lock. */
lk_queued *lk_waiting_take(lk_worker *worker);

#endif
