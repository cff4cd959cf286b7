/* Readers follow what an owner does, and others do after it: at random, against a model, and case by case. */
#include <likeness/owner.h>

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "index/gallery/gallery.h"
#include "index/live/fold.h"
#include "index/live/owner.h"
#include "tests/index/live/world.h"
#include "tests/support/files.h"

enum { DIM = 4 };

static lk_device *device;
static lk_result *result;
static lk_error error;

static void setup(void) {
  files_setup();
  cr_assert_eq(lk_device_open("cpu", 2, &device, NULL), LK_OK);
  cr_assert_eq(lk_result_open(&result, NULL), LK_OK);
}

static void teardown(void) {
  lk_result_close(result);
  lk_device_close(device);
  files_teardown();
}

TestSuite(refresh, .init = setup, .fini = teardown);

static bool refresh(lk_gallery *gallery) {
  bool changed;
  cr_assert_eq(lk_gallery_refresh(gallery, &changed, &error), LK_OK, "%s", error.text);
  return changed;
}

static lk_gallery_stat stat_of(const lk_gallery *gallery) {
  lk_gallery_stat stat;
  lk_gallery_stat_get(gallery, &stat);
  return stat;
}

/* ---- at random ---- */

/* One that keeps up, one that lags over several folds, and one that no device has. */
enum { STEPS = 400, READERS = 3 };
static const uint32_t refreshed_one_in[READERS] = {2, 70, 15};
static const bool is_loaded[READERS] = {true, true, false};

static uint64_t seed(void) {
  const char *given = getenv("LIKENESS_SEED");
  return given != NULL ? strtoull(given, NULL, 10) : 1;
}

static lk_owner *own(const char *folder) {
  lk_owner *owner;
  cr_assert_eq(lk_owner_open(folder, &owner, &error), LK_OK, "%s", error.text);
  return owner;
}

static void expect_as_opened_now(const lk_gallery *reader, const char *folder, const char *when) {
  lk_gallery *opened = files_open(folder);
  lk_gallery_stat now = stat_of(reader), wanted = stat_of(opened);
  cr_assert_eq(now.epoch, wanted.epoch, "%s: epoch", when);
  cr_assert_eq(now.next_number, wanted.next_number, "%s: next number", when);
  cr_assert_eq(now.templates, wanted.templates, "%s: templates", when);
  lk_gallery_close(opened);
}

static void expect_follows(world *w, random_state *random, lk_gallery *reader, bool loaded, const char *folder,
                           const char *when) {
  uint64_t before = stat_of(reader).epoch;
  bool changed = refresh(reader);
  cr_assert(changed || stat_of(reader).epoch == before, "%s", when);
  world_expect_templates(w, reader, when);
  if (loaded) world_expect_searches(w, random, reader, result, when);
  expect_as_opened_now(reader, folder, when);
  if (random_one_in(random, 2)) cr_assert(!refresh(reader), "%s: twice", when);
}

/* Others write the gallery between two owners. */
static lk_owner *change_owner(world *w, random_state *random, lk_owner *owner, const char *folder) {
  lk_owner_close(owner);
  if (random_one_in(random, 2)) world_enroll_bulk(w, random, folder);
  if (random_one_in(random, 4)) world_enroll_bulk(w, random, folder);
  return own(folder);
}

static void walk(lk_metric metric, lk_store store, uint64_t number) {
  random_state random = random_fork(seed(), number);
  lk_gallery *readers[READERS];
  char folder[PATH_MAX], when[96];
  world w;
  world_open(&w, metric, store);
  snprintf(folder, sizeof folder, "%s", files_path("g"));
  cr_assert_eq(
      lk_gallery_create(folder, &(lk_gallery_options){.dim = WORLD_DIM, .metric = metric, .store = store}, NULL),
      LK_OK);
  for (int r = 0; r < READERS; r++) {
    readers[r] = files_open(folder);
    if (is_loaded[r]) cr_assert_eq(lk_gallery_load(readers[r], device, NULL), LK_OK);
  }
  lk_owner *owner = own(folder);
  for (int step = 0; step < STEPS; step++) {
    cr_assert_eq(world_change(&w, &random, owner, &error), LK_OK, "%s", error.text);
    if (random_one_in(&random, 20)) cr_assert_eq(lk_fold(owner, LK_FOLD_JOURNAL, &error), LK_OK, "%s", error.text);
    if (random_one_in(&random, 60)) cr_assert_eq(lk_fold(owner, LK_FOLD_ALL, &error), LK_OK, "%s", error.text);
    if (random_one_in(&random, 30)) owner = change_owner(&w, &random, owner, folder);
    for (int r = 0; r < READERS; r++) {
      snprintf(when, sizeof when, "walk %llu, seed %llu, step %d, reader %d", (unsigned long long)number,
               (unsigned long long)seed(), step, r);
      if (random_one_in(&random, refreshed_one_in[r]))
        expect_follows(&w, &random, readers[r], is_loaded[r], folder, when);
    }
  }
  for (int r = 0; r < READERS; r++) lk_gallery_close(readers[r]);
  lk_owner_close(owner);
  world_close(&w);
}

Test(refresh, random_changes_cosine) { walk(LK_COSINE, LK_STORE_F32, 1); }
Test(refresh, random_changes_cosine_f16) { walk(LK_COSINE, LK_STORE_F16, 2); }
Test(refresh, random_changes_ip) { walk(LK_IP, LK_STORE_F32, 3); }
Test(refresh, random_changes_l2) { walk(LK_L2, LK_STORE_F16, 4); }

/* ---- case by case ---- */

/* A gallery with four keys, each of which a vector points to, in a segment; its owner, and a loaded reader. */
typedef struct scene {
  char folder[PATH_MAX], manifest[PATH_MAX + 16];
  lk_owner *owner;
  lk_gallery *reader;
} scene;

static const float axes[DIM * DIM] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
static const char *const keys[DIM] = {"a", "b", "c", "d"};

static void open_scene(scene *s) {
  lk_label labels[DIM];
  snprintf(s->folder, sizeof s->folder, "%s", files_gallery("faces", LK_COSINE, DIM));
  snprintf(s->manifest, sizeof s->manifest, "%s/%s", s->folder, LK_MANIFEST_FILE);
  for (int i = 0; i < DIM; i++) labels[i] = (lk_label){.key = lk_text_of(keys[i]), .expires_ms = LK_NEVER};
  files_enroll(s->folder, axes, DIM, DIM, labels);
  s->owner = own(s->folder);
  s->reader = files_open(s->folder);
  cr_assert_eq(lk_gallery_load(s->reader, device, NULL), LK_OK);
}

static void close_scene(scene *s) {
  lk_gallery_close(s->reader);
  lk_owner_close(s->owner);
}

static void drop(scene *s, const char *key) {
  lk_receipt receipt;
  lk_change change = {.kind = LK_CHANGE_DELETE_KEY, .key = lk_text_of(key)};
  cr_assert_eq(lk_owner_change(s->owner, &change, 1, NULL, &receipt, NULL), LK_OK);
  cr_assert_eq(receipt.templates, 1);
}

static void add(scene *s, const char *key, const float *vector) {
  lk_vectors vectors = files_vectors(vector, 1, DIM);
  lk_label label = {.key = lk_text_of(key), .expires_ms = LK_NEVER};
  lk_enrollment enrollment = {.vectors = &vectors, .labels = &label};
  cr_assert_eq(lk_owner_enroll(s->owner, &enrollment, NULL, NULL, &error), LK_OK, "%s", error.text);
}

static void fold(scene *s) { cr_assert_eq(lk_fold(s->owner, LK_FOLD_JOURNAL, &error), LK_OK, "%s", error.text); }

/* Expects a search for all that the reader sees to find these keys, in the order of their numbers. */
static void expect_found(const scene *s, const char *wanted) {
  static const float probe[DIM] = {1, 1, 1, 1};
  char found[32] = "";
  lk_vectors vectors = files_vectors(probe, 1, DIM);
  lk_query query = {.probes = &vectors, .probes_count = 1, .k = 20, .threshold = -INFINITY};
  cr_assert_eq(lk_gallery_identify(s->reader, &query, result, NULL, &error), LK_OK, "%s", error.text);
  for (uint32_t i = 0; i < lk_result_count(result, 0); i++)
    strncat(found, lk_result_candidate(result, 0, i).found.key.bytes, 1);
  cr_assert_str_eq(found, wanted);
}

Test(refresh, searches_see_nothing_until_it_is_refreshed) {
  scene s;
  open_scene(&s);
  cr_assert(!refresh(s.reader));
  drop(&s, "b");
  add(&s, "e", axes);
  expect_found(&s, "abcd");
  cr_assert(refresh(s.reader));
  expect_found(&s, "acde");
  close_scene(&s);
}

/* The file of the segment is open once, and its block is loaded once. */
Test(refresh, a_segment_that_stays_is_not_loaded_again) {
  scene s;
  open_scene(&s);
  const lk_part *part = s.reader->contents->catalog->parts[0];
  const lk_resident_block *resident = part->resident;
  drop(&s, "b");
  add(&s, "e", axes);
  fold(&s);
  cr_assert(refresh(s.reader));
  cr_assert_eq(s.reader->contents->catalog->parts_count, 2);
  cr_assert_eq(s.reader->contents->catalog->parts[0], part);
  cr_assert_eq(part->resident, resident);
  expect_found(&s, "acde");
  close_scene(&s);
}

/* A row that the reader knows to be dead, and one that died when it did not look, are in no later state. */
Test(refresh, the_dead_stay_dead_over_folds_that_were_missed) {
  scene s;
  open_scene(&s);
  drop(&s, "a");
  cr_assert(refresh(s.reader));
  drop(&s, "c");
  fold(&s);
  add(&s, "c", axes + DIM);
  fold(&s);
  drop(&s, "d");
  cr_assert(refresh(s.reader));
  expect_found(&s, "bc");
  cr_assert_eq(lk_owner_compact(s.owner, NULL, NULL, &error), LK_OK, "%s", error.text);
  cr_assert(refresh(s.reader));
  expect_found(&s, "bc");
  close_scene(&s);
}

/* A result keeps its templates though the files, and the rows in memory, that had them are gone. */
Test(refresh, results_keep_what_they_found) {
  scene s;
  open_scene(&s);
  add(&s, "e", axes);
  refresh(s.reader);
  expect_found(&s, "abcde");
  drop(&s, "a");
  drop(&s, "e");
  cr_assert_eq(lk_owner_compact(s.owner, NULL, NULL, NULL), LK_OK);
  cr_assert(refresh(s.reader));
  cr_assert_eq(lk_result_count(result, 0), DIM + 1);
  cr_assert(lk_text_equal(lk_result_candidate(result, 0, 0).found.key, lk_text_of("a")));
  cr_assert(lk_text_equal(lk_result_candidate(result, 0, DIM).found.key, lk_text_of("e")));
  close_scene(&s);
}

Test(refresh, positions_are_those_of_the_refresh) {
  scene s;
  uint64_t position;
  open_scene(&s);
  lk_gallery *owned = lk_owner_gallery(s.owner), *both[] = {s.reader, owned};
  add(&s, "e", axes);
  for (int i = 0; i < 2; i++) {
    cr_assert_eq(lk_gallery_find(both[i], lk_text_of("e"), &position, NULL), LK_ENOTFOUND);
    cr_assert(refresh(both[i]));
    cr_assert_eq(lk_gallery_find(both[i], lk_text_of("e"), &position, NULL), LK_OK);
    cr_assert_eq(position, DIM);
    cr_assert_eq(stat_of(both[i]).positions, DIM + 1);
    cr_assert(!refresh(both[i]));
  }
  close_scene(&s);
}

/* A binding raises the epoch, and names no other files. */
Test(refresh, an_epoch_without_other_files) {
  const char *folder = files_gallery("g", LK_COSINE, DIM);
  files_enroll(folder, axes, DIM, DIM, NULL);
  lk_gallery *reader = files_open(folder);
  uint64_t epoch = stat_of(reader).epoch;
  cr_assert_eq(lk_gallery_bind(folder, &(lk_binding){0}, &error), LK_OK, "%s", error.text);
  refresh(reader);
  cr_assert_eq(stat_of(reader).epoch, epoch + 1);
  expect_as_opened_now(reader, folder, "bound");
  lk_gallery_close(reader);
}

/* Somebody puts a copy back and goes on from there: epochs, ids and rows are as before, what they are of is not. */
Test(refresh, a_gallery_that_was_set_back) {
  scene s;
  lk_label label = {.key = lk_text_of("e"), .expires_ms = LK_NEVER};
  char segment[PATH_MAX + 32];
  open_scene(&s);
  lk_owner_close(s.owner);
  files_copy(s.manifest, files_path("kept"));
  snprintf(segment, sizeof segment, "%s/segment-000003.lks", s.folder);
  files_enroll(s.folder, axes, 1, DIM, &label);
  cr_assert(refresh(s.reader));
  expect_found(&s, "abcde");
  files_copy(files_path("kept"), s.manifest);
  cr_assert_eq(access(segment, F_OK), 0);
  s.owner = own(s.folder);
  lk_owner_close(s.owner);
  label.key = lk_text_of("f");
  files_enroll(s.folder, axes, 1, DIM, &label);
  cr_assert_eq(access(segment, F_OK), 0);
  cr_assert(refresh(s.reader));
  expect_found(&s, "abcdf");
  lk_gallery_close(s.reader);
}

/* ---- what goes wrong ---- */

static void expect_fails(const scene *s, lk_status status, const char *words) {
  lk_status failed = lk_gallery_refresh(s->reader, NULL, &error);
  cr_assert_eq(failed, status, "%d: %s", failed, error.text);
  cr_assert_not_null(strstr(error.text, words), "%s", error.text);
}

Test(refresh, a_gallery_without_a_manifest_stays_as_it_was) {
  scene s;
  open_scene(&s);
  drop(&s, "b");
  cr_assert_eq(rename(s.manifest, files_path("kept")), 0);
  expect_fails(&s, LK_EIO, LK_MANIFEST_FILE);
  cr_assert(refresh(lk_owner_gallery(s.owner)), "its owner need not look at files");
  expect_found(&s, "abcd");
  cr_assert_eq(rename(files_path("kept"), s.manifest), 0);
  cr_assert(refresh(s.reader));
  expect_found(&s, "acd");
  close_scene(&s);
}

static const char *last_journal(const scene *s) {
  char name[LK_JOURNAL_NAME_MAX];
  static char path[PATH_MAX + LK_JOURNAL_NAME_MAX];
  const lk_manifest *manifest = &s->owner->gallery->manifest;
  lk_journal_name(manifest->journals[manifest->journals_count - 1].id, name);
  snprintf(path, sizeof path, "%s/%s", s->folder, name);
  return path;
}

/* The reader has read a batch when it meets damage behind it, and then must not take that batch for applied. */
Test(refresh, damage_in_a_journal_is_named_and_mended) {
  scene s;
  size_t size, before;
  open_scene(&s);
  free(files_read(last_journal(&s), &before));
  drop(&s, "a");
  drop(&s, "b");
  drop(&s, "c");
  char *whole = files_read(last_journal(&s), &size), *damaged = malloc(size);
  memcpy(damaged, whole, size);
  damaged[before + (size - before) / 3 + 60] ^= 1; /* the content of the second */
  files_write(last_journal(&s), damaged, size);
  expect_fails(&s, LK_ECORRUPT, "record 2");
  expect_fails(&s, LK_ECORRUPT, "record 2");
  expect_found(&s, "abcd");
  files_write(last_journal(&s), whole, size);
  cr_assert(refresh(s.reader));
  expect_found(&s, "d");
  free(whole);
  free(damaged);
  close_scene(&s);
}

/* A segment that is damaged joins nothing. */
Test(refresh, damaged_codes_of_a_new_segment_are_not_loaded) {
  scene s;
  size_t size;
  open_scene(&s);
  add(&s, "e", axes);
  fold(&s);
  const lk_catalog *catalog = s.owner->gallery->contents->catalog;
  const lk_segment *segment = &catalog->parts[catalog->parts_count - 1]->segment;
  size_t at = segment->header.sections[LK_SECTION_CODES].offset;
  char *bytes = files_read(segment->path, &size);
  bytes[at] ^= 1;
  files_write(segment->path, bytes, size);
  expect_fails(&s, LK_ECORRUPT, "segment-");
  expect_found(&s, "abcd");
  bytes[at] ^= 1;
  files_write(segment->path, bytes, size);
  cr_assert(refresh(s.reader));
  expect_found(&s, "abcde");
  free(bytes);
  close_scene(&s);
}

/* Its numbers and keys are another's, though its folder, name and shape are the same. */
Test(refresh, another_gallery_in_its_place) {
  scene s;
  char other[PATH_MAX], journal[PATH_MAX + 32];
  lk_manifest manifest;
  open_scene(&s);
  snprintf(other, sizeof other, "%s", files_gallery("other", LK_COSINE, DIM));
  lk_owner_close(own(other));
  cr_assert_eq(lk_manifest_read(files_folder(other), &manifest, NULL), LK_OK);
  strcpy(manifest.name, "faces");
  snprintf(journal, sizeof journal, "%s/journal-000001.lkj", s.folder);
  files_copy(files_path("other/journal-000001.lkj"), journal);
  cr_assert_eq(lk_manifest_write(files_folder(s.folder), &manifest, NULL), LK_OK);
  lk_manifest_free(&manifest);
  expect_fails(&s, LK_EGALLERY, "another gallery");
  expect_found(&s, "abcd");
  close_scene(&s);
}

/* A device that failed between two changes leaves nothing to be searched, until a refresh has set all anew. */
Test(refresh, a_refresh_mends_what_a_device_has_left) {
  scene s;
  open_scene(&s);
  drop(&s, "b");
  refresh(s.reader);
  strcpy(s.reader->contents->failure.text, "the device failed");
  lk_vectors vectors = files_vectors(axes, 1, DIM);
  lk_query query = {.probes = &vectors, .probes_count = 1, .k = 1, .threshold = -INFINITY};
  cr_assert_eq(lk_gallery_identify(s.reader, &query, result, NULL, &error), LK_EIO);
  cr_assert_not_null(strstr(error.text, "the device failed"));
  refresh(s.reader);
  expect_found(&s, "acd");
  close_scene(&s);
}
