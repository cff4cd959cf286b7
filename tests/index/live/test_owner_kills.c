/* A process that changes, folds and compacts a gallery in several threads is killed at any moment. */
#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "index/gallery/gallery.h"
#include "index/live/fold.h"
#include "tests/index/live/lives.h"
#include "tests/support/files.h"

enum { THREADS = 3, TOLD_MAX = 4096 };

/* What a thread of the child was told, in memory that outlives it. */
typedef struct told {
  atomic_uint count;
  lk_receipt receipts[TOLD_MAX];
} told;

typedef struct shared {
  atomic_uint begun; /* threads that have begun to change */
  told told[THREADS];
} shared;

static char path[PATH_MAX + 2];
static shared *memory;
static lives threads[THREADS];
static lk_owner *owner; /* the child's */

TestSuite(owner_kills, .init = files_setup, .fini = files_teardown, .timeout = 3600);

static uint64_t number_of(const char *variable, uint64_t otherwise) {
  const char *given = getenv(variable);
  return given != NULL ? strtoull(given, NULL, 0) : otherwise;
}

/* ---- the child ---- */

/* A little at a time, so that a kill finds a record or a manifest half written. */
static ssize_t write_little(int fd, const void *data, size_t size) { return write(fd, data, size < 64 ? size : 64); }

static void *change(void *context) {
  lives *l = context;
  told *t = &memory->told[l->thread];
  atomic_fetch_add(&memory->begun, 1);
  while (t->count < TOLD_MAX) {
    lives_change drawn = lives_draw(l);
    lk_receipt receipt;
    if (lives_send(&drawn, owner, &receipt, NULL) != LK_OK || lives_take(l, &drawn, &receipt) != NULL) _exit(1);
    t->receipts[t->count] = receipt;
    atomic_fetch_add(&t->count, 1);
  }
  return NULL;
}

static void change_until_killed(void) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  lk_disk little = lk_disk_system;
  pthread_t thread;
  little.write = write_little;
  if (lk_owner_open_on(&little, path, &owner, NULL) != LK_OK) _exit(2);
  for (int i = 0; i < THREADS; i++)
    if (pthread_create(&thread, NULL, change, &threads[i]) != 0) _exit(3);
  for (int i = 0;; i++)
    if ((i % 2 == 0 ? lk_fold(owner, LK_FOLD_JOURNAL, NULL) : lk_owner_compact(owner, NULL, NULL, NULL)) != LK_OK)
      _exit(4);
}

static void run_and_kill(random_state *random) {
  memset(memory, 0, sizeof *memory);
  pid_t child = fork();
  if (child == 0) change_until_killed();
  for (int i = 0; memory->begun < THREADS && i < 100000 && !random_one_in(random, 200); i++) usleep(100);
  usleep(random_below(random, 8000));
  kill(child, SIGKILL);
  int status;
  waitpid(child, &status, 0);
  cr_assert(WIFSIGNALED(status), "it could not go on: exit %d", WEXITSTATUS(status));
}

/* ---- what is there ---- */

static bool find(lk_gallery *gallery, const char *key, lk_template *t, float *vector) {
  uint64_t position;
  if (lk_gallery_find(gallery, lk_text_of(key), &position, NULL) != LK_OK) return false;
  *t = lk_gallery_template(gallery, position);
  return lk_gallery_export(gallery, position, 1, NULL, vector, NULL) == LK_OK;
}

static bool is_as(lk_gallery *gallery, const char *key, const life *one) {
  lk_template t;
  float vector[LIVES_DIM];
  bool found = find(gallery, key, &t, vector);
  if (one == NULL) return !found;
  if (!found) return life_has_expired(one);
  return t.number == one->number && t.tags == one->tags && t.expires_ms == one->expires_ms &&
         lk_text_equal(t.subject, lk_text_of(one->subject)) && memcmp(vector, one->vector, sizeof vector) == 0;
}

/* NULL, or a key that is not as it was acknowledged. */
static const char *difference(const lives *l, lk_gallery *gallery) {
  static char key[16];
  for (int k = 0; k < LIVES_KEYS; k++) {
    snprintf(key, sizeof key, "t%u-k%d", l->thread, k);
    if (!is_as(gallery, key, lives_find(l, key))) return key;
  }
  return NULL;
}

/* The receipt of a change that nobody was told of, if it is there. Rows that had expired may be gone again. */
static lk_receipt receipt_of(const lives *l, const lives_change *change, lk_gallery *gallery) {
  lk_template t;
  float vector[LIVES_DIM];
  lk_receipt receipt = {.templates = lives_find(l, change->text) != NULL};
  if (!change->enrolls) return receipt;
  receipt.templates = change->count;
  for (uint32_t i = 0; i < change->count; i++)
    if (find(gallery, change->rows[i].key, &t, vector)) receipt.numbered_from = t.number - i;
  return receipt;
}

/* All that the thread was told of is there; the change that it then waited for is there whole or not at all. */
static bool follow(lives *l, lk_gallery *gallery, const char *when) {
  const told *t = &memory->told[l->thread];
  for (uint32_t i = 0; i < t->count; i++) {
    lives_change drawn = lives_draw(l);
    const char *fault = lives_take(l, &drawn, &t->receipts[i]);
    cr_assert_null(fault, "%s: %s", when, fault);
  }
  lives_forget(l);
  const char *without = difference(l, gallery);
  if (without == NULL) return false;
  char key[16];
  snprintf(key, sizeof key, "%s", without);
  lives_change drawn = lives_draw(l);
  lk_receipt receipt = receipt_of(l, &drawn, gallery);
  lives_take(l, &drawn, &receipt);
  lives_forget(l);
  const char *with = difference(l, gallery);
  cr_assert_null(with, "%s: neither without the last change (%s) nor with it (%s)", when, key, with);
  return true;
}

static void expect_searched(lk_gallery *gallery, const char *when) {
  static const float probe[LIVES_DIM] = {1};
  lk_vectors probes = files_vectors(probe, 1, LIVES_DIM);
  lk_query query = {.probes = &probes, .probes_count = 1, .k = THREADS * LIVES_KEYS + 1, .threshold = -INFINITY};
  lk_device *device;
  lk_result *result;
  uint32_t lives_now = 0;
  for (int i = 0; i < THREADS; i++)
    for (uint32_t j = 0; j < threads[i].count; j++) lives_now += !life_has_expired(&threads[i].all[j]);
  cr_assert_eq(lk_device_open("cpu", 1, &device, NULL), LK_OK);
  cr_assert_eq(lk_result_open(&result, NULL), LK_OK);
  cr_assert_eq(lk_gallery_load(gallery, device, NULL), LK_OK, "%s", when);
  cr_assert_eq(lk_gallery_identify(gallery, &query, result, NULL, NULL), LK_OK, "%s", when);
  cr_assert_eq(lk_result_count(result, 0), lives_now, "%s: %u found, not %u", when, lk_result_count(result, 0),
               lives_now);
  lk_result_close(result);
  lk_device_close(device);
}

typedef struct tally {
  uint32_t tails, unfinished, in_doubt;
} tally;

static void expect_gallery(tally *met, const char *when) {
  lk_owner *next;
  lk_error error;
  lk_gallery *reader;
  cr_assert_eq(lk_gallery_open(path, &reader, &error), LK_OK, "%s: a reader: %s", when, error.text);
  lk_gallery_close(reader);
  cr_assert_eq(lk_owner_open(path, &next, &error), LK_OK, "%s: %s", when, error.text);
  lk_gallery *gallery = lk_owner_gallery(next);
  const lk_manifest *manifest = &gallery->manifest;
  for (int i = 0; i < THREADS; i++) met->in_doubt += follow(&threads[i], gallery, when);
  met->tails += lk_owner_cut_bytes(next) > 0;
  met->unfinished += manifest->journals_count == 2;
  cr_assert_eq(files_count(path), 1 + manifest->segments_count + (manifest->state.id != 0) + manifest->journals_count,
               "%s: files that the manifest does not name", when);
  cr_assert_eq(lk_gallery_check(gallery, &error), LK_OK, "%s: %s", when, error.text);
  expect_searched(gallery, when);
  lk_owner_close(next);
}

/* LIKENESS_KILLS: how often. */
Test(owner_kills, at_any_moment) {
  uint64_t kills = number_of("LIKENESS_KILLS", 200), seed = number_of("LIKENESS_SEED", 1);
  random_state random = {seed};
  tally met = {0};
  char when[64];
  snprintf(path, sizeof path, "%s/g", files_root);
  lk_gallery_options options = {.dim = LIVES_DIM, .metric = LK_COSINE, .store = LK_STORE_F32};
  cr_assert_eq(lk_gallery_create(path, &options, NULL), LK_OK);
  memory = mmap(NULL, sizeof *memory, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  cr_assert_neq(memory, MAP_FAILED);
  for (uint32_t i = 0; i < THREADS; i++) lives_open(&threads[i], i, seed);
  for (uint64_t i = 0; i < kills; i++) {
    snprintf(when, sizeof when, "seed %llu, kill %llu", (unsigned long long)seed, (unsigned long long)i);
    run_and_kill(&random);
    expect_gallery(&met, when);
  }
  for (int i = 0; i < THREADS; i++) lives_close(&threads[i]);
  cr_assert(met.in_doubt > kills / 20 && met.unfinished > kills / 20,
            "%u changes in doubt, %u folds that had begun, %u tails", met.in_doubt, met.unfinished, met.tails);
}
