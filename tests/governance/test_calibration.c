#include "governance/calibration.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tests/support/files.h"

TestSuite(calibration, .init = files_setup, .fini = files_teardown);

static lk_calibration_level levels[] = {{0.75F, 0}, {0.7F, 1}, {0.5F, 4}, {0.1F, 10}, {-0.2F, 900}, {-1.0F, 1000}};
static const lk_calibration made = {.model = "net \"2\" \xc3\xa9",
                                    .metric = LK_L2,
                                    .dim = 128,
                                    .templates = 10,
                                    .probes = 101,
                                    .comparisons = 1000,
                                    .levels = levels,
                                    .levels_count = 6};

Test(calibration, written_and_read) {
  const char *path = files_path("cal.json");
  lk_calibration read;
  lk_error error = {0};
  cr_assert_eq(lk_calibration_write(path, &made, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_calibration_open(path, &read, NULL, &error), LK_OK, "%s", error.text);
  cr_assert_str_eq(read.model, made.model);
  cr_assert(read.metric == LK_L2 && read.dim == 128 && read.templates == 10 && read.probes == 101);
  cr_assert(read.comparisons == 1000 && read.levels_count == 6);
  for (int i = 0; i < 6; i++)
    cr_assert(read.levels[i].score == levels[i].score && read.levels[i].count == levels[i].count);
  lk_calibration_close(&read);
  lk_calibration_close(&read);
}

/* To the last bit, as a policy's threshold must be the one that was measured. */
Test(calibration, every_float_comes_back) {
  enum { LEVELS = 5000 };
  lk_calibration_level *many = malloc(LEVELS * sizeof *many);
  float score = 0.12F; /* where eight digits would not do */
  random_state random = {9};
  for (int i = 0; i < LEVELS; i++) {
    many[i] = (lk_calibration_level){.score = score, .count = (uint64_t)i};
    for (uint32_t steps = 1 + random_below(&random, 3); steps > 0; steps--) score = nextafterf(score, -INFINITY);
    if (i % 500 == 499) score = score > 1e-30F ? score * 1e-6F : -1 - (float)i;
  }
  lk_calibration calibration = made, read;
  calibration.levels = many;
  calibration.levels_count = LEVELS;
  calibration.comparisons = LEVELS - 1;
  calibration.templates = LEVELS;
  lk_error error = {0};
  cr_assert_eq(lk_calibration_write(files_path("cal.json"), &calibration, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_calibration_open(files_path("cal.json"), &read, NULL, &error), LK_OK, "%s", error.text);
  for (int i = 0; i < LEVELS; i++) cr_assert_eq(read.levels[i].score, many[i].score, "%d", i);
  lk_calibration_close(&read);
  free(many);
}

static void expect_score(double fmr, float wanted) {
  float score;
  lk_error error = {0};
  cr_assert_eq(lk_calibration_score(&made, fmr, &score, &error), LK_OK, "%s", error.text);
  cr_assert_eq(score, wanted, "FMR %g: %g", fmr, (double)score);
}

Test(calibration, scores_for_rates) {
  expect_score(1, -1.0F);
  expect_score(0.999, -0.2F);
  expect_score(0.9, -0.2F);
  expect_score(0.899, 0.1F);
  expect_score(0.01, 0.1F);
  expect_score(0.0099, 0.5F);
  expect_score(0.004, 0.5F);
  expect_score(0.0039, 0.7F);
  expect_score(0.003, 0.7F);
}

/* Where the highest scores are many and equal, only the level above them will do. */
Test(calibration, the_level_above_all_scores) {
  lk_calibration_level tied[] = {{0.8F, 0}, {0.7F, 500}, {0, 1000}};
  lk_calibration calibration = made;
  calibration.levels = tied;
  calibration.levels_count = 3;
  float score;
  cr_assert_eq(lk_calibration_score(&calibration, 0.4, &score, NULL), LK_OK);
  cr_assert_eq(score, 0.8F);
}

static void refuse_rate(double fmr, const char *words) {
  float score;
  lk_error error;
  cr_assert_eq(lk_calibration_score(&made, fmr, &score, &error), LK_EINVAL, "%g", fmr);
  cr_assert_not_null(strstr(error.text, words), "%s", error.text);
}

Test(calibration, rates_that_it_cannot_support) {
  refuse_rate(0.00299, "0.00299 cannot be established: the calibration of model");
  refuse_rate(0.00299, "its least FMR is 3 in as many, 0.003");
  refuse_rate(0, "model 'net \"2\"");
  refuse_rate(-0.1, "0 .. 1");
  refuse_rate(1.01, "0 .. 1");
  refuse_rate(NAN, "0 .. 1");
}

Test(calibration, rates_of_scores) {
  cr_assert_eq(lk_calibration_fmr(&made, 0.9F), 0);
  cr_assert_eq(lk_calibration_fmr(&made, 0.75F), 0);
  cr_assert_eq(lk_calibration_fmr(&made, 0.74F), 0.001);
  cr_assert_eq(lk_calibration_fmr(&made, 0.5F), 0.004);
  cr_assert_eq(lk_calibration_fmr(&made, 0.3F), 0.01);
  cr_assert_eq(lk_calibration_fmr(&made, -1), 1);
  cr_assert_eq(lk_calibration_fmr(&made, -2), 1);
  cr_assert_eq(lk_calibration_fmr(&made, NAN), 1);
}

static const char good[] = "{\"file\": \"likeness calibration\", \"version\": 1, \"model\": \"m\", \"metric\": "
                           "\"cosine\", \"dim\": 8, \"templates\": 2, \"probes\": 5, \"comparisons\": 10, "
                           "\"levels\": [[0.5, 0], [0, 10]]}";

/* The good file with `from` replaced by `to`, in memory of its own. */
static lk_status parse_changed(const char *from, const char *to, lk_calibration *calibration, lk_error *error) {
  const char *at = strstr(good, from);
  cr_assert_not_null(at, "%s", from);
  size_t size = sizeof good - 1 - strlen(from) + strlen(to);
  char *copy = malloc(size + 1);
  snprintf(copy, size + 1, "%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
  char *exact = malloc(size);
  memcpy(exact, copy, size);
  lk_status status = lk_calibration_parse("cal.json", exact, size, calibration, NULL, error);
  free(exact);
  free(copy);
  return status;
}

static void refuse(const char *from, const char *to, const char *words) {
  lk_calibration calibration;
  lk_error error;
  cr_assert_eq(parse_changed(from, to, &calibration, &error), LK_EFORMAT, "%s", to);
  cr_assert_not_null(strstr(error.text, words), "'%s' is not in '%s'", words, error.text);
  cr_assert_eq(strncmp(error.text, "cal.json: ", 10), 0, "%s", error.text);
  cr_assert_null(calibration.levels);
}

Test(calibration, bad_files_are_named) {
  lk_calibration calibration;
  cr_assert_eq(parse_changed("m", "m", &calibration, NULL), LK_OK);
  lk_calibration_close(&calibration);
  refuse("{\"file\"", "{\"file\", ", "line 1");
  refuse("\"file\"", "\"fill\"", "not a calibration");
  refuse("likeness calibration", "likeness manifest", "the file says 'likeness manifest'");
  refuse("\"version\": 1", "\"version\": 2", "version 2; this build reads 1");
  refuse("\"model\": \"m\"", "\"model\": 3", "Expected string, got integer");
  refuse("\"model\"", "\"modem\"", "not found: model");
  refuse("\"model\": \"m\"", "\"model\": \"a\\u0007\"", "out of range");
  refuse("cosine", "cosinus", "out of range");
  refuse("\"dim\": 8", "\"dim\": 0", "out of range");
  refuse("\"dim\": 8", "\"dim\": 4097", "out of range");
  refuse("\"templates\": 2", "\"templates\": 1", "out of range");
  refuse("\"probes\": 5", "\"probes\": 0", "out of range");
  refuse("\"probes\": 5", "\"probes\": -5", "out of range");
  refuse("\"comparisons\": 10", "\"comparisons\": 0", "out of range");
  refuse("\"comparisons\": 10", "\"comparisons\": 11", "out of range");
  refuse("\"comparisons\": 10", "\"comparisons\": 9", "must begin with 0");
  refuse("\"dim\": 8", "\"dim\": 8, \"dim\": 9", "duplicate");
}

Test(calibration, bad_levels_are_named) {
  refuse("[[0.5, 0], [0, 10]]", "{}", "out of range");
  refuse("[[0.5, 0], [0, 10]]", "[]", "must begin with 0");
  refuse("[[0.5, 0], [0, 10]]", "[[0.5, 0]]", "must begin with 0");
  refuse("[0.5, 0]", "[0.5, 1]", "must begin with 0");
  refuse("[0.5, 0]", "[0.5]", "level 0 is not");
  refuse("[0.5, 0]", "[0.5, 0, 0]", "level 0 is not");
  refuse("[0.5, 0]", "[\"0.5\", 0]", "level 0 is not");
  refuse("[0.5, 0]", "[1e300, 0]", "level 0 is not");
  refuse("[0, 10]", "[0, 10.5]", "level 1 is not");
  refuse("[0, 10]", "[0, -10]", "level 1 is not");
  refuse("[0, 10]", "[0.5, 10]", "level 1: scores must fall");
  refuse("[0, 10]", "[0.6, 10]", "level 1: scores must fall");
  refuse("[0, 10]", "[0.4, 0], [0, 10]", "level 1: scores must fall, and counts rise");
}

Test(calibration, files_that_are_not_there_or_empty) {
  lk_calibration calibration;
  lk_error error;
  cr_assert_eq(lk_calibration_open(files_path("none.json"), &calibration, NULL, &error), LK_EIO);
  cr_assert_not_null(strstr(error.text, "none.json"));
  files_write(files_path("empty.json"), "", 0);
  cr_assert_eq(lk_calibration_open(files_path("empty.json"), &calibration, NULL, &error), LK_EFORMAT);
  cr_assert_not_null(strstr(error.text, "empty.json"));
}

/* Scores of another metric have another scale. */
Test(calibration, fits_its_model_and_metric) {
  lk_calibration c = {.metric = LK_L2, .model = "m"};
  cr_assert(lk_calibration_fits(&c, lk_text_of("m"), LK_L2));
  cr_assert(!lk_calibration_fits(&c, lk_text_of("m"), LK_COSINE));
  cr_assert(!lk_calibration_fits(&c, lk_text_of("n"), LK_L2));
}
