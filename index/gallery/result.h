/* A result: candidate lists, and all memory that a search of a gallery needs. It only grows. */
#ifndef INDEX_GALLERY_RESULT_H
#define INDEX_GALLERY_RESULT_H

#include "index/gallery/gallery.h"
#include "kernels/candidate_lists.h"

/* Memory of `room` elements or more. */
typedef struct lk_room {
  void *data;
  size_t room;
} lk_room;

struct lk_result {
  const lk_gallery *gallery;
  uint32_t probes;
  lk_candidate_lists lists;
  char *governed;           /* the decision of a gallery that is bound */
  lk_text decision;         /* that, or what is said where there is none */
  lk_candidate_lists parts; /* what lists are fused from */
  lk_room prepared;         /* floats: probes x dim */
  lk_room thresholds;       /* floats: one a probe */
  lk_room centres;          /* index/gallery/fusion.c's, one a run */
  lk_room means;            /* floats: runs x dim */
  lk_room allowed;          /* words: bitmaps of the templates that a query lists, a segment after the other */
  lk_room bitmaps;          /* const uint64_t *: where each segment's begins */
};

/* Room for `count` elements of `size` bytes; NULL where memory runs out. What was there may be gone. */
void *lk_room_take(lk_room *room, size_t count, size_t size);

/* Has the result say its decision: a text, which the result frees; NULL for none. */
void lk_result_decide(lk_result *result, char *decision);
void lk_result_decide_none(lk_result *result); /* of a gallery that is not bound */

/* Cuts each list down to `k` candidates at or above the threshold. */
void lk_result_tighten(lk_result *result, uint32_t k, float threshold);

/* In all lists. */
uint64_t lk_result_candidates(const lk_result *result);

/* Whether the query searches listed templates only. */
static inline bool lk_query_lists(const lk_query *query) { return query->keys_count + query->subjects_count > 0; }

/* A search of plain probes in a gallery, under a query's filters. */
typedef struct lk_plain_search {
  const float *probes; /* count x dim, prepared */
  uint32_t count;
  const float *thresholds; /* one a probe */
  uint32_t k;              /* or LK_K_ALL */
  bool by_subject;
} lk_plain_search;

/* Runs it; adds to `stats`. */
lk_status lk_result_search(lk_result *result, const lk_query *query, const lk_plain_search *plain,
                           lk_candidate_lists *lists, lk_search_stats *stats, lk_error *error);

#endif
