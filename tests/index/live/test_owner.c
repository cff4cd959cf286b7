#include <likeness/owner.h>

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "index/gallery/gallery.h"
#include "index/live/fold.h"
#include "tests/index/live/world.h"
#include "tests/support/files.h"

TestSuite(owner, .init = files_setup, .fini = files_teardown);

static uint64_t seed(void) {
  const char *given = getenv("LIKENESS_SEED");
  return given != NULL ? strtoull(given, NULL, 10) : 1;
}

static const char *make_gallery(lk_metric metric, lk_store store) {
  static char folder[PATH_MAX + 2];
  snprintf(folder, sizeof folder, "%s/g", files_root);
  lk_gallery_options options = {.dim = WORLD_DIM, .metric = metric, .store = store};
  cr_assert_eq(lk_gallery_create(folder, &options, NULL), LK_OK);
  return folder;
}

static lk_owner *own(const char *folder, lk_device *device) {
  lk_owner *owner;
  lk_error error;
  cr_assert_eq(lk_owner_open(folder, &owner, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_owner_cut_bytes(owner), 0);
  cr_assert_eq(lk_owner_load(owner, device, &error), LK_OK, "%s", error.text);
  return owner;
}

static void expect_reader(const world *w, const char *folder, const char *when) {
  lk_gallery *reader;
  lk_error error;
  cr_assert_eq(lk_gallery_open(folder, &reader, &error), LK_OK, "%s: %s", when, error.text);
  world_expect_templates(w, reader, when);
  cr_assert_eq(lk_gallery_check(reader, &error), LK_OK, "%s: %s", when, error.text);
  lk_gallery_close(reader);
}

static void walk(lk_metric metric, lk_store store, const char *name, uint64_t number) {
  enum { STEPS = 400 };
  random_state random = random_fork(seed(), number);
  lk_device *device;
  lk_result *result;
  lk_error error;
  world w;
  char when[96];
  world_open(&w, metric, store);
  cr_assert_eq(lk_device_open("cpu", 2, &device, NULL), LK_OK);
  cr_assert_eq(lk_result_open(&result, NULL), LK_OK);
  const char *folder = make_gallery(metric, store);
  lk_owner *owner = own(folder, device);
  for (int step = 0; step < STEPS; step++) {
    snprintf(when, sizeof when, "%s, seed %llu, step %d", name, (unsigned long long)seed(), step);
    cr_assert_eq(world_change(&w, &random, owner, &error), LK_OK, "%s: %s", when, error.text);
    world_expect_searches(&w, &random, lk_owner_gallery(owner), result, when);
    if (random_one_in(&random, 40))
      cr_assert_eq(lk_fold(owner, LK_FOLD_JOURNAL, &error), LK_OK, "%s: %s", when, error.text);
    if (random_one_in(&random, 60))
      cr_assert_eq(lk_fold(owner, LK_FOLD_ALL, &error), LK_OK, "%s: %s", when, error.text);
    if (random_one_in(&random, 15)) expect_reader(&w, folder, when);
    if (!random_one_in(&random, 30)) continue;
    lk_owner_close(owner);
    owner = own(folder, device);
    world_expect_templates(&w, lk_owner_gallery(owner), when);
  }
  lk_owner_close(owner);
  expect_reader(&w, folder, "at the end");
  lk_result_close(result);
  lk_device_close(device);
  world_close(&w);
}

Test(owner, random_changes_cosine) { walk(LK_COSINE, LK_STORE_F32, "cosine f32", 1); }
Test(owner, random_changes_cosine_f16) { walk(LK_COSINE, LK_STORE_F16, "cosine f16", 2); }
Test(owner, random_changes_ip) { walk(LK_IP, LK_STORE_F32, "ip f32", 3); }
Test(owner, random_changes_l2) { walk(LK_L2, LK_STORE_F16, "l2 f16", 4); }

/* Positions are those of the opening, and so are texts; who was deleted since is not there. */
Test(owner, what_was_deleted_since_the_opening_is_not_shown) {
  float vectors[3 * WORLD_DIM] = {1}, vector[WORLD_DIM];
  for (int i = 0; i < 3; i++) vectors[i * WORLD_DIM + i] = 1;
  lk_vectors rows = files_vectors(vectors, 3, WORLD_DIM), one = files_vectors(vectors, 1, WORLD_DIM);
  lk_enrollment all = {.vectors = &rows}, more = {.vectors = &one};
  lk_change delete = {.kind = LK_CHANGE_DELETE_KEY, .key = {"1", 1}};
  lk_device *device;
  uint64_t position, erased;
  cr_assert_eq(lk_device_open("cpu", 1, &device, NULL), LK_OK);
  const char *folder = make_gallery(LK_L2, LK_STORE_F32);
  lk_owner *owner = own(folder, device);
  cr_assert_eq(lk_owner_enroll(owner, &all, NULL, NULL, NULL), LK_OK);
  lk_owner_close(owner);
  owner = own(folder, device);
  lk_gallery *gallery = lk_owner_gallery(owner);
  cr_assert_eq(lk_owner_enroll(owner, &more, NULL, NULL, NULL), LK_OK); /* merges what the opening had */
  cr_assert_eq(lk_gallery_find(gallery, delete.key, &position, NULL), LK_OK);
  cr_assert_eq(lk_owner_change(owner, &delete, 1, NULL, NULL, NULL), LK_OK);
  cr_assert_eq(lk_gallery_find(gallery, delete.key, &position, NULL), LK_ENOTFOUND);
  cr_assert_eq(lk_gallery_template(gallery, 1).key.length, 0);
  cr_assert_eq(lk_gallery_export(gallery, 1, 1, NULL, vector, NULL), LK_ENOTFOUND);
  cr_assert_eq(lk_gallery_export(gallery, 2, 1, NULL, vector, NULL), LK_OK);
  cr_assert_eq(lk_owner_compact(owner, NULL, &erased, NULL), LK_OK);
  cr_assert_eq(erased, 1);
  cr_assert_eq(lk_gallery_template(gallery, 1).number, 2);
  lk_owner_close(owner);
  lk_device_close(device);
}

/* A row is not written anew, with a checksum that fits, after it was changed in its file. */
Test(owner, a_fold_does_not_hide_damage) {
  float vectors[2 * WORLD_DIM] = {1, 2, 3};
  vectors[WORLD_DIM] = 4;
  lk_vectors rows = files_vectors(vectors, 2, WORLD_DIM);
  lk_enrollment all = {.vectors = &rows};
  lk_change delete = {.kind = LK_CHANGE_DELETE_KEY, .key = {"1", 1}};
  lk_device *device;
  lk_error error;
  cr_assert_eq(lk_device_open("cpu", 1, &device, NULL), LK_OK);
  const char *folder = make_gallery(LK_L2, LK_STORE_F32);
  lk_owner *owner = own(folder, device);
  cr_assert_eq(lk_owner_enroll(owner, &all, NULL, NULL, NULL), LK_OK);
  cr_assert_eq(lk_fold(owner, LK_FOLD_JOURNAL, NULL), LK_OK);
  const lk_segment *segment = &lk_owner_gallery(owner)->contents->catalog->parts[0]->segment;
  int file = open(segment->path, O_RDWR | O_CLOEXEC);
  float changed = 1.5F;
  cr_assert_eq(pwrite(file, &changed, sizeof changed, (off_t)segment->header.sections[LK_SECTION_EXACT].offset), 4);
  close(file);
  cr_assert_eq(lk_owner_change(owner, &delete, 1, NULL, NULL, NULL), LK_OK);
  cr_assert_eq(lk_owner_compact(owner, NULL, NULL, &error), LK_ECORRUPT);
  cr_assert_not_null(strstr(error.text, "exact rows: the checksum does not match"), "%s", error.text);
  lk_owner_close(owner);
  lk_device_close(device);
}
