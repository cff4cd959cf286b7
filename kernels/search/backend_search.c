#include "kernels/search/backend_search.h"

#include <stdlib.h>

#include "kernels/candidate_lists.h"
#include "kernels/plan.h"

static lk_status reserve_seed(lk_backend_search *part, uint32_t rows, lk_error *error) {
  if (part->seed_room >= rows) return LK_OK;
  uint64_t *grown = realloc(part->seed_rows, rows * sizeof *grown);
  if (grown == NULL) return lk_fail_memory(error);
  part->seed_rows = grown;
  part->seed_room = rows;
  return LK_OK;
}

/* One that is kept, or a new one in place of the oldest. */
static lk_status find_schedule(lk_backend_search *part, const lk_plan *plan, uint32_t tiles,
                               const lk_scan_order **found, lk_error *error) {
  for (uint32_t i = 0; i < LK_BACKEND_SEARCH_ORDERS; i++)
    if (lk_scan_order_is(&part->schedules[i], plan, tiles)) {
      *found = &part->schedules[i];
      return LK_OK;
    }
  lk_scan_order *oldest = &part->schedules[part->schedules_made++ % LK_BACKEND_SEARCH_ORDERS];
  *found = oldest;
  return lk_scan_order_make(oldest, plan, tiles, error);
}

static void seed(lk_backend_search *part, const lk_plan *plan, uint64_t rows) {
  if (plan->seed_rows == 0) return;
  for (uint32_t i = 0; i < plan->seed_rows; i++) part->seed_rows[i] = lk_plan_seed_row(plan, rows, i);
  part->backend->ops->seed(part->backend, part->seed_rows, plan->seed_rows);
}

/* One pass's rounds. */
struct rounds {
  lk_backend *backend;
  const lk_scan_order *schedule;
  uint32_t probes;
  bool wide;
  lk_search_stats *stats;
};

/* Runs what it can of them; returns how many are complete. */
static uint32_t run_some(struct rounds *rounds, const lk_run *runs, uint32_t count) {
  lk_round done[LK_ROUNDS_MAX];
  uint32_t complete = rounds->backend->ops->rounds(rounds->backend, rounds->schedule, runs, count, rounds->wide, done);
  rounds->stats->rounds += complete;
  if (rounds->wide) rounds->stats->float_rounds += complete;
  if (complete > 0) {
    const lk_run *last = &runs[complete - 1];
    const lk_round *did = &done[complete - 1];
    rounds->wide |= lk_plan_wants_float_scan(last->end - last->begin, rounds->probes, did->rescored, did->hits);
  }
  return complete;
}

/* A round that overflowed is halved until it fits; the bars rise between the halves. */
static void run_halves(struct rounds *rounds, lk_run run) {
  uint32_t middle = run.begin + (run.end - run.begin) / 2;
  lk_run halves[] = {{run.begin, middle}, {middle, run.end}};
  rounds->stats->reruns++;
  for (uint32_t i = 0; i < 2; i++)
    if (run_some(rounds, &halves[i], 1) == 0) run_halves(rounds, halves[i]);
}

static void run_rounds(lk_backend_search *part, const lk_scan_order *schedule, uint32_t probes,
                       lk_search_stats *stats) {
  struct rounds rounds = {.backend = part->backend, .schedule = schedule, .probes = probes, .stats = stats};
  for (uint32_t next = 0, complete; next < schedule->rounds_count; next += complete) {
    bool wide = rounds.wide;
    complete = run_some(&rounds, schedule->rounds + next, schedule->rounds_count - next);
    if (next + complete == schedule->rounds_count || rounds.wide != wide) continue;
    run_halves(&rounds, schedule->rounds[next + complete++]);
  }
}

static lk_status run_pass(lk_backend_search *part, const lk_plan *plan, const lk_scan_order *schedule,
                          const lk_batch *pass, uint64_t rows, lk_candidate_lists *lists, lk_search_stats *stats,
                          lk_error *error) {
  const lk_backend_ops *ops = part->backend->ops;
  uint64_t visible;
  lk_status status = ops->begin(part->backend, pass, &visible, error);
  if (status != LK_OK) return status;
  if (lk_plan_wants_exact_scan(rows, visible, pass->k)) {
    ops->exact_scan(part->backend);
  } else {
    seed(part, plan, rows);
    run_rounds(part, schedule, pass->count, stats);
  }
  return ops->finish(part->backend, lists, stats, error);
}

lk_status lk_backend_search_run(lk_backend_search *part, const lk_batch *batch, lk_candidate_lists *lists,
                                lk_search_stats *stats, lk_error *error) {
  uint64_t rows = 0;
  uint32_t tiles = 0;
  for (uint32_t i = 0; i < batch->holds_count; i++) {
    rows += batch->holds[i]->rows;
    tiles += batch->holds[i]->tiles;
  }
  lk_plan plan = lk_plan_make(rows, tiles, batch->k, batch->count, part->backend->tiles_at_once);
  lk_candidate_lists_clear(lists);
  const lk_scan_order *schedule = NULL;
  lk_status status = find_schedule(part, &plan, tiles, &schedule, error);
  if (status == LK_OK) status = reserve_seed(part, plan.seed_rows, error);
  for (uint32_t first = 0; status == LK_OK && first < batch->count; first += plan.probes) {
    lk_batch pass = *batch;
    pass.probes += (size_t)first * batch->shape.dim;
    if (batch->thresholds != NULL) pass.thresholds += first;
    pass.count = batch->count - first < plan.probes ? batch->count - first : plan.probes;
    status = run_pass(part, &plan, schedule, &pass, rows, lists, stats, error);
  }
  return status;
}

void lk_backend_search_free(lk_backend_search *part) {
  for (uint32_t i = 0; i < LK_BACKEND_SEARCH_ORDERS; i++) lk_scan_order_free(&part->schedules[i]);
  free(part->seed_rows);
}
