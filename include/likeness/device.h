/* What a search runs on, and what it reports. */
#ifndef LIKENESS_DEVICE_H
#define LIKENESS_DEVICE_H

#include <stdint.h>

#include <likeness/api.h>
#include <likeness/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What one search did. Sums over its probes and rounds. */
typedef struct lk_search_stats {
  uint64_t scanned;      /* (probe, row) pairs compared by their codes, or by the float scan */
  uint64_t survivors;    /* of those, pairs of visible rows that passed the scan */
  uint64_t rescored;     /* pairs scored exactly, the seed's included */
  uint32_t rounds;       /* those of the float scan included */
  uint32_t float_rounds; /* rounds by the float scan, because the codes could not choose */
  uint32_t reruns;       /* rounds that overflowed and were run again in pieces */
} lk_search_stats;

/* Any threads may share a device: it runs as many searches at a time as lk_device_searches says, and further ones wait.
 * It starts threads of its own. */
typedef struct lk_device lk_device;

/* Opens a device: "auto" (as "cpu": a GPU must be named, as long as the CUDA backend has not run on one), "cpu" (the
 * best instruction set that this processor has), "cpu:amx", "cpu:avx512vnni", "cpu:avx2", "cpu:portable", "cuda" (the
 * first GPU), "cuda:0" and so on. A list with commas, "cuda:0,cuda:1", opens one device that spreads its segments over
 * all of them; a name may come twice. `threads`: of each, 0: as many as this process may run on. LK_ENODEVICE: this
 * build or this machine has no such device. LK_ENOMEM: also where a thread cannot be started. */
LK_API lk_status lk_device_open(const char *name, uint32_t threads, lk_device **device, lk_error *error);

/* All that was loaded on the device must have been unloaded. NULL closes nothing. */
LK_API void lk_device_close(lk_device *device);

/* What was opened, such as "cpu:avx2" for "auto". The text lives as long as the device. */
LK_API const char *lk_device_name(const lk_device *device);

/* How many searches it runs at a time: two on GPUs, where one copies while the other computes, else one. */
LK_API uint32_t lk_device_searches(const lk_device *device);

#ifdef __cplusplus
}
#endif

#endif
