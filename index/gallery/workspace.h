/* The memory that a search of a gallery needs besides its answer. It grows to the largest search and stays. */
#ifndef INDEX_GALLERY_WORKSPACE_H
#define INDEX_GALLERY_WORKSPACE_H

#include "base/buffer.h"
#include "index/catalog/sight.h"
#include "index/gallery/gallery.h"
#include "index/gallery/unchecked.h"
#include "kernels/candidate_lists.h"

typedef struct lk_workspace {
  const lk_gallery *gallery; /* that is searched */
  const lk_sight *sight;     /* what of it */
  lk_prepared_run *runs;     /* of probes, one after the other in `probes`, */
  uint32_t runs_count;
  const float *probes; /* probes_count x dim, which lie in `prepared` or with whoever prepared them */
  uint32_t probes_count;
  lk_candidate_lists parts; /* what lists are fused from */
  lk_buffer runs_buffer;    /* lk_prepared_run */
  lk_buffer prepared;       /* floats: probes x dim */
  lk_buffer thresholds;     /* floats: one a probe */
  lk_buffer centres;        /* index/gallery/fusion.c's, one a run */
  lk_buffer means;          /* floats: runs x dim */
  lk_buffer reciprocals;    /* doubles: lk_score_reciprocal of each probe */
  lk_buffer allowed;        /* words: bitmaps of the templates that a query lists, a part after the other */
  lk_buffer bitmaps;        /* const uint64_t *: where each part's begins */
  const uint64_t *without;  /* numbers of templates that the search leaves out */
  uint32_t without_count;
} lk_workspace;

/* Whether the query searches listed templates only. */
static inline bool lk_query_lists(const lk_query *query) { return query->keys != NULL || query->subjects != NULL; }

/* A search of plain probes, under a query's filters. */
typedef struct lk_plain_search {
  const float *probes; /* count x dim, prepared */
  uint32_t count;
  const float *thresholds; /* one a probe */
  uint32_t k;              /* or LK_K_ALL */
  bool by_subject;
} lk_plain_search;

/* Runs it in the workspace's gallery; adds to `stats`. */
lk_status lk_workspace_search(lk_workspace *workspace, const lk_query *query, const lk_plain_search *plain,
                              lk_candidate_lists *lists, lk_search_stats *stats, lk_error *error);

void lk_workspace_free(lk_workspace *workspace);

#endif
