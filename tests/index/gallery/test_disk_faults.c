/* What a gallery's files are when the disk fails or the power does, at every call that writes. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/pool.h"
#include "base/text.h"
#include "index/journal/record.h"
#include "index/storage/leftovers.h"
#include "index/storage/segment.h"
#include "index/storage/state.h"
#include "tests/support/faulty_disk.h"
#include "tests/support/files.h"

enum { ROWS = 3, DIM = 200 };

static lk_folder folder;
static lk_pool *pool;
static lk_manifest_segment segment_entry;
static lk_manifest manifest;

static void setup(void) {
  files_setup();
  folder = *files_folder(files_root);
  folder.disk = &faulty_disk;
  cr_assert_eq(lk_pool_open(1, &pool, NULL), LK_OK);
}

static void teardown(void) {
  faulty_disk_stop();
  lk_pool_close(pool);
  files_teardown();
}

TestSuite(disk_faults, .init = setup, .fini = teardown);

static lk_status write_segment(uint64_t *checksum) {
  static const char *faults[ROWS];
  static float vectors[ROWS * DIM];
  lk_template templates[ROWS] = {{.key = lk_text_of("a"), .subject = lk_text_of("a")},
                                 {.number = 1, .key = lk_text_of("b"), .subject = lk_text_of("b")},
                                 {.number = 2, .key = lk_text_of("c"), .subject = lk_text_of("c")}};
  for (int i = 0; i < ROWS * DIM; i++) vectors[i] = (float)(i + 1);
  lk_segment_content content = {.metric = LK_L2,
                                .vectors = files_vectors(vectors, ROWS, DIM),
                                .rows = ROWS,
                                .templates = templates,
                                .faults = faults};
  return lk_segment_write(&folder, "segment-000001.lks", &content, pool, checksum, NULL);
}

static lk_status write_state(void) {
  static const lk_state_entry entry = {.segment = 1, .row = 2, .died = 1, .expires_ms = LK_NEVER};
  return lk_state_write(&folder, 2, manifest.id, &entry, 1, &manifest.state.checksum, NULL);
}

/* A segment, a state and the manifest that names them, in the order that makes them safe. */
static lk_status write_all(void) {
  segment_entry = (lk_manifest_segment){.id = 1, .rows = ROWS};
  manifest = (lk_manifest){.metric = LK_L2,
                           .dim = DIM,
                           .name = "g",
                           .next_number = ROWS,
                           .next_file = 3,
                           .segments = &segment_entry,
                           .segments_count = 1,
                           .state = {.id = 2}};
  lk_status status = lk_manifest_give_identity(&manifest, NULL);
  if (status == LK_OK) status = write_segment(&segment_entry.checksum);
  if (status == LK_OK) status = write_state();
  if (status == LK_OK) status = lk_folder_sync(&folder, NULL);
  return status == LK_OK ? lk_manifest_write(&folder, &manifest, NULL) : status;
}

static void check_segment(uint64_t checksum) {
  lk_segment segment;
  lk_error error = {0};
  cr_assert_eq(lk_segment_open(&folder, "segment-000001.lks", &segment, &error), LK_OK, "%s", error.text);
  cr_assert_eq(segment.header.checksum, checksum);
  cr_assert_eq(lk_segment_verify(&segment, LK_SECTION_CODES, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_segment_verify(&segment, LK_SECTION_EXACT, &error), LK_OK, "%s", error.text);
  lk_segment_close(&segment);
}

/* Whether there is a manifest; all that it names is whole, and what it does not name is removed. */
static bool check_files(void) {
  lk_manifest read;
  lk_state state;
  lk_error error = {0};
  lk_status status = lk_manifest_read(&folder, &read, &error);
  if (status != LK_OK) {
    cr_assert_not_null(strstr(error.text, "cannot open: No such file"), "%s", error.text);
    return false;
  }
  check_segment(read.segments[0].checksum);
  cr_assert_eq(lk_state_read(&folder, &read, &state, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_state_check(&state, &read, &error), LK_OK, "%s", error.text);
  lk_state_free(&state);
  cr_assert_eq(lk_leftovers_remove(&folder, &read, &error), LK_OK, "%s", error.text);
  cr_assert_eq(files_count(files_root), 3);
  lk_manifest_free(&read);
  return true;
}

static void empty_folder(void) {
  static const lk_manifest none;
  lk_folder_remove(&folder, LK_MANIFEST_FILE);
  cr_assert_eq(lk_leftovers_remove(&folder, &none, NULL), LK_OK);
  cr_assert_eq(files_count(files_root), 0);
  faulty_disk_start(&folder);
}

Test(disk_faults, at_every_call_a_manifest_names_only_what_is_whole) {
  random_state random = {7};
  bool done = false;
  for (uint32_t nth = 1; !done; nth++)
    for (int round = 0; round < 40; round++) {
      empty_folder();
      faulty_disk_fail(nth, round % 2 == 0 ? EIO : ENOSPC, round % 4 < 2);
      lk_status status = write_all();
      done = status == LK_OK;
      cr_assert_eq(done, faulty_disk_calls() < nth, "call %u failed and nobody noticed", nth);
      faulty_disk_fail(0, 0, false);
      faulty_disk_cut_power(round == 0 ? NULL : &random);
      cr_assert(check_files() || !done, "call %u, round %d", nth, round);
    }
}

Test(disk_faults, a_state_that_fails_is_not_there) {
  empty_folder();
  faulty_disk_fail(2, EIO, false);
  cr_assert_eq(write_state(), LK_EIO, "the seal");
  cr_assert_eq(files_count(files_root), 0);
}

/* The map of a new file is memory, too. */
Test(disk_faults, a_segment_is_on_the_disk_when_it_is_sealed_and_not_before) {
  uint64_t checksum;
  size_t size;
  empty_folder();
  faulty_disk_fail(2, EIO, false);
  cr_assert_eq(write_segment(&checksum), LK_EIO, "the seal");
  cr_assert_eq(files_count(files_root), 0);
  faulty_disk_fail(0, 0, false);

  lk_new_file file;
  cr_assert_eq(write_segment(&checksum), LK_OK);
  char *whole = files_read(files_path("segment-000001.lks"), &size);
  cr_assert_eq(lk_folder_make_file(&folder, "open", size, &file, NULL), LK_OK);
  memcpy(file.data, whole, size);
  cr_assert_eq(lk_folder_sync(&folder, NULL), LK_OK);
  munmap(file.data, file.size);
  close(file.fd);
  faulty_disk_cut_power(NULL);
  check_segment(checksum);
  size_t left;
  free(files_read(files_path("open"), &left));
  cr_assert_eq(left, 0);
  free(whole);
}
