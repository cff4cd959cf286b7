/* Groups of subjects, against the closure that is made step by step. */
#include "index/duplicates/subject_groups.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tests/support/files.h"

enum { DIM = 3, ROWS = 60, SUBJECTS = 40 };

static float *rows;
static char names[ROWS][12];
static bool expired[ROWS];
static lk_gallery *gallery;

static void setup(void) {
  files_setup();
  random_state random = {9};
  lk_label labels[ROWS] = {0};
  rows = files_random(&random, ROWS, DIM);
  for (int r = 0; r < ROWS; r++) {
    snprintf(names[r], sizeof names[r], "s%u", random_below(&random, SUBJECTS));
    expired[r] = random_one_in(&random, 5);
    labels[r] = (lk_label){.subject = lk_text_of(names[r]), .expires_ms = expired[r] ? 1 : LK_NEVER - 1};
  }
  const char *folder = files_gallery("g", LK_L2, DIM);
  files_enroll(folder, rows, ROWS / 2, DIM, labels);
  files_enroll(folder, rows + ROWS / 2 * DIM, ROWS / 2, DIM, labels + ROWS / 2);
  gallery = files_open(folder);
}

static void teardown(void) {
  lk_gallery_close(gallery);
  free(rows);
  files_teardown();
}

TestSuite(subject_groups, .init = setup, .fini = teardown);

static int pairs[ROWS][2], pairs_count;

/* Spreads the least number over all that are joined until nothing changes. */
static void close_over(int group[ROWS], bool paired[ROWS]) {
  for (int r = 0; r < ROWS; r++) group[r] = r;
  for (bool changed = true; changed;) {
    changed = false;
    for (int a = 0; a < ROWS; a++)
      for (int b = 0; b < ROWS; b++) {
        bool joined = strcmp(names[a], names[b]) == 0 && !expired[a] && !expired[b];
        for (int p = 0; p < pairs_count; p++) joined = joined || (pairs[p][0] == a && pairs[p][1] == b);
        if (!joined || group[a] == group[b]) continue;
        group[a] = group[b] = group[a] < group[b] ? group[a] : group[b];
        changed = true;
      }
  }
  memset(paired, 0, ROWS * sizeof *paired);
  for (int p = 0; p < pairs_count; p++) paired[group[pairs[p][0]]] = true;
}

static void check(void) {
  lk_subject_groups groups;
  lk_error error = {0};
  int group[ROWS];
  bool paired[ROWS];
  uint32_t at = 0, count = 0;
  const uint32_t *members = NULL;
  cr_assert_eq(lk_subject_groups_open(gallery, &groups, &error), LK_OK, "%s", error.text);
  for (int p = 0; p < pairs_count; p++) {
    lk_pair pair = {.a = lk_gallery_template(gallery, (uint64_t)pairs[p][0]),
                    .b = lk_gallery_template(gallery, (uint64_t)pairs[p][1])};
    cr_assert_eq(lk_subject_groups_join(&groups, &pair, &error), LK_OK, "%s", error.text);
  }
  lk_subject_groups_list(&groups);
  close_over(group, paired);
  for (int first = 0; first < ROWS; first++) {
    if (group[first] != first || !paired[first]) continue;
    count = lk_subject_groups_next(&groups, &at, &members);
    uint32_t i = 0;
    for (int r = 0; r < ROWS; r++)
      if (group[r] == first) cr_assert(i < count && members[i++] == (uint32_t)r, "%d is not in group %d", r, first);
    cr_assert_eq(i, count, "group %d has %u, wanted %u", first, count, i);
  }
  cr_assert_eq(lk_subject_groups_next(&groups, &at, &members), 0);
  lk_subject_groups_close(&groups);
}

static int draw_living(random_state *random) {
  int row;
  do row = (int)random_below(random, ROWS);
  while (expired[row]);
  return row;
}

Test(subject_groups, are_what_closure_gives) {
  for (uint64_t i = 0; i < 40; i++) {
    random_state random = random_fork(4, i);
    pairs_count = (int)random_below(&random, (uint32_t)(i + 1));
    for (int p = 0; p < pairs_count; p++)
      for (int side = 0; side < 2; side++) pairs[p][side] = draw_living(&random);
    check();
  }
}

Test(subject_groups, no_pairs_no_groups) {
  pairs_count = 0;
  check();
}

Test(subject_groups, a_pair_of_another_gallery) {
  lk_subject_groups groups;
  lk_error error = {0};
  cr_assert_eq(lk_subject_groups_open(gallery, &groups, &error), LK_OK);
  lk_pair pair = {.a = lk_gallery_template(gallery, 0), .b = {.key = lk_text_of("nobody")}};
  cr_assert_eq(lk_subject_groups_join(&groups, &pair, &error), LK_ENOTFOUND);
  lk_subject_groups_close(&groups);
}
