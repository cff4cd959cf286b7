/* Readers that follow on a device that has too little memory, or fails. */
#include <likeness/owner.h>

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "index/gallery/gallery.h"
#include "index/gallery/unchecked.h"
#include "kernels/cpu/cpu.h"
#include "kernels/search/device.h"
#include "tests/support/files.h"

enum { DIM = 4, MANY = 1000 };

/* A backend of the CPU that has room for some rows. */
static lk_backend_ops ops, usual;
static uint32_t room, used, loads;
static bool updates_fail;

static lk_device *device;
static lk_result *result;
static lk_owner *owner;
static lk_gallery *reader;
static lk_error error;

static lk_status load(lk_backend *backend, lk_shape shape, const lk_block *block, lk_resident_block **resident,
                      lk_error *why) {
  loads++;
  if (used + block->rows > room) return lk_fail(why, LK_ENOMEM, "no room for %u rows", block->rows);
  used += block->rows;
  return usual.load(backend, shape, block, resident, why);
}

static void unload(lk_backend *backend, lk_resident_block *resident) {
  used -= resident->rows;
  usual.unload(backend, resident);
}

static lk_status update(lk_backend *backend, lk_resident_block *resident, const lk_visibility *visibility,
                        uint32_t first, uint32_t count, lk_error *why) {
  if (updates_fail && count > 0) return lk_fail(why, LK_EINTERNAL, "the device failed");
  return usual.update(backend, resident, visibility, first, count, why);
}

static void open_device(void) {
  lk_backend *backend;
  cr_assert_eq(lk_cpu_open("cpu:portable", 1, &backend, NULL), LK_OK);
  ops = usual = *backend->ops;
  ops.load = load;
  ops.unload = unload;
  ops.update = update;
  ops.twin = NULL;
  backend->ops = &ops;
  cr_assert_eq(lk_device_make(&backend, 1, &device, NULL), LK_OK);
}

/* The keys a to d in a segment, which an owner has and a reader has loaded. */
static void setup(void) {
  static const float axes[DIM * DIM] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
  static const char *const keys[DIM] = {"a", "b", "c", "d"};
  lk_label labels[DIM];
  files_setup();
  open_device();
  cr_assert_eq(lk_result_open(&result, NULL), LK_OK);
  const char *folder = files_gallery("faces", LK_COSINE, DIM);
  for (int i = 0; i < DIM; i++) labels[i] = (lk_label){.key = lk_text_of(keys[i]), .expires_ms = LK_NEVER};
  files_enroll(folder, axes, DIM, DIM, labels);
  cr_assert_eq(lk_owner_open(folder, &owner, &error), LK_OK, "%s", error.text);
  reader = files_open(folder);
  room = MANY;
  cr_assert_eq(lk_gallery_load(reader, device, &error), LK_OK, "%s", error.text);
}

static void teardown(void) {
  lk_gallery_close(reader);
  cr_assert_eq(used, 0, "a block stays on the device");
  lk_owner_close(owner);
  lk_result_close(result);
  lk_device_close(device);
  files_teardown();
}

TestSuite(refresh_device, .init = setup, .fini = teardown);

static void drop(const char *key) {
  lk_change change = {.kind = LK_CHANGE_DELETE_KEY, .key = lk_text_of(key)};
  cr_assert_eq(lk_owner_change(owner, &change, 1, NULL, NULL, &error), LK_OK, "%s", error.text);
}

static void add(const char *key) {
  static const float vector[DIM] = {1, 2, 3, 4};
  lk_vectors vectors = files_vectors(vector, 1, DIM);
  lk_label label = {.key = lk_text_of(key), .expires_ms = LK_NEVER};
  lk_enrollment enrollment = {.vectors = &vectors, .labels = &label};
  cr_assert_eq(lk_owner_enroll(owner, &enrollment, NULL, NULL, &error), LK_OK, "%s", error.text);
}

static void compact(void) { cr_assert_eq(lk_owner_compact(owner, NULL, NULL, &error), LK_OK, "%s", error.text); }

static lk_status refresh(void) { return lk_gallery_refresh(reader, NULL, &error); }

static lk_status search(char found[32]) {
  static const float probe[DIM] = {1, 1, 1, 1};
  lk_vectors vectors = files_vectors(probe, 1, DIM);
  lk_query query = {.probes = &vectors, .probes_count = 1, .k = 20, .threshold = -INFINITY};
  lk_status status = lk_gallery_identify(reader, &query, result, NULL, &error);
  found[0] = '\0';
  for (uint32_t i = 0; status == LK_OK && i < lk_result_count(result, 0); i++)
    strncat(found, lk_result_candidate(result, 0, i).found.key.bytes, 1);
  return status;
}

static void expect_found(const char *wanted) {
  char found[32];
  cr_assert_eq(search(found), LK_OK, "%s", error.text);
  cr_assert_str_eq(found, wanted);
  cr_assert(!lk_result_is_behind(result));
}

static void expect_behind(const char *why) {
  char found[32];
  cr_assert_eq(search(found), LK_EIO);
  cr_assert(lk_result_is_behind(result));
  cr_assert_not_null(strstr(error.text, why), "%s", error.text);
}

/* What a compaction leaves has three of the four rows. */
Test(refresh_device, that_has_no_room_for_a_gallery_twice) {
  drop("b");
  compact();
  room = DIM;
  cr_assert_eq(refresh(), LK_OK, "%s", error.text);
  cr_assert_eq(used, DIM - 1);
  expect_found("acd");
}

Test(refresh_device, that_has_no_room_for_it_at_all) {
  uint32_t subjects = reader->contents->subjects_count;
  drop("b");
  add("e");
  compact();
  room = 2;
  for (int i = 0; i < 3; i++) {
    cr_assert_eq(refresh(), LK_ENOMEM);
    cr_assert_eq(used, 0);
    cr_assert_eq(reader->contents->subjects_count, subjects, "numbers of subjects are used up");
    expect_behind("no room for 4 rows");
  }
  room = DIM;
  cr_assert_eq(refresh(), LK_OK, "%s", error.text);
  expect_found("eacd");
}

/* Nothing goes that would make room. */
Test(refresh_device, that_has_no_room_for_more) {
  add("e");
  room = DIM;
  loads = 0;
  cr_assert_eq(refresh(), LK_ENOMEM);
  cr_assert_leq(loads, 2, "what has no room is tried again and again");
  expect_found("abcd");
  room = MANY;
  cr_assert_eq(refresh(), LK_OK, "%s", error.text);
  expect_found("eabcd");
}

/* The first of them has room. */
Test(refresh_device, that_has_no_room_for_all_that_is_new) {
  static const float vector[DIM] = {1, 2, 3, 4};
  static const char *const keys[] = {"e", "f"};
  lk_owner_close(owner);
  owner = NULL;
  for (int i = 0; i < 2; i++)
    files_enroll(files_path("faces"), vector, 1, DIM, &(lk_label){.key = lk_text_of(keys[i]), .expires_ms = LK_NEVER});
  room = DIM + 1;
  cr_assert_eq(refresh(), LK_ENOMEM);
  cr_assert_eq(used, DIM);
  expect_found("abcd");
  room = MANY;
  cr_assert_eq(refresh(), LK_OK, "%s", error.text);
  expect_found("efabcd");
}

/* Between the two it is behind, which is no damage. */
Test(refresh_device, that_fails_between_two_changes) {
  drop("b");
  updates_fail = true;
  cr_assert_eq(refresh(), LK_EINTERNAL);
  expect_behind("the device failed");
  static const float probe[DIM] = {1, 1, 1, 1};
  lk_vectors vectors = files_vectors(probe, 1, DIM);
  cr_assert_eq(lk_gallery_verify(reader, &vectors, lk_text_of("a"), NULL, result, &error), LK_EIO);
  cr_assert(lk_result_is_behind(result));
  updates_fail = false;
  cr_assert_eq(refresh(), LK_OK, "%s", error.text);
  expect_found("acd");
}
