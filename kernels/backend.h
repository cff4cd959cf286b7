/* The contract of a backend: it holds blocks of rows, and answers a batch of probes over them in rounds of scan and
 * rescore. kernels/search/backend_search.c drives the rounds; a backend knows nothing of plans, galleries, keys or
 * files.
 *
 * Threads: a backend is used by one search at a time, and not while it holds or releases; kernels/search/device.c sees
 * to that. What it holds its twins read at any time. */
#ifndef KERNELS_BACKEND_H
#define KERNELS_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include <likeness/device.h>
#include "base/fail.h"
#include "kernels/codes.h"
#include "kernels/half.h"
#include "kernels/order.h"
#include "kernels/score.h"
#include "kernels/visibility.h"

typedef struct lk_shape {
  lk_metric metric;
  uint32_t dim;
  lk_store store;
} lk_shape;

/* A run of rows, coded by lk_codes_tile. The caller's memory: codes and tiles are copied by the hold, all else must
 * outlive it. */
typedef struct lk_block {
  uint32_t rows;
  const float *mean;          /* dim */
  const void *exact;          /* rows x dim, as stored: floats or halves */
  const int8_t *codes;        /* rows x dim */
  const lk_tile *tiles;       /* ceil(rows / LK_TILE_ROWS) */
  const lk_row_bound *bounds; /* rows */
  const uint64_t *numbers;    /* rows; template numbers, distinct within one search */
  const uint32_t *subjects;   /* rows; equal for equal subjects in all blocks of a search. NULL: none by subject */
  lk_visibility visibility;
} lk_block;

typedef struct lk_backend lk_backend;
typedef struct lk_resident_block lk_resident_block; /* a block as a backend keeps it */

/* Probes to search for in all rows of the holds. */
typedef struct lk_batch {
  lk_shape shape;
  lk_resident_block *const *holds;
  uint32_t holds_count;
  const float *probes; /* count x dim; under cosine already normalised */
  uint32_t count;
  uint32_t k;              /* 1 .. LK_K_MAX, or LK_K_ALL */
  const float *thresholds; /* one a probe: only scores at or above it, -INFINITY for all. NULL: all for each */
  bool by_subject;         /* at most one candidate a subject, its best; not with LK_K_ALL */
  lk_filter filter;
} lk_batch;

/* Candidate lists, a list a probe, each in order: list p is hits[ends[p - 1]] up to, not including, hits[ends[p]]. The
 * memory grows as searches need it. */
typedef struct lk_candidate_lists {
  lk_hit *hits;
  uint64_t *ends;
  uint32_t count;
  size_t hits_room, ends_room;
} lk_candidate_lists;

/* What one round did. */
typedef struct lk_round {
  uint64_t rescored; /* pairs scored exactly */
  uint64_t hits;     /* of those, pairs that reached the bar */
} lk_round;

/* Tiles of a search's schedule (kernels/scan_order.h): from `begin` up to, not including, `end` in its order. */
typedef struct lk_run {
  uint32_t begin, end;
} lk_run;

typedef struct lk_scan_order lk_scan_order;

typedef struct lk_backend_ops {
  /* Takes a block: packs its codes as the scan wants them. */
  lk_status (*hold)(lk_backend *backend, lk_shape shape, const lk_block *block, lk_resident_block **hold,
                    lk_error *error);
  void (*release)(lk_backend *backend, lk_resident_block *hold);
  /* Takes over what rows carry, as lk_device_update_block has it. No twin searches meanwhile. */
  lk_status (*update)(lk_backend *backend, lk_resident_block *hold, const lk_visibility *visibility, uint32_t first,
                      uint32_t count, lk_error *error);

  /* One pass: begin, then either seed and rounds or gather, then finish. Memory grows here only, and is kept for the
   * next pass. `visible` receives how many rows the search may see. */
  lk_status (*begin)(lk_backend *backend, const lk_batch *batch, uint64_t *visible, lk_error *error);
  /* Scores all visible rows exactly, without a scan: for filters that few rows pass. */
  void (*exact_scan)(lk_backend *backend);
  /* Raises the bars from the exact scores of a sample of visible rows. The given rows, ascending, say where to take it:
   * a row near each, or the most promising ones of tiles here and there. */
  void (*seed)(lk_backend *backend, const uint64_t *rows, uint32_t rows_count);
  /* One round after the other: scans and rescores a run of tiles under the bars as they stand, then raises the bars.
   * `wide`: by the product of the stored rows in float, not by their codes. Returns how many rounds are complete, and
   * what each of them did: all; or those up to one that speaks for the float scan (lk_plan_wants_float_scan); or those
   * before one that found no room, of which nothing was kept: it is to be run in smaller pieces. One tile fits always.
   */
  uint32_t (*rounds)(lk_backend *backend, const lk_scan_order *schedule, const lk_run *runs, uint32_t count, bool wide,
                     lk_round *done);
  /* Appends each probe's list. Adds to stats. */
  lk_status (*finish)(lk_backend *backend, lk_candidate_lists *lists, lk_search_stats *stats, lk_error *error);

  /* Opens a backend that searches what this one holds, beside it; it is closed first. NULL: this one is busy with one
   * search. */
  lk_status (*twin)(lk_backend *backend, lk_backend **twin, lk_error *error);
  void (*close)(lk_backend *backend);
} lk_backend_ops;

/* Every backend begins with this. */
struct lk_backend {
  const lk_backend_ops *ops;
  const char *name;       /* "cpu:avx2", ... */
  uint32_t tiles_at_once; /* that it scans for up to LK_PLAN_GROUP probes in the time of one */
};

/* Every hold begins with this. */
struct lk_resident_block {
  uint32_t rows;
  uint32_t tiles;
  uint32_t part; /* of its device, which sets it */
};

#endif
