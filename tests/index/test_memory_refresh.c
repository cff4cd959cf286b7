/* Memory runs out while a reader follows its gallery (tests/test_memory.c has all else): it sees what it saw, and all
 * that came as soon as there is memory. */
#include <likeness/owner.h>

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "tests/support/allocations.h"
#include "tests/support/files.h"

enum { DIM = 4 };

TestSuite(memory_refresh, .init = files_setup, .fini = files_teardown);

static const float axes[DIM * DIM] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
static lk_device *device;
static lk_gallery *reader;
static const char *folder;

static void add(lk_owner *owner, const char *key) {
  lk_vectors one = files_vectors(axes, 1, DIM);
  lk_label label = {.key = lk_text_of(key), .expires_ms = LK_NEVER};
  lk_enrollment enrollment = {.vectors = &one, .labels = &label};
  cr_assert_eq(lk_owner_enroll(owner, &enrollment, NULL, NULL, NULL), LK_OK);
}

static void drop(lk_owner *owner, const char *key) {
  lk_change change = {.kind = LK_CHANGE_DELETE_KEY, .key = lk_text_of(key)};
  cr_assert_eq(lk_owner_change(owner, &change, 1, NULL, NULL, NULL), LK_OK);
}

/* A reader of the keys 0 to 3, and an owner who deletes 1 and adds a. */
static lk_owner *change_behind_a_reader(void) {
  lk_owner *owner;
  folder = files_gallery("g", LK_COSINE, DIM);
  files_enroll(folder, axes, DIM, DIM, NULL);
  cr_assert_eq(lk_owner_open(folder, &owner, NULL), LK_OK);
  reader = files_open(folder);
  cr_assert_eq(lk_gallery_load(reader, device, NULL), LK_OK);
  drop(owner, "1");
  add(owner, "a");
  return owner;
}

static void read_on(void) { lk_owner_close(change_behind_a_reader()); }

/* Segment 1 stays, with a state; there is a new segment, and a journal with a row. */
static void fold(void) {
  lk_owner *owner = change_behind_a_reader();
  lk_owner_close(owner);
  files_enroll(folder, axes, 1, DIM, &(lk_label){.key = lk_text_of("b"), .expires_ms = LK_NEVER});
  cr_assert_eq(lk_owner_open(folder, &owner, NULL), LK_OK);
  drop(owner, "2");
  add(owner, "c");
  lk_owner_close(owner);
}

static lk_status refresh(lk_error *error) { return lk_gallery_refresh(reader, NULL, error); }

static void expect_found(const char *wanted) {
  static const float probe[DIM] = {1, 1, 1, 1};
  char found[32] = "";
  lk_vectors vectors = files_vectors(probe, 1, DIM);
  lk_query query = {.probes = &vectors, .probes_count = 1, .k = 20, .threshold = -INFINITY};
  lk_result *result;
  cr_assert_eq(lk_result_open(&result, NULL), LK_OK);
  cr_assert_eq(lk_gallery_identify(reader, &query, result, NULL, NULL), LK_OK);
  for (uint32_t i = 0; i < lk_result_count(result, 0); i++)
    strncat(found, lk_result_candidate(result, 0, i).found.key.bytes, 1);
  cr_assert_str_eq(found, wanted);
  lk_result_close(result);
}

static void check_not_followed(void) { expect_found("0123"); }
static void check_read_on(void) { expect_found("023a"); }
static void check_renewed(void) { expect_found("03abc"); }

static void clean(void) {
  lk_gallery_close(reader);
  files_remove_folder(folder);
}

/* What a device allocates for its searches stays. */
static void warm_up(void (*prepare)(void)) {
  cr_assert_eq(lk_device_open("cpu", 2, &device, NULL), LK_OK);
  prepare();
  check_not_followed();
  cr_assert_eq(refresh(NULL), LK_OK);
  if (prepare == fold)
    check_renewed();
  else
    check_read_on();
  clean();
}

Test(memory_refresh, in_the_journal) {
  static const allocations_trial trial = {"refresh", read_on, refresh, check_not_followed, check_read_on, clean};
  warm_up(read_on);
  allocations_try_all(&trial, 20);
  lk_device_close(device);
}

Test(memory_refresh, over_other_files) {
  static const allocations_trial trial = {"refresh", fold, refresh, check_not_followed, check_renewed, clean};
  warm_up(fold);
  allocations_try_all(&trial, 60);
  lk_device_close(device);
}
