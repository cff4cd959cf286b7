#include "kernels/part.h"

#include <stdlib.h>

#include "kernels/lists.h"
#include "kernels/plan.h"

static lk_status reserve(lk_part *part, uint32_t tiles, uint32_t seed_rows, lk_error *error) {
  if (part->tiles_room < tiles) {
    uint32_t *grown = realloc(part->tiles, tiles * sizeof *grown);
    if (grown == NULL) return lk_fail_memory(error);
    part->tiles = grown;
    part->tiles_room = tiles;
  }
  if (part->seed_room < seed_rows) {
    uint64_t *grown = realloc(part->seed_rows, seed_rows * sizeof *grown);
    if (grown == NULL) return lk_fail_memory(error);
    part->seed_rows = grown;
    part->seed_room = seed_rows;
  }
  return LK_OK;
}

static void seed(lk_part *part, const lk_plan *plan, uint64_t rows) {
  if (plan->seed_rows == 0) return;
  for (uint32_t i = 0; i < plan->seed_rows; i++) part->seed_rows[i] = lk_plan_seed_row(plan, rows, i);
  part->backend->ops->seed(part->backend, part->seed_rows, plan->seed_rows);
}

/* One pass's rounds. */
struct rounds {
  lk_backend *backend;
  uint32_t probes;
  bool wide;
  lk_search_stats *stats;
};

/* A round that overflows is halved until it fits; the bars rise between the halves. */
static void run_round(struct rounds *rounds, const uint32_t *tiles, uint32_t count) {
  lk_round done;
  if (!rounds->backend->ops->round(rounds->backend, tiles, count, rounds->wide, &done)) {
    rounds->stats->reruns++;
    run_round(rounds, tiles, count / 2);
    run_round(rounds, tiles + count / 2, count - count / 2);
    return;
  }
  rounds->stats->rounds++;
  rounds->stats->wide_rounds += rounds->wide;
  rounds->wide |= lk_plan_widens((uint64_t)count * LK_TILE_ROWS * rounds->probes, rounds->probes, &done);
}

static void run_rounds(lk_part *part, const lk_plan *plan, uint32_t tiles, uint32_t probes, lk_search_stats *stats) {
  struct rounds rounds = {.backend = part->backend, .probes = probes, .stats = stats};
  for (uint32_t begin = 0, end; begin < tiles; begin = end) {
    end = lk_plan_round_end(plan, tiles, begin);
    for (uint32_t i = begin; i < end; i++) part->tiles[i - begin] = lk_plan_tile(plan, tiles, i);
    run_round(&rounds, part->tiles, end - begin);
  }
}

static lk_status run_pass(lk_part *part, const lk_plan *plan, const lk_batch *pass, uint64_t rows, uint32_t tiles,
                          lk_lists *lists, lk_search_stats *stats, lk_error *error) {
  const lk_backend_ops *ops = part->backend->ops;
  uint64_t visible;
  lk_status status = ops->begin(part->backend, pass, &visible, error);
  if (status != LK_OK) return status;
  if (lk_plan_gathers(rows, visible, pass->k)) {
    ops->gather(part->backend);
  } else {
    seed(part, plan, rows);
    run_rounds(part, plan, tiles, pass->count, stats);
  }
  return ops->finish(part->backend, lists, stats, error);
}

lk_status lk_part_search(lk_part *part, const lk_batch *batch, lk_lists *lists, lk_search_stats *stats,
                         lk_error *error) {
  uint64_t rows = 0;
  uint32_t tiles = 0;
  for (uint32_t i = 0; i < batch->holds_count; i++) {
    rows += batch->holds[i]->rows;
    tiles += batch->holds[i]->tiles;
  }
  lk_plan plan = lk_plan_make(rows, tiles, batch->k);
  lk_lists_clear(lists);
  lk_status status = reserve(part, tiles, plan.seed_rows, error);
  for (uint32_t first = 0; status == LK_OK && first < batch->count; first += plan.probes) {
    lk_batch pass = *batch;
    pass.probes += (size_t)first * batch->shape.dim;
    if (batch->thresholds != NULL) pass.thresholds += first;
    pass.count = batch->count - first < plan.probes ? batch->count - first : plan.probes;
    status = run_pass(part, &plan, &pass, rows, tiles, lists, stats, error);
  }
  return status;
}

void lk_part_free(lk_part *part) {
  free(part->tiles);
  free(part->seed_rows);
}
