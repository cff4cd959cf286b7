#include "index/gallery/result.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/text.h"
#include "governance/policy/detail.h"
#include "index/gallery/unchecked.h"

lk_status lk_result_open(lk_result **result, lk_error *error) {
  *result = calloc(1, sizeof **result);
  return *result != NULL ? LK_OK : lk_fail_memory(error);
}

void lk_result_close(lk_result *result) {
  if (result == NULL) return;
  free(result->answer.governed);
  lk_candidate_lists_free(&result->answer.lists);
  lk_sight_free(&result->answer.sight);
  lk_workspace_free(&result->workspace);
  free(result);
}

uint32_t lk_result_count(const lk_result *result, uint32_t probe) {
  const lk_candidate_lists *lists = &result->answer.lists;
  if (probe >= lists->count) return 0;
  return (uint32_t)(lists->ends[probe] - lk_candidate_lists_begin(lists, probe));
}

lk_candidate lk_result_candidate(const lk_result *result, uint32_t probe, uint32_t rank) {
  const lk_answer *answer = &result->answer;
  if (rank >= lk_result_count(result, probe)) return (lk_candidate){.score = -INFINITY};
  const lk_hit *hit = &answer->lists.hits[lk_candidate_lists_begin(&answer->lists, probe) + rank];
  return (lk_candidate){.found = lk_catalog_template(answer->sight.catalog, hit->row), .score = hit->score};
}

void lk_result_list(const lk_result *result, uint32_t probe, uint64_t *numbers, float *scores) {
  const lk_candidate_lists *lists = &result->answer.lists;
  uint32_t count = lk_result_count(result, probe);
  if (count == 0) return;
  const lk_hit *hits = lists->hits + lk_candidate_lists_begin(lists, probe);
  for (uint32_t rank = 0; rank < count; rank++) {
    numbers[rank] = hits[rank].number;
    scores[rank] = hits[rank].score;
  }
}

uint64_t lk_result_searched(const lk_result *result) { return result->answer.lists.visible; }

uint64_t lk_result_epoch(const lk_result *result) { return result->answer.sight.epoch; }

bool lk_result_is_behind(const lk_result *result) { return result->answer.behind; }

uint64_t lk_result_templates(const lk_result *result) { return result->answer.sight.living; }

lk_text lk_result_decision(const lk_result *result) { return result->answer.decision; }

void lk_answer_clear(lk_answer *answer) {
  lk_candidate_lists_clear(&answer->lists);
  lk_answer_decide(answer, NULL);
}

void lk_result_erase(lk_result *result) {
  lk_answer_clear(&result->answer);
  lk_candidate_lists_erase(&result->answer.lists);
  lk_candidate_lists_erase(&result->workspace.parts);
}

void lk_result_let_go(lk_result *result) {
  lk_answer_clear(&result->answer);
  lk_sight_free(&result->answer.sight);
}

void lk_answer_begin(lk_answer *answer, const lk_gallery *gallery) {
  lk_answer_clear(answer);
  answer->gallery = gallery;
  answer->behind = false;
}

void lk_answer_decide(lk_answer *answer, char *decision) {
  free(answer->governed);
  answer->governed = decision;
  answer->decision = decision != NULL ? lk_text_of(decision) : (lk_text){0};
}

void lk_answer_decide_none(lk_answer *answer) {
  lk_answer_decide(answer, NULL);
  answer->decision = lk_text_of("{\"policy\":\"none\"}");
}

uint64_t lk_answer_candidates(const lk_answer *answer) {
  return lk_candidate_lists_begin(&answer->lists, answer->lists.count);
}

/* The best candidate is first, so a prefix of each list stays. */
void lk_answer_tighten(lk_answer *answer, uint32_t k, float threshold) {
  lk_candidate_lists *lists = &answer->lists;
  uint64_t begin = 0, kept = 0;
  for (uint32_t list = 0; list < lists->count; list++) {
    uint64_t end = lists->ends[list];
    for (uint64_t at = begin; at < end && at - begin < k && lists->hits[at].score >= threshold; at++)
      lists->hits[kept++] = lists->hits[at];
    lists->ends[list] = kept;
    begin = end;
  }
  size_t left = kept * sizeof *lists->hits;
  if (lists->hits_buffer.size > left) memset((char *)lists->hits_buffer.data + left, 0, lists->hits_buffer.size - left);
}

void lk_answer_keep(lk_answer *answer, lk_answer_keeps *keeps, void *context) {
  lk_candidate_lists *lists = &answer->lists;
  uint64_t at = 0, kept = 0;
  for (uint32_t list = 0; list < lists->count; list++) {
    for (uint64_t end = lists->ends[list]; at < end; at++)
      if (keeps(context, list, lk_catalog_template(answer->sight.catalog, lists->hits[at].row)))
        lists->hits[kept++] = lists->hits[at];
    lists->ends[list] = kept;
  }
}

void lk_answer_hash_all(const lk_answer *answer, const char *id, char hex[LK_EVIDENCE_HEX]) {
  const lk_candidate_lists *lists = &answer->lists;
  lk_answer_hash hash;
  lk_answer_hash_start(&hash, id);
  for (uint32_t list = 0; list < lists->count; list++) {
    uint64_t at = lk_candidate_lists_begin(lists, list);
    lk_answer_hash_list(&hash, (uint32_t)(lists->ends[list] - at));
    for (; at < lists->ends[list]; at++) lk_answer_hash_candidate(&hash, lists->hits[at].number, lists->hits[at].score);
  }
  lk_answer_hash_end(&hash, hex);
}

void lk_answer_coarsen(lk_answer *answer, lk_score_detail detail) {
  uint64_t count = lk_answer_candidates(answer);
  for (uint64_t i = 0; i < count; i++)
    answer->lists.hits[i].score = lk_score_released(answer->lists.hits[i].score, detail);
}
