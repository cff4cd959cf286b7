/* One case of the conformance suite, made and answered by the reference, for devices to be compared with. What does not
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
  lk_batch batch;          /* but for the holds */
  lk_candidate_lists want; /* the reference's answer */
};

struct trial trial_make(const struct conformance_case *c);
void trial_free(struct trial *trial);

/* Searches for the probes, `at_once` of them at a time. */
lk_search_stats trial_search(const struct trial *trial, lk_device *device, uint32_t at_once, lk_candidate_lists *lists);

/* Searches for all probes when the rows have come to carry what they carry by updates: at first they carry something
 * else, or where `nothing` nothing at all. */
void trial_search_updated(const struct trial *trial, lk_device *device, bool nothing, lk_candidate_lists *lists);

/* Every pass of every probe by wide rounds only. */
void trial_search_wide(const struct trial *trial, lk_backend *backend, lk_candidate_lists *lists);

/* Bit for bit. */
void trial_compare(const struct trial *trial, const char *device, uint32_t threads, const lk_candidate_lists *got,
                   const lk_candidate_lists *want);

#endif
