/* Finds duplicates in a gallery: pairs of templates of different subjects that score as templates of one. */
#ifndef LIKENESS_DEDUPE_H
#define LIKENESS_DEDUPE_H

#include <likeness/api.h>
#include <likeness/likeness.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Two templates of different subjects, a.number < b.number. The score is the same, bit for bit, whichever of them is
 * the probe; NaN: the policy releases no scores. */
typedef struct lk_pair {
  lk_template a, b;
  float score;
} lk_pair;

/* Takes a pair, in the caller's thread. Any status but LK_OK ends the search, which returns it. */
typedef lk_status lk_pair_found(void *context, const lk_pair *pair, lk_error *error);

typedef struct lk_dedupe {
  float threshold;            /* the least score of a pair; -INFINITY: all pairs */
  const lk_claims *claims;    /* may be NULL */
  lk_search_control *control; /* watches and ends the search, and must outlive it; NULL: none */
  lk_pair_found *found;
  lk_progress *progress; /* counts templates; NULL: none */
  void *context;         /* of both */
} lk_dedupe;

/* Finds every pair that reaches the threshold, exactly, each once: by ascending a.number, then descending score, then
 * ascending b.number. It searches a loaded gallery for each of its templates, at most 1024 at a time. However many
 * pairs there are, it keeps at most 2^21 candidates, or those of one template, which can be as many as the gallery has;
 * a candidate takes up to 120 bytes.
 *
 * The gallery of an lk_owner may be changed and compacted meanwhile. Both templates of a pair lived, and had not
 * expired, when the search that found it began; by the time it is handed out one of them may be deleted. Templates that
 * live all the while are in all of their pairs; one that is enrolled meanwhile is in those with templates that are
 * searched for after that. The texts of a pair live while it is taken.
 *
 * A policy decides it as one operation `identify`, with a probe for each template, before any work; again, and in the
 * log, for each search before its pairs are handed out: so a search that fails may have handed out pairs before.
 * lk_result_decision(result) is the decision, also while a pair is taken; `result` has no lists.
 *
 * A policy can only raise the threshold.
 *
 * LK_EINVAL: the threshold is NaN, or the gallery is not loaded. LK_EPOLICY: also where the policy has a number of
 * candidates, which would leave out pairs, and where its limits become stricter meanwhile. LK_ECANCELLED, LK_ECORRUPT,
 * LK_EIO. */
LK_API lk_status lk_gallery_dedupe(lk_gallery *gallery, const lk_dedupe *dedupe, lk_result *result, lk_error *error);

#ifdef __cplusplus
}
#endif

#endif
