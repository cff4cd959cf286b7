#include "index/formats/vectors/npz.h"

#include <criterion/criterion.h>

#include "index/formats/vector.h"
#include "tests/index/formats/vectors/open_bytes.h"
#include "tests/support/zip.h"

static const float rows[] = {1, 2, 3, 4, 5, 6};

static void add_rows(zip_image *zip, const char *name, float first, zip_way way) {
  char npy[256];
  float values[6];
  for (int i = 0; i < 6; i++) values[i] = rows[i] + first - 1;
  zip_add(zip, name, npy, zip_make_npy(npy, "'<f4'", "(3, 2)", values, sizeof values), way);
}

static void check_first(const zip_image *zip, const char *member, float wanted) {
  opened from = open_member(&lk_npz_format, zip->bytes, zip->size, member);
  float got[6];
  cr_assert_eq(from.status, LK_OK, "%s", from.error.text);
  cr_assert(from.vectors.rows == 3 && from.vectors.dim == 2);
  lk_vector_to_f32(&from.vectors, 0, 3, got);
  for (int i = 0; i < 6; i++) cr_assert_eq(got[i], wanted + (float)i);
  close_bytes(&from);
}

Test(npz, the_only_array) {
  for (zip_way way = ZIP_STORED; way <= ZIP_WIDE; way++)
    for (int wide = 0; wide < 2; wide++) {
      static zip_image zip;
      zip = (zip_image){0};
      zip_add(&zip, "readme.txt", "no array", 8, ZIP_STORED);
      add_rows(&zip, "arr_0.npy", 7, way);
      zip_end(&zip, wide);
      check_first(&zip, NULL, 7);
    }
}

Test(npz, an_array_by_name) {
  static zip_image zip;
  add_rows(&zip, "a.npy", 1, ZIP_DEFLATED);
  add_rows(&zip, "b.npy", 2, ZIP_STORED);
  add_rows(&zip, "b.npy.npy", 3, ZIP_STORED);
  zip_end(&zip, false);
  check_first(&zip, "a", 1);
  check_first(&zip, "a.npy", 1);
  check_first(&zip, "b", 2);
  opened from = open_member(&lk_npz_format, zip.bytes, zip.size, "c");
  cr_assert_eq(from.status, LK_EFORMAT);
  cr_assert_str_eq(from.error.text, "file: the archive has no array of this name; it has a, b, b.npy");
  close_bytes(&from);
  check_bytes_refused(&lk_npz_format, zip.bytes, zip.size, LK_EFORMAT,
                      "the archive has several arrays; name one, as FILE.npz:NAME: a, b, b.npy");
}

static zip_image make(zip_way way) {
  zip_image zip = {0};
  add_rows(&zip, "a.npy", 1, way);
  zip_end(&zip, false);
  return zip;
}

static void check_changed(zip_image zip, size_t at, char value, const char *words) {
  zip.bytes[at] = value;
  check_bytes_refused(&lk_npz_format, zip.bytes, zip.size, LK_EFORMAT, words);
}

Test(npz, refused_with_a_reason) {
  zip_image zip = make(ZIP_STORED), deflated = make(ZIP_DEFLATED), empty = {0};
  zip_end(&empty, false);
  size_t entry = zip.size - 22 - 46 - 5, end = zip.size - 22;
  check_bytes_refused(&lk_npz_format, empty.bytes, empty.size, LK_EFORMAT, "the archive has no arrays");
  check_bytes_refused(&lk_npz_format, "PK\3\4", 4, LK_EFORMAT, "not a zip archive, or cut off");
  check_changed(zip, end + 16, 1, "the zip archive's directory is malformed");
  check_changed(zip, end + 19, 1, "the zip archive's directory is not within the file");
  check_changed(zip, end + 10, 9, "the zip archive's directory is not within the file");
  check_changed(zip, entry + 8, 1, "'a.npy' is encrypted");
  check_changed(zip, entry + 10, 12, "'a.npy' is packed by a method other than deflate");
  check_changed(zip, entry + 43, 9, "'a.npy' is not within the file");
  check_changed(zip, entry + 22, 1, "'a.npy' is not within the file");
  check_changed(zip, entry + 24, 1, "'a.npy' cannot have the size");
  check_changed(zip, entry + 28, 200, "the zip archive's directory is cut off");
  entry = deflated.size - 22 - 46 - 5;
  check_changed(deflated, entry + 27, 1, "'a.npy' cannot have the size");
  check_changed(deflated, entry + 24, 1, "'a.npy' is damaged");
  check_changed(deflated, entry + 16, (char)(deflated.bytes[entry + 16] ^ 1), "'a.npy' is damaged");
  check_changed(deflated, 35, (char)0xff, "'a.npy' is damaged");
}

Test(npz, an_array_that_is_none) {
  zip_image zip = {0};
  zip_add(&zip, "a.npy", "text", 4, ZIP_STORED);
  zip_end(&zip, false);
  check_bytes_refused(&lk_npz_format, zip.bytes, zip.size, LK_EFORMAT, "not an .npy file, or cut off");
}

Test(npz, cut_off_anywhere) {
  zip_image zip = make(ZIP_DEFLATED);
  for (size_t size = 0; size < zip.size; size++) {
    opened from = open_bytes(&lk_npz_format, zip.bytes, size);
    cr_assert_eq(from.status, LK_EFORMAT, "%zu bytes", size);
    close_bytes(&from);
  }
}

/* Whatever a damaged archive says, what comes out can be read. */
Test(npz, every_changed_byte) {
  for (zip_way way = ZIP_STORED; way <= ZIP_WIDE; way++) {
    zip_image zip = make(way);
    for (size_t at = 0; at < zip.size; at++)
      for (int bit = 0; bit < 8; bit++) {
        zip.bytes[at] = (char)(zip.bytes[at] ^ 1 << bit);
        opened from = open_bytes(&lk_npz_format, zip.bytes, zip.size);
        float row[LK_DIM_MAX];
        for (uint64_t r = 0; from.status == LK_OK && r < from.vectors.rows; r++)
          lk_vector_to_f32(&from.vectors, r, 1, row);
        close_bytes(&from);
        zip.bytes[at] = (char)(zip.bytes[at] ^ 1 << bit);
      }
  }
}
