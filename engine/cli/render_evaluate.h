/* Prints an evaluation: a table for people, JSON for programs, the DET curves as an SVG picture. */
#ifndef ENGINE_CLI_RENDER_EVALUATE_H
#define ENGINE_CLI_RENDER_EVALUATE_H

#include <stdio.h>

#include <likeness/likeness.h>

#include "index/evaluation/evaluate.h"

typedef struct lk_evaluation {
  lk_gallery_stat gallery;
  uint64_t subjects; /* in the gallery */
  const lk_trials *trials;
  float threshold;
  double wanted_fpir; /* `threshold` is the least one with at most this FPIR; NaN: the caller chose the threshold */
  uint32_t rank;
} lk_evaluation;

/* The greatest rank whose identification rate is printed. */
#define LK_RANKS_MOST 50

lk_status lk_render_evaluation_table(FILE *out, const lk_evaluation *evaluation, lk_error *error);
lk_status lk_render_evaluation_json(FILE *out, const lk_evaluation *evaluation, lk_error *error);
lk_status lk_render_evaluation_svg(FILE *out, const lk_evaluation *evaluation, lk_error *error);

#endif
