#include "index/evaluation/trials.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "index/evaluation/impostor_scores.h"
#include "kernels/score.h"
#include "tests/support/files.h"

/* Two templates a subject, more probes than go into one batch, and of a third of them nobody is enrolled. */
enum { DIM = 6, SUBJECTS = 40, ROWS = 2 * SUBJECTS, PEOPLE = 60, PROBES = 1300, K = 7 };

static float *rows, *probes;
static char names[PEOPLE][8];
static lk_label row_labels[ROWS], probe_labels[PROBES];
static const lk_label_file labels = {.of_row = probe_labels, .rows = PROBES};
static lk_device *device;
static lk_gallery *gallery;

static void setup(void) {
  const lk_text groups[] = {lk_text_of("m"), lk_text_of("f"), {0}, lk_text_of("Z")};
  files_setup();
  random_state random = {17};
  rows = files_random(&random, ROWS, DIM);
  probes = files_random(&random, PROBES, DIM);
  for (int i = 0; i < PEOPLE; i++) snprintf(names[i], sizeof names[i], "p%d", i);
  for (int i = 0; i < ROWS; i++) row_labels[i].subject = lk_text_of(names[i % SUBJECTS]);
  for (int i = 0; i < PROBES; i++)
    probe_labels[i] = (lk_label){.subject = lk_text_of(names[i % PEOPLE]), .group = groups[i % 4]};
  const char *folder = files_gallery("g", LK_L2, DIM);
  files_enroll(folder, rows, ROWS, DIM, row_labels);
  gallery = files_open(folder);
  cr_assert_eq(lk_device_open("cpu", 2, &device, NULL), LK_OK);
  cr_assert_eq(lk_gallery_load(gallery, device, NULL), LK_OK);
}

static void teardown(void) {
  lk_gallery_close(gallery);
  lk_device_close(device);
  free(rows);
  free(probes);
  files_teardown();
}

TestSuite(trials, .init = setup, .fini = teardown);

static float score_of(int probe, int row) {
  return lk_score(LK_L2, probes + (size_t)probe * DIM, rows + (size_t)row * DIM, DIM);
}

static float best_of(int probe, int subject) {
  return fmaxf(score_of(probe, subject), score_of(probe, subject + SUBJECTS));
}

/* A rank is one more than the number of subjects that are better; random scores are all different. */
static lk_trial expected(int probe) {
  int person = probe % PEOPLE;
  lk_trial t = {.mated = person < SUBJECTS, .top_score = -INFINITY, .mate_rank = 1};
  for (int s = 0; s < SUBJECTS; s++) t.top_score = fmaxf(t.top_score, best_of(probe, s));
  if (t.mated) t.mate_score = best_of(probe, person);
  for (int s = 0; t.mated && s < SUBJECTS; s++) t.mate_rank += best_of(probe, s) > t.mate_score;
  if (!t.mated || t.mate_rank > K) t.mate_rank = 0;
  return t;
}

static uint64_t last_done;

static void watch(void *context, uint64_t done, uint64_t total) {
  cr_assert(context == &last_done && done > last_done && total == PROBES);
  last_done = done;
}

static void open_trials(lk_trials *trials) {
  lk_error error = {0};
  cr_assert_eq(lk_trials_open("l.csv", &labels, trials, &error), LK_OK, "%s", error.text);
}

Test(trials, are_what_brute_force_gives) {
  lk_trials trials;
  lk_error error = {0};
  lk_vectors vectors = files_vectors(probes, PROBES, DIM);
  open_trials(&trials);
  cr_assert_eq(lk_trials_search(gallery, &vectors, &labels, K, NULL, watch, &last_done, &trials, &error), LK_OK, "%s",
               error.text);
  cr_assert_eq(last_done, PROBES);
  uint32_t beyond = 0;
  for (int p = 0; p < PROBES; p++) {
    lk_trial wanted = expected(p), *got = &trials.all[p];
    cr_assert(got->mated == wanted.mated && got->mate_rank == wanted.mate_rank, "probe %d: rank %u, not %u", p,
              got->mate_rank, wanted.mate_rank);
    cr_assert_eq(got->top_score, wanted.top_score, "probe %d", p);
    if (got->mate_rank > 0) cr_assert_eq(got->mate_score, wanted.mate_score, "probe %d", p);
    beyond += wanted.mated && wanted.mate_rank == 0;
  }
  cr_assert_gt(beyond, 10);
  lk_trials_close(&trials);
}

Test(trials, groups_are_named_in_order) {
  lk_trials trials;
  open_trials(&trials);
  cr_assert(trials.count == PROBES && trials.groups_count == 3);
  cr_assert(lk_text_equal(trials.groups[0], lk_text_of("Z")));
  cr_assert(lk_text_equal(trials.groups[1], lk_text_of("f")));
  cr_assert(lk_text_equal(trials.groups[2], lk_text_of("m")));
  static const uint32_t wanted[] = {2, 1, LK_GROUP_NONE, 0};
  for (int p = 0; p < PROBES; p++) cr_assert_eq(trials.all[p].group, wanted[p % 4]);
  lk_trials_close(&trials);
  lk_trials_close(&trials);
}

/* Two at once add up; and probes of another dimension are refused. */
Test(trials, impostors_are_added) {
  lk_tally tally;
  lk_error error = {0};
  lk_vectors vectors = files_vectors(probes, 3, DIM), odd = files_vectors(probes, 3, DIM - 1);
  cr_assert_eq(lk_tally_open(&tally, NULL), LK_OK);
  for (int i = 0; i < 2; i++)
    cr_assert_eq(lk_impostor_scores_tally(gallery, &vectors, &labels, 1, NULL, NULL, NULL, &tally, &error), LK_OK);
  cr_assert_eq(tally.total, 2 * 3 * (ROWS - 2));
  cr_assert_eq(lk_impostor_scores_tally(gallery, &odd, &labels, 1, NULL, NULL, NULL, &tally, &error), LK_EDIM);
  cr_assert_eq(tally.total, 2 * 3 * (ROWS - 2));
  lk_tally_close(&tally);
}

static uint64_t count_impostors(float least) {
  uint64_t count = 0;
  for (int p = 0; p < PROBES; p++)
    for (int r = 0; r < ROWS; r++) count += p % PEOPLE != r % SUBJECTS && score_of(p, r) >= least;
  return count;
}

Test(trials, impostor_comparisons_are_counted) {
  lk_tally tally;
  lk_error error = {0};
  lk_calibration_level *levels;
  uint32_t count;
  lk_vectors vectors = files_vectors(probes, PROBES, DIM);
  cr_assert_eq(lk_tally_open(&tally, NULL), LK_OK);
  cr_assert_eq(lk_impostor_scores_tally(gallery, &vectors, &labels, 2, NULL, watch, &last_done, &tally, &error), LK_OK,
               "%s", error.text);
  cr_assert_eq(last_done, PROBES);
  cr_assert_eq(tally.total, count_impostors(-INFINITY));
  cr_assert_eq(lk_tally_levels(&tally, &levels, &count, NULL), LK_OK);
  for (uint32_t i = 0; i < count; i += 20) cr_assert_eq(levels[i].count, count_impostors(levels[i].score), "%u", i);
  free(levels);
  lk_tally_close(&tally);
}

static void refuse(const lk_label_file *bad, const char *words) {
  lk_trials trials;
  lk_error error;
  cr_assert_eq(lk_trials_open("l.csv", bad, &trials, &error), LK_EFORMAT);
  cr_assert_not_null(strstr(error.text, words), "%s", error.text);
  cr_assert_eq(strncmp(error.text, "l.csv: ", 7), 0, "%s", error.text);
  cr_assert(trials.all == NULL && trials.groups == NULL);
}

Test(trials, labels_that_will_not_do) {
  probe_labels[1234].subject = (lk_text){0};
  refuse(&labels, "row 1234 has no subject");
}

Test(trials, too_many_groups) {
  static char group_names[LK_GROUPS_MAX + 1][8];
  for (int i = 0; i <= LK_GROUPS_MAX; i++) {
    snprintf(group_names[i], sizeof group_names[i], "g%d", i);
    probe_labels[i].group = lk_text_of(group_names[i]);
  }
  for (int i = LK_GROUPS_MAX + 1; i < PROBES; i++) probe_labels[i].group = lk_text_of("g0");
  refuse(&labels, "row 256: more than 256 groups");
  probe_labels[LK_GROUPS_MAX].group = (lk_text){0};
  lk_trials trials;
  open_trials(&trials);
  cr_assert_eq(trials.groups_count, LK_GROUPS_MAX);
  lk_trials_close(&trials);
}

static void refuse_kinds(int person, const char *words) {
  lk_trials trials;
  lk_error error;
  lk_vectors vectors = files_vectors(probes, PROBES, DIM);
  for (int i = 0; i < PROBES; i++) probe_labels[i].subject = lk_text_of(names[person]);
  open_trials(&trials);
  cr_assert_eq(lk_trials_search(gallery, &vectors, &labels, K, NULL, NULL, NULL, &trials, &error), LK_EFORMAT);
  cr_assert_not_null(strstr(error.text, words), "%s", error.text);
  lk_trials_close(&trials);
}

Test(trials, both_kinds_are_needed) {
  refuse_kinds(0, "every probe has its subject in the gallery");
  refuse_kinds(PEOPLE - 1, "no probe has its subject in the gallery");
}
