/* Files of vectors and labels on the command line. No Redis. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/e2e/e2e.h"

static process p;

static void teardown(void) {
  process_close(&p);
  e2e_teardown();
}

TestSuite(files, .init = e2e_setup, .fini = teardown);

static void write_formats(const float *floats, const uint8_t *bytes, uint64_t rows, uint32_t dim) {
  files_write_npy(files_path("f.npy"), "<f4", rows, dim, floats, rows * dim * sizeof *floats);
  files_write_npy(files_path("b.npy"), "|u1", rows, dim, bytes, rows * dim);
  files_write_vecs(files_path("f.fvecs"), sizeof *floats, rows, dim, floats);
  files_write_vecs(files_path("b.bvecs"), sizeof *bytes, rows, dim, bytes);
}

/* Enrolls `from` and searches for it, more probes than go into one batch: the lists, as csv. */
static void identify_all_of(process *run, const char *name, const char *from) {
  const char *made = files_path(name), *file = files_path(from);
  EXPECT(&p, 0, "", "create", made, "--dim", "128", "--metric", "l2");
  EXPECT(&p, 0, "1100 templates", "enroll", made, file);
  cr_assert_eq(likeness(run, "identify", made, file, "-k", "5", "--format", "csv", NULL), 0, "%s", process_log(run));
}

static void expect_same_lists(const char *one, const char *other) {
  process a = {0}, b = {0};
  char name[2][32];
  snprintf(name[0], sizeof name[0], "from-%s", one);
  snprintf(name[1], sizeof name[1], "from-%s", other);
  identify_all_of(&a, name[0], one);
  identify_all_of(&b, name[1], other);
  cr_assert_gt(strlen(process_out(&a)), 5 * 1100 * 10);
  cr_assert_str_eq(process_out(&a), process_out(&b));
  process_close(&a);
  process_close(&b);
}

/* Rows like those of SIFT: small whole numbers. */
Test(files, every_format_of_vectors_gives_the_same_lists) {
  enum { ROWS = 1100, DIM = 128 };
  random_state random = {11};
  uint8_t *bytes = malloc(ROWS * DIM);
  float *floats = malloc(sizeof *floats * ROWS * DIM);
  for (int i = 0; i < ROWS * DIM; i++) floats[i] = bytes[i] = (uint8_t)(random_below(&random, 200));
  write_formats(floats, bytes, ROWS, DIM);
  expect_same_lists("f.npy", "f.fvecs");
  expect_same_lists("b.npy", "b.bvecs");
  EXPECT(&p, 0, "", "verify", files_path("from-f.npy"), files_path("b.bvecs"), "--subject", "3", "--format", "csv");
  char *wanted = strdup(process_out(&p));
  EXPECT(&p, 0, "", "verify", files_path("from-f.npy"), files_path("f.npy"), "--subject", "3", "--format", "csv");
  cr_assert_str_eq(process_out(&p), wanted);
  free(wanted);
  free(floats);
  free(bytes);
}

static void expect_bad_vectors(const char *name, const void *data, size_t size, const char *words) {
  const char *path = files_path(name);
  files_write(path, data, size);
  EXPECT(&p, 1, words, "enroll", faces, path);
  cr_assert_not_null(strstr(process_log(&p), path), "%s", process_log(&p));
  EXPECT(&p, 1, words, "identify", faces, path);
  EXPECT(&p, 1, words, "verify", faces, path, "--subject", "s1");
  EXPECT(&p, 1, words, "submit", path, "--redis", redis.url, "--gallery", "faces");
}

Test(files, bad_vectors_are_named) {
  static const uint32_t other[] = {1, 0x3f800000, 1, 0x3f800000, 2, 0x3f800000, 0x3f800000};
  static const int32_t none = 0, negative = -3;
  static const uint32_t wide[] = {4097};
  uint64_t digest = files_digest(faces);
  expect_bad_vectors("a.fvecs", other, sizeof other, "a.fvecs: row 2 has dimension 2; row 0 has 1");
  expect_bad_vectors("a.fvecs", other, 10,
                     "row 1 is cut off: a row has 8 bytes, the file has 2 of it (6 are missing, or 2");
  expect_bad_vectors("a.bvecs", &none, sizeof none, "row 0 has dimension 0;");
  expect_bad_vectors("a.bvecs", &negative, sizeof negative, "row 0 has dimension -3;");
  expect_bad_vectors("a.bvecs", wide, sizeof wide, "row 0 has dimension 4097;");
  expect_bad_vectors("a.bvecs", "", 0, "the file is empty");
  expect_bad_vectors("a.vectors", other, 16, "not a vector file by its name, nor by its content");
  files_write(files_path("a.fvecs"), other, 16);
  EXPECT(&p, 1, "a.fvecs: vectors of dimension 1;", "enroll", faces, files_path("a.fvecs"));
  cr_assert_eq(files_digest(faces), digest);
}

static void write_bad_rows(const char *path, float a, float b) {
  float rows[6][FACES_DIM];
  for (int r = 0; r < 6; r++)
    for (int i = 0; i < FACES_DIM; i++) rows[r][i] = (float)(r + i + 1);
  rows[2][5] = a;
  memset(rows[4], 0, sizeof rows[4]);
  rows[4][0] = b;
  files_write_npy(path, "<f4", 6, FACES_DIM, rows, sizeof rows);
}

/* The error names file and row, and no row is enrolled. */
Test(files, bad_rows_are_named) {
  const char *bad = files_path("bad.npy");
  uint64_t digest = files_digest(faces);
  write_bad_rows(bad, NAN, 0);
  EXPECT(&p, 1, "bad.npy: 2 of 6 rows", "enroll", faces, bad);
  EXPECT(&p, 1, "row 2 ", "enroll", faces, bad);
  EXPECT(&p, 1, "row 4 ", "enroll", faces, bad);
  EXPECT(&p, 1, "bad.npy: probe 2 ", "identify", faces, bad, "--format", "csv");
  cr_assert_str_eq(process_out(&p), "", "half an answer");
  EXPECT(&p, 1, "bad.npy: probe 2 ", "verify", faces, bad, "--subject", "s1", "--format", "csv");
  cr_assert_str_eq(process_out(&p), "", "half an answer");
  EXPECT(&p, 1, "bad.npy: probe 2 ", "submit", bad, "--redis", redis.url, "--gallery", "faces");
  write_bad_rows(bad, 1, INFINITY);
  EXPECT(&p, 1, "row 4 ", "enroll", faces, bad);
  EXPECT(&p, 1, "bad.npy: probe 4 ", "identify", faces, bad);
  write_bad_rows(bad, 1, 1e30F);
  EXPECT(&p, 1, "bad.npy: probe 4 ", "submit", bad, "--redis", redis.url, "--gallery", "faces");
  cr_assert_eq(files_digest(faces), digest);
}

/* Keys, subjects and files that look like options or paths are texts. */
Test(files, texts_that_look_like_others) {
  char made[PATH_MAX];
  strcpy(made, files_path("made"));
  static const float rows[] = {1, 0, 0, 1};
  files_write_npy(files_path("-rows.npy"), "<f4", 2, 2, rows, sizeof rows);
  files_write(files_path("l.csv"), "id,subject\n--help,/etc/passwd\n17,-k\n", 36);
  EXPECT(&p, 0, "", "create", made, "--dim", "2");
  cr_assert_eq(chdir(files_root), 0);
  EXPECT(&p, 0, "enrolled 2", "enroll", "--labels", "l.csv", "--key-column=id", "--", made, "-rows.npy");
  EXPECT(&p, 0, "", "list", made, "--format", "csv");
  expect_out(&p, "--help,/etc/passwd,0,,,\n17,-k,0,,,\n");
  EXPECT(&p, 0, "", "verify", made, "--subject", "-k", "--", "-rows.npy");
  EXPECT(&p, 0, "", "verify", made, "--subject=/etc/passwd", "--", "-rows.npy");
}

/* A number that was given as a key is no default key any more: who enrolls without keys gets others. */
Test(files, numbers_as_keys) {
  char made[PATH_MAX];
  strcpy(made, files_path("made"));
  static const float rows[] = {1, 0, 0, 1};
  files_write_npy(files_path("rows.npy"), "<f4", 2, 2, rows, sizeof rows);
  EXPECT(&p, 0, "", "create", made, "--dim", "2");
  files_write(files_path("l.csv"), "key\n3\n900\n", 10);
  EXPECT(&p, 0, "first has number 0", "enroll", made, files_path("rows.npy"), "--labels", files_path("l.csv"));
  EXPECT(&p, 0, "first has number 2", "enroll", made, files_path("rows.npy"));
  files_write(files_path("l.csv"), "key\n\"\"\n4\n", 9);
  EXPECT(&p, 1, "row 1: key '4' is in the gallery already", "enroll", made, files_path("rows.npy"), "--labels",
         files_path("l.csv"));
  files_write(files_path("l.csv"), "key\n\"\"\n6\n", 9);
  EXPECT(&p, 0, "first has number 4", "enroll", made, files_path("rows.npy"), "--labels", files_path("l.csv"));
  EXPECT(&p, 0, "", "list", made, "--format", "csv");
  expect_out(&p, "\n3,3,0,,,\n900,900,0,,,\n2,2,0,,,\n4,4,0,,,\n7,7,0,,,\n6,6,0,,,\n");
}

static void expect_bad_labels(const char *labels, const char *words) {
  const char *path = files_path("labels.csv");
  files_write(path, labels, strlen(labels));
  EXPECT(&p, 1, words, "enroll", faces, probes, "--labels", path);
  cr_assert_not_null(strstr(process_log(&p), "labels.csv: "), "%s", process_log(&p));
}

/* Labels of all probes, of which two have keys. */
static void write_keys(int first, const char *first_key, int second, const char *second_key) {
  char text[FACES_PROBES * 16] = "key,subject\n", *end = text + strlen(text);
  for (int row = 0; row < FACES_PROBES; row++)
    end += sprintf(end, "%s,s\n", row == first ? first_key : row == second ? second_key : "");
  files_write(files_path("labels.csv"), text, (size_t)(end - text));
}

Test(files, bad_labels_are_named) {
  uint64_t digest = files_digest(faces);
  expect_bad_labels("", "empty");
  expect_bad_labels("key,subject\na,b\n", "labels.csv: has 1 labels, but there are 150 vectors");
  expect_bad_labels("row,Subject\n0,a\n", "unknown column 'Subject'; did you mean 'subject'?");
  expect_bad_labels("filename\na\n", "if it has the keys, say --key-column filename");
  expect_bad_labels("row,key\n0,a\n150,b\n", "record 3");
  expect_bad_labels("row,key\n0,a\n0,b\n", "record 3");
  expect_bad_labels("row,key\nzero,a\n", "record 2");
  expect_bad_labels("row,key\n0,\"a\n", "quotes");
  expect_bad_labels("row,tags\n7,99999999999999999999\n", "tags");
  expect_bad_labels("row,key\n0,a\xff\n", "UTF-8");
  write_keys(3, "z", 5, "z");
  EXPECT(&p, 1, "row 5: key 'z' is used twice", "enroll", faces, probes, "--labels", files_path("labels.csv"));
  write_keys(3, "t11", 4, "t12");
  EXPECT(&p, 1, "row 3: key 't11' is in the gallery already", "enroll", faces, probes, "--labels",
         files_path("labels.csv"));
  EXPECT(&p, 1, "none.csv", "enroll", faces, probes, "--labels", files_path("none.csv"));
  cr_assert_eq(files_digest(faces), digest);
}
