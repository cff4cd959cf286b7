/* Pairs of a gallery that changes: templates that have expired; what is deleted, enrolled and compacted while the
 * search for pairs goes on. */
#include <criterion/criterion.h>
#include <likeness/dedupe.h>
#include <likeness/owner.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tests/support/files.h"

/* More templates than one batch. Every template of an even number has its copy behind it. The key is the number. */
enum { DIM = 16, ROWS = 1200, PAIRS = ROWS / 2, BATCH = 1024, DELETIONS = 200 };

static float *rows;
static lk_label labels[ROWS];
static lk_device *device;
static lk_owner *owner;
static lk_result *result;
static lk_error error;

static void setup(void) {
  files_setup();
  random_state random = {11};
  rows = files_random(&random, ROWS, DIM);
  for (int r = 1; r < ROWS; r += 2) memcpy(rows + (size_t)r * DIM, rows + (size_t)(r - 1) * DIM, DIM * sizeof *rows);
  cr_assert_eq(lk_device_open("cpu", 2, &device, &error), LK_OK);
  cr_assert_eq(lk_result_open(&result, &error), LK_OK);
}

static void teardown(void) {
  lk_owner_close(owner);
  lk_result_close(result);
  lk_device_close(device);
  free(rows);
  files_teardown();
}

TestSuite(duplicates_live, .init = setup, .fini = teardown);

static void own(uint32_t count) {
  const char *folder = files_gallery("faces", LK_COSINE, DIM);
  files_enroll(folder, rows, count, DIM, labels);
  cr_assert_eq(lk_owner_open(folder, &owner, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_owner_load(owner, device, &error), LK_OK, "%s", error.text);
}

/* Deletes the template with this key, or lets it expire long ago. */
static lk_status try_change(lk_change_kind kind, const char *key) {
  lk_change one = {.kind = kind, .key = lk_text_of(key), .expires_ms = kind == LK_CHANGE_EXPIRE};
  return lk_owner_change(owner, &one, 1, NULL, NULL, NULL);
}

static void change(lk_change_kind kind, const char *key) { cr_assert_eq(try_change(kind, key), LK_OK); }

typedef struct finds {
  uint32_t count, of[ROWS + 1]; /* pairs; by their first template */
  void (*meanwhile)(void);      /* with the first pair */
} finds;

static finds got;

static bool has_key_of_number(const lk_template *t) {
  char key[12];
  snprintf(key, sizeof key, "%u", (unsigned)t->number);
  return lk_text_equal(t->key, lk_text_of(key));
}

static lk_status take(void *context, const lk_pair *pair, lk_error *unused) {
  finds *to = context;
  (void)unused;
  cr_assert_lt(pair->a.number, pair->b.number);
  cr_assert(has_key_of_number(&pair->a) && has_key_of_number(&pair->b), "%u, %u: '%.*s', '%.*s'",
            (unsigned)pair->a.number, (unsigned)pair->b.number, (int)pair->a.key.length, pair->a.key.bytes,
            (int)pair->b.key.length, pair->b.key.bytes);
  cr_assert(!lk_text_equal(pair->a.subject, pair->b.subject));
  to->of[pair->a.number]++;
  if (to->count++ == 0 && to->meanwhile != NULL) to->meanwhile();
  return LK_OK;
}

static void dedupe(void (*meanwhile)(void)) {
  lk_dedupe wanted = {.threshold = 0.99F, .found = take, .context = &got};
  got = (finds){.meanwhile = meanwhile};
  cr_assert_eq(lk_gallery_dedupe(lk_owner_gallery(owner), &wanted, result, &error), LK_OK, "%s", error.text);
}

Test(duplicates_live, nobody_who_has_expired) {
  uint32_t wanted = 0;
  for (uint32_t r = 0; r < ROWS; r++)
    labels[r].expires_ms = r % 6 == 0 || r % 10 == 3 ? 1 : r % 7 == 0 ? LK_NEVER - 1 : 0;
  own(ROWS);
  change(LK_CHANGE_EXPIRE, "8");
  change(LK_CHANGE_EXPIRE, "11");
  dedupe(NULL);
  for (uint32_t r = 0; r < ROWS; r += 2) {
    bool live = r % 6 != 0 && (r + 1) % 10 != 3 && r != 8 && r != 10;
    cr_assert_eq(got.of[r], live, "%u", r);
    wanted += live;
  }
  cr_assert_eq(got.count, wanted);
}

static void delete_some(void) {
  change(LK_CHANGE_DELETE_KEY, "2");
  change(LK_CHANGE_DELETE_KEY, "5");
  change(LK_CHANGE_DELETE_KEY, "1100");
  change(LK_CHANGE_EXPIRE, "1111");
}

/* Those of the first search were found while they lived. */
static void expect_all_but_those_deleted_before_their_search(void) {
  for (uint32_t r = 0; r < ROWS; r += 2) cr_assert_eq(got.of[r], r != 1100 && r != 1110, "%u", r);
  cr_assert_eq(got.count, PAIRS - 2);
}

Test(duplicates_live, deleted_while_pairs_are_taken) {
  own(ROWS);
  dedupe(delete_some);
  expect_all_but_those_deleted_before_their_search();
}

static void delete_and_compact(void) {
  delete_some();
  cr_assert_eq(lk_owner_compact(owner, NULL, NULL, &error), LK_OK, "%s", error.text);
}

Test(duplicates_live, compacted_while_pairs_are_taken) {
  own(ROWS);
  dedupe(delete_and_compact);
  expect_all_but_those_deleted_before_their_search();
}

Test(duplicates_live, all_deleted) {
  own(2);
  change(LK_CHANGE_DELETE_KEY, "0");
  change(LK_CHANGE_DELETE_KEY, "1");
  dedupe(NULL);
  cr_assert_eq(got.count, 0);
}

static void enroll_a_third(void) {
  lk_vectors third = files_vectors(rows + (size_t)1100 * DIM, 1, DIM);
  lk_enrollment enrollment = {.vectors = &third};
  cr_assert_eq(lk_owner_enroll(owner, &enrollment, NULL, NULL, &error), LK_OK, "%s", error.text);
}

Test(duplicates_live, enrolled_while_pairs_are_taken) {
  own(ROWS);
  dedupe(enroll_a_third);
  cr_assert_eq(got.of[1100], 2);
  cr_assert_eq(got.of[1101], 1);
  cr_assert_eq(got.count, PAIRS + 2);
}

static void delete_of_the_cluster(void) {
  change(LK_CHANGE_DELETE_KEY, "2");
  change(LK_CHANGE_DELETE_KEY, "50");
  change(LK_CHANGE_EXPIRE, "51");
}

/* Lists that are full in the first level, whose probes live no more when the second searches for them. */
Test(duplicates_live, deleted_between_two_levels) {
  enum { CLUSTER = 100, END = 2 + CLUSTER };
  for (uint32_t r = 3; r < END; r++) memcpy(rows + (size_t)r * DIM, rows + (size_t)2 * DIM, DIM * sizeof *rows);
  own(END);
  dedupe(delete_of_the_cluster);
  cr_assert_eq(got.of[2] + got.of[50] + got.of[51], 0);
  cr_assert_eq(got.count, 1 + (CLUSTER - 3) * (CLUSTER - 4) / 2);
}

static atomic_uint deleted;

static void *delete_many(void *status) {
  for (uint32_t i = 0; i < DELETIONS; i++) {
    char key[12];
    snprintf(key, sizeof key, "%u", i * 5);
    if (*(lk_status *)status == LK_OK) *(lk_status *)status = try_change(LK_CHANGE_DELETE_KEY, key);
    atomic_fetch_add(&deleted, 1);
  }
  return NULL;
}

static lk_status count(void *context, const lk_pair *pair, lk_error *unused) {
  (void)pair, (void)unused;
  ++*(uint32_t *)context;
  return LK_OK;
}

/* All are of one subject, so there are no pairs: a template without a subject would make some. */
Test(duplicates_live, deleted_by_another_thread) {
  pthread_t thread;
  uint32_t pairs = 0;
  lk_status changed = LK_OK, status = LK_OK;
  lk_dedupe wanted = {.threshold = 0.99F, .found = count, .context = &pairs};
  for (uint32_t r = 0; r < ROWS; r++) labels[r].subject = lk_text_of("one");
  own(ROWS);
  cr_assert_eq(pthread_create(&thread, NULL, delete_many, &changed), 0);
  while (status == LK_OK && atomic_load(&deleted) < DELETIONS)
    status = lk_gallery_dedupe(lk_owner_gallery(owner), &wanted, result, &error);
  cr_assert_eq(pthread_join(thread, NULL), 0);
  cr_assert_eq(changed, LK_OK);
  cr_assert_eq(status, LK_OK, "%s", error.text);
  cr_assert_eq(pairs, 0, "%u", pairs);
}
