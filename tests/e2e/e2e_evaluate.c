/* likeness evaluate: real faces with known counts, what it prints in each format, what it refuses. No Redis. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <likeness/vector_file.h>
#include "governance/calibration.h"
#include "tests/e2e/e2e.h"

static process p;
static char csv[PATH_MAX];

static void write_labels(const char *header, int people, const char *const groups[4]) {
  char *text = malloc(FACES_PROBES * 32), *end = text + sprintf(text, "%s", header);
  for (int i = 0; i < FACES_PROBES; i++)
    end += sprintf(end, "%d,s%d,%s\n", i, i * people / FACES_PROBES, groups[i % 4]);
  files_write(csv, text, (size_t)(end - text));
  free(text);
}

static const char *const usual_groups[4] = {"a", "b", "a", "\"x<&>\"\"y\""};

/* The gallery has subjects s0 .. s199: of 300 people two thirds are enrolled. */
static void setup(void) {
  e2e_setup();
  strcpy(csv, files_path("labels.csv"));
  write_labels("row,subject,group\n", 300, usual_groups);
}

static void teardown(void) {
  process_close(&p);
  e2e_teardown();
}

TestSuite(evaluate, .init = setup, .fini = teardown);

#define EVALUATE(exit_code, words, ...)                                          \
  do {                                                                           \
    EXPECT(&p, exit_code, words, "evaluate", __VA_ARGS__);                       \
    if (exit_code != 0) cr_assert_str_eq(process_out(&p), "", "half an answer"); \
  } while (0)

Test(evaluate, usage) {
  EVALUATE(2, "an operand is missing", faces);
  EVALUATE(2, "--labels is missing", faces, probes);
  EVALUATE(2, "not both", faces, probes, "--labels", csv, "--fpir", "0.01", "--threshold", "0.3");
  EVALUATE(2, "1.01 is outside 0 .. 1", faces, probes, "--labels", csv, "--fpir", "1.01");
  EVALUATE(2, "-0.1 is outside 0 .. 1", faces, probes, "--labels", csv, "--fpir", "-0.1");
  EVALUATE(2, "'nan' is not a number", faces, probes, "--labels", csv, "--fpir", "nan");
  EVALUATE(2, "--rank: 0 is outside", faces, probes, "--labels", csv, "--rank", "0");
  EVALUATE(2, "--rank: 4097 is outside", faces, probes, "--labels", csv, "--rank", "4097");
  EVALUATE(2, "this command does not write 'csv'", faces, probes, "--labels", csv, "--format", "csv");
  cr_assert_eq(likeness(&p, "identify", faces, probes, "--format", "svg", NULL), 2);
  cr_assert_eq(likeness(&p, "verify", faces, probes, "--subject", "s1", "--format", "svg", NULL), 2);
  cr_assert_eq(likeness(&p, "list", faces, "--format", "svg", NULL), 2);
  cr_assert_eq(likeness(&p, "submit", probes, "--redis", "unix:x", "--gallery", "g", "--format", "svg", NULL), 2);
}

static void expect_bad_labels(const char *labels, const char *words) {
  files_write(csv, labels, strlen(labels));
  EVALUATE(1, words, faces, probes, "--labels", csv);
}

Test(evaluate, bad_labels) {
  expect_bad_labels("row,subject\n0,s1\n1,s2\n", "labels.csv: has 2 labels, but there are 150 vectors");
  write_labels("row,key,group\n", 300, usual_groups);
  EVALUATE(1, "labels.csv: row 0 has no subject", faces, probes, "--labels", csv);
  expect_bad_labels("row,subject,Group\n0,s1,F\n", "unknown column 'Group'; did you mean 'group'?");
  expect_bad_labels("row,subject\n150,s1\n", "there is no row 150 of the 150 vectors");
  expect_bad_labels("", "empty");
  write_labels("row,subject,group\n", 200, usual_groups);
  EVALUATE(1, "FPIR needs non-mated searches", faces, probes, "--labels", csv);
  files_write_npy(files_path("none.npy"), "<f4", 0, FACES_DIM, "", 0);
  EVALUATE(1, "none.npy: the file has no rows", faces, files_path("none.npy"), "--labels", csv);
}

Test(evaluate, other_bad_input) {
  EVALUATE(1, "none.csv", faces, probes, "--labels", files_path("none.csv"));
  EVALUATE(1, "none", files_path("none"), probes, "--labels", csv);
  EVALUATE(1, "m2", faces, probes, "--labels", csv, "--model", "m2");
  EVALUATE(1, "cal.json", faces, probes, "--labels", csv, "--calibration", files_path("no/folder/cal.json"));
  files_write_npy(files_path("odd.npy"), "<f4", FACES_PROBES, 2, faces_probes, FACES_PROBES * 2 * sizeof(float));
  EVALUATE(1, "dimension 2", faces, files_path("odd.npy"), "--labels", csv);
}

static json_t *evaluation(const char *option, const char *value) {
  int code = likeness(&p, "evaluate", faces, probes, "--labels", csv, "--format", "json", option, value, NULL);
  cr_assert_eq(code, 0, "%s", process_log(&p));
  json_error_t error;
  json_t *root = json_loads(process_out(&p), JSON_REJECT_DUPLICATES, &error);
  cr_assert_not_null(root, "%s", error.text);
  return root;
}

static int64_t count_in(json_t *group, const char *rate) {
  return json_integer_value(json_object_get(json_object_get(group, rate), "count"));
}

/* "7/50" of a rate, as the table writes it. */
static void format_count(json_t *rate, char text[48]) {
  snprintf(text, 48, " %d/%d ", (int)json_integer_value(json_object_get(rate, "count")),
           (int)json_integer_value(json_object_get(rate, "of")));
}

static void check_line(const char *line, const char *name, json_t *fpir, json_t *fnir) {
  char first[48], second[48], value[32];
  format_count(fpir, first);
  format_count(fnir, second);
  snprintf(value, sizeof value, " %.4g ", json_number_value(json_object_get(fpir, "rate")));
  const char *end = strchr(line, '\n'), *at = strstr(line, first);
  cr_assert(strncmp(line, name, strlen(name)) == 0 && at != NULL && at < end, "%s:%s in %s", name, first, line);
  cr_assert(strstr(line, value) != NULL && strstr(line, value) < end, "%s", line);
  at = strstr(at, second);
  cr_assert(at != NULL && at < end, "%s:%s in %s", name, second, line);
}

Test(evaluate, the_table_has_the_numbers_of_the_json) {
  json_t *root = evaluation("--fpir", "0.3"), *group;
  EVALUATE(0, "", faces, probes, "--labels", csv, "--fpir", "0.3");
  const char *line = strstr(process_out(&p), "\nall ");
  cr_assert_not_null(line);
  group = json_object_get(root, "all");
  check_line(++line, "all", json_object_get(group, "fpir"), json_object_get(group, "fnir"));
  size_t i;
  cr_assert_eq(json_array_size(json_object_get(root, "groups")), 3);
  json_array_foreach(json_object_get(root, "groups"), i, group) {
    line = strchr(line, '\n') + 1;
    check_line(line, json_string_value(json_object_get(group, "group")), json_object_get(group, "fpir"),
               json_object_get(group, "fnir"));
  }
  char words[64];
  json_t *spread = json_object_get(root, "fpir_spread");
  snprintf(words, sizeof words, "\nGini %23.4g", json_number_value(json_object_get(spread, "gini")));
  cr_assert_not_null(strstr(process_out(&p), words), "'%s' is not in %s", words, process_out(&p));
  snprintf(words, sizeof words, "threshold  %.9g, for an FPIR of at most 0.3\n",
           json_number_value(json_object_get(root, "threshold")));
  cr_assert_not_null(strstr(process_out(&p), words), "'%s' is not in %s", words, process_out(&p));
  json_decref(root);
}

/* The groups' counts add up, and the curve passes through the rates at the threshold that was chosen. */
Test(evaluate, the_json_agrees_with_itself) {
  json_t *root = evaluation("--fpir", "0.2"), *group, *point, *all = json_object_get(root, "all");
  int64_t fpir = 0, fnir = 0;
  size_t i;
  json_array_foreach(json_object_get(root, "groups"), i, group) {
    fpir += count_in(group, "fpir");
    fnir += count_in(group, "fnir");
  }
  cr_assert(fpir == count_in(all, "fpir") && fnir == count_in(all, "fnir"));
  double threshold = json_number_value(json_object_get(root, "threshold"));
  bool met = false;
  json_array_foreach(json_object_get(all, "det"), i, point) {
    if (json_number_value(json_object_get(point, "threshold")) != threshold) continue;
    met = count_in(point, "fpir") == fpir && count_in(point, "fnir") == fnir;
  }
  cr_assert(met || json_array_size(json_object_get(all, "det")) < FACES_PROBES, "the threshold is on no curve");
  cr_assert_eq(json_integer_value(json_object_get(root, "mated")), 100);
  cr_assert_eq(json_integer_value(json_object_get(root, "non_mated")), 50);
  json_decref(root);
}

/* One float below the threshold that --fpir chose, or at the next lower score, FPIR is more than wanted. */
Test(evaluate, the_threshold_for_a_rate_is_the_least) {
  char lower[32];
  json_t *root = evaluation("--fpir", "0.1"), *point;
  double threshold = json_number_value(json_object_get(root, "threshold"));
  cr_assert_leq(count_in(json_object_get(root, "all"), "fpir"), 5);
  size_t i;
  double next = -1;
  json_array_foreach(json_object_get(json_object_get(root, "all"), "det"), i, point) {
    double at = json_number_value(json_object_get(point, "threshold"));
    if (at < threshold && at > next && count_in(point, "fpir") > 5) next = at;
  }
  json_decref(root);
  snprintf(lower, sizeof lower, "%.9g", next);
  root = evaluation("--threshold", lower);
  cr_assert_gt(count_in(json_object_get(root, "all"), "fpir"), 5);
  json_decref(root);
}

/* At the rank of the last subject every mate is found. */
Test(evaluate, deeper_ranks_find_more) {
  json_t *first = evaluation("--threshold", "-1");
  cr_assert_gt(count_in(json_object_get(first, "all"), "fnir"), 50);
  json_decref(first);
  EVALUATE(0, "", faces, probes, "--labels", csv, "--format", "json", "--threshold", "-1", "--rank", "200");
  json_t *last = json_loads(process_out(&p), 0, NULL);
  cr_assert_eq(count_in(json_object_get(last, "all"), "fnir"), 0);
  cr_assert_eq(count_in(json_object_get(last, "all"), "fpir"), 50);
  json_decref(last);
}

static bool is_there(const char *program) {
  process shell = {0};
  char script[64];
  snprintf(script, sizeof script, "command -v %s", program);
  process_start(&shell, (const char *const[]){"sh", "-c", script, NULL});
  bool there = process_wait(&shell, PROCESS_PATIENCE_MS) == 0;
  process_close(&shell);
  return there;
}

/* One curve for all and one for each group; a name with all of XML's characters; well formed, by a parser's word. */
Test(evaluate, the_picture) {
  EVALUATE(0, "", faces, probes, "--labels", csv, "--format", "svg");
  const char *svg = process_out(&p);
  int curves = 0;
  for (const char *at = svg; (at = strstr(at, "<polyline")) != NULL; at++) curves++;
  cr_assert_eq(curves, 4);
  cr_assert_not_null(strstr(svg, ">x&#60;&#38;&#62;&#34;y</text>"));
  cr_assert_not_null(strstr(svg, "(FPIR)</text>"));
  cr_assert(strstr(svg, "nan") == NULL && strstr(svg, "inf") == NULL);
  cr_assert_eq(strcmp(svg + strlen(svg) - 7, "</svg>\n"), 0);
  if (!is_there("python3")) cr_skip("python3 is not there");
  files_write(files_path("det.svg"), svg, strlen(svg));
  process parser = {0};
  process_start(&parser,
                (const char *const[]){"python3", "-c", "import sys, xml.dom.minidom as m; m.parse(sys.argv[1])",
                                      files_path("det.svg"), NULL});
  cr_assert_eq(process_wait(&parser, PROCESS_PATIENCE_MS), 0, "%s", process_log(&parser));
  process_close(&parser);
}

Test(evaluate, a_calibration) {
  const char *path = files_path("cal.json");
  EVALUATE(0, "comparisons of different subjects", faces, probes, "--labels", csv, "--calibration", path);
  lk_calibration c;
  lk_error error = {0};
  cr_assert_eq(lk_calibration_open(path, &c, NULL, &error), LK_OK, "%s", error.text);
  cr_assert_str_eq(c.model, "m1");
  cr_assert(c.metric == LK_COSINE && c.dim == FACES_DIM && c.templates == FACES_ROWS && c.probes == FACES_PROBES);
  /* A mated probe is compared with all but the three templates of its subject. */
  cr_assert_eq(c.comparisons, FACES_PROBES * FACES_ROWS - 100 * 3);
  lk_calibration_close(&c);
}

static const char *write_faces(const char *name, const float *rows, const int *picked, int count,
                               const char *const *lines) {
  float *data = malloc(sizeof(float) * 512 * (size_t)count);
  char *text = malloc((size_t)count * 32 + 32), *end = text + sprintf(text, "row,subject,group\n"), file[32];
  for (int i = 0; i < count; i++) {
    memcpy(data + (size_t)i * 512, rows + (size_t)picked[i] * 512, 512 * sizeof *data);
    end += sprintf(end, "%d%s\n", i, lines[picked[i]]);
  }
  snprintf(file, sizeof file, "%s.csv", name);
  files_write(files_path(file), text, (size_t)(end - text));
  snprintf(file, sizeof file, "%s.npy", name);
  const char *path = files_path(file);
  files_write_npy(path, "<f4", (uint64_t)count, 512, data, sizeof(float) * 512 * (size_t)count);
  free(data);
  free(text);
  return path;
}

enum { FACES = 1580, PEOPLE = 79, OTHERS = FACES - PEOPLE };

/* The first photographs of 79 people are enrolled in "half"; all others are in "others". */
static void enroll_half(const lk_vectors *vectors, char *records) {
  const char *lines[FACES];
  int enrolled[PEOPLE], others[OTHERS], e = 0, o = 0;
  char *line = strchr(records, '\n') + 1;
  for (int row = 0; row < FACES; row++) {
    lines[row] = strchr(line, ',');
    line = strchr(line, '\n');
    *line++ = '\0';
    if (row % 10 == 0 && e < PEOPLE)
      enrolled[e++] = row;
    else
      others[o++] = row;
  }
  cr_assert_eq(o, OTHERS);
  write_faces("enrolled", vectors->data, enrolled, PEOPLE, lines);
  write_faces("others", vectors->data, others, OTHERS, lines);
  cr_assert_eq(likeness(&p, "create", files_path("half"), "--dim", "512", "--model", "net", NULL), 0);
  cr_assert_eq(likeness(&p, "enroll", files_path("half"), files_path("enrolled.npy"), "--labels",
                        files_path("enrolled.csv"), NULL),
               0, "%s", process_log(&p));
}

static void open_half(void) {
  const char *path = LIKENESS_DATA_DIR "/faces158.npy";
  if (access(path, R_OK) != 0) cr_skip_test("%s is not there", path);
  lk_vector_file file;
  size_t size;
  cr_assert_eq(lk_vector_file_open(path, LK_ROLE_TEMPLATES, &file, NULL), LK_OK);
  cr_assert(file.vectors.rows == FACES && file.vectors.dim == 512 && file.vectors.element == LK_F32);
  char *bytes = files_read(LIKENESS_DATA_DIR "/faces158.csv", &size), *records = strndup(bytes, size);
  enroll_half(&file.vectors, records);
  lk_vector_file_close(&file);
  free(bytes);
  free(records);
}

static void expect_counts(json_t *group, const char *name, int fpir, int non_mated, int fnir, int mated) {
  char got[2][48], wanted[2][48];
  format_count(json_object_get(group, "fpir"), got[0]);
  format_count(json_object_get(group, "fnir"), got[1]);
  snprintf(wanted[0], sizeof wanted[0], " %d/%d ", fpir, non_mated);
  snprintf(wanted[1], sizeof wanted[1], " %d/%d ", fnir, mated);
  cr_assert_str_eq(got[0], wanted[0]);
  cr_assert_str_eq(got[1], wanted[1]);
  const char *text = json_string_value(json_object_get(group, "group"));
  cr_assert(name == NULL ? text == NULL : strcmp(text, name) == 0);
}

static const struct {
  const char *threshold;
  int fpir[3], fnir[3]; /* all, F, M */
} known[] = {{"0.30", {61, 2, 59}, {1, 1, 0}}, {"0.36", {11, 1, 10}, {5, 5, 0}}, {"0.40", {3, 0, 3}, {10, 9, 1}}};

Test(evaluate, faces_counts_as_known) {
  open_half();
  for (int i = 0; i < 3; i++) {
    EVALUATE(0, "", files_path("half"), files_path("others.npy"), "--labels", files_path("others.csv"), "--threshold",
             known[i].threshold, "--format", "json");
    json_t *root = json_loads(process_out(&p), 0, NULL), *groups = json_object_get(root, "groups");
    cr_assert_eq(json_array_size(groups), 2);
    expect_counts(json_object_get(root, "all"), NULL, known[i].fpir[0], 790, known[i].fnir[0], 711);
    expect_counts(json_array_get(groups, 0), "F", known[i].fpir[1], 180, known[i].fnir[1], 126);
    expect_counts(json_array_get(groups, 1), "M", known[i].fpir[2], 610, known[i].fnir[2], 585);
    json_decref(root);
    EVALUATE(0, "", files_path("half"), files_path("others.npy"), "--labels", files_path("others.csv"), "--threshold",
             known[i].threshold);
    char words[32];
    snprintf(words, sizeof words, " %d/790 ", known[i].fpir[0]);
    cr_assert_not_null(strstr(process_out(&p), words), "%s", process_out(&p));
    snprintf(words, sizeof words, " %d/585 ", known[i].fnir[2]);
    cr_assert_not_null(strstr(process_out(&p), words), "%s", process_out(&p));
  }
}

/* 7 of 790 are at most 0.01, 8 are not. */
Test(evaluate, faces_threshold_and_calibration) {
  open_half();
  EVALUATE(0, "117868 comparisons", files_path("half"), files_path("others.npy"), "--labels", files_path("others.csv"),
           "--calibration", files_path("cal.json"));
  cr_assert_not_null(strstr(process_out(&p), " 7/790 "), "%s", process_out(&p));
  lk_calibration c;
  float score;
  lk_error error = {0};
  cr_assert_eq(lk_calibration_open(files_path("cal.json"), &c, NULL, &error), LK_OK, "%s", error.text);
  cr_assert_eq(c.comparisons, 1501 * 79 - 711);
  cr_assert_eq(lk_calibration_score(&c, 1e-4, &score, &error), LK_OK, "%s", error.text);
  cr_assert(score > 0.36F && score < 0.40F, "%g", (double)score);
  cr_assert_eq(lk_calibration_score(&c, 2e-5, &score, &error), LK_EINVAL);
  lk_calibration_close(&c);
}
