/* The thread rules of likeness.h, all at once: one open gallery is searched by many threads and read by others, while
 * its folder is enrolled into, opened anew, and loaded on the same device. ThreadSanitizer watches. */
#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/files.h"

enum { ROWS = 900, DIM = 16, PROBES = 8, K = 5, SEARCHERS = 3, READERS = 2, ROUNDS = 12 };

static lk_device *device;
static const char *folder;
static float *rows;

static void setup(void) {
  files_setup();
  random_state random = {12};
  rows = files_random(&random, ROWS, DIM);
  folder = files_gallery("g", LK_COSINE, DIM);
  files_enroll(folder, rows, ROWS, DIM, NULL);
  cr_assert_eq(lk_device_open("cpu", 2, &device, NULL), LK_OK);
}

static void teardown(void) {
  lk_device_close(device);
  free(rows);
  files_teardown();
}

TestSuite(identify_threads, .init = setup, .fini = teardown);

typedef struct searcher {
  lk_gallery *gallery;
  uint32_t first; /* of the rows that are its probes */
  lk_candidate wanted[PROBES * K];
} searcher;

static void search(const searcher *s, lk_result *result, lk_candidate found[PROBES * K]) {
  lk_vectors probes = files_vectors(rows + (size_t)s->first * DIM, PROBES, DIM);
  lk_query query = {.probes = &probes, .probes_count = 1, .k = K, .threshold = -INFINITY};
  cr_assert_eq(lk_gallery_identify(s->gallery, &query, result, NULL, NULL), LK_OK);
  for (uint32_t i = 0; i < PROBES * K; i++) found[i] = lk_result_candidate(result, i / K, i % K);
}

static void *search_again_and_again(void *context) {
  const searcher *s = context;
  lk_result *result;
  cr_assert_eq(lk_result_open(&result, NULL), LK_OK);
  for (int round = 0; round < ROUNDS; round++) {
    lk_candidate found[PROBES * K];
    search(s, result, found);
    for (uint32_t i = 0; i < PROBES * K; i++) {
      cr_assert_eq(found[i].found.number, s->wanted[i].found.number);
      cr_assert_arr_eq(&found[i].score, &s->wanted[i].score, sizeof found[i].score);
    }
  }
  lk_result_close(result);
  return NULL;
}

static void *read_again_and_again(void *context) {
  const lk_gallery *gallery = context;
  for (int round = 0; round < ROUNDS; round++) {
    lk_gallery_stat stat;
    lk_gallery_stat_get(gallery, &stat);
    cr_assert_eq(stat.templates, ROWS, "it shows what it had when it was opened");
    for (uint64_t i = 0; i < ROWS; i++) {
      lk_template t = lk_gallery_template(gallery, i);
      cr_assert_eq(t.number, i);
      char key[16];
      cr_assert_eq(t.key.length, (uint32_t)snprintf(key, sizeof key, "%u", (unsigned)i));
      cr_assert_arr_eq(t.key.bytes, key, t.key.length);
    }
  }
  return NULL;
}

/* A template more each time, which only those who open the gallery after it see. */
static void *enroll_again_and_again(void *context) {
  (void)context;
  for (int round = 0; round < ROUNDS; round++) {
    files_enroll(folder, rows, 1, DIM, NULL);
    lk_gallery *newer = files_open(folder);
    cr_assert_eq(lk_gallery_load(newer, device, NULL), LK_OK);
    lk_gallery_stat stat;
    lk_gallery_stat_get(newer, &stat);
    cr_assert_eq(stat.templates, ROWS + round + 1);
    lk_gallery_close(newer);
  }
  return NULL;
}

Test(identify_threads, one_gallery_many_threads) {
  lk_gallery *gallery = files_open(folder);
  cr_assert_eq(lk_gallery_load(gallery, device, NULL), LK_OK);
  lk_result *result;
  cr_assert_eq(lk_result_open(&result, NULL), LK_OK);
  searcher searchers[SEARCHERS];
  pthread_t threads[SEARCHERS + READERS + 1];
  uint32_t started = 0;
  for (uint32_t i = 0; i < SEARCHERS; i++) {
    searchers[i] = (searcher){.gallery = gallery, .first = i * PROBES};
    search(&searchers[i], result, searchers[i].wanted);
  }
  for (uint32_t i = 0; i < SEARCHERS; i++)
    cr_assert_eq(pthread_create(&threads[started++], NULL, search_again_and_again, &searchers[i]), 0);
  for (uint32_t i = 0; i < READERS; i++)
    cr_assert_eq(pthread_create(&threads[started++], NULL, read_again_and_again, gallery), 0);
  cr_assert_eq(pthread_create(&threads[started++], NULL, enroll_again_and_again, NULL), 0);
  while (started > 0) pthread_join(threads[--started], NULL);
  lk_result_close(result);
  lk_gallery_close(gallery);
}
