/* What an owner's gallery is when the disk fails or the power does, at every call that writes. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "index/gallery/gallery.h"
#include "index/live/fold.h"
#include "tests/index/live/world.h"
#include "tests/support/faulty_disk.h"
#include "tests/support/files.h"

static char path[PATH_MAX + 2];
static lk_folder folder;
static lk_device *device;
static lk_result *result;
static world known; /* what was acknowledged */
static world doubt; /* with the change that got an error, too */

static void setup(void) {
  files_setup();
  snprintf(path, sizeof path, "%s/g", files_root);
  world_open(&known, LK_COSINE, LK_STORE_F32);
  world_open(&doubt, LK_COSINE, LK_STORE_F32);
  cr_assert_eq(lk_device_open("cpu", 1, &device, NULL), LK_OK);
  cr_assert_eq(lk_result_open(&result, NULL), LK_OK);
}

static void teardown(void) {
  faulty_disk_stop();
  lk_result_close(result);
  lk_device_close(device);
  world_close(&known);
  world_close(&doubt);
  files_teardown();
}

TestSuite(owner_faults, .init = setup, .fini = teardown);

static uint64_t seed(void) {
  const char *given = getenv("LIKENESS_SEED");
  return given != NULL ? strtoull(given, NULL, 0) : 1;
}

static void begin(void) {
  lk_gallery_options options = {.dim = WORLD_DIM, .metric = LK_COSINE, .store = LK_STORE_F32};
  files_remove_folder(path);
  cr_assert_eq(lk_gallery_create(path, &options, NULL), LK_OK);
  folder = *files_folder(path);
  faulty_disk_start(&folder);
  known.count = 0;
  known.next_number = 0;
  known.least = 12;
  world_copy(&doubt, &known);
}

static lk_status change(lk_owner *owner, random_state *random) {
  random_state before = *random;
  lk_status status = world_change(&known, random, owner, NULL);
  world_copy(&doubt, &known);
  if (status != LK_OK) cr_assert_eq(world_change(&doubt, &before, NULL, NULL), LK_OK);
  return status;
}

/* A fold that fails may have left all as it was: changes then go on, and count. */
static lk_status change_and_fold(lk_owner *owner, random_state *random) {
  static const char *const steps = "ccccJccJcAcc";
  lk_status status = LK_OK;
  for (const char *step = steps; status == LK_OK && *step != '\0'; step++) {
    if (*step == 'c')
      status = change(owner, random);
    else
      lk_fold(owner, *step == 'J' ? LK_FOLD_JOURNAL : LK_FOLD_ALL, NULL);
  }
  return status;
}

/* As known, or as in doubt; which of them is known from now on. */
static void expect_either(lk_gallery *gallery, const char *when) {
  const char *difference = world_difference(&known, gallery);
  char text[128];
  if (difference == NULL) return;
  snprintf(text, sizeof text, "%s", difference);
  difference = world_difference(&doubt, gallery);
  cr_assert_null(difference, "%s: neither without the change that failed: %s; nor with it: %s", when, text, difference);
  world_copy(&known, &doubt);
}

/* `settled`: what it sees is there for good, so that an owner must see it, too. */
static void expect_reader(bool settled, const char *when) {
  lk_gallery *reader;
  lk_error error;
  world before;
  world_open(&before, LK_COSINE, LK_STORE_F32);
  world_copy(&before, &known);
  cr_assert_eq(lk_gallery_open(path, &reader, &error), LK_OK, "%s: a reader: %s", when, error.text);
  expect_either(reader, when);
  lk_gallery_close(reader);
  if (!settled) world_copy(&known, &before);
  world_close(&before);
}

static void expect_files(const lk_owner *owner, const char *when) {
  const lk_manifest *manifest = &lk_owner_gallery(owner)->manifest;
  uint32_t named = 1 + manifest->segments_count + (manifest->state.id != 0) + manifest->journals_count;
  cr_assert_eq(files_count(path), named, "%s: %u files, not %u", when, files_count(path), named);
}

static lk_owner *reopen(random_state *random, const char *when) {
  lk_owner *owner;
  lk_error error;
  cr_assert_eq(lk_owner_open_on(&faulty_disk, path, &owner, &error), LK_OK, "%s: %s", when, error.text);
  lk_gallery *gallery = lk_owner_gallery(owner);
  expect_either(gallery, when);
  world_copy(&doubt, &known);
  expect_files(owner, when);
  cr_assert_eq(lk_gallery_check(gallery, &error), LK_OK, "%s: %s", when, error.text);
  cr_assert_eq(lk_gallery_load(gallery, device, &error), LK_OK, "%s: %s", when, error.text);
  world_expect_searches(&known, random, gallery, result, when);
  return owner;
}

/* What was found stays, and the gallery goes on. */
static void go_on(random_state *random, const char *when) {
  lk_owner *owner = reopen(random, when);
  cr_assert_eq(change(owner, random), LK_OK, "%s", when);
  lk_owner_close(owner);
  faulty_disk_cut_power(NULL);
  owner = reopen(random, when);
  cr_assert_eq(change(owner, random), LK_OK, "%s", when);
  cr_assert_eq(lk_fold(owner, LK_FOLD_ALL, NULL), LK_OK, "%s", when);
  expect_files(owner, when);
  cr_assert_eq(change(owner, random), LK_OK, "%s", when);
  world_expect_searches(&known, random, lk_owner_gallery(owner), result, when);
  lk_owner_close(owner);
  faulty_disk_cut_power(NULL);
  lk_owner_close(reopen(random, when));
}

/* Two owners, one after the other; the first failure of a change ends it. */
static void run(random_state *random, const char *when) {
  lk_status status = LK_OK;
  for (int time = 0; status == LK_OK && time < 2; time++) {
    lk_owner *owner;
    status = lk_owner_open_on(&faulty_disk, path, &owner, NULL);
    if (status != LK_OK) break;
    status = change_and_fold(owner, random);
    expect_reader(false, when);
    lk_owner_close(owner);
  }
}

enum { POWER_CUT, POWER_CUT_BY_CHANCE, PROCESS_ENDS, WAYS };

/* Call `call` fails; false: there were not so many calls. */
static bool try_call(uint64_t round, uint32_t call, int way, bool all_after) {
  static const char *const names[] = {"power cut", "power cut by chance", "the process ends"};
  random_state random = random_fork(seed() + round, 2 * call + all_after);
  char when[96];
  snprintf(when, sizeof when, "seed %llu, call %u%s, %s", (unsigned long long)(seed() + round), call,
           all_after ? " and all later ones" : "", names[way]);
  begin();
  faulty_disk_fail(call, call % 2 == 0 ? EIO : ENOSPC, all_after);
  run(&random, when);
  bool failed = faulty_disk_calls() >= call;
  faulty_disk_fail(0, 0, false);
  if (way != PROCESS_ENDS) faulty_disk_cut_power(way == POWER_CUT ? NULL : &random);
  expect_reader(true, when);
  go_on(&random, when);
  return failed;
}

static void try_all(int way, bool all_after) {
  uint64_t rounds = way == POWER_CUT_BY_CHANCE ? 2 : 1;
  for (uint64_t round = 0; round < rounds; round++) {
    uint32_t call = 1;
    while (try_call(round, call, way, all_after)) call++;
    cr_assert_gt(call, 80, "%u calls", call);
  }
}

Test(owner_faults, a_call_fails_and_the_process_ends) { try_all(PROCESS_ENDS, false); }
Test(owner_faults, a_call_fails_and_the_power_goes) { try_all(POWER_CUT, false); }
Test(owner_faults, a_call_fails_and_the_power_goes_by_chance) { try_all(POWER_CUT_BY_CHANCE, false); }
Test(owner_faults, the_disk_is_full_and_the_process_ends) { try_all(PROCESS_ENDS, true); }
Test(owner_faults, the_power_goes) { try_all(POWER_CUT, true); }
Test(owner_faults, the_power_goes_by_chance) { try_all(POWER_CUT_BY_CHANCE, true); }
