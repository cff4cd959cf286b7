/* The device that a search runs on, and the statistics of a search. */
#ifndef LIKENESS_DEVICE_H
#define LIKENESS_DEVICE_H

#include <stdint.h>

#include <likeness/api.h>
#include <likeness/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Statistics of a search: sums over its probes and rounds. */
typedef struct lk_search_stats {
  uint64_t scanned;      /* (probe, row) pairs compared by their codes, or by the float scan */
  uint64_t survivors;    /* of those, pairs of visible rows that passed the scan */
  uint64_t rescored;     /* pairs scored exactly, including the seed's */
  uint32_t rounds;       /* including those of the float scan */
  uint32_t float_rounds; /* rounds by the float scan, used when the codes cannot tell rows apart */
  uint32_t reruns;       /* rounds that overflowed their buffer and ran again in pieces */
} lk_search_stats;

/* Watches a search, and ends it. It starts as zeros. While searches that run under it go on, any thread, and a
 * signal handler too, may call the functions below; nobody else reads or writes its members. It stays cancelled, for
 * all searches that run under it or begin later, until it is zeros again. */
typedef struct lk_search_control {
  uint64_t progress;
  uint32_t cancelled;
} lk_search_control;

/* Ends the search soon, with LK_ECANCELLED: on a CPU after some 100 ms of each thread's time at most; on a GPU when
 * what it was given together is done, at most one pass over the codes, or one round of a float or an exact scan. */
LK_API void lk_search_cancel(lk_search_control *control);

/* A number that rises as long as the search goes on. */
LK_API uint64_t lk_search_progress(const lk_search_control *control);

/* Any threads may share a device: searches that it cannot run at once take turns. A device starts threads of its own.
 */
typedef struct lk_device lk_device;

/* Opens a device. Names: "auto" (the same as "cpu"; a GPU is used only if it is named), "cpu" (the best instruction set
 * of this processor), "cpu:amx", "cpu:avx512vnni", "cpu:avx2", "cpu:portable", "cuda" (the first GPU), "cuda:0" and so
 * on. Several names with commas between them ("cuda:0,cuda:1") share the segments of a gallery; a name may occur twice.
 * `threads` is the number for each of them; 0: as many as this process may run on. LK_ENODEVICE: this build or this
 * machine has no such device. LK_ENOMEM: also when a thread cannot start. LK_EINVAL: more than LK_THREADS_MAX threads.
 */
LK_API lk_status lk_device_open(const char *name, uint32_t threads, lk_device **device, lk_error *error);

/* Waits for the searches that run, and ends the device for all that come later: they return LK_EINVAL. Galleries that
 * are loaded on it keep its memory; it is freed with the last of them that is closed, or loaded on another device. To
 * be called once. NULL is allowed. */
LK_API void lk_device_close(lk_device *device);

/* The name of what was opened: "cpu:avx2" for "auto", say. It lives until the device is closed. */
LK_API const char *lk_device_name(const lk_device *device);

/* How many searches it runs at once: two on GPUs, where one copies while the other computes; else one. */
LK_API uint32_t lk_device_searches(const lk_device *device);

#ifdef __cplusplus
}
#endif

#endif
