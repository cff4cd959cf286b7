/* One thread changes a gallery, one follows it, and others search what is followed: each sees all changes of a batch or
 * none. ThreadSanitizer watches. */
#include <likeness/owner.h>

#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "index/live/fold.h"
#include "tests/support/files.h"

/* All of a crowd are replaced in each batch, which gives them the next version. Others stay. */
enum { DIM = 8, CROWD = 12, OTHERS = 300, VERSIONS = 120, SEARCHERS = 2 };

static lk_device *device;
static lk_gallery *reader;
static lk_owner *owner;
static float vectors[(CROWD + OTHERS) * DIM];
static atomic_bool over;
static atomic_uint_least64_t acknowledged; /* the version */

static void enroll(uint64_t version, uint32_t rows) {
  lk_label labels[CROWD + OTHERS];
  char texts[CROWD + OTHERS][16];
  for (uint32_t i = 0; i < rows; i++) {
    snprintf(texts[i], sizeof texts[i], "t%u", i);
    labels[i] = (lk_label){.key = lk_text_of(texts[i]), .tags = i < CROWD, .version = version, .expires_ms = LK_NEVER};
  }
  lk_vectors all = files_vectors(vectors, rows, DIM);
  lk_enrollment enrollment = {.vectors = &all, .labels = labels, .replace = true};
  lk_error error;
  cr_assert_eq(lk_owner_enroll(owner, &enrollment, NULL, NULL, &error), LK_OK, "%s", error.text);
  atomic_store(&acknowledged, version);
}

static void open_all(lk_metric metric) {
  random_state random = {31};
  for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) vectors[i] = (float)random_normal(&random);
  const char *folder = files_gallery("g", metric, DIM);
  cr_assert_eq(lk_owner_open(folder, &owner, NULL), LK_OK);
  enroll(1, CROWD + OTHERS);
  cr_assert_eq(lk_fold(owner, LK_FOLD_JOURNAL, NULL), LK_OK);
  cr_assert_eq(lk_device_open("cpu", 2, &device, NULL), LK_OK);
  reader = files_open(folder);
  cr_assert_eq(lk_gallery_load(reader, device, NULL), LK_OK);
}

static void close_all(void) {
  lk_gallery_close(reader);
  lk_device_close(device);
  lk_owner_close(owner);
}

TestSuite(refresh_threads, .init = files_setup, .fini = files_teardown);

typedef struct searcher {
  bool by_subject;
  lk_fusion fusion;
} searcher;

/* Folds now and then, so that the reader also meets other segments. */
static void *change(void *context) {
  (void)context;
  for (uint64_t version = 2; version <= VERSIONS; version++) {
    enroll(version, CROWD);
    if (version % 7 == 0) cr_assert_eq(lk_fold(owner, version % 3 == 0 ? LK_FOLD_ALL : LK_FOLD_JOURNAL, NULL), LK_OK);
  }
  atomic_store(&over, true);
  return NULL;
}

static void *follow(void *context) {
  (void)context;
  lk_error error;
  while (!atomic_load(&over)) {
    cr_assert_eq(lk_gallery_refresh(reader, NULL, &error), LK_OK, "%s", error.text);
    lk_gallery_stat stat;
    lk_gallery_stat_get(reader, &stat);
    cr_assert_eq(stat.templates, CROWD + OTHERS);
  }
  return NULL;
}

/* Returns the version that all of the crowd have. */
static uint64_t search(lk_result *result, const searcher *s) {
  lk_vectors probe = files_vectors(vectors, 1, DIM);
  lk_query query = {.probes = &probe,
                    .probes_count = 1,
                    .k = CROWD + 1,
                    .threshold = -INFINITY,
                    .tags = 1,
                    .mask = 1,
                    .by_subject = s->by_subject,
                    .fusion = s->fusion};
  lk_error error;
  cr_assert_eq(lk_gallery_identify(reader, &query, result, NULL, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_result_count(result, 0), CROWD);
  uint64_t version = lk_result_candidate(result, 0, 0).found.version;
  for (uint32_t i = 0; i < CROWD; i++) cr_assert_eq(lk_result_candidate(result, 0, i).found.version, version);
  return version;
}

static void *search_again_and_again(void *context) {
  const searcher *s = context;
  lk_result *result;
  uint64_t newest = 1;
  cr_assert_eq(lk_result_open(&result, NULL), LK_OK);
  while (!atomic_load(&over)) {
    uint64_t version = search(result, s);
    cr_assert_geq(version, newest, "an older version comes back");
    newest = version;
  }
  lk_result_close(result);
  return NULL;
}

static void run(lk_metric metric) {
  static const searcher searchers[SEARCHERS] = {{.by_subject = true}, {.fusion = LK_FUSE_MEAN}};
  pthread_t threads[SEARCHERS + 2];
  uint32_t started = 0;
  lk_result *result;
  open_all(metric);
  cr_assert_eq(pthread_create(&threads[started++], NULL, change, NULL), 0);
  cr_assert_eq(pthread_create(&threads[started++], NULL, follow, NULL), 0);
  for (uint32_t i = 0; i < SEARCHERS; i++)
    cr_assert_eq(pthread_create(&threads[started++], NULL, search_again_and_again, (void *)&searchers[i]), 0);
  while (started > 0) pthread_join(threads[--started], NULL);
  cr_assert_eq(lk_result_open(&result, NULL), LK_OK);
  cr_assert_eq(lk_gallery_refresh(reader, NULL, NULL), LK_OK);
  cr_assert_eq(search(result, &searchers[0]), acknowledged);
  lk_result_close(result);
  close_all();
}

Test(refresh_threads, every_search_sees_whole_batches) { run(LK_COSINE); }
Test(refresh_threads, under_ip_where_the_longest_template_counts) { run(LK_IP); }
