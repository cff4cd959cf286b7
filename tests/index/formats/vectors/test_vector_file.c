#include <likeness/vector_file.h>

#include <criterion/criterion.h>
#include <string.h>

#include "index/formats/vector.h"
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
  cr_assert_eq(lk_vector_file_open(files_path(name), LK_ROLE_TEMPLATES, &file, &error), status, "%s", name);
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
  files_write(files_path("text.npy"), "PK\x03\x04 a zip, as .npz files are", 28);
  files_write(files_path("text.bvecs"), "PK\x03\x04 a zip, as .npz files are", 28);
  check_refused("empty.npy", LK_EFORMAT, "empty.npy: the file is empty");
  check_refused("empty.fvecs", LK_EFORMAT, "empty.fvecs: the file is empty");
  check_refused("text.npy", LK_EFORMAT, "not a NumPy array, as its name says");
  check_refused("text.bvecs", LK_EDIM, "text.bvecs: row 0 has dimension 67324752");
  check_refused("missing.npy", LK_EIO, "cannot open");
  files_gallery("folder.npy", LK_COSINE, 2);
  check_refused("folder.npy", LK_EFORMAT, "not a regular file");
}
