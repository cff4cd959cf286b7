#include "kernels/search/sharded_search.h"

#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "kernels/begins.h"
#include "kernels/candidate_lists.h"

struct shard {
  lk_backend_search *search;
  lk_batch batch; /* with the blocks of this shard, in the search's order */
  lk_resident_block **blocks;
  const uint64_t **allowed;
  uint32_t *own_rows, *all_rows; /* where each block begins among the shard's rows, and among all of the search */
  lk_buffer blocks_buffer, allowed_buffer, own_rows_buffer, all_rows_buffer;
  lk_candidate_lists lists;
  lk_search_stats stats;
  lk_status status;
  lk_error error;
  uint64_t next, end; /* of the probe's list that is being merged */
};

/* A slot of a hash set of subjects. It is empty but for the list whose number it has. */
struct seen {
  uint64_t list;
  uint32_t subject;
};

struct lk_sharded_search {
  lk_pool *pool;     /* a thread for each shard */
  struct seen *seen; /* 2^seen_bits slots, open addressing, less than half full */
  uint32_t seen_bits;
  lk_buffer seen_buffer;
  uint64_t list; /* numbers the lists that are merged, so that none of them needs to clear `seen` */
  uint32_t count;
  struct shard shards[];
};

lk_status lk_sharded_search_open(lk_backend_search *searches, uint32_t count, lk_sharded_search **sharded,
                                 lk_error *error) {
  lk_sharded_search *made = calloc(1, sizeof *made + count * sizeof made->shards[0]);
  if (made == NULL) return lk_fail_memory(error);
  made->count = count;
  for (uint32_t i = 0; i < count; i++) made->shards[i].search = &searches[i];
  lk_status status = lk_pool_open(count, &made->pool, error);
  if (status != LK_OK) {
    free(made);
    return status;
  }
  *sharded = made;
  return LK_OK;
}

static void free_shard(struct shard *shard) {
  lk_buffer_free(&shard->blocks_buffer);
  lk_buffer_free(&shard->allowed_buffer);
  lk_buffer_free(&shard->own_rows_buffer);
  lk_buffer_free(&shard->all_rows_buffer);
  lk_candidate_lists_free(&shard->lists);
}

void lk_sharded_search_close(lk_sharded_search *sharded) {
  if (sharded == NULL) return;
  for (uint32_t i = 0; i < sharded->count; i++) free_shard(&sharded->shards[i]);
  lk_buffer_free(&sharded->seen_buffer);
  lk_pool_close(sharded->pool);
  free(sharded);
}

/* ---- who searches what ---- */

static bool reserve_blocks(struct shard *shard, uint32_t count) {
  shard->blocks = lk_buffer_reserve(&shard->blocks_buffer, count, sizeof *shard->blocks);
  shard->allowed = lk_buffer_reserve(&shard->allowed_buffer, count, sizeof *shard->allowed);
  shard->own_rows = lk_buffer_reserve(&shard->own_rows_buffer, count, sizeof *shard->own_rows);
  shard->all_rows = lk_buffer_reserve(&shard->all_rows_buffer, count, sizeof *shard->all_rows);
  return shard->blocks != NULL && shard->allowed != NULL && shard->own_rows != NULL && shard->all_rows != NULL;
}

static bool reserve_seen(lk_sharded_search *sharded, uint32_t k) {
  uint32_t bits = 2;
  while (UINT32_C(1) << bits <= 2 * k) bits++;
  if (bits <= sharded->seen_bits) return true;
  size_t slots = (size_t)1 << bits;
  sharded->seen = lk_buffer_reserve(&sharded->seen_buffer, slots, sizeof *sharded->seen);
  sharded->seen_bits = sharded->seen != NULL ? bits : 0;
  if (sharded->seen != NULL) memset(sharded->seen, 0, slots * sizeof *sharded->seen);
  return sharded->seen != NULL;
}

static lk_status reserve(lk_sharded_search *sharded, const lk_batch *batch, lk_error *error) {
  bool enough = !batch->by_subject || reserve_seen(sharded, batch->k);
  for (uint32_t i = 0; i < sharded->count; i++) enough &= reserve_blocks(&sharded->shards[i], batch->blocks_count);
  return enough ? LK_OK : lk_fail_memory(error);
}

static void assign_blocks(lk_sharded_search *sharded, const lk_batch *batch) {
  for (uint32_t i = 0; i < sharded->count; i++) {
    struct shard *shard = &sharded->shards[i];
    shard->batch = *batch;
    shard->batch.blocks = shard->blocks;
    shard->batch.blocks_count = 0;
    if (batch->filter.allowed != NULL) shard->batch.filter.allowed = shard->allowed;
  }
  uint32_t all_rows = 0;
  for (uint32_t b = 0; b < batch->blocks_count; b++) {
    struct shard *shard = &sharded->shards[batch->blocks[b]->shard];
    uint32_t n = shard->batch.blocks_count++;
    shard->blocks[n] = batch->blocks[b];
    if (batch->filter.allowed != NULL) shard->allowed[n] = batch->filter.allowed[b];
    shard->own_rows[n] = n > 0 ? shard->own_rows[n - 1] + shard->blocks[n - 1]->rows : 0;
    shard->all_rows[n] = all_rows;
    all_rows += batch->blocks[b]->rows;
  }
}

static void search_shard(void *context, uint32_t thread, uint32_t i) {
  (void)thread;
  struct shard *shard = &((lk_sharded_search *)context)->shards[i];
  shard->stats = (lk_search_stats){0};
  shard->status = lk_backend_search_run(shard->search, &shard->batch, &shard->lists, &shard->stats, &shard->error);
}

/* ---- merging ---- */

static bool is_new_subject(lk_sharded_search *sharded, uint32_t subject) {
  uint32_t at = subject * UINT32_C(2654435769) >> (32 - sharded->seen_bits); /* Knuth's multiplicative hash */
  while (sharded->seen[at].list == sharded->list) {
    if (sharded->seen[at].subject == subject) return false;
    at = (at + 1) & ((UINT32_C(1) << sharded->seen_bits) - 1);
  }
  sharded->seen[at] = (struct seen){sharded->list, subject};
  return true;
}

/* The shard whose next hit comes first in the order; NULL where all have ended. */
static struct shard *first_shard(lk_sharded_search *sharded) {
  struct shard *first = NULL;
  for (uint32_t i = 0; i < sharded->count; i++) {
    struct shard *shard = &sharded->shards[i];
    if (shard->next == shard->end) continue;
    if (first == NULL || lk_hit_before(&shard->lists.hits[shard->next], &first->lists.hits[first->next])) first = shard;
  }
  return first;
}

static uint32_t row_of_all(const struct shard *shard, uint32_t row) {
  uint32_t block = lk_last_begin(shard->own_rows, sizeof *shard->own_rows, shard->batch.blocks_count, row);
  return shard->all_rows[block] + (row - shard->own_rows[block]);
}

enum { MERGED_AT_ONCE = 1 << 16 }; /* hits */

/* A shard has at most one hit of a subject, its best there. Of each of the best k subjects every shard has the best
 * hit, or another shard has a better one. */
static void merge_list(lk_sharded_search *sharded, const lk_batch *batch, uint32_t probe, lk_candidate_lists *lists) {
  uint64_t end = lk_candidate_lists_begin(lists, probe), last = batch->k == LK_K_ALL ? UINT64_MAX : end + batch->k;
  sharded->list++;
  for (uint32_t i = 0; i < sharded->count; i++) {
    struct shard *shard = &sharded->shards[i];
    shard->next = lk_candidate_lists_begin(&shard->lists, probe);
    shard->end = shard->lists.ends[probe];
  }
  for (struct shard *shard; end < last && (shard = first_shard(sharded)) != NULL;) {
    if (end % MERGED_AT_ONCE == 0 && !lk_control_goes_on(batch->control)) break;
    lk_hit hit = shard->lists.hits[shard->next++];
    if (batch->by_subject && !is_new_subject(sharded, hit.subject)) continue;
    hit.row = row_of_all(shard, hit.row);
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

lk_status lk_sharded_search_run(lk_sharded_search *sharded, const lk_batch *batch, lk_candidate_lists *lists,
                                lk_search_stats *stats, lk_error *error) {
  lk_status status = reserve(sharded, batch, error);
  if (status != LK_OK) return status;
  assign_blocks(sharded, batch);
  lk_pool_run(sharded->pool, sharded->count, search_shard, sharded);
  uint64_t hits = 0;
  for (uint32_t i = 0; i < sharded->count; i++) {
    const struct shard *shard = &sharded->shards[i];
    if (shard->status != LK_OK) return lk_fail(error, shard->status, "%s", shard->error.text);
    add_stats(stats, &shard->stats);
    hits += lk_candidate_lists_begin(&shard->lists, shard->lists.count);
  }
  lk_candidate_lists_clear(lists);
  status = lk_candidate_lists_reserve(lists, batch->count, hits, error);
  if (status != LK_OK) return status;
  for (uint32_t p = 0; p < batch->count; p++) merge_list(sharded, batch, p, lists);
  lists->count = batch->count;
  for (uint32_t i = 0; i < sharded->count; i++) lists->visible += sharded->shards[i].lists.visible;
  return lk_control_check(batch->control, error);
}
