#include "kernels/search/backend_search.h"

#include "kernels/candidate_lists.h"
#include "kernels/plan.h"

/* Finds the order that an earlier search has made, or makes it and drops the oldest one. */
static lk_status find_order(lk_backend_search *search, const lk_plan *plan, uint32_t tiles, const lk_scan_order **found,
                            lk_error *error) {
  for (uint32_t i = 0; i < LK_BACKEND_SEARCH_ORDERS; i++)
    if (lk_scan_order_is(&search->orders[i], plan, tiles)) {
      *found = &search->orders[i];
      return LK_OK;
    }
  lk_scan_order *oldest = &search->orders[search->orders_made++ % LK_BACKEND_SEARCH_ORDERS];
  *found = oldest;
  return lk_scan_order_make(oldest, plan, tiles, error);
}

static void seed(lk_backend_search *search, const lk_plan *plan, uint64_t rows) {
  uint64_t *seed_rows = search->seed_rows.data;
  if (plan->seed_rows == 0) return;
  for (uint32_t i = 0; i < plan->seed_rows; i++) seed_rows[i] = lk_plan_seed_row(plan, rows, i);
  search->backend->ops->seed(search->backend, seed_rows, plan->seed_rows);
}

/* The rounds of one pass. */
struct rounds {
  lk_backend *backend;
  const lk_scan_order *order;
  uint32_t probes;
  bool in_float;
  lk_search_stats *stats;
  lk_search_control *control;
};

/* Runs some rounds; returns how many are complete. */
static uint32_t run_some(struct rounds *rounds, const lk_run *runs, uint32_t count) {
  lk_round done[LK_ROUNDS_MAX];
  uint32_t complete = rounds->backend->ops->rounds(rounds->backend, rounds->order, runs, count, rounds->in_float, done);
  rounds->stats->rounds += complete;
  if (rounds->in_float) rounds->stats->float_rounds += complete;
  if (complete > 0) {
    const lk_run *last = &runs[complete - 1];
    const lk_round *did = &done[complete - 1];
    rounds->in_float |= lk_plan_wants_float_scan(last->end - last->begin, rounds->probes, did->rescored, did->hits);
  }
  return complete;
}

/* Halves a round that overflowed until it fits; the bars rise between the halves. One that was cut short because the
 * search is cancelled looks the same. */
static void run_halves(struct rounds *rounds, lk_run run) {
  uint32_t middle = run.begin + (run.end - run.begin) / 2;
  lk_run halves[] = {{run.begin, middle}, {middle, run.end}};
  rounds->stats->reruns++;
  for (uint32_t i = 0; i < 2 && lk_control_goes_on(rounds->control); i++)
    if (run_some(rounds, &halves[i], 1) == 0) run_halves(rounds, halves[i]);
}

static void run_rounds(lk_backend_search *search, const lk_scan_order *order, const lk_batch *pass,
                       lk_search_stats *stats) {
  struct rounds rounds = {
      .backend = search->backend, .order = order, .probes = pass->count, .stats = stats, .control = pass->control};
  for (uint32_t next = 0, complete; next < order->rounds_count; next += complete) {
    bool in_float = rounds.in_float;
    complete = run_some(&rounds, order->rounds + next, order->rounds_count - next);
    if (!lk_control_goes_on(pass->control)) return;
    if (next + complete == order->rounds_count || rounds.in_float != in_float) continue;
    run_halves(&rounds, order->rounds[next + complete++]);
  }
}

static lk_status run_pass(lk_backend_search *search, const lk_plan *plan, const lk_scan_order *order,
                          const lk_batch *pass, uint64_t rows, lk_candidate_lists *lists, lk_search_stats *stats,
                          lk_error *error) {
  const lk_backend_ops *ops = search->backend->ops;
  lk_status status = ops->begin(search->backend, pass, &lists->visible, error);
  if (status == LK_OK) status = lk_control_check(pass->control, error);
  if (status != LK_OK) return status;
  if (lk_plan_wants_exact_scan(rows, lists->visible, pass->k)) {
    ops->exact_scan(search->backend);
  } else {
    seed(search, plan, rows);
    run_rounds(search, order, pass, stats);
  }
  status = lk_control_check(pass->control, error);
  if (status == LK_OK) status = ops->finish(search->backend, lists, stats, error);
  return status == LK_OK ? lk_control_check(pass->control, error) : status;
}

lk_status lk_backend_search_run(lk_backend_search *search, const lk_batch *batch, lk_candidate_lists *lists,
                                lk_search_stats *stats, lk_error *error) {
  uint64_t rows = 0;
  uint32_t tiles = 0;
  for (uint32_t i = 0; i < batch->blocks_count; i++) {
    rows += batch->blocks[i]->rows;
    tiles += batch->blocks[i]->tiles;
  }
  lk_plan plan = lk_plan_make(rows, tiles, batch->k, batch->count, search->backend->tiles_at_once);
  lk_candidate_lists_clear(lists);
  const lk_scan_order *order = NULL;
  lk_status status = find_order(search, &plan, tiles, &order, error);
  if (status == LK_OK && lk_buffer_reserve(&search->seed_rows, plan.seed_rows, sizeof(uint64_t)) == NULL)
    status = lk_fail_memory(error);
  for (uint32_t first = 0; status == LK_OK && first < batch->count; first += plan.probes) {
    lk_batch pass = *batch;
    pass.probes += (size_t)first * batch->shape.dim;
    if (batch->thresholds != NULL) pass.thresholds += first;
    pass.count = batch->count - first < plan.probes ? batch->count - first : plan.probes;
    status = run_pass(search, &plan, order, &pass, rows, lists, stats, error);
  }
  return status;
}

void lk_backend_search_free(lk_backend_search *search) {
  for (uint32_t i = 0; i < LK_BACKEND_SEARCH_ORDERS; i++) lk_scan_order_free(&search->orders[i]);
  lk_buffer_free(&search->seed_rows);
}
