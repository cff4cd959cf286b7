#include <likeness/vector_file.h>

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "index/formats/vector.h"
#include "index/formats/vectors/foreign.h"
#include "index/formats/vectors/scratch.h"
#include "tests/support/files.h"

TestSuite(vector_file, .init = files_setup, .fini = files_teardown);

enum { ROWS = 3, DIM = 2 };

static const float floats[ROWS * DIM] = {1, 2, 3, 4, 5, 6};
static const uint8_t bytes[ROWS * DIM] = {1, 2, 3, 4, 5, 6};

static void check(const char *path, lk_element element) {
  lk_vector_file file;
  lk_error error = {0};
  float rows[ROWS * DIM];
  cr_assert_eq(lk_vector_file_open(path, LK_ROLE_TEMPLATES, &file, &error), LK_OK, "%s", error.text);
  cr_assert(file.vectors.rows == ROWS && file.vectors.dim == DIM && file.vectors.element == element);
  cr_assert_str_eq(file.vectors.name, path);
  lk_vector_to_f32(&file.vectors, 0, ROWS, rows);
  cr_assert_arr_eq(rows, floats, sizeof floats);
  lk_vector_file_close(&file);
}

Test(vector_file, the_name_picks_the_format) {
  files_write_npy(files_path("f.npy"), "<f4", ROWS, DIM, floats, sizeof floats);
  files_write_npy(files_path("a.fvecs.npy"), "|u1", ROWS, DIM, bytes, sizeof bytes);
  files_write_vecs(files_path("f.fvecs"), sizeof(float), ROWS, DIM, floats);
  files_write_vecs(files_path("b.bvecs"), sizeof(uint8_t), ROWS, DIM, bytes);
  check(files_path("f.npy"), LK_F32);
  check(files_path("a.fvecs.npy"), LK_U8);
  check(files_path("f.fvecs"), LK_F32);
  check(files_path("b.bvecs"), LK_U8);
}

static void check_refused(const char *name, lk_status status, const char *words) {
  lk_vector_file file;
  lk_error error = {0};
  cr_assert_eq(lk_vector_file_open(files_path(name), LK_ROLE_TEMPLATES, &file, &error), status, "%s: %s", name,
               error.text);
  cr_assert_not_null(strstr(error.text, words), "'%s' is not in '%s'", words, error.text);
  cr_assert_not_null(strstr(error.text, name), "%s", error.text);
}

Test(vector_file, content_before_name) {
  static const char *const names[] = {"f.NPY", "npy", "f", "f.", "f.npy.old"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    files_write_npy(files_path(names[i]), "<f4", ROWS, DIM, floats, sizeof floats);
    check(files_path(names[i]), LK_F32);
  }
  files_write_npy(files_path("f.fvecs"), "<f4", ROWS, DIM, floats, sizeof floats);
  check_refused("f.fvecs", LK_EFORMAT, "by its content it is 'NumPy array', whose name ends in .npy, not 'TEXMEX file");
}

Test(vector_file, neither_content_nor_name) {
  static const char *const names[] = {"f.dat", "f.npyx", "npy", "f", "f."};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    files_write(files_path(names[i]), "0123456789abcdef", 16);
    check_refused(names[i], LK_EFORMAT, "not a vector file by its name, nor by its content; names end in .npy");
  }
}

Test(vector_file, a_member_of_what_has_none) {
  lk_vector_file file;
  lk_error error = {0};
  files_write_npy(files_path("f.npy"), "<f4", ROWS, DIM, floats, sizeof floats);
  cr_assert_eq(lk_vector_file_open(files_path("f.npy:x"), LK_ROLE_TEMPLATES, &file, &error), LK_EFORMAT);
  cr_assert_not_null(strstr(error.text, "f.npy:x: a NumPy array has one array, without a name"), "%s", error.text);
  files_write_npy(files_path("f.npy:x"), "<f4", ROWS, DIM, floats, sizeof floats);
  check(files_path("f.npy:x"), LK_F32);
}

Test(vector_file, contents_that_are_none) {
  files_write(files_path("empty.npy"), "", 0);
  files_write(files_path("empty.fvecs"), "", 0);
  files_write(files_path("text.npy"), "NUMPY, but not an array", 23);
  files_write(files_path("zip.bvecs"), "PK\x03\x04 a zip, as .npz files are", 28);
  files_write(files_path("wide.bvecs"), "PK, but not a zip", 17);
  check_refused("empty.npy", LK_EFORMAT, "empty.npy: the file is empty");
  check_refused("empty.fvecs", LK_EFORMAT, "empty.fvecs: the file is empty");
  check_refused("text.npy", LK_EFORMAT, "its name is that of 'NumPy array', but it begins with other bytes");
  check_refused("zip.bvecs", LK_EFORMAT, "by its content it is 'NumPy archive', whose name ends in .npz, not 'TEXMEX");
  check_refused("wide.bvecs", LK_EDIM, "wide.bvecs: row 0 has dimension 539773776");
  check_refused("missing.npy", LK_EIO, "cannot open");
  files_gallery("folder.npy", LK_COSINE, 2);
  check_refused("folder.npy", LK_EFORMAT, "not a regular file");
}

static void check_foreign(const char *name, const char *content, const char *words) {
  files_write(files_path(name), content, strlen(content));
  check_refused(name, LK_EFORMAT, words);
  check_refused(name, LK_EFORMAT, "it is not read. Convert it: ");
}

Test(vector_file, formats_that_are_not_read) {
  check_foreign("e.pkl", "x", "a Python pickle, which may run code");
  check_foreign("e.PICKLE", "x",
                "python3 -c \"import numpy, pickle; numpy.save('x.npy', pickle.load(open('x.pkl', 'rb')))\"");
  check_foreign("e.npy", "\x80\x04\x95 and so on", "a Python pickle");
  check_foreign("embeddings", "\x80\x05\x95 and so on", "a Python pickle");
  check_foreign("e.csv", "\x80\x04\x95 and so on", "a Python pickle");
  check_foreign("e.fvecs", "\x80\x04\x95 and so on", "a Python pickle");
  check_foreign("e.fbin", "\x80\x04\x95 and so on", "a Python pickle");
  check_foreign("e.pt", "PK\3\4", "a PyTorch file");
  check_foreign("e.mat", "x", "a MATLAB file");
  check_foreign("e", "PAR1", "a Parquet file");
  check_foreign("e.npz", "\x1f\x8b", "a gzip file");
  check_foreign("e.npy.gz", "x", "a gzip file");
}

Test(vector_file, a_long_path_before_the_command) {
  char path[600] = "";
  for (int i = 0; i < 100; i++) strcat(path, "/long");
  strcat(path, "/e.pkl");
  lk_vector_source source = {.name = path, .path = path};
  for (const lk_foreign_format *f = lk_foreign_formats; f->name != NULL; f++) {
    lk_error error = {0};
    char ending[16] = "";
    if (sscanf(f->endings, "%15s", ending) != 1) continue;
    strcpy(strrchr(path, '.'), ending);
    cr_assert_eq(lk_foreign_refuse_name(&source, &error), LK_EFORMAT);
    cr_assert_not_null(strstr(error.text, f->convert), "%s", error.text);
    cr_assert_not_null(strstr(error.text, "/long/e."), "%s", error.text);
  }
}

static void *cut_when_mapped(void *context) {
  const char *path = context;
  char line[8192];
  for (bool mapped = false; !mapped;) {
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps) != NULL) mapped = mapped || strstr(line, path) != NULL;
    fclose(maps);
  }
  cr_assert_eq(truncate(path, 100), 0);
  return NULL;
}

/* The zeros that are then read are no number. */
Test(vector_file, cut_off_while_it_is_read) {
  enum { BYTES = 30000000 };
  char *text = malloc(BYTES);
  memset(text, '1', BYTES);
  for (int i = 3; i < BYTES; i += 4) text[i] = '\n';
  char path[PATH_MAX];
  strcpy(path, files_path("cut.csv"));
  files_write(path, text, BYTES);
  free(text);
  pthread_t thread;
  pthread_create(&thread, NULL, cut_when_mapped, path);
  check_refused("cut.csv", LK_EIO, "the file was cut off, or could not be read, while it was in use");
  pthread_join(thread, NULL);
}

/* No name is ever made, where the file system can do that. */
Test(vector_file, what_is_decoded_never_has_a_name) {
  char events[4096];
  lk_vector_file file;
  int able = open(files_root, O_TMPFILE | O_RDWR, 0600), watch = inotify_init1(IN_NONBLOCK);
  if (able < 0) cr_skip_test("the file system has no files without names");
  close(able);
  setenv("TMPDIR", files_root, 1);
  files_write(files_path("f.csv"), "1,2\n", 4);
  cr_assert_geq(inotify_add_watch(watch, files_root, IN_CREATE), 0);
  cr_assert_eq(lk_vector_file_open(files_path("f.csv"), LK_ROLE_TEMPLATES, &file, NULL), LK_OK);
  lk_vector_file_close(&file);
  cr_assert_lt(read(watch, events, sizeof events), 0);
  close(watch);
}

/* Nobody's words on a closed stderr become a part of the rows. */
Test(vector_file, when_stderr_is_closed) {
  lk_scratch scratch;
  int kept = dup(STDERR_FILENO), fd;
  files_write(files_path("f.csv"), "1,2\n", 4);
  close(STDERR_FILENO);
  lk_scratch_open("f", &scratch);
  lk_status status = lk_file_open(files_path("f.csv"), &fd, NULL);
  dup2(kept, STDERR_FILENO);
  cr_assert(status == LK_OK && fd > STDERR_FILENO && scratch.fd > STDERR_FILENO);
  lk_scratch_close(&scratch);
  close(fd), close(kept);
}

/* What is no file has no members. */
Test(vector_file, a_folder_before_a_colon) {
  lk_vector_file file;
  lk_error error = {0};
  files_gallery("g", LK_COSINE, 2);
  cr_assert_eq(lk_vector_file_open(files_path("g:x"), LK_ROLE_TEMPLATES, &file, &error), LK_EIO);
  cr_assert_not_null(strstr(error.text, "g:x: cannot open"), "%s", error.text);
}

/* Dimensions whose bytes are those that a pickle begins with. */
Test(vector_file, a_name_before_a_foreign_content) {
  enum { WIDE = 0x380 };
  static const float row[WIDE] = {1};
  lk_vector_file file;
  files_write_vecs(files_path("f.fvecs"), sizeof(float), 1, WIDE, row);
  cr_assert_eq(lk_vector_file_open(files_path("f.fvecs"), LK_ROLE_TEMPLATES, &file, NULL), LK_OK);
  cr_assert(file.vectors.rows == 1 && file.vectors.dim == WIDE);
  lk_vector_file_close(&file);
}

Test(vector_file, decoded_rows_are_kept) {
  files_write(files_path("f.csv"), "1,2\n3,4\n5,6\n", 12);
  check(files_path("f.csv"), LK_F32);
}

Test(vector_file, no_place_for_what_is_decoded) {
  files_write(files_path("f.csv"), "1,2\n", 4);
  setenv("TMPDIR", files_path("none"), 1);
  check_refused("f.csv", LK_EIO, "f.csv: cannot put its decoded content into a file in ");
}

/* Nothing is left of it where it was. */
Test(vector_file, what_is_decoded_has_no_name) {
  lk_vector_file file;
  setenv("TMPDIR", files_root, 1);
  files_write(files_path("f.csv"), "1,2\n", 4);
  cr_assert_eq(lk_vector_file_open(files_path("f.csv"), LK_ROLE_TEMPLATES, &file, NULL), LK_OK);
  cr_assert_eq(files_count(files_root), 1);
  lk_vector_file_close(&file);
}

/* The table in the docs is what the descriptions say. */
Test(vector_file, the_documents_have_the_descriptions) {
  size_t size;
  char row[1024], *text = files_read(LIKENESS_SOURCE "/docs/files.md", &size);
  for (int i = 0; lk_vector_formats[i] != NULL; i++) {
    const lk_vector_format *f = lk_vector_formats[i];
    snprintf(row, sizeof row, "\n| %s | `%s` | %s |\n", f->name, f->endings, f->holds);
    cr_assert_not_null(strstr(text, row), "docs/files.md lacks: %s", row);
  }
  for (const lk_foreign_format *f = lk_foreign_formats; f->name != NULL; f++) {
    snprintf(row, sizeof row, "\n| %s | `%s` | `%s` |\n", f->name, f->endings, f->convert);
    cr_assert(f->endings[0] == '\0' || strstr(text, row) != NULL, "docs/files.md lacks: %s", row);
  }
  free(text);
}
