#include <criterion/criterion.h>
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <likeness/vector_file.h>
#include "index/formats/vector.h"
#include "index/formats/vectors/hdf5_dataset.h"
#include "tests/support/files.h"

/* The library asks for as much memory as a damaged file says. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "allocator_may_return_null=1"; }

TestSuite(hdf5, .init = files_setup, .fini = files_teardown);

static const float rows[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

static hid_t file;

static void create(const char *name) {
  file = H5Fcreate(files_path(name), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  cr_assert_geq(file, 0);
}

/* Packed, if `chunk_rows` is not 0. `factor`: of the rows. */
static void add(const char *name, hid_t type, int rank, const hsize_t *shape, hsize_t chunk_rows, float factor) {
  float values[12];
  hsize_t chunk[4] = {0};
  for (int i = 0; i < 12; i++) values[i] = rows[i] * factor;
  hid_t plist = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(rank, shape, NULL);
  memcpy(chunk, shape, (size_t)rank * sizeof *shape);
  if (chunk_rows > 0) {
    chunk[0] = chunk_rows;
    cr_assert(H5Pset_chunk(plist, rank, chunk) >= 0 && H5Pset_shuffle(plist) >= 0 && H5Pset_deflate(plist, 6) >= 0);
  }
  hid_t links = H5Pcreate(H5P_LINK_CREATE);
  H5Pset_create_intermediate_group(links, 1);
  hid_t dataset = H5Dcreate2(file, name, type, space, links, plist, H5P_DEFAULT);
  cr_assert_geq(dataset, 0);
  if (factor != 0) cr_assert_geq(H5Dwrite(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), 0);
  H5Dclose(dataset), H5Sclose(space), H5Pclose(plist), H5Pclose(links);
}

static void finish(void) { cr_assert_geq(H5Fclose(file), 0); }

static const char *of_member(const char *name, const char *member) {
  static char path[PATH_MAX + 64];
  snprintf(path, sizeof path, member != NULL ? "%s:%s" : "%s", files_path(name), member);
  return path;
}

static void check_as(lk_vector_role role, const char *path, uint64_t count, uint32_t dim, float factor) {
  lk_vector_file opened;
  lk_error error = {0};
  float got[12];
  cr_assert_eq(lk_vector_file_open(path, role, &opened, &error), LK_OK, "%s", error.text);
  cr_assert(opened.vectors.rows == count && opened.vectors.dim == dim);
  cr_assert_eq(lk_vectors_check(&opened.vectors, NULL), LK_OK);
  lk_vector_to_f32(&opened.vectors, 0, count, got);
  for (uint64_t i = 0; i < count * dim; i++) cr_assert_eq(got[i], rows[i] * factor, "%g", (double)got[i]);
  lk_vector_file_close(&opened);
}

static void check(const char *path, uint64_t count, uint32_t dim) { check_as(LK_ROLE_TEMPLATES, path, count, dim, 1); }

/* As h5py makes it for float16. */
static hid_t half_type(void) {
  hid_t type = H5Tcopy(H5T_IEEE_F32LE);
  H5Tset_fields(type, 15, 10, 5, 0, 10);
  H5Tset_size(type, 2);
  H5Tset_ebias(type, 15);
  return type;
}

Test(hdf5, every_element) {
  hid_t types[] = {H5T_IEEE_F32LE, H5T_IEEE_F32BE, H5T_IEEE_F64LE, H5T_IEEE_F64BE, H5T_STD_U8LE,
                   H5T_STD_I8LE,   H5T_STD_U16BE,  H5T_STD_I16LE,  H5T_STD_U32LE,  H5T_STD_I32BE,
                   H5T_STD_U64LE,  H5T_STD_I64BE,  half_type()};
  static const hsize_t shape[] = {4, 3};
  for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
    for (hsize_t chunk_rows = 0; chunk_rows < 4; chunk_rows += 3) {
      create("f.h5");
      add("rows", types[i], 2, shape, chunk_rows, 1);
      finish();
      check(files_path("f.h5"), 4, 3);
    }
}

Test(hdf5, shapes) {
  static const struct {
    int rank;
    hsize_t shape[3];
    uint64_t rows;
    uint32_t dim;
  } cases[] = {
      {1, {12}, 1, 12}, {2, {1, 12}, 1, 12}, {3, {4, 1, 3}, 4, 3}, {3, {1, 4, 3}, 4, 3}, {3, {1, 1, 12}, 1, 12}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    for (hsize_t chunk_rows = 0; chunk_rows < 2; chunk_rows++) {
      create("f.h5");
      add("rows", H5T_IEEE_F32LE, cases[i].rank, cases[i].shape, chunk_rows, 1);
      finish();
      check(files_path("f.h5"), cases[i].rows, cases[i].dim);
    }
}

Test(hdf5, which_dataset) {
  static const hsize_t table[] = {4, 3}, list[] = {12};
  create("f.h5");
  add("people/embeddings", H5T_IEEE_F32LE, 2, table, 0, 1);
  add("people/ages", H5T_STD_I32LE, 1, list, 0, 2);
  finish();
  check(files_path("f.h5"), 4, 3);
  check(of_member("f.h5", "people/embeddings"), 4, 3);
  check(of_member("f.h5", "/people/embeddings"), 4, 3);
  check_as(LK_ROLE_TEMPLATES, of_member("f.h5", "people/ages"), 1, 12, 2);
  create("ann.hdf5");
  add("distances", H5T_IEEE_F32LE, 2, table, 0, 9);
  add("neighbors", H5T_STD_I32LE, 2, table, 0, 7);
  add("test", H5T_IEEE_F32LE, 2, table, 0, 3);
  add("train", H5T_IEEE_F32LE, 2, table, 0, 2);
  finish();
  check_as(LK_ROLE_TEMPLATES, files_path("ann.hdf5"), 4, 3, 2);
  check_as(LK_ROLE_PROBES, files_path("ann.hdf5"), 4, 3, 3);
}

static void check_refused(const char *path, lk_status status, const char *words) {
  lk_vector_file opened;
  lk_error error = {0};
  cr_assert_eq(lk_vector_file_open(path, LK_ROLE_TEMPLATES, &opened, &error), status, "%s: %s", words, error.text);
  cr_assert_not_null(strstr(error.text, words), "'%s' is not in '%s'", words, error.text);
  cr_assert_eq(strncmp(error.text, path, strlen(path)), 0, "%s", error.text);
}

static void check_type_refused(hid_t type, const char *words) {
  static const hsize_t table[] = {4, 3};
  create("f.h5");
  add("rows", type, 2, table, 0, 0);
  finish();
  check_refused(of_member("f.h5", "rows"), LK_EFORMAT, words);
}

Test(hdf5, refused_with_a_reason) {
  static const hsize_t table[] = {4, 3}, wide[] = {1, 4097}, deep[] = {2, 2, 3}, huge[] = {1 << 30, 4096};
  create("f.h5");
  finish();
  check_refused(files_path("f.h5"), LK_EFORMAT, "it has no dataset of numbers");
  check_refused(of_member("f.h5", "x"), LK_EFORMAT, "the dataset cannot be opened: ");
  create("f.h5");
  add("a", H5T_IEEE_F32LE, 2, table, 0, 1);
  add("b", H5T_IEEE_F32LE, 2, table, 0, 1);
  finish();
  check_refused(files_path("f.h5"), LK_EFORMAT, "it has several datasets; name one, as FILE.h5:NAME: a, b");
  create("f.h5");
  add("a", H5T_IEEE_F32LE, 2, wide, 0, 0);
  finish();
  check_refused(files_path("f.h5"), LK_EDIM, "rows of 4097 elements");
  create("f.h5");
  add("a", H5T_IEEE_F32LE, 3, deep, 0, 1);
  finish();
  check_refused(files_path("f.h5"), LK_EFORMAT, "has 3 dimensions; two are needed");
  create("f.h5");
  add("a", H5T_IEEE_F32LE, 2, huge, 1, 0);
  finish();
  check_refused(files_path("f.h5"), LK_EFORMAT, "it cannot have as many rows as it says");
}

/* As MATLAB writes them: the HDF5 file begins after a block of the user's. */
Test(hdf5, after_a_user_block) {
  static const hsize_t table[] = {4, 3};
  for (hsize_t block = 512; block <= 4096; block *= 2)
    for (hsize_t chunk_rows = 0; chunk_rows < 4; chunk_rows += 2) {
      hid_t plist = H5Pcreate(H5P_FILE_CREATE);
      H5Pset_userblock(plist, block);
      file = H5Fcreate(files_path("f.h5"), H5F_ACC_TRUNC, plist, H5P_DEFAULT);
      add("rows", H5T_IEEE_F32LE, 2, table, chunk_rows, 1);
      finish(), H5Pclose(plist);
      check(files_path("f.h5"), 4, 3);
    }
}

Test(hdf5, types_that_are_refused) {
  hid_t text = H5Tcopy(H5T_C_S1), record = H5Tcreate(H5T_COMPOUND, 8), truth = H5Tenum_create(H5T_STD_I8LE),
        narrow = H5Tcopy(H5T_STD_I32LE);
  signed char no = 0;
  H5Tset_size(text, 4);
  H5Tinsert(record, "x", 0, H5T_IEEE_F32LE);
  H5Tenum_insert(truth, "FALSE", &no);
  H5Tset_precision(narrow, 20);
  check_type_refused(text, "its elements are not numbers");
  check_type_refused(record, "its elements are not numbers");
  check_type_refused(truth, "its elements are an enumeration, such as truth values");
  check_type_refused(narrow, "numbers of an unusual type");
  check_type_refused(H5T_NATIVE_LDOUBLE, "numbers of an unusual type");
}

Test(hdf5, rows_in_other_files) {
  static const hsize_t table[] = {4, 3};
  hid_t plist = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(2, table, NULL);
  H5Pset_external(plist, "/etc/hostname", 0, 48);
  create("f.h5");
  H5Dclose(H5Dcreate2(file, "rows", H5T_IEEE_F32LE, space, H5P_DEFAULT, plist, H5P_DEFAULT));
  finish();
  check_refused(files_path("f.h5"), LK_EFORMAT, "its rows lie in other files");
  create("other.h5");
  add("rows", H5T_IEEE_F32LE, 2, table, 0, 1);
  finish();
  create("f.h5");
  H5Lcreate_external(files_path("other.h5"), "rows", file, "link", H5P_DEFAULT, H5P_DEFAULT);
  finish();
  check_refused(of_member("f.h5", "link"), LK_EFORMAT, "its rows lie in other files");
}

/* Its rows are those of another file, however many that has: even their number is only there. */
static void add_virtual(const char *name, const char *source) {
  static const hsize_t table[] = {4, 3}, most[] = {H5S_UNLIMITED, 3}, from[] = {0, 0}, once[] = {1, 1};
  hid_t plist = H5Pcreate(H5P_DATASET_CREATE), here = H5Screate_simple(2, table, most),
        there = H5Screate_simple(2, table, most);
  H5Sselect_hyperslab(here, H5S_SELECT_SET, from, NULL, once, most);
  H5Sselect_hyperslab(there, H5S_SELECT_SET, from, NULL, once, most);
  cr_assert_geq(H5Pset_virtual(plist, here, source, "rows", there), 0);
  hid_t dataset = H5Dcreate2(file, name, H5T_IEEE_F32LE, here, H5P_DEFAULT, plist, H5P_DEFAULT);
  cr_assert_geq(dataset, 0);
  H5Dclose(dataset), H5Sclose(here), H5Sclose(there), H5Pclose(plist);
}

/* Who opens it waits for its other end. */
Test(hdf5, a_fifo_as_another_file, .timeout = 20) {
  static const hsize_t table[] = {4, 3};
  create("f.h5");
  add_virtual("virtual", files_path("fifo"));
  H5Lcreate_external(files_path("fifo"), "rows", file, "link", H5P_DEFAULT, H5P_DEFAULT);
  H5Lcreate_soft("/link/group/rows", file, "soft", H5P_DEFAULT, H5P_DEFAULT);
  finish();
  cr_assert_eq(mkfifo(files_path("fifo"), 0600), 0);
  static const char *const members[] = {NULL, "virtual", "link", "link/x", "soft"};
  for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
    check_refused(of_member("f.h5", members[i]), LK_EFORMAT, "its rows lie in other files");
  unlink(files_path("fifo"));
  create("f.h5");
  add_virtual("virtual", files_path("fifo"));
  add("rows", H5T_IEEE_F32LE, 2, table, 0, 1);
  finish();
  cr_assert_eq(mkfifo(files_path("fifo"), 0600), 0);
  check(files_path("f.h5"), 4, 3);
}

/* The file is the one that is open, whatever its path names by now. */
Test(hdf5, a_path_that_changes) {
  static const hsize_t table[] = {4, 3};
  for (hsize_t chunk_rows = 0; chunk_rows < 4; chunk_rows += 2) {
    create("other.h5");
    add("rows", H5T_IEEE_F32LE, 2, table, chunk_rows, 7);
    finish();
    create("f.h5");
    add("rows", H5T_IEEE_F32LE, 2, table, chunk_rows, 1);
    finish();
    lk_vector_source source = {.format = &lk_hdf5_format, .name = "f", .path = files_path("other.h5")};
    lk_file decoded = {0};
    lk_vectors vectors;
    lk_error error = {0};
    float got[12];
    cr_assert_eq(lk_file_open(files_path("f.h5"), &source.fd, NULL), LK_OK);
    cr_assert_eq(lk_file_map(files_path("f.h5"), &source.file, NULL), LK_OK);
    cr_assert_eq(lk_hdf5_format.open(&source, &decoded, &vectors, &error), LK_OK, "%s", error.text);
    lk_vector_to_f32(&vectors, 0, 4, got);
    cr_assert_arr_eq(got, rows, sizeof got);
    lk_file_unmap(&decoded), lk_file_unmap(&source.file), close(source.fd);
  }
}

/* A folder that cannot be written to matters only for what is decoded. */
Test(hdf5, no_place_for_what_is_decoded) {
  static const hsize_t table[] = {4, 3};
  setenv("TMPDIR", files_path("none"), 1);
  create("f.h5");
  add("rows", H5T_IEEE_F32LE, 2, table, 0, 1);
  finish();
  check(files_path("f.h5"), 4, 3);
  create("f.h5");
  add("rows", H5T_IEEE_F32LE, 2, table, 2, 1);
  finish();
  check_refused(files_path("f.h5"), LK_EIO, "f.h5: cannot put its decoded content into a file in ");
}

static void count(void *context) { ++*(int *)context; }

/* Before each block of rows the times of the child begin anew. */
Test(hdf5, blocks_are_counted) {
  static const hsize_t table[] = {3 << 20, 1}, chunk[] = {1 << 20, 1};
  hid_t plist = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(2, table, NULL);
  H5Pset_chunk(plist, 2, chunk);
  H5Pset_alloc_time(plist, H5D_ALLOC_TIME_EARLY);
  create("f.h5");
  H5Dclose(H5Dcreate2(file, "rows", H5T_IEEE_F32LE, space, H5P_DEFAULT, plist, H5P_DEFAULT));
  H5Sclose(space), H5Pclose(plist);
  finish();
  int blocks = 0;
  lk_vector_source source = {.name = "f"};
  lk_hdf5_going going = {.on = count, .context = &blocks};
  lk_hdf5_dataset dataset;
  lk_scratch scratch;
  lk_error error = {0};
  cr_assert_eq(lk_file_open(files_path("f.h5"), &source.fd, NULL), LK_OK);
  cr_assert_eq(lk_file_map(files_path("f.h5"), &source.file, NULL), LK_OK);
  lk_scratch_open("f", &scratch);
  cr_assert_eq(lk_hdf5_dataset_read(&source, &scratch, &going, &dataset, &error), LK_OK, "%s", error.text);
  cr_assert_eq(blocks, 3);
  lk_scratch_close(&scratch), lk_file_unmap(&source.file), close(source.fd);
}

static void write_image(hsize_t chunk_rows) {
  static const hsize_t table[] = {4, 3};
  create("f.h5");
  add("rows", H5T_IEEE_F32LE, 2, table, chunk_rows, 1);
  finish();
}

Test(hdf5, cut_off) {
  size_t size;
  write_image(0);
  char *image = files_read(files_path("f.h5"), &size);
  for (size_t left = 8; left < size; left += 61) {
    files_write(files_path("cut.h5"), image, left);
    check_refused(files_path("cut.h5"), LK_EFORMAT, "");
  }
  free(image);
}

/* Whatever a damaged file does to the library, this process goes on, and what comes out can be read. */
Test(hdf5, changed_bytes) {
  random_state random = {5};
  for (hsize_t chunk_rows = 0; chunk_rows < 4; chunk_rows += 2) {
    size_t size;
    write_image(chunk_rows);
    char *image = files_read(files_path("f.h5"), &size);
    for (int i = 0; i < 300; i++) {
      size_t at = 8 + random_below(&random, (uint32_t)size - 8);
      char before = image[at];
      image[at] = (char)random_bits(&random);
      files_write(files_path("changed.h5"), image, size);
      image[at] = before;
      lk_vector_file opened;
      lk_status status = lk_vector_file_open(files_path("changed.h5"), LK_ROLE_TEMPLATES, &opened, NULL);
      cr_assert(status == LK_OK || status == LK_EFORMAT || status == LK_EDIM, "%s", lk_status_name(status));
      float row[LK_DIM_MAX];
      for (uint64_t r = 0; status == LK_OK && r < opened.vectors.rows; r++)
        lk_vector_to_f32(&opened.vectors, r, 1, row);
      if (status == LK_OK) lk_vector_file_close(&opened);
    }
    free(image);
  }
}
