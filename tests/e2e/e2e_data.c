/* Real faces through the command line and through Redis: the same bytes, and the known answer. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <likeness/vector_file.h>
#include "tests/e2e/e2e.h"

enum { PHOTOGRAPHS = 10, DIM = 512, ROWS = 1580, PEOPLE = ROWS / PHOTOGRAPHS, PROBES = ROWS - PEOPLE };

static process worker, a, b;

static void setup(void) {
  files_setup();
  redis_server_name(&redis, files_root);
  redis_server_start(&redis, true);
}

static void teardown(void) {
  process_close(&worker);
  process_close(&a);
  process_close(&b);
  redis_server_close(&redis);
  files_teardown();
}

TestSuite(e2e_data, .init = setup, .fini = teardown);

/* Every tenth row, the first photograph of a person, into one file, and the others into another. */
static void split_faces(const lk_vectors *faces_vectors) {
  const float *rows = faces_vectors->data;
  float *first = malloc(sizeof(float) * PEOPLE * DIM), *others = malloc(sizeof(float) * PROBES * DIM);
  for (int r = 0, f = 0, o = 0; r < ROWS; r++)
    memcpy(r % PHOTOGRAPHS == 0 ? first + DIM * f++ : others + DIM * o++, rows + (size_t)DIM * r, sizeof(float) * DIM);
  files_write_npy(files_path("first.npy"), "<f4", PEOPLE, DIM, first, sizeof(float) * PEOPLE * DIM);
  files_write_npy(probes, "<f4", PROBES, DIM, others, sizeof(float) * PROBES * DIM);
  free(first);
  free(others);
}

static void enroll_first(void) {
  char labels[PEOPLE * 16] = "row,subject\n", *end = labels + strlen(labels);
  for (int i = 0; i < PEOPLE; i++) end += sprintf(end, "%d,s%03d\n", i, i);
  files_write(files_path("first.csv"), labels, (size_t)(end - labels));
  cr_assert_eq(likeness(&a, "create", faces, "--dim", "512", NULL), 0, "%s", process_log(&a));
  cr_assert_eq(likeness(&a, "enroll", faces, files_path("first.npy"), "--labels", files_path("first.csv"), NULL), 0,
               "%s", process_log(&a));
}

/* Probe p is a photograph of person p / 9; how many have that person at rank 1. */
static int count_right(const char *csv) {
  int right = 0, probe, rank, key, subject;
  for (const char *line = csv; (line = strchr(line, '\n')) != NULL;)
    if (sscanf(++line, "%d,%d,%d,s%d,", &probe, &rank, &key, &subject) == 4 && rank == 1)
      right += subject == probe / (PHOTOGRAPHS - 1);
  return right;
}

Test(e2e_data, faces_rank_1_is_right_for_1418_of_1422) {
  const char *path = LIKENESS_DATA_DIR "/faces158.npy";
  if (access(path, R_OK) != 0) cr_skip_test("%s is not there", path);
  lk_vector_file file;
  cr_assert_eq(lk_vector_file_open(path, LK_ROLE_TEMPLATES, &file, NULL), LK_OK);
  cr_assert(file.vectors.rows == ROWS && file.vectors.dim == DIM && file.vectors.element == LK_F32);
  strcpy(faces, files_path("faces"));
  strcpy(probes, files_path("probes.npy"));
  split_faces(&file.vectors);
  lk_vector_file_close(&file);
  enroll_first();
  worker_start(&worker, NULL);
  cr_assert_eq(likeness(&a, "identify", faces, probes, "--format", "csv", NULL), 0, "%s", process_log(&a));
  cr_assert_eq(likeness(&b, "submit", probes, "--redis", redis.url, "--gallery", "faces", "--format", "csv", NULL), 0,
               "%s", process_log(&b));
  cr_assert_eq(count_right(process_out(&a)), 1418);
  cr_assert_str_eq(process_out(&a), process_out(&b));
  worker_stop(&worker);
}
