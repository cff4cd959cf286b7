/* One case of the conformance suite with the reference's answer, to which devices are compared. A device that does not
 * agree fails the Criterion test that runs. */
#ifndef TESTS_CONFORMANCE_TRIAL_H
#define TESTS_CONFORMANCE_TRIAL_H

#include "kernels/search/device.h"
#include "tests/conformance/cases.h"

struct trial {
  struct conformance_case c;
  corpus data;
  uint64_t **allowed;      /* bitmaps of the rows that the case allows, a block each; NULL: all */
  float *thresholds;       /* one a probe; NULL: none */
  lk_batch batch;          /* without its blocks */
  lk_candidate_lists want; /* the reference's answer */
};

struct trial trial_make(const struct conformance_case *c);
void trial_free(struct trial *trial);

/* Searches for the probes, `at_once` of them at a time. */
lk_search_stats trial_search(const struct trial *trial, lk_device *device, uint32_t at_once, lk_candidate_lists *lists);

/* Searches for all probes after updates have set the visibility. The blocks are loaded with another one, or with
 * `nothing` with none. */
void trial_search_updated(const struct trial *trial, lk_device *device, bool nothing, lk_candidate_lists *lists);

/* Searches for all probes with float scans only. */
void trial_search_wide(const struct trial *trial, lk_backend *backend, lk_candidate_lists *lists);

/* Compares bit for bit. */
void trial_compare(const struct trial *trial, const char *device, uint32_t threads, const lk_candidate_lists *got,
                   const lk_candidate_lists *want);

#endif
