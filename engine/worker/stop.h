/* The end of a worker. Once it is told to stop, it begins no batch any more: what waits is handed back at once
 * (lk_return_5), so that other workers take it; what was begun is finished. What is not answered after eight seconds is
 * handed back too, and after ten the worker is gone, whatever hangs. */
#ifndef ENGINE_WORKER_STOP_H
#define ENGINE_WORKER_STOP_H

#include "engine/worker/worker.h"

/* From the stop on: when a read that still waits is given up, which only happens where Redis hangs or its clock was set
 * back; when searches are cancelled and no more answers leave; when nobody waits for Redis any more; when the worker
 * leaves even if a thread of it hangs. */
enum {
  LK_STOP_READS_US = 2000000,
  LK_STOP_CANCELS_US = 8000000,
  LK_STOP_GIVES_UP_US = 9000000,
  LK_STOP_LEAVES_US = 9500000
};

/* Waits for the stop, and hands jobs back until no stage has one any more, or it is too late. */
void *lk_stop_main(void *worker);

#endif
