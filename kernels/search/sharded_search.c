#include "kernels/search/sharded_search.h"

#include <stdlib.h>

#include "base/pool.h"
#include "kernels/candidate_lists.h"

/* One part's share of a search. */
struct share {
  lk_backend_search *part;
  lk_batch batch;
  lk_resident_block **holds; /* of the search, those that the part holds, in the search's order */
  const uint64_t **allowed;
  uint32_t *own_rows, *all_rows; /* where each begins among the part's and among all of the search */
  lk_candidate_lists lists;
  lk_search_stats stats;
  lk_status status;
  lk_error error;
  uint64_t next, end; /* of the probe's list that is merged */
};

/* A subject that the list in the making has, if `list` is that list. */
struct seen {
  uint64_t list;
  uint32_t subject;
};

struct lk_sharded_search {
  lk_pool *pool; /* a thread a part */
  uint32_t holds_room;
  struct seen *seen; /* open addressing, 2^seen_bits of them, less than half full */
  uint32_t seen_bits;
  uint64_t list; /* counts lists, so that none of them needs to clear `seen` */
  uint32_t count;
  struct share shares[];
};

lk_status lk_sharded_search_open(lk_backend_search *parts, uint32_t count, lk_sharded_search **several,
                                 lk_error *error) {
  lk_sharded_search *made = calloc(1, sizeof *made + count * sizeof made->shares[0]);
  if (made == NULL) return lk_fail_memory(error);
  made->count = count;
  for (uint32_t i = 0; i < count; i++) made->shares[i].part = &parts[i];
  lk_status status = lk_pool_open(count, &made->pool, error);
  if (status != LK_OK) {
    free(made);
    return status;
  }
  *several = made;
  return LK_OK;
}

static void free_holds(struct share *share) {
  free(share->holds);
  free(share->allowed);
  free(share->own_rows);
  free(share->all_rows);
}

void lk_sharded_search_close(lk_sharded_search *several) {
  if (several == NULL) return;
  for (uint32_t i = 0; i < several->count; i++) {
    free_holds(&several->shares[i]);
    lk_candidate_lists_free(&several->shares[i].lists);
  }
  free(several->seen);
  lk_pool_close(several->pool);
  free(several);
}

/* ---- sharing out ---- */

static bool reserve_holds(struct share *share, uint32_t room) {
  free_holds(share);
  share->holds = malloc(room * sizeof *share->holds);
  share->allowed = malloc(room * sizeof *share->allowed);
  share->own_rows = malloc(room * sizeof *share->own_rows);
  share->all_rows = malloc(room * sizeof *share->all_rows);
  return share->holds != NULL && share->allowed != NULL && share->own_rows != NULL && share->all_rows != NULL;
}

static bool reserve_seen(lk_sharded_search *several, uint32_t k) {
  uint32_t bits = 2;
  while (UINT32_C(1) << bits <= 2 * k) bits++;
  if (bits <= several->seen_bits) return true;
  free(several->seen);
  several->seen = calloc((size_t)1 << bits, sizeof *several->seen);
  several->seen_bits = several->seen != NULL ? bits : 0;
  return several->seen != NULL;
}

static lk_status reserve(lk_sharded_search *several, const lk_batch *batch, lk_error *error) {
  bool enough = !batch->by_subject || reserve_seen(several, batch->k);
  if (several->holds_room < batch->holds_count) {
    several->holds_room = 0;
    for (uint32_t i = 0; i < several->count; i++) enough &= reserve_holds(&several->shares[i], batch->holds_count);
    if (enough) several->holds_room = batch->holds_count;
  }
  return enough ? LK_OK : lk_fail_memory(error);
}

static void share_out(lk_sharded_search *several, const lk_batch *batch) {
  for (uint32_t i = 0; i < several->count; i++) {
    struct share *share = &several->shares[i];
    share->batch = *batch;
    share->batch.holds = share->holds;
    share->batch.holds_count = 0;
    if (batch->filter.allowed != NULL) share->batch.filter.allowed = share->allowed;
  }
  uint32_t all_rows = 0;
  for (uint32_t h = 0; h < batch->holds_count; h++) {
    struct share *share = &several->shares[batch->holds[h]->part];
    uint32_t n = share->batch.holds_count++;
    share->holds[n] = batch->holds[h];
    if (batch->filter.allowed != NULL) share->allowed[n] = batch->filter.allowed[h];
    share->own_rows[n] = n > 0 ? share->own_rows[n - 1] + share->holds[n - 1]->rows : 0;
    share->all_rows[n] = all_rows;
    all_rows += batch->holds[h]->rows;
  }
}

static void search_share(void *context, uint32_t thread, uint32_t i) {
  (void)thread;
  struct share *share = &((lk_sharded_search *)context)->shares[i];
  share->stats = (lk_search_stats){0};
  share->status = lk_backend_search_run(share->part, &share->batch, &share->lists, &share->stats, &share->error);
}

/* ---- merging ---- */

static bool is_new_subject(lk_sharded_search *several, uint32_t subject) {
  uint32_t at = subject * UINT32_C(2654435769) >> (32 - several->seen_bits); /* Knuth's multiplicative hash */
  while (several->seen[at].list == several->list) {
    if (several->seen[at].subject == subject) return false;
    at = (at + 1) & ((UINT32_C(1) << several->seen_bits) - 1);
  }
  several->seen[at] = (struct seen){several->list, subject};
  return true;
}

/* The share whose next hit comes first in the order; NULL where all have ended. */
static struct share *first_share(lk_sharded_search *several) {
  struct share *first = NULL;
  for (uint32_t i = 0; i < several->count; i++) {
    struct share *share = &several->shares[i];
    if (share->next == share->end) continue;
    if (first == NULL || lk_hit_before(&share->lists.hits[share->next], &first->lists.hits[first->next])) first = share;
  }
  return first;
}

/* The last of its holds that begins at or before the row has it: one without rows is passed over. */
static uint32_t row_of_all(const struct share *share, uint32_t row) {
  uint32_t low = 0, high = share->batch.holds_count;
  while (high - low > 1) {
    uint32_t middle = low + (high - low) / 2;
    if (share->own_rows[middle] <= row)
      low = middle;
    else
      high = middle;
  }
  return share->all_rows[low] + (row - share->own_rows[low]);
}

/* A part has at most one hit of a subject, its best there: of the best k subjects every part has the best hit, or
 * another part has a better one. */
static void merge_list(lk_sharded_search *several, const lk_batch *batch, uint32_t probe, lk_candidate_lists *lists) {
  uint64_t end = lk_candidate_lists_begin(lists, probe), last = batch->k == LK_K_ALL ? UINT64_MAX : end + batch->k;
  several->list++;
  for (uint32_t i = 0; i < several->count; i++) {
    struct share *share = &several->shares[i];
    share->next = lk_candidate_lists_begin(&share->lists, probe);
    share->end = share->lists.ends[probe];
  }
  for (struct share *share; end < last && (share = first_share(several)) != NULL;) {
    lk_hit hit = share->lists.hits[share->next++];
    if (batch->by_subject && !is_new_subject(several, hit.subject)) continue;
    hit.row = row_of_all(share, hit.row);
    lists->hits[end++] = hit;
  }
  lists->ends[probe] = end;
}

static void add_stats(lk_search_stats *to, const lk_search_stats *from) {
  to->scanned += from->scanned;
  to->survivors += from->survivors;
  to->rescored += from->rescored;
  to->rounds += from->rounds;
  to->float_rounds += from->float_rounds;
  to->reruns += from->reruns;
}

lk_status lk_sharded_search_run(lk_sharded_search *several, const lk_batch *batch, lk_candidate_lists *lists,
                                lk_search_stats *stats, lk_error *error) {
  lk_status status = reserve(several, batch, error);
  if (status != LK_OK) return status;
  share_out(several, batch);
  lk_pool_run(several->pool, several->count, search_share, several);
  uint64_t hits = 0;
  for (uint32_t i = 0; i < several->count; i++) {
    const struct share *share = &several->shares[i];
    if (share->status != LK_OK) return lk_fail(error, share->status, "%s", share->error.text);
    add_stats(stats, &share->stats);
    hits += lk_candidate_lists_begin(&share->lists, share->lists.count);
  }
  lk_candidate_lists_clear(lists);
  status = lk_candidate_lists_reserve(lists, batch->count, hits, error);
  if (status != LK_OK) return status;
  for (uint32_t p = 0; p < batch->count; p++) merge_list(several, batch, p, lists);
  lists->count = batch->count;
  return LK_OK;
}
