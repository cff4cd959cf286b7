#include "index/duplicates/subject_groups.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/text.h"

/* The first position of a group. Paths are halved on the way. */
static uint32_t first_of(lk_subject_groups *groups, uint32_t position) {
  uint32_t *parent = groups->parent;
  while (parent[position] != position) position = parent[position] = parent[parent[position]];
  return position;
}

static void join(lk_subject_groups *groups, uint32_t a, uint32_t b) {
  a = first_of(groups, a);
  b = first_of(groups, b);
  groups->parent[a > b ? a : b] = a < b ? a : b;
}

typedef struct owned {
  lk_text subject;
  uint32_t position;
} owned;

static int compare_owned(const void *a, const void *b) {
  const owned *x = a, *y = b;
  if (x->subject.length != y->subject.length) return x->subject.length < y->subject.length ? -1 : 1;
  return x->subject.length == 0 ? 0 : memcmp(x->subject.bytes, y->subject.bytes, x->subject.length);
}

static lk_status join_subjects(lk_subject_groups *groups, lk_error *error) {
  owned *all = malloc(((size_t)groups->templates + 1) * sizeof *all);
  if (all == NULL) return lk_fail_memory(error);
  uint64_t now_ms = lk_clock_unix_ms();
  uint32_t count = 0;
  for (uint32_t p = 0; p < groups->templates; p++) {
    lk_template t = lk_gallery_template(groups->gallery, p);
    if (t.expires_ms > now_ms) all[count++] = (owned){.subject = t.subject, .position = p};
  }
  qsort(all, count, sizeof *all, compare_owned);
  for (uint32_t i = 1; i < count; i++)
    if (lk_text_equal(all[i - 1].subject, all[i].subject)) join(groups, all[i - 1].position, all[i].position);
  free(all);
  return LK_OK;
}

lk_status lk_subject_groups_open(const lk_gallery *gallery, lk_subject_groups *groups, lk_error *error) {
  lk_gallery_stat stat;
  lk_gallery_stat_get(gallery, &stat);
  size_t room = stat.positions + 1;
  *groups = (lk_subject_groups){.gallery = gallery,
                                .templates = (uint32_t)stat.positions,
                                .parent = malloc(room * sizeof *groups->parent),
                                .paired = calloc(room, sizeof *groups->paired),
                                .members = malloc(room * sizeof *groups->members),
                                .ends = calloc(room, sizeof *groups->ends)};
  bool taken = groups->parent != NULL && groups->paired != NULL && groups->members != NULL && groups->ends != NULL;
  for (uint32_t p = 0; taken && p < groups->templates; p++) groups->parent[p] = p;
  lk_status status = taken ? join_subjects(groups, error) : lk_fail_memory(error);
  if (status != LK_OK) lk_subject_groups_close(groups);
  return status;
}

void lk_subject_groups_close(lk_subject_groups *groups) {
  free(groups->parent);
  free(groups->paired);
  free(groups->members);
  free(groups->ends);
  *groups = (lk_subject_groups){0};
}

lk_status lk_subject_groups_join(lk_subject_groups *groups, const lk_pair *pair, lk_error *error) {
  uint64_t a, b;
  lk_status status = lk_gallery_find(groups->gallery, pair->a.key, &a, error);
  if (status == LK_OK) status = lk_gallery_find(groups->gallery, pair->b.key, &b, error);
  if (status != LK_OK) return status;
  groups->paired[a] = groups->paired[b] = true;
  join(groups, (uint32_t)a, (uint32_t)b);
  return LK_OK;
}

void lk_subject_groups_list(lk_subject_groups *groups) {
  for (uint32_t p = 0; p < groups->templates; p++)
    if (groups->paired[p]) groups->paired[first_of(groups, p)] = true;
  for (uint32_t p = 0; p < groups->templates; p++) {
    uint32_t first = first_of(groups, p);
    if (groups->paired[first]) groups->ends[first]++;
  }
  for (uint32_t p = 0, begin = 0; p < groups->templates; p++) {
    uint32_t size = groups->ends[p];
    groups->ends[p] = begin;
    begin += size;
  }
  for (uint32_t p = 0; p < groups->templates; p++) {
    uint32_t first = first_of(groups, p);
    if (groups->paired[first]) groups->members[groups->ends[first]++] = p;
  }
}

uint32_t lk_subject_groups_next(const lk_subject_groups *groups, uint32_t *at, const uint32_t **members) {
  while (*at < groups->templates) {
    uint32_t begin = *at > 0 ? groups->ends[*at - 1] : 0, end = groups->ends[(*at)++];
    *members = groups->members + begin;
    if (end > begin) return end - begin;
  }
  return 0;
}
