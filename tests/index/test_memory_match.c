/* Memory runs out while an enrollment is checked for duplicates: nobody is enrolled, and the next check is whole. */
#include <likeness/owner.h>

#include <criterion/criterion.h>

#include "base/text.h"
#include "tests/support/allocations.h"
#include "tests/support/files.h"

enum { DIM = 4 };

TestSuite(memory_match, .init = files_setup, .fini = files_teardown);

static const float axes[DIM * DIM] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
static lk_device *device;
static lk_owner *owner;
static const char *folder;

/* The keys a, b and c; each is a subject. */
static void prepare(void) {
  lk_label labels[] = {{.key = lk_text_of("a")}, {.key = lk_text_of("b")}, {.key = lk_text_of("c")}};
  lk_vectors vectors = files_vectors(axes, 3, DIM);
  lk_enrollment enrollment = {.vectors = &vectors, .labels = labels};
  lk_gallery_options options = {.dim = DIM, .metric = LK_COSINE, .store = LK_STORE_F16};
  folder = files_path("g");
  cr_assert_eq(lk_gallery_create(folder, &options, NULL), LK_OK);
  cr_assert_eq(lk_owner_open(folder, &owner, NULL), LK_OK);
  cr_assert_eq(lk_owner_load(owner, device, NULL), LK_OK);
  cr_assert_eq(lk_owner_enroll(owner, &enrollment, NULL, NULL, NULL), LK_OK);
}

/* The first row takes the place of `a`, the second is like `b`. */
static lk_status check(lk_error *error) {
  lk_label labels[] = {{.key = lk_text_of("a"), .subject = lk_text_of("d")}, {.key = lk_text_of("e")}};
  lk_vectors vectors = files_vectors(axes, 2, DIM);
  lk_enrollment enrollment = {
      .vectors = &vectors, .labels = labels, .replace = true, .unless_match = true, .match_threshold = 0.9F};
  lk_status status = lk_owner_enroll(owner, &enrollment, NULL, NULL, error);
  cr_assert_neq(status, LK_OK, "a match was passed over");
  return status == LK_EEXIST ? LK_OK : status;
}

static void expect_three(void) {
  lk_gallery_stat stat;
  lk_gallery_stat_get(lk_owner_gallery(owner), &stat);
  cr_assert_eq(stat.templates, 3);
}

static void expect_whole(void) {
  lk_error error;
  expect_three();
  cr_assert_eq(check(&error), LK_OK, "%s", error.text);
}

static void clean(void) {
  lk_owner_close(owner);
  files_remove_folder(folder);
}

Test(memory_match, in_the_check) {
  static const allocations_trial trial = {"check", prepare, check, expect_whole, expect_three, clean};
  cr_assert_eq(lk_device_open("cpu", 2, &device, NULL), LK_OK);
  prepare();
  expect_whole(); /* what a device allocates for its searches stays */
  clean();
  allocations_try_all(&trial, 15);
  lk_device_close(device);
}
