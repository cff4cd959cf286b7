/* Memory runs out while a gallery's files are read and written (tests/test_memory.c has all else). */
#include <criterion/criterion.h>
#include <string.h>

#include "index/storage/manifest.h"
#include "index/storage/segment.h"
#include "tests/support/allocations.h"
#include "tests/support/files.h"

TestSuite(memory_storage, .init = files_setup, .fini = files_teardown);

enum { DIM = 8, ROWS = 300 };
static float vectors[2 * ROWS * DIM];
static const char *folder;

static void make_vectors(void) {
  random_state random = {5};
  for (uint32_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) vectors[i] = (float)random_normal(&random);
}

static void make_gallery(void) {
  lk_gallery_options options = {.dim = DIM, .metric = LK_IP, .model = "m1"};
  make_vectors();
  folder = files_path("g");
  cr_assert_eq(lk_gallery_create(folder, &options, NULL), LK_OK);
  files_enroll(folder, vectors, ROWS, DIM, NULL);
  files_enroll(folder, vectors + ROWS * DIM, ROWS, DIM, NULL);
}

static lk_segment segment;

static lk_status make_segment(lk_error *error) {
  static lk_template templates[ROWS];
  static const char *faults[ROWS];
  lk_segment_content content = {.metric = LK_L2,
                                .vectors = files_vectors(vectors, ROWS, DIM),
                                .rows = ROWS,
                                .templates = templates,
                                .faults = faults};
  for (uint32_t r = 0; r < ROWS; r++) templates[r].number = r;
  return lk_segment_make(&content, "memory", NULL, &segment, error);
}

static void check_no_segment(void) { cr_assert_null(segment.file.data); }
static void check_segment(void) { cr_assert_eq(segment.block.rows, ROWS); }
static void close_segment(void) { lk_segment_close(&segment); }

Test(memory_storage, segment) {
  static const allocations_trial trial = {"segment",        allocations_nothing, make_segment,
                                          check_no_segment, check_segment,       close_segment};
  make_vectors();
  allocations_try_all(&trial, 7);
}

static lk_manifest manifest;

static lk_status read_manifest(lk_error *error) { return lk_manifest_read(files_folder(folder), &manifest, error); }
static void check_manifest(void) {
  cr_assert(manifest.segments_count == 2 && manifest.next_number == 2 * ROWS);
  cr_assert_str_eq(manifest.model, "m1");
}
static void free_manifest(void) { lk_manifest_free(&manifest); }

Test(memory_storage, manifest) {
  static const allocations_trial trial = {"manifest", allocations_nothing, read_manifest,
                                          NULL,       check_manifest,      free_manifest};
  make_gallery();
  allocations_try_all(&trial, 30);
}

/* With all that a manifest can have: whatever is left out of it would be lost. */
static void write_less(void) {
  manifest.next_file = 9;
  manifest.state.id = manifest.journals_count = 0;
  cr_assert_eq(lk_manifest_write(files_folder(folder), &manifest, NULL), LK_OK);
}
static lk_status write_manifest(lk_error *error) {
  manifest.state = (lk_manifest_state){.id = 6, .checksum = 7};
  manifest.journals[0] = (lk_manifest_journal){.id = 7};
  manifest.journals[1] = (lk_manifest_journal){.id = 8};
  manifest.journals_count = 2;
  return lk_manifest_write(files_folder(folder), &manifest, error);
}
static void check_written(uint32_t state, uint32_t journals) {
  lk_manifest read;
  cr_assert_eq(lk_manifest_read(files_folder(folder), &read, NULL), LK_OK);
  cr_assert(read.segments_count == 2 && read.state.id == state && read.journals_count == journals);
  lk_manifest_free(&read);
}
static void check_not_written(void) { check_written(0, 0); }
static void check_all_written(void) { check_written(6, 2); }

Test(memory_storage, manifest_write) {
  static const allocations_trial trial = {"manifest write",  write_less,        write_manifest,
                                          check_not_written, check_all_written, allocations_nothing};
  make_gallery();
  cr_assert_eq(read_manifest(NULL), LK_OK);
  allocations_try_all(&trial, 30);
  free_manifest();
}
