/* likeness dedupe: each format against what the C API finds, groups, rules, what it refuses. No Redis. */
#include <criterion/criterion.h>
#include <likeness/dedupe.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/e2e.h"

static process p;

static void teardown(void) {
  process_close(&p);
  e2e_teardown();
}

TestSuite(dedupe, .init = e2e_setup, .fini = teardown);

#define DEDUPE(exit_code, words, ...)                                            \
  do {                                                                           \
    EXPECT(&p, exit_code, words, "dedupe", __VA_ARGS__);                         \
    if (exit_code != 0) cr_assert_str_eq(process_out(&p), "", "half an answer"); \
  } while (0)

enum { PAIRS_MOST = 2000 };
static const float threshold = 0.62F;
#define THRESHOLD "--threshold", "0.62"

static lk_gallery *gallery;
static lk_pair pairs[PAIRS_MOST];
static int pairs_count;

static lk_status take(void *context, const lk_pair *pair, lk_error *error) {
  (void)context, (void)error;
  cr_assert_lt(pairs_count, PAIRS_MOST);
  pairs[pairs_count++] = *pair;
  return LK_OK;
}

static void find_pairs(void) {
  lk_device *device;
  lk_result *result;
  lk_dedupe wanted = {.threshold = threshold, .found = take};
  pairs_count = 0;
  gallery = files_open(faces);
  cr_assert_eq(lk_device_open("cpu", 1, &device, NULL), LK_OK);
  cr_assert_eq(lk_gallery_load(gallery, device, NULL), LK_OK);
  cr_assert_eq(lk_result_open(&result, NULL), LK_OK);
  cr_assert_eq(lk_gallery_dedupe(gallery, &wanted, result, NULL), LK_OK);
  lk_result_close(result);
  cr_assert_gt(pairs_count, 20);
}

/* Some keys of the gallery have a comma and quotes. */
static void print_csv(FILE *to, lk_text text) {
  bool quotes = memchr(text.bytes, ',', text.length) != NULL;
  if (quotes) fputc('"', to);
  for (uint32_t i = 0; i < text.length; i++) {
    if (text.bytes[i] == '"') fputc('"', to);
    fputc(text.bytes[i], to);
  }
  if (quotes) fputc('"', to);
}

static void print_row(FILE *to, const lk_text *texts, int count, const char *end) {
  for (int i = 0; i < count; i++) {
    if (i > 0) fputc(',', to);
    print_csv(to, texts[i]);
  }
  fputs(end, to);
}

Test(dedupe, csv) {
  char *wanted, end[32];
  size_t size;
  find_pairs();
  FILE *to = open_memstream(&wanted, &size);
  fputs("key_a,subject_a,key_b,subject_b,score\n", to);
  for (int i = 0; i < pairs_count; i++) {
    const lk_text texts[] = {pairs[i].a.key, pairs[i].a.subject, pairs[i].b.key, pairs[i].b.subject};
    snprintf(end, sizeof end, ",%.9g\n", (double)pairs[i].score);
    print_row(to, texts, 4, end);
  }
  fclose(to);
  DEDUPE(0, "", faces, THRESHOLD, "--format", "csv");
  cr_assert_str_eq(process_out(&p), wanted);
  cr_assert_not_null(strchr(wanted, '"'), "no key needed quotes");
  cr_assert_str_eq(process_log(&p), "");
  free(wanted);
  lk_gallery_close(gallery);
}

static bool is_text(json_t *root, const char *name, lk_text text) {
  json_t *member = json_object_get(root, name);
  return json_string_length(member) == text.length && memcmp(json_string_value(member), text.bytes, text.length) == 0;
}

Test(dedupe, json) {
  find_pairs();
  DEDUPE(0, "", faces, THRESHOLD, "--format=json", "--device", "cpu:portable", "--threads", "1");
  const char *line = process_out(&p);
  for (int i = 0; i < pairs_count; i++, line = strchr(line, '\n') + 1) {
    json_t *root = json_loads(line, JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, NULL);
    cr_assert_not_null(root, "%s", line);
    cr_assert_eq(json_object_size(root), 6);
    cr_assert(is_text(root, "key_a", pairs[i].a.key) && is_text(root, "subject_a", pairs[i].a.subject), "%s", line);
    cr_assert(is_text(root, "key_b", pairs[i].b.key) && is_text(root, "subject_b", pairs[i].b.subject), "%s", line);
    cr_assert_eq((float)json_real_value(json_object_get(root, "score")), pairs[i].score);
    cr_assert_not_null(json_object_get(root, "decision"));
    json_decref(root);
  }
  cr_assert_str_eq(line, "");
  lk_gallery_close(gallery);
}

Test(dedupe, table) {
  char row[256];
  find_pairs();
  DEDUPE(0, "", faces, THRESHOLD);
  const char *out = process_out(&p);
  cr_assert_eq(strncmp(out, "key_a ", 6), 0, "%s", out);
  int lines = 0;
  for (const char *at = out; (at = strchr(at, '\n')) != NULL; at++) lines++;
  cr_assert_eq(lines, pairs_count + 2);
  for (int i = 0; i < pairs_count; i++) {
    if (pairs[i].a.key.length > 5 || pairs[i].b.key.length > 5) continue;
    snprintf(row, sizeof row, "\n%-20.*s %-20.*s %-20.*s %-20.*s %.9g\n", (int)pairs[i].a.key.length,
             pairs[i].a.key.bytes, (int)pairs[i].a.subject.length, pairs[i].a.subject.bytes, (int)pairs[i].b.key.length,
             pairs[i].b.key.bytes, (int)pairs[i].b.subject.length, pairs[i].b.subject.bytes, (double)pairs[i].score);
    cr_assert_not_null(strstr(out, row), "%s", row);
  }
  cr_assert_not_null(strstr(out, "\npolicy: none\n"), "%s", out);
  lk_gallery_close(gallery);
}

/* ---- groups ---- */

static int group[FACES_ROWS], first_of_group[FACES_ROWS], groups_count;

/* Templates 3 i to 3 i + 2 are of one subject. Numbers the groups by their first template. */
static void find_groups(void) {
  int least[FACES_ROWS];
  bool paired[FACES_ROWS] = {false};
  for (int r = 0; r < FACES_ROWS; r++) least[r] = r / 3 * 3;
  for (bool changed = true; changed;) {
    changed = false;
    for (int i = 0; i < pairs_count; i++) {
      int *a = &least[pairs[i].a.number / 3 * 3], *b = &least[pairs[i].b.number / 3 * 3];
      paired[pairs[i].a.number / 3 * 3] = paired[pairs[i].b.number / 3 * 3] = true;
      if (*a == *b) continue;
      *a = *b = *a < *b ? *a : *b;
      changed = true;
    }
  }
  groups_count = 0;
  memset(first_of_group, 0, sizeof first_of_group);
  for (int r = 0; r < FACES_ROWS; r++) {
    int subject = r / 3 * 3, first = least[subject];
    if (paired[subject] && first_of_group[first] == 0) first_of_group[first] = ++groups_count;
    group[r] = paired[subject] ? first_of_group[first] : 0;
  }
}

Test(dedupe, groups_as_csv) {
  char *wanted, number[16];
  size_t size;
  find_pairs();
  find_groups();
  FILE *to = open_memstream(&wanted, &size);
  fputs("group,key,subject\n", to);
  for (int g = 1; g <= groups_count; g++)
    for (int r = 0; r < FACES_ROWS; r++) {
      lk_template t = lk_gallery_template(gallery, (uint64_t)r);
      snprintf(number, sizeof number, "%d", g);
      const lk_text texts[] = {{number, (uint32_t)strlen(number)}, t.key, t.subject};
      if (group[r] == g) print_row(to, texts, 3, "\n");
    }
  fclose(to);
  cr_assert_gt(groups_count, 3);
  DEDUPE(0, "", faces, THRESHOLD, "--groups", "--format", "csv");
  cr_assert_str_eq(process_out(&p), wanted);
  free(wanted);
  lk_gallery_close(gallery);
}

Test(dedupe, groups_as_json_and_table) {
  char row[64];
  find_pairs();
  find_groups();
  DEDUPE(0, "", faces, "--groups", THRESHOLD, "--format", "json");
  const char *line = process_out(&p);
  size_t members = 0;
  for (int g = 1; g <= groups_count; g++, line = strchr(line, '\n') + 1) {
    json_t *root = json_loads(line, JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, NULL);
    cr_assert_not_null(root, "%s", line);
    cr_assert_eq(json_integer_value(json_object_get(root, "group")), g);
    cr_assert_not_null(json_object_get(root, "decision"));
    members += json_array_size(json_object_get(root, "templates"));
    json_decref(root);
  }
  cr_assert_str_eq(line, "");
  DEDUPE(0, "", faces, "--groups", THRESHOLD);
  size_t rows = 0;
  for (int r = 0; r < FACES_ROWS; r++) {
    rows += group[r] > 0;
    snprintf(row, sizeof row, "\n%8d  t%-19d s%d\n", group[r], r, r / 3);
    if (group[r] > 0 && r % 50 != 7) cr_assert_not_null(strstr(process_out(&p), row), "%s", row);
  }
  cr_assert_eq(members, rows);
  cr_assert_not_null(strstr(process_out(&p), "\npolicy: none\n"));
  lk_gallery_close(gallery);
}

/* ---- what it refuses ---- */

Test(dedupe, usage) {
  DEDUPE(2, "an operand is missing", THRESHOLD);
  DEDUPE(2, "there is an operand too many", faces, probes, THRESHOLD);
  DEDUPE(2, "--threshold is missing", faces);
  DEDUPE(2, "'nan' is not a number", faces, "--threshold", "nan");
  DEDUPE(2, "does not write 'svg'", faces, THRESHOLD, "--format", "svg");
  DEDUPE(2, "unknown option -k", faces, THRESHOLD, "-k", "3");
  DEDUPE(2, "--groups: takes no value", faces, THRESHOLD, "--groups=yes");
  DEDUPE(2, "--sign needs --actor", faces, THRESHOLD, "--sign", "key");
  DEDUPE(1, "none", files_path("none"), THRESHOLD);
  DEDUPE(1, "gpu", faces, THRESHOLD, "--device", "gpu");
}

Test(dedupe, of_no_pairs_prints_the_header) {
  DEDUPE(0, "", faces, "--threshold", "1", "--format", "csv");
  cr_assert_str_eq(process_out(&p), "key_a,subject_a,key_b,subject_b,score\n");
  DEDUPE(0, "", faces, "--threshold", "1", "--format", "json");
  cr_assert_str_eq(process_out(&p), "");
  DEDUPE(0, "", faces, "--threshold", "1", "--groups");
  cr_assert_str_eq(process_out(&p), "   group  key                  subject\npolicy: none\n");
}

Test(dedupe, asks_the_policy) {
  const char *policy = files_path("policy.yaml");
  char permit[] = DEMO_PERMIT "    score_decimals: 2\n", cap[] = DEMO_PERMIT "    max_candidates: 3\n";
  files_write(policy, permit, strlen(permit));
  EXPECT(&p, 0, "", "bind", faces, "--policy", policy, "--audit", files_path("audit"));
  DEDUPE(3, "permits it", faces, THRESHOLD);
  DEDUPE(3, "permits it", faces, THRESHOLD, "--groups", "--purpose", "sport", "--format", "csv");
  DEDUPE(0, "", faces, THRESHOLD, "--purpose", "demo");
  expect_out(&p, "; rules: demo\n");
  DEDUPE(0, "", faces, THRESHOLD, "--purpose", "demo", "--format", "json");
  expect_out(&p, "\"rules\":[\"demo\"]");
  DEDUPE(0, "", faces, THRESHOLD, "--purpose", "demo", "--groups", "--format", "json");
  expect_out(&p, "\"rules\":[\"demo\"]");
  files_write(policy, cap, strlen(cap));
  DEDUPE(3, "at most 3 candidates", faces, THRESHOLD, "--purpose", "demo");
}

/* It would take minutes. */
Test(dedupe, ends_at_ctrl_c) {
  enum { ROWS = 60000, DIM = 2 };
  random_state random = {8};
  float *rows = files_random(&random, ROWS, DIM);
  const char *many = files_gallery("many", LK_L2, DIM);
  files_enroll(many, rows, ROWS, DIM, NULL);
  free(rows);
  likeness_start(&p, "dedupe", many, "--threshold", "-1e9", "--groups", NULL);
  sleep_ms(1500);
  process_signal(&p, SIGINT);
  expect_exit(&p, process_wait(&p, 20000), 130, "interrupted");
  cr_assert_str_eq(process_out(&p), "");
}
