/* The commands that change a gallery: delete, tag, expire, compact, enroll --replace, and enroll
 * --unless-match. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "tests/e2e/e2e.h"

enum { DIM = 8, ROWS = 20, NEW_ROWS = 3, ROW_BYTES = DIM * (int)sizeof(float) };

static process p;
static char people[PATH_MAX], vectors[PATH_MAX], labels[PATH_MAX], list[PATH_MAX];
static float *rows; /* ROWS of the gallery, then NEW_ROWS */

/* Row i has the key person-<i>; two rows make a subject, family-<i / 2>. */
static void write_labels(uint32_t from, uint32_t count) {
  FILE *file = fopen(labels, "w");
  fputs("key,subject,tags\n", file);
  for (uint32_t i = from; i < from + count; i++) fprintf(file, "person-%u,family-%u,1\n", i, i / 2);
  cr_assert_eq(fclose(file), 0);
}

static void write_vectors(uint32_t from, uint32_t count) {
  files_write_npy(vectors, "<f4", count, DIM, rows + from * DIM, (size_t)count * ROW_BYTES);
}

static void setup(void) {
  files_setup();
  strcpy(people, files_path("people"));
  strcpy(vectors, files_path("vectors.npy"));
  strcpy(labels, files_path("labels.csv"));
  strcpy(list, files_path("list.txt"));
  random_state random = {5};
  rows = files_random(&random, ROWS + NEW_ROWS, DIM);
  write_labels(0, ROWS);
  write_vectors(0, ROWS);
  EXPECT(&p, 0, "", "create", people, "--dim", "8", "--metric", "l2");
  EXPECT(&p, 0, "", "enroll", people, vectors, "--labels", labels);
}

static void teardown(void) {
  process_close(&p);
  free(rows);
  files_teardown();
}

TestSuite(changes, .init = setup, .fini = teardown);

static void write_list(const char *text) { files_write(list, text, strlen(text)); }

/* The command ends with 0, and prints this. */
#define EXPECT_OUT(words, ...)             \
  do {                                     \
    EXPECT(&p, 0, "", __VA_ARGS__);        \
    expect_out(&p, words);                 \
    cr_assert_str_eq(process_log(&p), ""); \
  } while (0)

/* A process of its own finds the template of this row, or not. */
static void expect_found(uint32_t row, bool wanted) {
  char line[64];
  files_write_npy(files_path("probe.npy"), "<f4", 1, DIM, rows + row * DIM, ROW_BYTES);
  EXPECT(&p, 0, "", "identify", people, files_path("probe.npy"), "-k", "100", "--format", "csv");
  snprintf(line, sizeof line, ",person-%u,family-", row);
  cr_assert_eq(strstr(process_out(&p), line) != NULL, wanted, "%s: %s", line, process_out(&p));
}

/* Whether a file of the gallery has these bytes. */
static bool is_written(const void *bytes, size_t size) {
  DIR *folder = opendir(people);
  bool found = false;
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    char path[PATH_MAX + 300];
    size_t length;
    if (entry->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "%s/%s", people, entry->d_name);
    char *data = files_read(path, &length);
    found = found || memmem(data, length, bytes, size) != NULL;
    free(data);
  }
  closedir(folder);
  return found;
}

static bool has_vector(uint32_t row) { return is_written(rows + row * DIM, ROW_BYTES); }

static bool has_text(const char *text) { return is_written(text, strlen(text)); }

static void expect_templates(uint32_t templates, uint32_t deleted) {
  char line[64];
  EXPECT(&p, 0, "", "stat", people);
  snprintf(line, sizeof line, "\ntemplates   %u\n", templates);
  expect_out(&p, line);
  snprintf(line, sizeof line, "\ndeleted     %u\n", deleted);
  expect_out(&p, line);
}

Test(changes, delete_by_key) {
  char line[PATH_MAX * 2 + 100];
  snprintf(line, sizeof line, "1 template deleted; epoch 2; its bytes stay in %s until `likeness compact %s`\n", people,
           people);
  expect_found(6, true);
  EXPECT_OUT(line, "delete", people, "--key", "person-6");
  cr_assert_str_eq(process_out(&p), line);
  expect_found(6, false);
  expect_found(7, true);
  expect_templates(ROWS - 1, 1);
  EXPECT(&p, 1, "likeness delete: nothing was changed: nobody has the key\n", "delete", people, "--key", "person-6");
  cr_assert_str_eq(process_out(&p), "");
  EXPECT(&p, 0, "", "check", people);
}

Test(changes, delete_by_subject) {
  EXPECT_OUT("2 templates deleted; epoch 2;", "delete", people, "--subject", "family-3");
  expect_found(6, false);
  expect_found(7, false);
  expect_found(5, true);
  expect_found(8, true);
  EXPECT(&p, 1, "nobody has the subject", "delete", people, "--subject", "family-3");
  EXPECT(&p, 1, "nobody has the key", "delete", people, "--key", "family-1");
  EXPECT(&p, 1, "nobody has the subject", "delete", people, "--subject", "person-1");
  expect_templates(ROWS - 2, 2);
}

Test(changes, delete_by_a_list) {
  write_list("person-1\r\nnobody\n\nperson-3\nperson-1\n");
  EXPECT_OUT("{\"operation\":\"delete\",\"keys\":[\"person-1\",\"nobody\",\"person-3\",\"person-1\"],\"epoch\":2,"
             "\"templates\":2,"
             "\"missing\":1,\"erased\":false,"
             "\"remains\":[\"journal\",\"segments\"]}\n",
             "delete", people, "--keys", list, "--format", "json");
  expect_found(1, false);
  expect_found(3, false);
  expect_found(2, true);
  EXPECT(&p, 1, "nobody has any of the 4 keys", "delete", people, "--keys", list, "--format", "json");
  expect_out(&p, "\"epoch\":2,\"templates\":0,\"missing\":4,");
}

/* The list is read to its end before anything is done. */
Test(changes, bad_lists) {
  write_list("person-1\nperson\xff\n");
  EXPECT(&p, 1, "list.txt: line 2 is not UTF-8", "delete", people, "--keys", list);
  EXPECT(&p, 1, "list.txt: line 2 is not UTF-8", "expire", people, "--keys", list, "--after", "0s");
  write_list("");
  EXPECT(&p, 1, "list.txt: the file is empty", "tag", people, "--keys", list, "--tags", "2", "--mask", "2");
  EXPECT(&p, 1, "none.txt", "delete", people, "--keys", files_path("none.txt"));
  expect_templates(ROWS, 0);
}

Test(changes, whose_must_be_said_once) {
  write_list("person-1\n");
  EXPECT(&p, 2, "whose templates? Give --key, --subject or --keys", "delete", people);
  EXPECT(&p, 2, "give only one of", "delete", people, "--key", "person-1", "--subject", "family-0");
  EXPECT(&p, 2, "give only one of", "delete", people, "--key", "person-1", "--keys", list);
  EXPECT(&p, 2, "--key: '' is empty", "delete", people, "--key", "");
  EXPECT(&p, 2, "--subject: '' is empty", "delete", people, "--subject=");
  EXPECT(&p, 2, "control character", "delete", people, "--key", "a\nb");
  EXPECT(&p, 2, "whose templates? Give --key or --keys", "tag", people, "--tags", "2", "--mask", "2");
  EXPECT(&p, 2, "unknown option --subject", "tag", people, "--subject", "family-0", "--tags", "2", "--mask", "2");
  EXPECT(&p, 2, "give only one of", "expire", people, "--key", "person-1", "--keys", list, "--never");
  EXPECT(&p, 2, "an operand is missing", "delete");
  EXPECT(&p, 2, "does not write 'csv'", "delete", people, "--key", "person-1", "--format", "csv");
  EXPECT(&p, 2, "does not write 'csv'", "compact", people, "--format", "csv");
  expect_templates(ROWS, 0);
}

static void expect_listed(const char *words) {
  EXPECT(&p, 0, "", "list", people, "--format", "csv");
  expect_out(&p, words);
}

Test(changes, tag) {
  write_list("person-4\nnobody\nperson-5\n");
  EXPECT_OUT("2 templates tagged, 1 key was not there; epoch 2\n", "tag", people, "--keys", list, "--tags", "0x4",
             "--mask", "0x6");
  expect_listed("\nperson-4,family-2,5,,,\nperson-5,family-2,5,,,\nperson-6,family-3,1,,,\n");
  EXPECT_OUT("\"operation\":\"tag\",\"keys\":[\"person-4\"],\"epoch\":3,\"templates\":1,", "tag", people, "--key",
             "person-4", "--mask", "1", "--tags", "0", "--format", "json");
  expect_listed("\nperson-4,family-2,4,,,\nperson-5,family-2,5,,,\n");
  files_write_npy(files_path("probe.npy"), "<f4", 1, DIM, rows, ROW_BYTES);
  EXPECT(&p, 0, "", "identify", people, files_path("probe.npy"), "-k", "100", "--format", "csv", "--tags", "4");
  expect_out(&p, ",person-5,");
  cr_assert_null(strstr(process_out(&p), ",person-6,"), "%s", process_out(&p));
  EXPECT(&p, 1, "nobody has the key", "tag", people, "--key", "nobody", "--tags", "1", "--mask", "1");
}

Test(changes, bad_tags) {
  EXPECT(&p, 2, "--tags is missing", "tag", people, "--key", "person-4", "--mask", "2");
  EXPECT(&p, 2, "--mask is missing", "tag", people, "--key", "person-4", "--tags", "2");
  EXPECT(&p, 2, "--mask: 0 changes no tag", "tag", people, "--key", "person-4", "--tags", "0", "--mask", "0");
  EXPECT(&p, 2, "--mask: 0 changes no tag", "tag", people, "--key", "person-4", "--mask", "0", "--tags", "2");
  EXPECT(&p, 2, "--tags: 0x8 lies outside --mask", "tag", people, "--key", "person-4", "--tags", "10", "--mask", "3");
  EXPECT(&p, 2, "'six' is not a 64-bit number", "tag", people, "--key", "person-4", "--tags", "six", "--mask", "3");
  expect_listed("\nperson-4,family-2,1,,,\n");
}

Test(changes, expire) {
  EXPECT_OUT("1 template will expire at 2001-01-01T00:00:00Z; epoch 2\n", "expire", people, "--key", "person-4", "--at",
             "2001-01-01");
  expect_listed("\nperson-4,family-2,1,,2001-01-01T00:00:00Z,\n");
  expect_found(4, false);
  write_list("person-4\nperson-8\n");
  EXPECT_OUT("2 templates will not expire; epoch 3\n", "expire", people, "--keys", list, "--never");
  expect_listed("\nperson-4,family-2,1,,,\n");
  expect_found(4, true);
  EXPECT_OUT("1 template will expire at ", "expire", people, "--key", "person-8", "--after", "1h");
  expect_found(8, true);
  EXPECT_OUT("1 template will expire at ", "expire", people, "--key", "person-8", "--after", "0s");
  expect_found(8, false);
  EXPECT(&p, 1, "nobody has the key", "expire", people, "--key", "nobody", "--never");
}

Test(changes, bad_times) {
  EXPECT(&p, 2, "when? Give --at, --after or --never", "expire", people, "--key", "person-4");
  EXPECT(&p, 2, "give only one of --at, --after or --never", "expire", people, "--key", "person-4", "--never",
         "--after", "1d");
  EXPECT(&p, 2, "give only one of --at, --after or --never", "expire", people, "--key", "person-4", "--at",
         "2030-01-01", "--after", "1d");
  EXPECT(&p, 2, "--at: '2030-02-30' is not a valid date", "expire", people, "--key", "person-4", "--at", "2030-02-30");
  EXPECT(&p, 2, "--at: '2030-01-01T00:00:00' has no time zone", "expire", people, "--key", "person-4", "--at",
         "2030-01-01T00:00:00");
  EXPECT(&p, 2, "--at: '1970-01-01' is not later than 1970-01-01", "expire", people, "--key", "person-4", "--at",
         "1970-01-01");
  EXPECT(&p, 2, "--after: '1w' is not a whole number with s, m, h or d", "expire", people, "--key", "person-4",
         "--after", "1w");
  EXPECT(&p, 2, "--after: that is beyond the year 9999", "expire", people, "--key", "person-4", "--after", "3000000d");
  expect_listed("\nperson-4,family-2,1,,,\n");
}

/* Of templates in segments, and of those that only journals have. */
Test(changes, compact_erases) {
  write_labels(ROWS, NEW_ROWS);
  write_vectors(ROWS, NEW_ROWS);
  EXPECT(&p, 0, "3 templates; the first has number 20; none was replaced\n", "enroll", people, vectors, "--labels",
         labels, "--replace");
  write_list("person-2\nperson-20\n");
  EXPECT_OUT("2 templates deleted", "delete", people, "--keys", list);
  EXPECT_OUT("2 templates deleted", "delete", people, "--subject", "family-4");
  write_list("person-12\nperson-21\n");
  EXPECT_OUT("2 templates will expire", "expire", people, "--keys", list, "--at", "2001-01-01");
  static const uint32_t gone[] = {2, 20, 8, 9, 12, 21};
  for (int i = 0; i < 6; i++) cr_assert(has_vector(gone[i]), "row %u: this test must be able to find it", gone[i]);
  cr_assert(has_text("family-4") && has_text("person-20"));
  expect_templates(ROWS + NEW_ROWS - 4, 4);
  EXPECT_OUT("6 templates erased; epoch ", "compact", people);
  for (int i = 0; i < 6; i++) cr_assert(!has_vector(gone[i]), "row %u", gone[i]);
  cr_assert(!has_text("family-4") && !has_text("person-20") && !has_text("person-21"));
  cr_assert(has_vector(3) && has_vector(22) && has_text("person-22"));
  expect_templates(ROWS + NEW_ROWS - 6, 0);
  expect_found(22, true);
  expect_found(3, true);
  expect_found(21, false);
  EXPECT_OUT("\"templates\":0,\"missing\":0,\"erased\":true,\"remains\":[]}\n", "compact", people, "--format", "json");
  EXPECT(&p, 0, "", "check", people);
}

Test(changes, enroll_replaces) {
  write_labels(4, NEW_ROWS);
  write_vectors(ROWS, NEW_ROWS);
  EXPECT(&p, 1, "key 'person-4' is in the gallery already", "enroll", people, vectors, "--labels", labels);
  EXPECT(&p, 0, "enrolled 3 templates; the first has number 20; replaced: 3, whose bytes stay in", "enroll", people,
         vectors, "--labels", labels, "--replace");
  expect_templates(ROWS, 3);
  EXPECT(&p, 0, "", "identify", people, vectors, "-k", "1", "--format", "csv");
  expect_out(&p, "\n0,1,person-4,family-2,0\n1,1,person-5,family-2,0\n2,1,person-6,family-3,0\n");
  cr_assert(has_vector(4));
  EXPECT_OUT("3 templates erased", "compact", people);
  cr_assert(!has_vector(4) && has_vector(20));
}

/* 32 MiB are one change; a larger file is refused as a whole, and says what to do. */
Test(changes, enroll_replaces_in_one_change) {
  enum { MANY = 40000 };
  float *many = calloc(MANY, ROW_BYTES);
  files_write_npy(vectors, "<f4", MANY, DIM, many, (size_t)MANY * ROW_BYTES);
  free(many);
  EXPECT(&p, 2, "has 40000 rows; of dimension 8 it takes up to 30840 at once: split the file", "enroll", people,
         vectors, "--replace");
  expect_templates(ROWS, 0);
}

/* Under l2, so scores are negative. */
Test(changes, enroll_unless_a_row_matches) {
  static const char person[] = "key,subject\nnew,somebody\nnewer,somebody else\n";
  files_write(labels, person, sizeof person - 1);
  memcpy(rows + (ROWS + 1) * DIM, rows + 6 * DIM, ROW_BYTES);
  rows[(ROWS + 1) * DIM] += 0.5F;
  write_vectors(ROWS, 2);
  EXPECT(&p, 1, "vectors.npy: row 1 matches (score -0.25, threshold -0.25) key 'person-6' of subject 'family-3'\n",
         "enroll", people, vectors, "--labels", labels, "--unless-match", "-0.25", "--device", "cpu", "--threads", "1");
  expect_templates(ROWS, 0);
  EXPECT(&p, 0, "enrolled 2 templates; the first has number 20\n", "enroll", people, vectors, "--labels", labels,
         "--unless-match", "-0.24", "--device", "cpu");
  expect_templates(ROWS + 2, 0);
  EXPECT(&p, 1, "is in the gallery already", "enroll", people, vectors, "--labels", labels, "--unless-match", "-0.24");
  EXPECT(&p, 0, "; replaced: 2, whose bytes stay in", "enroll", people, vectors, "--labels", labels, "--unless-match",
         "-0.24", "--replace");
  EXPECT(&p, 2, "--unless-match: 'nan' is not a number", "enroll", people, vectors, "--unless-match", "nan");
}

/* Metadata and expiry in the table that people read. */
Test(changes, list_shows_all_of_a_template) {
  static const char one[] = "key,group,expires,metadata\nnew,staff,2030-01-02,badge 7\n";
  files_write(labels, one, sizeof one - 1);
  write_vectors(ROWS, 1);
  EXPECT(&p, 0, "", "enroll", people, vectors, "--labels", labels);
  EXPECT(&p, 0, "", "list", people);
  expect_out(&p, "staff        2030-01-02T00:00:00Z           0  badge 7\n");
}

Test(changes, another_process_owns_the_gallery) {
  char lock[PATH_MAX + 8];
  snprintf(lock, sizeof lock, "%s/LOCK", people);
  int fd = open(lock, O_RDWR);
  cr_assert_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
  EXPECT(&p, 1, "another process is changing this gallery", "delete", people, "--key", "person-1");
  EXPECT(&p, 1, "another process is changing this gallery", "compact", people);
  EXPECT(&p, 1, "another process is changing this gallery", "enroll", people, vectors, "--replace");
  close(fd);
  expect_templates(ROWS, 0);
  EXPECT(&p, 1, "no such gallery", "delete", files_path("none"), "--key", "person-1");
}

/* A refusal is the same whether somebody has the key or not, and comes before all else. */
static void expect_refused(const char *command, ...) {
  va_list more;
  const char *words[16] = {LIKENESS_PROGRAM, command, people};
  size_t count = 2;
  va_start(more, command);
  while ((words[++count] = va_arg(more, const char *)) != NULL) continue;
  va_end(more);
  process_start(&p, words);
  cr_assert_eq(process_wait(&p, PROCESS_PATIENCE_MS), 3, "%s", command);
  cr_assert_str_eq(process_out(&p), "");
  char wanted[256];
  snprintf(wanted, sizeof wanted, "likeness %s: no rule of policy 'test' permits it; no purpose was given\n", command);
  cr_assert_str_eq(process_log(&p), wanted);
}

Test(changes, each_command_asks_the_policy) {
  char audit[PATH_MAX];
  const char *policy = files_path("policy.yaml");
  strcpy(audit, files_path("audit"));
  files_write(policy, DEMO_PERMIT, strlen(DEMO_PERMIT));
  EXPECT(&p, 0, "", "bind", people, "--policy", policy, "--audit", audit);
  expect_refused("delete", "--key", "person-1", NULL);
  expect_refused("delete", "--key", "nobody", NULL);
  expect_refused("delete", "--subject", "family-0", "--format", "json", NULL);
  expect_refused("tag", "--key", "person-1", "--tags", "2", "--mask", "2", NULL);
  expect_refused("expire", "--key", "nobody", "--never", NULL);
  expect_refused("compact", NULL);
  expect_refused("enroll", vectors, "--replace", NULL);
  expect_refused("enroll", vectors, "--unless-match", "-1", NULL);
  expect_templates(ROWS, 0);
  cr_assert_eq(files_lines_with(audit, "audit-000001.log", "\"permitted\":false"), 8);
  EXPECT_OUT("1 template tagged", "tag", people, "--key", "person-1", "--tags", "2", "--mask", "2", "--purpose",
             "demo");
  EXPECT_OUT("1 template will not", "expire", people, "--key", "person-1", "--never", "--purpose", "demo");
  EXPECT_OUT("1 template deleted", "delete", people, "--key", "person-1", "--purpose", "demo");
  EXPECT_OUT("1 template erased", "compact", people, "--purpose", "demo");
  static const char *const types[] = {"tag", "expire", "delete", "erase"};
  for (int i = 0; i < 4; i++) {
    char words[64];
    snprintf(words, sizeof words, "\"type\":\"%s\"}", types[i]);
    cr_assert_eq(files_lines_with(audit, "audit-000001.log", words), 1, "%s", words);
  }
  cr_assert_eq(files_lines_with(audit, "audit-000001.log", "\"templates\":1,"), 4);
  cr_assert_eq(files_lines_with(audit, "audit-000001.log", "person-"), 0);
  cr_assert_eq(files_lines_with(audit, "audit-000001.log", "family-"), 0);
  EXPECT(&p, 0, "", "audit", "verify", audit);
}
