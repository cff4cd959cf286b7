/* Memory runs out while files are read (tests/test_memory.c has all else). */
#include <criterion/criterion.h>
#include <string.h>

#include <likeness/label_file.h>
#include <likeness/vector_file.h>

#include "base/text.h"
#include "index/formats/id_list.h"
#include "tests/support/allocations.h"
#include "tests/support/files.h"

TestSuite(memory_formats, .init = files_setup, .fini = files_teardown);

static lk_label_file parsed;

static lk_status parse_labels(lk_error *error) {
  static const char csv[] = "row,key,subject,tags,group\n0,a,\"a \"\"long\"\" subject, longer than 128 bytes: "
                            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\",7,g\n2,c,,,\n1,,,,\n";
  return lk_label_file_parse("labels", csv, sizeof csv - 1, NULL, 3, &parsed, error);
}
static void check_parsed(void) {
  cr_assert(lk_text_equal(parsed.of_row[2].key, lk_text_of("c")) && parsed.of_row[0].tags == 7);
  cr_assert_eq(parsed.of_row[1].key.length, 0);
}
static void close_labels(void) { lk_label_file_close(&parsed); }

Test(memory_formats, labels) {
  static const allocations_trial trial = {"labels", allocations_nothing, parse_labels,
                                          NULL,     check_parsed,        close_labels};
  allocations_try_all(&trial, 6);
}

static lk_vector_file vector_file;

static lk_status open_vectors(lk_error *error) {
  return lk_vector_file_open(files_path("v.npy"), LK_ROLE_TEMPLATES, &vector_file, error);
}
static void check_vectors(void) { cr_assert(vector_file.vectors.rows == 2 && vector_file.vectors.dim == 8); }
static void close_vectors(void) { lk_vector_file_close(&vector_file); }

Test(memory_formats, vector_file) {
  static const allocations_trial trial = {"vector file", allocations_nothing, open_vectors,
                                          NULL,          check_vectors,       close_vectors};
  static const float rows[2 * 8];
  files_write_npy(files_path("v.npy"), "<f4", 2, 8, rows, sizeof rows);
  allocations_try_all(&trial, 1);
}

static lk_status open_decoded(lk_error *error) {
  return lk_vector_file_open(files_path("v.csv"), LK_ROLE_TEMPLATES, &vector_file, error);
}

Test(memory_formats, decoded_vectors) {
  static const allocations_trial trial = {"decoded vectors", allocations_nothing, open_decoded, NULL,
                                          check_vectors,     close_vectors};
  files_write(files_path("v.csv"), "1,2,3,4,5,6,7,8\n1,2,3,4,5,6,7,8\n", 32);
  allocations_try_all(&trial, 3);
}

static lk_id_list lines;

static lk_status open_lines(lk_error *error) { return lk_id_list_open(files_path("lines"), &lines, error); }
static void check_lines(void) { cr_assert_eq(lines.count, 100); }
static void close_lines(void) { lk_id_list_close(&lines); }

Test(memory_formats, lines) {
  static const allocations_trial trial = {"lines", allocations_nothing, open_lines, NULL, check_lines, close_lines};
  char text[200];
  for (int i = 0; i < 100; i++) memcpy(text + 2 * i, "k\n", 2);
  files_write(files_path("lines"), text, sizeof text);
  allocations_try_all(&trial, 3);
}
