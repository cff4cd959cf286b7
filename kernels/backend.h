/* The contract of a backend. A backend keeps blocks of rows resident and searches them for a batch of probes: it does
 * the scan and the rescore, kernels/search/backend_search.c says in which rounds. A backend knows nothing of plans,
 * galleries, keys or files.
 *
 * Threads: one search at a time uses a backend, and none does while it loads, unloads or updates a block;
 * kernels/search/device.c sees to that. A backend's twins read its resident blocks at any time. */
#ifndef KERNELS_BACKEND_H
#define KERNELS_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include <likeness/device.h>
#include "base/buffer.h"
#include "base/fail.h"
#include "kernels/codes.h"
#include "kernels/control.h"
#include "kernels/half.h"
#include "kernels/order.h"
#include "kernels/score.h"
#include "kernels/visibility.h"

typedef struct lk_shape {
  lk_metric metric;
  uint32_t dim;
  lk_store store;
} lk_shape;

/* A run of rows, coded by lk_codes_tile, in the caller's memory. A backend that loads the block copies its codes and
 * tiles; all else must outlive the resident block. */
typedef struct lk_block {
  uint32_t rows;
  const float *mean;          /* dim */
  const void *exact;          /* rows x dim, as stored: floats or halves */
  const double *reciprocals;  /* rows; lk_score_reciprocal of each. NULL unless the metric is cosine */
  const int8_t *codes;        /* rows x dim */
  const lk_tile *tiles;       /* ceil(rows / LK_TILE_ROWS) */
  const lk_row_bound *bounds; /* rows */
  const uint64_t *numbers;    /* rows; template numbers, distinct within one search */
  const uint32_t *subjects;   /* rows; equal for equal subjects in all blocks of a search. NULL: no search by subject */
  lk_visibility visibility;
  const char *name; /* in messages: its file; NULL: it has none */
} lk_block;

typedef struct lk_backend lk_backend;
typedef struct lk_resident_block lk_resident_block; /* a block that a backend has loaded */

/* Probes to search for in all rows of the resident blocks. */
typedef struct lk_batch {
  lk_shape shape;
  lk_resident_block *const *blocks;
  uint32_t blocks_count;
  const float *probes; /* count x dim, as they came */
  uint32_t count;
  uint32_t k;              /* 1 .. LK_K_MAX, or LK_K_ALL */
  const float *thresholds; /* count: a probe's candidates score at least its threshold. NULL: -INFINITY for all */
  bool by_subject;         /* at most one candidate a subject, its best; not with LK_K_ALL */
  lk_filter filter;
  lk_search_control *control; /* NULL: none */
} lk_batch;

/* Candidate lists, one a probe, each in order. List p is hits[ends[p - 1]] up to, not including, hits[ends[p]]. The
 * memory grows as searches need it (kernels/candidate_lists.h). */
typedef struct lk_candidate_lists {
  lk_hit *hits;
  uint64_t *ends;
  uint32_t count;
  uint64_t visible; /* rows that the search could see: each probe was compared with so many */
  lk_buffer hits_buffer, ends_buffer;
} lk_candidate_lists;

/* What one round did. */
typedef struct lk_round {
  uint64_t rescored; /* pairs scored exactly */
  uint64_t hits;     /* of those, pairs that reached the bar */
} lk_round;

/* Tiles of a scan order (kernels/scan_order.h): positions `begin` up to, not including, `end`. */
typedef struct lk_run {
  uint32_t begin, end;
} lk_run;

typedef struct lk_scan_order lk_scan_order;

typedef struct lk_backend_ops {
  /* Makes a block resident: packs its codes as the scan reads them. */
  lk_status (*load)(lk_backend *backend, lk_shape shape, const lk_block *block, lk_resident_block **resident,
                    lk_error *error);
  /* NULL unloads nothing. */
  void (*unload)(lk_backend *backend, lk_resident_block *resident);
  /* Replaces the visibility of `count` rows from `first` on, as lk_device_update_block says. No twin searches
   * meanwhile. */
  lk_status (*update)(lk_backend *backend, lk_resident_block *resident, const lk_visibility *visibility, uint32_t first,
                      uint32_t count, lk_error *error);

  /* A pass searches for some probes: `begin`, then either `exact_scan` or `seed` and `rounds`, then `finish`.
   * Where the batch's control was cancelled they may return early, with results that mean nothing. Such a pass ends
   * anywhere, and the next one begins as after any other.
   * Begins a pass, each probe's bar at its own threshold. Only here memory grows; the next pass finds it. `visible`
   * receives how many rows the search may see. */
  lk_status (*begin)(lk_backend *backend, const lk_batch *batch, uint64_t *visible, lk_error *error);
  /* Scores all visible rows exactly, without a scan: for filters that few rows pass. */
  void (*exact_scan)(lk_backend *backend);
  /* Raises the bars from the exact scores of a sample of visible rows. The given rows, ascending, say where the sample
   * is taken: a backend takes a row near each of them, or the best rows by their codes of tiles that have some. */
  void (*seed)(lk_backend *backend, const uint64_t *rows, uint32_t rows_count);
  /* Runs one round after the other. A round scans and rescores one run of tiles under the bars as they stand, and then
   * raises the bars. `in_float`: it scans by the product of the stored rows in float, instead of their codes.
   * Returns how many rounds are complete; done[i] says what round i did. It stops behind a round that speaks for the
   * float scan (lk_plan_wants_float_scan), and before one whose hits find no room: nothing of that one is kept, and it
   * is to be run in smaller pieces. A round of one tile always finds room. */
  uint32_t (*rounds)(lk_backend *backend, const lk_scan_order *order, const lk_run *runs, uint32_t count, bool in_float,
                     lk_round *done);
  /* Appends each probe's list, and adds to `stats`. */
  lk_status (*finish)(lk_backend *backend, lk_candidate_lists *lists, lk_search_stats *stats, lk_error *error);

  /* Opens a second backend that searches this one's resident blocks at the same time; it is closed before this one.
   * NULL: the backend has no twins. */
  lk_status (*twin)(lk_backend *backend, lk_backend **twin, lk_error *error);
  void (*close)(lk_backend *backend);
} lk_backend_ops;

/* Every backend begins with this. */
struct lk_backend {
  const lk_backend_ops *ops;
  const char *name;       /* "cpu:avx2", ... */
  uint32_t tiles_at_once; /* tiles that it scans, for up to LK_PLAN_GROUP probes, in the time of one */
};

/* Every resident block begins with this. */
struct lk_resident_block {
  uint32_t rows;
  uint32_t tiles;
  uint32_t shard;   /* which of its device's backends has loaded it; the device sets it */
  const char *name; /* the block's */
};

/* LK_ECORRUPT, for a row of the batch's blocks whose score its code does not allow (lk_bound_allows). Rows are counted
 * through all blocks. */
lk_status lk_batch_fail_damaged(const lk_batch *batch, uint64_t row, lk_error *error);

#endif
