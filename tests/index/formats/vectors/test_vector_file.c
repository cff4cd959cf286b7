#include <likeness/vector_file.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "index/formats/vector.h"
#include "index/formats/vectors/foreign.h"
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
  check_refused("f.fvecs", LK_EFORMAT,
                "by its content it is a NumPy array, whose name ends in .npy, not a TEXMEX file");
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
  check_refused("text.npy", LK_EFORMAT, "not a NumPy array, as its name says");
  check_refused("zip.bvecs", LK_EFORMAT, "by its content it is a NumPy archive, whose name ends in .npz, not a TEXMEX");
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
