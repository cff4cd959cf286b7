/* The command line: output, errors and files. No Redis. */
#include <criterion/criterion.h>
#include <likeness/version.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/e2e/e2e.h"

static process p;

static void teardown(void) {
  process_close(&p);
  e2e_teardown();
}

TestSuite(cli, .init = e2e_setup, .fini = teardown);

Test(cli, usage) {
  EXPECT(&p, 2, "unknown command 'frobnicate'", "frobnicate");
  EXPECT(&p, 2, "--colour", "list", "a", "--colour", "red");
  EXPECT(&p, 2, "-k", "list", "a", "-k", "3");
  EXPECT(&p, 2, "needs a value", "identify", "a", "b", "-k");
  EXPECT(&p, 2, "'x'", "identify", "a", "b", "-k", "x");
  EXPECT(&p, 2, "format", "identify", "a", "b", "--format", "xml");
  EXPECT(&p, 2, "priority", "submit", "b", "--priority", "now");
}

/* Options whose values are missing or out of range: the program prints its usage and does nothing. */
Test(cli, usage_that_a_command_finds) {
  EXPECT(&p, 2, "--dim", "create", files_path("new"));
  EXPECT(&p, 2, "--dim", "create", files_path("new"), "--dim", "0");
  EXPECT(&p, 2, "4097", "create", files_path("new"), "--dim", "4097");
  EXPECT(&p, 2, "metric", "create", files_path("new"), "--dim", "4", "--metric", "manhattan");
  EXPECT(&p, 2, "name", "create", files_path("a name"), "--dim", "4");
  EXPECT(&p, 2, "-k", "identify", faces, probes, "-k", "0");
  EXPECT(&p, 2, "-k", "identify", faces, probes, "-k", "4097");
  cr_assert_str_eq(process_out(&p), "");
  EXPECT(&p, 2, "--subject", "verify", faces, probes);
  EXPECT(&p, 2, "--format", "list", faces, "--format", "svg");
  EXPECT(&p, 2, "--redis", "submit", probes, "--gallery", "faces");
  EXPECT(&p, 2, "--gallery", "submit", probes, "--redis", redis.url);
  EXPECT(&p, 2, "-k", "submit", probes, "--redis", redis.url, "--gallery", "faces", "-k", "0");
  EXPECT(&p, 2, "--job-probes", "submit", probes, "--redis", redis.url, "--gallery", "faces", "--job-probes", "0");
  EXPECT(&p, 2, "must begin with", "submit", probes, "--redis", "http://x", "--gallery", "faces");
  EXPECT(&p, 2, "password", "submit", probes, "--redis", "redis://u:hunter2@x", "--gallery", "faces");
  cr_assert_null(strstr(process_log(&p), "hunter2"), "a password in a message ends up in a log");
  EXPECT(&p, 2, "--redis", "serve", faces);
  EXPECT(&p, 2, "--batch", "serve", faces, "--redis", redis.url, "--batch", "0");
}

Test(cli, create_enroll_list_stat_check) {
  const char *made = files_path("made");
  random_state random = {3};
  float *rows = files_random(&random, 5, 8);
  files_write_npy(files_path("rows.npy"), "<f4", 5, 8, rows, 5 * 8 * sizeof(float));
  static const char labels[] = "row,subject,key,tags,expires\n4,\"Doe, J\",d4,0x10,2030-01-02T03:04:05Z\n"
                               "0,,,,\n1,alice,,3,\n2,,,,253402300800000\n3,,,,\n";
  files_write(files_path("labels.csv"), labels, sizeof labels - 1);
  EXPECT(&p, 0, "", "create", made, "--dim", "8", "--metric", "l2", "--model", "net-2");
  EXPECT(&p, 1, "made", "create", made, "--dim", "8");
  EXPECT(&p, 0, "5 templates; the first has number 0", "enroll", made, files_path("rows.npy"), "--labels",
         files_path("labels.csv"));
  EXPECT(&p, 0, "", "list", made, "--format", "csv");
  cr_assert_str_eq(process_out(&p),
                   "key,subject,tags,group,expiry,metadata\n0,0,0,,,\n1,alice,3,,,\n2,2,0,,253402300800000,\n3,3,0,,,\n"
                   "d4,\"Doe, J\",16,,2030-01-02T03:04:05Z,\n");
  EXPECT(&p, 0, "", "list", made);
  expect_out(&p, "Doe, J");
  EXPECT(&p, 0, "", "stat", made);
  expect_out(&p, "name        made\nmodel       net-2\nmetric      l2\n");
  expect_out(&p, "dim         8\ntemplates   5\nsubjects    5\n");
  EXPECT(&p, 0, "", "check", made);
  expect_out(&p, "all checksums match");
  EXPECT(&p, 1, "key 'd4' is in the gallery already", "enroll", made, files_path("rows.npy"), "--labels",
         files_path("labels.csv"));
  EXPECT(&p, 0, "", "stat", made);
  expect_out(&p, "templates   5\n");
  free(rows);
}

Test(cli, an_f16_gallery) {
  const char *made = files_path("halves");
  static const float rows[] = {1, 0x1p-11f, 3, 70000};
  EXPECT(&p, 0, "", "create", made, "--dim", "2", "--metric", "ip", "--store", "f16");
  files_write_npy(files_path("rows.npy"), "<f4", 2, 2, rows, sizeof rows);
  EXPECT(&p, 1, "row 1 has an element beyond 65504", "enroll", made, files_path("rows.npy"));
  files_write_npy(files_path("rows.npy"), "<f4", 1, 2, rows, 2 * sizeof *rows);
  EXPECT(&p, 0, "", "enroll", made, files_path("rows.npy"));
  EXPECT(&p, 0, "", "stat", made);
  expect_out(&p, "store       f16\n");
  EXPECT(&p, 0, "", "identify", made, files_path("rows.npy"), "--format", "csv");
  expect_out(&p, "0,1,0,0,1.00000024\n");
}

Test(cli, bad_files_are_named) {
  const char *odd = files_path("odd.npy");
  static const float vectors[30] = {1, 2, 3};
  EXPECT(&p, 1, "none.npy", "identify", faces, files_path("none.npy"));
  EXPECT(&p, 1, "none", "identify", files_path("none"), probes);
  EXPECT(&p, 1, "none", "stat", files_path("none"));
  EXPECT(&p, 1, "none", "list", files_path("none"));
  EXPECT(&p, 1, "none", "check", files_path("none"));
  EXPECT(&p, 1, "none", "enroll", files_path("none"), probes);
  EXPECT(&p, 1, "none", "create", files_path("none/below"), "--dim", "4");
  files_write(odd, "hello", 5);
  EXPECT(&p, 1, "odd.npy", "identify", faces, odd);
  EXPECT(&p, 1, "odd.npy", "enroll", faces, odd);
  files_write_npy(odd, "<f4", 3, 10, vectors, sizeof vectors);
  EXPECT(&p, 1, "dimension 10", "identify", faces, odd);
  EXPECT(&p, 1, "dimension 10", "enroll", faces, odd);
  EXPECT(&p, 1, "dimension 10", "verify", faces, odd, "--subject", "s1");
  files_write_npy(odd, "<f4", 0, FACES_DIM, vectors, 0);
  EXPECT(&p, 1, "no rows", "identify", faces, odd);
  EXPECT(&p, 1, "no rows", "enroll", faces, odd);
  EXPECT(&p, 1, "no rows", "submit", odd, "--redis", redis.url, "--gallery", "faces");
  EXPECT(&p, 1, "m2", "identify", faces, probes, "--model", "m2");
  EXPECT(&p, 1, "nobody", "verify", faces, probes, "--subject", "nobody");
  EXPECT(&p, 1, "tpu", "identify", faces, probes, "--device", "tpu");
  EXPECT(&p, 0, "", "check", faces);
}

Test(cli, damage_is_found) {
  size_t size;
  EXPECT(&p, 0, "", "stat", faces);
  process shell = {0};
  char script[PATH_MAX + 100];
  snprintf(script, sizeof script, "ls -S '%s' | head -1", faces);
  process_start(&shell, (const char *const[]){"sh", "-c", script, NULL});
  cr_assert_eq(process_wait(&shell, PROCESS_PATIENCE_MS), 0);
  char path[PATH_MAX + 64];
  const char *largest = process_out(&shell);
  snprintf(path, sizeof path, "%s/%.*s", faces, (int)strcspn(largest, "\n"), largest);
  process_close(&shell);
  char *data = files_read(path, &size);
  data[size / 2] ^= 1;
  files_write(path, data, size);
  free(data);
  EXPECT(&p, 1, strrchr(path, '/') + 1, "check", faces);
}

Test(cli, verify_prints) {
  EXPECT(&p, 0, "", "verify", faces, probes, "--subject", "s5", "--format", "csv");
  cr_assert_eq(strncmp(process_out(&p), "probe,key,subject,score,match\n0,", 32), 0);
  EXPECT(&p, 0, "", "verify", faces, probes, "--subject", "s5", "--format", "json", "--threshold", "0.2");
  json_error_t error;
  json_t *line = json_loads(process_out(&p), JSON_DISABLE_EOF_CHECK, &error);
  cr_assert_str_eq(reply_text(line, "subject"), "s5");
  bool reaches = json_real_value(json_object_get(line, "score")) >= 0.2;
  cr_assert_eq(json_is_true(json_object_get(line, "match")), reaches);
  json_decref(line);
}

Test(cli, the_same_bytes_on_every_instruction_set) {
  process other = {0};
  int code = likeness(&other, "identify", faces, probes, "--device", "cpu:avx2", "--format", "csv", NULL);
  if (code != 0) cr_skip("no AVX2 here: %s", process_log(&other));
  EXPECT(&p, 0, "", "identify", faces, probes, "--device", "cpu:portable", "--format", "csv");
  cr_assert_str_eq(process_out(&p), process_out(&other));
  EXPECT(&p, 0, "", "identify", faces, probes, "--threads", "1", "--format", "csv");
  cr_assert_str_eq(process_out(&p), process_out(&other));
  process_close(&other);
}

static void expect_full(const char *first, ...) {
  va_list more;
  const char *words[16] = {LIKENESS_PROGRAM, first};
  size_t count = 1;
  va_start(more, first);
  while ((words[++count] = va_arg(more, const char *)) != NULL) continue;
  va_end(more);
  p.output = "/dev/full";
  process_start(&p, words);
  cr_assert_eq(process_wait(&p, PROCESS_PATIENCE_MS), 1, "%s", first);
  cr_assert_not_null(strstr(process_log(&p), "cannot write the output"), "%s", process_log(&p));
}

Test(cli, output_to_a_full_disk_is_an_error) {
  expect_full("list", faces, NULL);
  expect_full("list", faces, "--format", "csv", NULL);
  expect_full("stat", faces, NULL);
  expect_full("check", faces, NULL);
  expect_full("identify", faces, probes, NULL);
  expect_full("identify", faces, probes, "--format", "json", NULL);
  expect_full("identify", faces, probes, "-k", "1", "--threshold", "1.5", NULL);
  expect_full("verify", faces, probes, "--subject", "s1", NULL);
  expect_full("verify", faces, probes, "--subject", "s1", "--format", "json", NULL);
}

Test(cli, all_above_a_threshold) {
  cr_assert_eq(likeness(&p, "identify", faces, probes, "-k", "all", NULL), 2);
  cr_assert_not_null(strstr(process_log(&p), "--threshold"), "%s", process_log(&p));
  cr_assert_eq(likeness(&p, "identify", faces, probes, "-k", "all", "--threshold", "0", "--by", "subject", NULL), 2);
  cr_assert_eq(likeness(&p, "identify", faces, probes, "-k", "all", "--threshold", "0.2", "--format", "csv", NULL), 0);
  process most = {0};
  cr_assert_eq(likeness(&most, "identify", faces, probes, "-k", "600", "--threshold", "0.2", "--format", "csv", NULL),
               0);
  cr_assert_gt(strlen(process_out(&p)), 1000);
  cr_assert_str_eq(process_out(&p), process_out(&most));
  process_close(&most);
}

/* Searches with one probe: the templates that are found are `wanted`, fields of the csv, and no others. */
static void expect_found(const char *keys, const char *subjects, int count, const char *const *wanted) {
  const char *keys_path = files_path("keys.txt"), *subjects_path = files_path("subjects.txt"), *one;
  files_write_npy(one = files_path("one.npy"), "<f4", 1, FACES_DIM, faces_probes, FACES_DIM * sizeof(float));
  if (keys != NULL) files_write(keys_path, keys, strlen(keys));
  if (subjects != NULL) files_write(subjects_path, subjects, strlen(subjects));
  if (subjects == NULL)
    EXPECT(&p, 0, "", "identify", faces, one, "-k", "600", "--format", "csv", "--keys", keys_path);
  else if (keys == NULL)
    EXPECT(&p, 0, "", "identify", faces, one, "-k", "600", "--format", "csv", "--subjects", subjects_path);
  else
    EXPECT(&p, 0, "", "identify", faces, one, "-k", "600", "--format", "csv", "--keys", keys_path, "--subjects",
           subjects_path);
  int lines = 0;
  for (const char *at = process_out(&p); (at = strchr(at, '\n')) != NULL; at++) lines++;
  cr_assert_eq(lines, 1 + count, "%s", process_out(&p));
  for (int i = 0; i < count; i++) expect_out(&p, wanted[i]);
}

#define FIELDS(...) \
  (const char *const[]) { __VA_ARGS__ }

Test(cli, only_listed_keys_and_subjects) {
  expect_found("t5\r\n\r\nt7, \"\xc3\xa9\"\r\nt599", NULL, 3,
               FIELDS(",t5,s1,", ",\"t7, \"\"\xc3\xa9\"\"\",s2,", ",t599,s199,"));
  cr_assert_str_eq(process_log(&p), "");
  expect_found(NULL, "s4\ns0\n", 6, FIELDS(",t0,s0,", ",t1,s0,", ",t2,s0,", ",t12,s4,", ",t13,s4,", ",t14,s4,"));
  expect_found("t5\nt1\nnobody\n", "s0\n", 4, FIELDS(",t0,s0,", ",t1,s0,", ",t2,s0,", ",t5,s1,"));
  char wanted[PATH_MAX + 100];
  snprintf(wanted, sizeof wanted, "likeness identify: warning: %s: 1 of 3 are not in the gallery, such as 'nobody'\n",
           files_path("keys.txt"));
  cr_assert_str_eq(process_log(&p), wanted);
  expect_found("nobody\n", NULL, 0, NULL);
  expect_found("s0\n", "t0\n", 0, NULL);
  cr_assert_not_null(strstr(process_log(&p), "subjects.txt: 1 of 1 are not in the gallery, such as 't0'\n"), "%s",
                     process_log(&p));
}

/* More probes than go into one batch: each batch has the lists. */
Test(cli, lists_hold_for_every_batch) {
  enum { ROWS = 2100 };
  float *many = malloc(sizeof *many * ROWS * FACES_DIM);
  for (int i = 0; i < ROWS * FACES_DIM; i++) many[i] = faces_probes[i % (FACES_PROBES * FACES_DIM)];
  files_write_vecs(files_path("many.fvecs"), sizeof *many, ROWS, FACES_DIM, many);
  files_write(files_path("keys.txt"), "t5\n", 3);
  EXPECT(&p, 0, "", "identify", faces, files_path("many.fvecs"), "--format", "csv", "--keys", files_path("keys.txt"));
  int listed = 0;
  for (const char *at = process_out(&p); (at = strstr(at, ",1,t5,s1,")) != NULL; at++) listed++;
  cr_assert_eq(listed, ROWS);
  expect_out(&p, "\n2099,1,t5,s1,");
  free(many);
}

static void expect_bad_list(const char *list, const char *words) {
  const char *path = files_path("list.txt");
  files_write(path, list, strlen(list));
  EXPECT(&p, 1, words, "identify", faces, probes, "--keys", path);
  EXPECT(&p, 1, words, "identify", faces, probes, "--subjects", path);
  cr_assert_str_eq(process_out(&p), "", "half an answer");
}

Test(cli, bad_lists_are_named) {
  char longest[300];
  memset(longest, 'x', sizeof longest);
  longest[256] = '\0';
  expect_bad_list("", "list.txt: the file is empty");
  expect_bad_list("\n\r\n", "list.txt: the list is empty");
  expect_bad_list("t1\n\nt\xff\n", "list.txt: line 3 is not UTF-8");
  expect_bad_list("t1\tt2\n", "list.txt: line 1 has a control character");
  expect_bad_list(longest, "list.txt: line 1 is longer than 255 bytes");
  EXPECT(&p, 1, "none.txt", "identify", faces, probes, "--keys", files_path("none.txt"));
}

/* The field of the line that --stats prints. */
static long long stat_of(const char *field) {
  json_error_t error;
  json_t *line = json_loads(process_log(&p), 0, &error);
  cr_assert_not_null(line, "%s: %s", error.text, process_log(&p));
  const json_t *number = json_object_get(line, field);
  cr_assert(json_is_integer(number), "%s: %s", field, process_log(&p));
  long long value = json_integer_value(number);
  json_decref(line);
  return value;
}

Test(cli, stats) {
  EXPECT(&p, 0, "", "identify", faces, probes, "--format", "csv");
  cr_assert_str_eq(process_log(&p), "");
  char *lists = strdup(process_out(&p));
  EXPECT(&p, 0, ",\"probes\":150,", "identify", faces, probes, "--format", "csv", "--stats");
  cr_assert_str_eq(process_out(&p), lists);
  cr_assert_eq(stat_of("scanned"), FACES_PROBES * FACES_ROWS);
  cr_assert_geq(stat_of("rescored"), FACES_PROBES * 10);
  cr_assert(stat_of("rounds") >= 1 && stat_of("survivors") >= 1 && stat_of("reruns") >= 0);
  const char *log = process_log(&p);
  cr_assert_eq(strchr(log, '\n') - log + 1, (ptrdiff_t)strlen(log), "one line");
  EXPECT(&p, 0, "{\"device\":\"cpu:portable,cpu:portable\",", "identify", faces, probes, "--format", "csv", "--stats",
         "--device", "cpu:portable,cpu:portable");
  cr_assert_str_eq(process_out(&p), lists);
  free(lists);
  /* A second batch is added to the first. */
  float *many = malloc(sizeof *many * 1100 * FACES_DIM);
  for (int i = 0; i < 1100 * FACES_DIM; i++) many[i] = faces_probes[i % (FACES_PROBES * FACES_DIM)];
  files_write_vecs(files_path("many.fvecs"), sizeof *many, 1100, FACES_DIM, many);
  EXPECT(&p, 0, "", "identify", faces, files_path("many.fvecs"), "--stats");
  cr_assert_eq(stat_of("probes"), 1100);
  cr_assert_eq(stat_of("scanned"), 1100LL * FACES_ROWS);
  free(many);
  EXPECT(&p, 2, "--stats", "verify", faces, probes, "--subject", "s1", "--stats");
}

/* Of so many probes that it takes some seconds; what it printed before is whole. */
Test(cli, identify_ends_at_once_when_it_is_interrupted) {
  enum { MANY = 400000 };
  const char *many = files_path("many.fvecs");
  float *data = malloc(sizeof *data * MANY * FACES_DIM);
  for (int i = 0; i < MANY * FACES_DIM; i++) data[i] = faces_probes[i % (FACES_PROBES * FACES_DIM)];
  files_write_vecs(many, sizeof *data, MANY, FACES_DIM, data);
  free(data);
  likeness_start(&p, "identify", faces, many, "-k", "100", "--format", "csv", NULL);
  for (int i = 0; i < 1000 && strlen(process_out(&p)) == 0; i++) sleep_ms(10);
  process_signal(&p, SIGINT);
  cr_assert_eq(process_wait(&p, 10000), 130);
  cr_assert_str_eq(process_log(&p), "likeness identify: interrupted\n");
  const char *out = process_out(&p);
  cr_assert(strlen(out) > 0 && out[strlen(out) - 1] == '\n');
}
