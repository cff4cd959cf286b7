/* Whole galleries that move as one file: what was there is there again, bit for bit, and nothing else. */
#include <likeness/portable.h>

#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "index/live/fold.h"
#include "tests/index/live/world.h"
#include "tests/support/files.h"
#include "tests/support/older.h"

static lk_error error;
static const lk_export plainly;
static const lk_import unbound;

TestSuite(portable, .init = files_setup, .fini = files_teardown);

static uint64_t seed(void) {
  const char *given = getenv("LIKENESS_SEED");
  return given != NULL ? strtoull(given, NULL, 10) : 1;
}

/* Exports `folder` and imports it; returns the new folder. */
static const char *move(const char *folder, const char *file, const char *to) {
  uint64_t templates;
  lk_gallery *gallery = files_open(folder);
  cr_assert_eq(lk_gallery_export_file(gallery, files_path(file), &plainly, &templates, &error), LK_OK, "%s",
               error.text);
  lk_gallery_close(gallery);
  const char *made = files_path(to);
  cr_assert_eq(lk_gallery_import_file(made, files_path(file), &unbound, &error), LK_OK, "%s", error.text);
  return made;
}

static void expect_fields(const lk_template *a, const lk_template *b) {
  cr_assert_eq(a->number, b->number);
  cr_assert(lk_text_equal(a->key, b->key) && lk_text_equal(a->subject, b->subject) &&
            lk_text_equal(a->group, b->group));
  cr_assert(lk_text_equal(a->metadata, b->metadata));
  cr_assert(a->tags == b->tags && a->version == b->version && a->expires_ms == b->expires_ms);
}

/* `to` has exactly the living templates of `from` that have not expired. */
static uint64_t expect_templates(const lk_gallery *from, const lk_gallery *to) {
  lk_gallery_stat old, new;
  lk_gallery_stat_get(from, &old);
  lk_gallery_stat_get(to, &new);
  float *vectors = malloc(2 * old.dim * sizeof *vectors);
  uint64_t met = 0, now_ms = lk_clock_unix_ms();
  for (uint64_t i = 0; i < old.positions; i++) {
    lk_template t = lk_gallery_template(from, i);
    if (t.key.length == 0 || t.expires_ms <= now_ms) continue;
    lk_template moved = lk_gallery_template(to, met);
    expect_fields(&t, &moved);
    cr_assert_eq(lk_gallery_export(from, i, 1, NULL, vectors, &error), LK_OK, "%s", error.text);
    cr_assert_eq(lk_gallery_export(to, met++, 1, NULL, vectors + old.dim, &error), LK_OK, "%s", error.text);
    cr_assert_arr_eq(vectors, vectors + old.dim, old.dim * sizeof *vectors);
  }
  free(vectors);
  cr_assert(new.templates == met &&new.positions == met);
  cr_assert(old.epoch == new.epoch &&old.next_number == new.next_number &&old.dim == new.dim);
  cr_assert(old.metric == new.metric &&old.store == new.store);
  cr_assert_str_eq(old.name, new.name);
  cr_assert_str_eq(old.model, new.model);
  cr_assert_null(new.binding.policy);
  cr_assert_eq(lk_gallery_check(to, &error), LK_OK, "%s", error.text);
  return met;
}

static lk_result *search(lk_gallery *gallery, lk_device *device, const float *probes, uint32_t count, uint32_t dim) {
  lk_result *result;
  lk_vectors vectors = files_vectors(probes, count, dim);
  lk_query query = {.probes = &vectors, .probes_count = 1, .k = 25, .threshold = -INFINITY};
  cr_assert_eq(lk_result_open(&result, NULL), LK_OK);
  cr_assert_eq(lk_gallery_load(gallery, device, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_gallery_identify(gallery, &query, result, NULL, &error), LK_OK, "%s", error.text);
  return result;
}

static void expect_searches(lk_gallery *from, lk_gallery *to, random_state *random, uint32_t dim) {
  enum { PROBES = 20 };
  lk_device *device;
  float *probes = files_random(random, PROBES, dim);
  cr_assert_eq(lk_device_open("cpu", 2, &device, NULL), LK_OK);
  lk_result *a = search(from, device, probes, PROBES, dim), *b = search(to, device, probes, PROBES, dim);
  for (uint32_t p = 0; p < PROBES; p++) {
    cr_assert_eq(lk_result_count(a, p), lk_result_count(b, p));
    for (uint32_t rank = 0; rank < lk_result_count(a, p); rank++) {
      lk_candidate x = lk_result_candidate(a, p, rank), y = lk_result_candidate(b, p, rank);
      cr_assert_eq(x.score, y.score);
      expect_fields(&x.found, &y.found);
    }
  }
  lk_result_close(a);
  lk_result_close(b);
  lk_gallery_close(from);
  lk_gallery_close(to);
  lk_device_close(device);
  free(probes);
}

static void expect_same_files(const char *a, const char *b) {
  size_t a_size, b_size;
  char *x = files_read(files_path(a), &a_size), *y = files_read(files_path(b), &b_size);
  cr_assert(a_size == b_size && memcmp(x, y, a_size) == 0, "%s and %s", a, b);
  free(x);
  free(y);
}

/* Segments, a state and a journal; rows that died, expired, were tagged. */
static void walk(lk_metric metric, lk_store store, uint64_t number) {
  enum { STEPS = 150, FOLDS = 50 };
  random_state random = random_fork(seed(), number);
  world w;
  lk_owner *owner;
  char folder[PATH_MAX];
  strcpy(folder, files_path("g"));
  lk_gallery_options options = {.dim = WORLD_DIM, .metric = metric, .store = store, .model = "m 1"};
  cr_assert_eq(lk_gallery_create(folder, &options, NULL), LK_OK);
  world_open(&w, metric, store);
  cr_assert_eq(lk_owner_open(folder, &owner, &error), LK_OK, "%s", error.text);
  for (int step = 0; step < STEPS; step++) {
    cr_assert_eq(world_change(&w, &random, owner, &error), LK_OK, "seed %llu: %s", (unsigned long long)seed(),
                 error.text);
    if (step % FOLDS == FOLDS - 10) cr_assert_eq(lk_fold(owner, LK_FOLD_JOURNAL, &error), LK_OK, "%s", error.text);
  }
  lk_owner_close(owner);
  const char *to = move(folder, "g.lkg", "h");
  lk_gallery *from = files_open(folder), *moved = files_open(to);
  uint64_t templates = expect_templates(from, moved);
  cr_assert(templates > 100 && templates < w.count, "seed %llu: nothing has expired", (unsigned long long)seed());
  cr_assert_eq(lk_gallery_export_file(moved, files_path("again.lkg"), &plainly, NULL, &error), LK_OK, "%s", error.text);
  expect_same_files("g.lkg", "again.lkg");
  expect_searches(from, moved, &random, WORLD_DIM);
  world_close(&w);
}

Test(portable, cosine) { walk(LK_COSINE, LK_STORE_F32, 1); }
Test(portable, cosine_f16) { walk(LK_COSINE, LK_STORE_F16, 2); }
Test(portable, ip) { walk(LK_IP, LK_STORE_F32, 3); }
Test(portable, ip_f16) { walk(LK_IP, LK_STORE_F16, 4); }
Test(portable, l2) { walk(LK_L2, LK_STORE_F32, 5); }
Test(portable, l2_f16) { walk(LK_L2, LK_STORE_F16, 6); }

Test(portable, no_template_and_one) {
  const char *folder = files_gallery("g", LK_IP, 3);
  lk_gallery *from = files_open(folder), *to = files_open(move(folder, "none.lkg", "none"));
  cr_assert_eq(expect_templates(from, to), 0);
  lk_gallery_close(from);
  lk_gallery_close(to);
  files_enroll(folder, (float[]){1, 2, 3}, 1, 3, NULL);
  from = files_open(folder);
  to = files_open(move(folder, "one.lkg", "one"));
  cr_assert_eq(expect_templates(from, to), 1);
  lk_gallery_close(from);
  lk_gallery_close(to);
  cr_assert_eq(files_enroll(files_path("one"), (float[]){4, 5, 6}, 1, 3, NULL), 1, "it goes on");
}

/* More rows than a segment has, and the chunks' ends within it. */
Test(portable, several_segments) {
  enum { ROWS = LK_SEGMENT_ROWS + 700, DIM = 2 };
  random_state random = {seed()};
  const char *folder = files_gallery("g", LK_L2, DIM);
  float *rows = files_random(&random, ROWS, DIM);
  files_enroll(folder, rows, ROWS, DIM, NULL);
  lk_gallery *from = files_open(folder), *to = files_open(move(folder, "g.lkg", "h"));
  lk_gallery_stat stat;
  lk_gallery_stat_get(to, &stat);
  cr_assert_eq(stat.segments, 2);
  cr_assert_eq(expect_templates(from, to), ROWS);
  expect_searches(from, to, &random, DIM);
  free(rows);
}

static bool has_bytes(const char *data, size_t size, const void *bytes, size_t length) {
  return memmem(data, size, bytes, length) != NULL;
}

/* Not in any file: neither the texts nor the vector. */
Test(portable, what_was_deleted_or_has_expired_is_not_in_it) {
  enum { DIM = 4, ROWS = 4 };
  static const char *const keys[ROWS] = {"stays-here", "was-deleted", "has-expired", "old-news"};
  static const char *const notes[ROWS] = {"note-stays", "note-deleted", "note-expired", "note-old"};
  static const float rows[ROWS * DIM] = {1.5F, 2, 3, 4, 5.5F, 6, 7, 8, 9.5F, 1, 2, 3, 8.5F, 1, 7, 3};
  lk_label labels[ROWS];
  char folder[PATH_MAX];
  lk_owner *owner;
  size_t size;
  for (int i = 0; i < ROWS; i++)
    labels[i] = (lk_label){.key = lk_text_of(keys[i]), .metadata = lk_text_of(notes[i]), .version = 1};
  labels[3].expires_ms = 5;
  strcpy(folder, files_gallery("g", LK_L2, DIM));
  files_enroll(folder, rows, ROWS, DIM, labels);
  cr_assert_eq(lk_owner_open(folder, &owner, &error), LK_OK, "%s", error.text);
  lk_change gone = {.kind = LK_CHANGE_DELETE_KEY, .key = lk_text_of(keys[1])};
  lk_change old = {.kind = LK_CHANGE_EXPIRE, .key = lk_text_of(keys[2]), .expires_ms = lk_clock_unix_ms() - 1};
  cr_assert_eq(lk_owner_change(owner, &gone, 1, NULL, NULL, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_owner_change(owner, &old, 1, NULL, NULL, &error), LK_OK, "%s", error.text);
  lk_owner_close(owner);
  move(folder, "g.lkg", "h");
  char *data = files_read(files_path("g.lkg"), &size);
  for (int i = 0; i < ROWS; i++) {
    bool stays = i == 0;
    cr_assert_eq(has_bytes(data, size, keys[i], strlen(keys[i])), stays, "%s", keys[i]);
    cr_assert_eq(has_bytes(data, size, notes[i], strlen(notes[i])), stays, "%s", notes[i]);
    cr_assert_eq(has_bytes(data, size, rows + i * DIM, DIM * sizeof *rows), stays, "row %d", i);
  }
  free(data);
}

Test(portable, the_file_is_for_its_owner_and_never_in_the_place_of_another) {
  struct stat found;
  const char *folder = files_gallery("g", LK_L2, 2);
  lk_gallery *gallery = files_open(folder);
  cr_assert_eq(chmod(files_root, 0755), 0);
  cr_assert_eq(lk_gallery_export_file(gallery, files_path("g.lkg"), &plainly, NULL, &error), LK_OK, "%s", error.text);
  cr_assert_eq(stat(files_path("g.lkg"), &found), 0);
  cr_assert_eq(found.st_mode & 0777, 0600);
  cr_assert_eq(lk_gallery_export_file(gallery, files_path("g.lkg"), &plainly, NULL, &error), LK_EEXIST);
  cr_assert_not_null(strstr(error.text, "g.lkg: the file exists already"), "%s", error.text);
  files_write(files_path("h.lkg.new"), "x", 1);
  cr_assert_eq(lk_gallery_export_file(gallery, files_path("h.lkg"), &plainly, NULL, &error), LK_EEXIST);
  cr_assert_not_null(strstr(error.text, "h.lkg.new: another process writes this file"), "%s", error.text);
  cr_assert_eq(lk_gallery_export_file(gallery, files_path("no/h.lkg"), &plainly, NULL, &error), LK_EIO);
  cr_assert_eq(lk_gallery_export_file(gallery, files_path(""), &plainly, NULL, &error), LK_EINVAL);
  cr_assert_eq(files_count(files_root), 3, "the gallery, its file, and what was there");
  lk_gallery_close(gallery);
}

Test(portable, a_damaged_row_is_not_exported) {
  const char *folder = files_gallery("g", LK_L2, 2);
  size_t size;
  files_enroll(folder, (float[]){1.25F, 2.5F, 3, 4}, 2, 2, NULL);
  char *data = files_read(files_path("g/segment-000001.lks"), &size);
  float *row = memmem(data, size, (float[]){1.25F, 2.5F}, 8);
  cr_assert_not_null(row);
  row[0] = 99;
  files_write(files_path("g/segment-000001.lks"), data, size);
  lk_gallery *gallery = files_open(folder);
  cr_assert_eq(lk_gallery_export_file(gallery, files_path("g.lkg"), &plainly, NULL, &error), LK_ECORRUPT);
  cr_assert_not_null(strstr(error.text, "segment-000001.lks"), "%s", error.text);
  cr_assert_eq(files_count(files_root), 1);
  lk_gallery_close(gallery);
  free(data);
}

/* Rows of older segments keep their bits, too, and so their scores. */
Test(portable, segments_of_older_versions) {
  enum { ROWS = 500, DIM = 16 };
  static const lk_metric metrics[] = {LK_COSINE, LK_IP, LK_L2};
  random_state random = {seed()};
  float *rows = files_random(&random, ROWS, DIM);
  for (uint32_t version = 2; version <= 3; version++)
    for (int m = 0; m < 3; m++) {
      char folder[PATH_MAX], to[PATH_MAX];
      strcpy(folder, files_gallery("g", metrics[m], DIM));
      files_enroll(folder, rows, ROWS, DIM, NULL);
      older_rewrite(folder, version);
      strcpy(to, move(folder, "g.lkg", "h"));
      lk_gallery *from = files_open(folder), *moved = files_open(to);
      cr_assert_eq(expect_templates(from, moved), ROWS);
      expect_searches(from, moved, &random, DIM);
      files_remove_folder(folder);
      files_remove_folder(to);
      cr_assert_eq(unlink(files_path("g.lkg")), 0);
    }
  free(rows);
}

enum { TAGGED = 2000 };
static atomic_bool ended;

/* Gives all templates the same tags, in one change after another. */
static void *retag(void *owner) {
  static char keys[TAGGED][8];
  static lk_change changes[TAGGED];
  for (uint64_t tags = 1; !atomic_load(&ended); tags++) {
    for (int i = 0; i < TAGGED; i++) {
      snprintf(keys[i], sizeof keys[i], "%d", i);
      changes[i] = (lk_change){.kind = LK_CHANGE_TAG, .key = lk_text_of(keys[i]), .tags = tags, .mask = UINT64_MAX};
    }
    cr_assert_eq(lk_owner_change(owner, changes, TAGGED, NULL, NULL, NULL), LK_OK);
  }
  return NULL;
}

/* What an owner changes meanwhile is in the file as a whole or not at all. */
Test(portable, the_file_has_one_moment) {
  enum { EXPORTS = 40 };
  random_state random = {seed()};
  float *rows = files_random(&random, TAGGED, 2);
  char folder[PATH_MAX];
  pthread_t thread;
  lk_owner *owner;
  strcpy(folder, files_gallery("g", LK_IP, 2));
  files_enroll(folder, rows, TAGGED, 2, NULL);
  cr_assert_eq(lk_owner_open(folder, &owner, &error), LK_OK, "%s", error.text);
  cr_assert_eq(pthread_create(&thread, NULL, retag, owner), 0);
  for (int i = 0; i < EXPORTS; i++) {
    cr_assert_eq(lk_gallery_export_file(lk_owner_gallery(owner), files_path("g.lkg"), &plainly, NULL, &error), LK_OK,
                 "%s", error.text);
    cr_assert_eq(lk_gallery_import_file(files_path("h"), files_path("g.lkg"), &unbound, &error), LK_OK, "%s",
                 error.text);
    lk_gallery *moved = files_open(files_path("h"));
    for (uint64_t t = 1; t < TAGGED; t++)
      cr_assert_eq(lk_gallery_template(moved, t).tags, lk_gallery_template(moved, 0).tags);
    lk_gallery_close(moved);
    files_remove_folder(files_path("h"));
    cr_assert_eq(unlink(files_path("g.lkg")), 0);
  }
  atomic_store(&ended, true);
  pthread_join(thread, NULL);
  lk_owner_close(owner);
  free(rows);
}
