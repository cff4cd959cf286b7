/* Threads that change, search, hold results, fold, compact, check and open one gallery. What each of them has found
 * must be what was there in the epoch that it says. */
#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "index/gallery/result.h"
#include "index/gallery/scrub.h"
#include "index/live/fold.h"
#include "kernels/score.h"
#include "tests/index/live/lives.h"
#include "tests/support/files.h"

enum { CHANGERS = 3, SEARCHERS = 2, CHANGES = 200, FINDINGS_MAX = 4000, K = 8 };

/* What a search has found, or a reader: then there is no probe. */
typedef struct finding {
  uint64_t epoch, tags, mask;
  float probe[LIVES_DIM];
  bool by_subject, searched;
  uint32_t count, room;
  uint64_t *numbers;
  float scores[K];
} finding;

typedef struct worker {
  pthread_t thread;
  uint32_t number;
  lives lives;
  finding *findings;
  uint32_t findings_count;
  const char *fault;
} worker;

static char path[PATH_MAX + 2];
static lk_owner *owner;
static atomic_uint changing; /* threads that still change */
static worker workers[CHANGERS + SEARCHERS + 3];
static uint32_t workers_count;

TestSuite(owner_threads, .init = files_setup, .fini = files_teardown, .timeout = 300);

static uint64_t seed(void) {
  const char *given = getenv("LIKENESS_SEED");
  return given != NULL ? strtoull(given, NULL, 0) : 1;
}

static void *change(void *context) {
  worker *w = context;
  for (int i = 0; i < CHANGES && w->fault == NULL; i++) {
    lives_change drawn = lives_draw(&w->lives);
    lk_receipt receipt;
    bool done = lives_send(&drawn, owner, &receipt, NULL) == LK_OK;
    w->fault = done ? lives_take(&w->lives, &drawn, &receipt) : "a change failed";
  }
  atomic_fetch_sub(&changing, 1);
  return NULL;
}

/* ---- searches ---- */

static finding *draw_search(worker *w) {
  finding *f = &w->findings[w->findings_count++];
  *f = (finding){.searched = true, .by_subject = random_one_in(&w->lives.random, 2)};
  if (random_one_in(&w->lives.random, 2)) f->mask = 3, f->tags = random_below(&w->lives.random, 4);
  for (int d = 0; d < LIVES_DIM; d++) f->probe[d] = (float)random_normal(&w->lives.random);
  return f;
}

static bool search(lk_result *result, finding *f) {
  lk_vectors probes = files_vectors(f->probe, 1, LIVES_DIM);
  lk_query query = {.probes = &probes,
                    .probes_count = 1,
                    .k = K,
                    .threshold = -INFINITY,
                    .tags = f->tags,
                    .mask = f->mask,
                    .by_subject = f->by_subject};
  if (lk_gallery_identify(lk_owner_gallery(owner), &query, result, NULL, NULL) != LK_OK) return false;
  f->epoch = result->answer.sight.epoch;
  f->count = lk_result_count(result, 0);
  f->numbers = malloc(K * sizeof *f->numbers);
  lk_result_list(result, 0, f->numbers, f->scores);
  return true;
}

/* The texts of what was found, as one. */
static void read_texts(const lk_result *result, char *text, size_t size) {
  size_t used = 0;
  text[0] = '\0';
  for (uint32_t rank = 0; rank < lk_result_count(result, 0); rank++) {
    lk_template t = lk_result_candidate(result, 0, rank).found;
    used = lk_text_append(text, size, used, "%llu %.*s %.*s;", (unsigned long long)t.number, (int)t.key.length,
                          t.key.bytes, (int)t.subject.length, t.subject.bytes);
  }
}

/* Two results, in turn: each is held while the other searches and others change the gallery. */
static void *search_and_hold(void *context) {
  worker *w = context;
  lk_result *results[2];
  char texts[2][1024], again[1024];
  bool held[2] = {false, false};
  if (lk_result_open(&results[0], NULL) != LK_OK || lk_result_open(&results[1], NULL) != LK_OK) abort();
  for (int at = 0; changing > 0 && w->findings_count < FINDINGS_MAX && w->fault == NULL; at = 1 - at) {
    if (held[at]) read_texts(results[at], again, sizeof again);
    if (held[at] && strcmp(again, texts[at]) != 0) w->fault = "the texts of a result have changed";
    if (!search(results[at], draw_search(w))) w->fault = "a search failed";
    read_texts(results[at], texts[at], sizeof texts[at]);
    held[at] = true;
  }
  lk_result_close(results[0]);
  lk_result_close(results[1]);
  return NULL;
}

/* ---- others ---- */

static void *fold(void *context) {
  worker *w = context;
  for (int i = 0; changing > 0 && w->fault == NULL; i++)
    if ((i % 2 == 0 ? lk_fold(owner, LK_FOLD_JOURNAL, NULL) : lk_owner_compact(owner, NULL, NULL, NULL)) != LK_OK)
      w->fault = "a fold failed";
  return NULL;
}

static void *scrub(void *context) {
  worker *w = context;
  lk_scrub *scrub;
  bool over;
  if (lk_scrub_open(lk_owner_gallery(owner), &scrub, NULL) != LK_OK) abort();
  while (changing > 0 && w->fault == NULL) {
    if (lk_scrub_step(scrub, &over, NULL) != LK_OK) w->fault = "the scrub found damage";
    if (over && lk_gallery_check(lk_owner_gallery(owner), NULL) != LK_OK) w->fault = "the check found damage";
  }
  lk_scrub_close(scrub);
  return NULL;
}

static bool find_all(lk_gallery *gallery, finding *f) {
  lk_gallery_stat stat;
  lk_gallery_stat_get(gallery, &stat);
  *f = (finding){.epoch = stat.epoch, .numbers = malloc((stat.positions + 1) * sizeof *f->numbers)};
  for (uint64_t i = 0; i < stat.positions; i++) {
    lk_template t = lk_gallery_template(gallery, i);
    if (t.key.length > 0 && t.expires_ms == LK_NEVER) f->numbers[f->count++] = t.number;
  }
  return true;
}

static void *open_and_list(void *context) {
  worker *w = context;
  while (changing > 0 && w->fault == NULL && w->findings_count < FINDINGS_MAX) {
    lk_gallery *gallery;
    if (lk_gallery_open(path, &gallery, NULL) != LK_OK) {
      w->fault = "a reader could not open the gallery";
      break;
    }
    find_all(gallery, &w->findings[w->findings_count++]);
    lk_gallery_close(gallery);
  }
  return NULL;
}

/* ---- what must have been found ---- */

typedef struct listing {
  const finding *of;
  const life *lives[CHANGERS * LIVES_KEYS + 1];
  float scores[CHANGERS * LIVES_KEYS + 1];
  uint32_t count;
} listing;

static void list_life(void *context, const life *one) {
  listing *l = context;
  if (life_has_expired(one) || ((one->tags ^ l->of->tags) & l->of->mask) != 0) return;
  float score = l->of->searched ? lk_score(LK_COSINE, l->of->probe, one->vector, LIVES_DIM) : 0;
  uint32_t at = l->count++;
  for (;
       at > 0 && (l->scores[at - 1] < score || (l->scores[at - 1] == score && l->lives[at - 1]->number > one->number));
       at--) {
    l->scores[at] = l->scores[at - 1];
    l->lives[at] = l->lives[at - 1];
  }
  l->scores[at] = score;
  l->lives[at] = one;
}

static void keep_best_of_subjects(listing *l) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < l->count; i++) {
    bool again = false;
    for (uint32_t j = 0; j < kept; j++) again |= strcmp(l->lives[j]->subject, l->lives[i]->subject) == 0;
    if (again) continue;
    l->lives[kept] = l->lives[i];
    l->scores[kept++] = l->scores[i];
  }
  l->count = kept;
}

static void expect_finding(const finding *f) {
  listing l = {.of = f};
  const char *who = f->searched ? "a search" : "a reader";
  unsigned long long epoch = f->epoch;
  for (int t = 0; t < CHANGERS; t++) lives_in(&workers[t].lives, f->epoch, list_life, &l);
  if (f->by_subject) keep_best_of_subjects(&l);
  if (f->searched && l.count > K) l.count = K;
  cr_assert_eq(f->count, l.count, "seed %llu: %s in epoch %llu: %u, not %u", (unsigned long long)seed(), who, epoch,
               f->count, l.count);
  for (uint32_t i = 0; i < l.count; i++) {
    cr_assert_eq(f->numbers[i], l.lives[i]->number, "seed %llu: %s in epoch %llu: template %llu, not %llu",
                 (unsigned long long)seed(), who, epoch, (unsigned long long)f->numbers[i],
                 (unsigned long long)l.lives[i]->number);
    if (f->searched) cr_assert_eq(f->scores[i], l.scores[i], "%s in epoch %llu", who, epoch);
  }
}

/* ---- all together ---- */

static void start(void *(*run)(void *)) {
  worker *w = &workers[workers_count];
  w->number = workers_count++;
  w->findings = calloc(FINDINGS_MAX, sizeof *w->findings);
  lives_open(&w->lives, w->number, seed());
  cr_assert_eq(pthread_create(&w->thread, NULL, run, w), 0);
}

static void expect_all(lk_gallery *gallery) {
  finding f;
  find_all(gallery, &f);
  expect_finding(&f);
  free(f.numbers);
}

static void run(bool loaded) {
  lk_device *device = NULL;
  lk_error error;
  snprintf(path, sizeof path, "%s/g", files_root);
  lk_gallery_options options = {.dim = LIVES_DIM, .metric = LK_COSINE, .store = LK_STORE_F32};
  cr_assert_eq(lk_gallery_create(path, &options, NULL), LK_OK);
  cr_assert_eq(lk_owner_open(path, &owner, &error), LK_OK, "%s", error.text);
  if (loaded) cr_assert_eq(lk_device_open("cpu,cpu", 1, &device, NULL), LK_OK);
  if (loaded) cr_assert_eq(lk_gallery_load(lk_owner_gallery(owner), device, NULL), LK_OK);
  changing = CHANGERS;
  for (int i = 0; i < CHANGERS; i++) start(change);
  for (int i = 0; loaded && i < SEARCHERS; i++) start(search_and_hold);
  start(fold);
  start(scrub);
  start(open_and_list);
  for (uint32_t i = 0; i < workers_count; i++) pthread_join(workers[i].thread, NULL);
  for (uint32_t i = 0; i < workers_count; i++)
    cr_assert_null(workers[i].fault, "seed %llu: %s", (unsigned long long)seed(), workers[i].fault);
  uint32_t findings = 0;
  for (uint32_t i = 0; i < workers_count; i++)
    for (uint32_t j = 0; j < workers[i].findings_count; j++, findings++) expect_finding(&workers[i].findings[j]);
  cr_assert_gt(findings, 5);
  lk_owner_close(owner);
  cr_assert_eq(lk_owner_open(path, &owner, &error), LK_OK, "%s", error.text);
  expect_all(lk_owner_gallery(owner));
  lk_owner_close(owner);
  lk_device_close(device);
  for (uint32_t i = 0; i < workers_count; i++) {
    for (uint32_t j = 0; j < workers[i].findings_count; j++) free(workers[i].findings[j].numbers);
    free(workers[i].findings);
    lives_close(&workers[i].lives);
  }
}

Test(owner_threads, of_a_loaded_gallery) { run(true); }
Test(owner_threads, of_a_gallery_that_is_not_loaded) { run(false); }
