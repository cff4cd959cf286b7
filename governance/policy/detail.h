/* In how much detail a permit releases scores: exact, rounded down, or not at all. */
#ifndef GOVERNANCE_POLICY_DETAIL_H
#define GOVERNANCE_POLICY_DETAIL_H

#include <likeness/policy.h>

enum { LK_DECIMALS_MAX = 6 };

/* What is released of a score: itself, or the nearest float to the score rounded towards minus infinity, or NaN. */
float lk_score_released(float score, lk_score_detail detail);

/* The least threshold at or above this one that tells no more than rounded scores do. It is its own result. */
float lk_threshold_coarse(float threshold, lk_score_detail detail);

/* The stricter of two. */
lk_score_detail lk_score_detail_of_both(lk_score_detail a, lk_score_detail b);

#endif
