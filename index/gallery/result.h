/* A result: the answer of a search, and the workspace that the search needed. */
#ifndef INDEX_GALLERY_RESULT_H
#define INDEX_GALLERY_RESULT_H

#include <likeness/policy.h>
#include "governance/evidence.h"
#include "index/gallery/workspace.h"

/* Candidate lists, and the decision that they were released by. */
typedef struct lk_answer {
  const lk_gallery *gallery;
  lk_sight sight; /* what the search saw of it; the candidates' texts are there */
  lk_candidate_lists lists;
  char *governed;   /* the decision of a gallery that is bound */
  lk_text decision; /* that, or the decision of a gallery that is not bound */
  bool behind;      /* the search was refused, as the gallery's memory was behind its files */
} lk_answer;

struct lk_result {
  lk_answer answer;
  lk_workspace workspace;
};

/* Forgets the lists and the decision; their memory stays. */
void lk_answer_clear(lk_answer *answer);

/* Forgets and overwrites all candidates that the result holds, also those that its searches kept. */
void lk_result_erase(lk_result *result);

/* As lk_answer_clear, for the answer of a search of this gallery. */
void lk_answer_begin(lk_answer *answer, const lk_gallery *gallery);

/* Sets the decision: a text, which the answer frees; NULL for none. */
void lk_answer_decide(lk_answer *answer, char *decision);
void lk_answer_decide_none(lk_answer *answer); /* of a gallery that is not bound */

/* Cuts each list down to `k` candidates at or above the threshold, and overwrites the others. */
void lk_answer_tighten(lk_answer *answer, uint32_t k, float threshold);

/* Keeps the candidates that `keeps` says, in their order. */
typedef bool lk_answer_keeps(void *context, uint32_t list, lk_template found);
void lk_answer_keep(lk_answer *answer, lk_answer_keeps *keeps, void *context);

/* Leaves of each score what may be released. */
void lk_answer_coarsen(lk_answer *answer, lk_score_detail detail);

/* In all lists. */
uint64_t lk_answer_candidates(const lk_answer *answer);

/* Their hash, for the decision with this id (governance/evidence.h). */
void lk_answer_hash_all(const lk_answer *answer, const char *id, char hex[LK_EVIDENCE_HEX]);

#endif
