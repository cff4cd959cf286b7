/* Files that change while they are in use: no read beyond them, no gallery that does not open. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include <likeness/vector_file.h>

#include "base/text.h"
#include "index/gallery/gallery.h"
#include "tests/support/files.h"

TestSuite(changing_files, .init = files_setup, .fini = files_teardown);

enum { ROWS = 3000, DIM = 16, TURNS = 40 };

static int fd;
static atomic_bool over;

/* Writes to the file, not the map. A row in the middle is good most of the time, so that some readings of it find it
 * good and others do not. */
static void *change(void *unused) {
  static const float bad[] = {NAN, 0, INFINITY};
  float row[DIM];
  for (uint32_t turn = 0; !atomic_load(&over); turn++) {
    for (int i = 0; i < DIM; i++) row[i] = turn % 16 == 0 ? bad[turn / 16 % 3] : (float)(turn % 16) - 7.5F;
    if (pwrite(fd, row, sizeof row, (off_t)(ROWS / 2 * sizeof row)) != sizeof row) break;
  }
  return unused;
}

static float *map_source(const char *path) {
  random_state random = {7};
  float *data = files_random(&random, ROWS, DIM);
  files_write(path, data, (size_t)ROWS * DIM * sizeof *data);
  free(data);
  fd = open(path, O_RDWR | O_CLOEXEC);
  cr_assert_geq(fd, 0);
  float *map = mmap(NULL, (size_t)ROWS * DIM * sizeof *map, PROT_READ, MAP_SHARED, fd, 0);
  cr_assert_neq(map, MAP_FAILED);
  return map;
}

static void enroll_once(lk_metric metric, int turn, const float *source) {
  char name[32];
  snprintf(name, sizeof name, "g%d-%d", (int)metric, turn);
  const char *folder = files_gallery(name, metric, DIM);
  lk_vectors vectors = files_vectors(source, ROWS, DIM);
  lk_error error = {0};
  lk_status status = lk_gallery_enroll(folder, &vectors, NULL, NULL, NULL, NULL, NULL, &error);
  cr_assert(status == LK_OK || status == LK_EBADPROBE, "%s", error.text);
  lk_gallery *gallery;
  cr_assert_eq(lk_gallery_open(folder, &gallery, &error), LK_OK, "after %s: %s", lk_status_name(status), error.text);
  cr_assert_eq(lk_gallery_check(gallery, &error), LK_OK, "%s", error.text);
  lk_gallery_stat stat;
  lk_gallery_stat_get(gallery, &stat);
  cr_assert_eq(stat.templates, status == LK_OK ? ROWS : 0);
  lk_gallery_close(gallery);
}

Test(changing_files, an_enrollment_is_whole_or_refused) {
  float *source = map_source(files_path("source"));
  pthread_t changer;
  cr_assert_eq(pthread_create(&changer, NULL, change, NULL), 0);
  for (int turn = 0; turn < TURNS; turn++)
    for (lk_metric metric = LK_COSINE; metric <= LK_L2; metric++) enroll_once(metric, turn, source);
  atomic_store(&over, true);
  pthread_join(changer, NULL);
  munmap(source, (size_t)ROWS * DIM * sizeof *source);
  close(fd);
}

enum { TEMPLATES = 300 };

static lk_gallery *enroll_and_open(void) {
  random_state random = {8};
  float *data = files_random(&random, TEMPLATES, DIM);
  const char *folder = files_gallery("g", LK_COSINE, DIM);
  files_enroll(folder, data, TEMPLATES, DIM, NULL);
  free(data);
  return files_open(folder);
}

/* Fills a section of the gallery's segment file with a byte, beneath its map. */
static void overwrite(const lk_gallery *gallery, lk_section section, uint8_t byte) {
  const lk_segment *segment = &gallery->contents->catalog->parts[0]->segment;
  const lk_section_entry *entry = &segment->header.sections[section];
  uint8_t *bytes = malloc(entry->bytes);
  memset(bytes, byte, entry->bytes);
  int file = open(segment->path, O_RDWR | O_CLOEXEC);
  cr_assert_eq(pwrite(file, bytes, entry->bytes, (off_t)entry->offset), (ssize_t)entry->bytes);
  close(file);
  free(bytes);
}

static void check_within(const lk_segment *segment, lk_text text) {
  const char *begin = segment->file.data, *end = begin + segment->file.size;
  cr_assert_leq(text.length, LK_TEXT_MAX);
  cr_assert(text.length == 0 || (text.bytes >= begin && text.bytes + text.length <= end));
}

static void count_row(void *context, uint32_t number, uint32_t row) {
  cr_assert(number == 0 && row < TEMPLATES);
  ++*(uint32_t *)context;
}

static void read_all(const lk_gallery *gallery) {
  const lk_segment *segment = &gallery->contents->catalog->parts[0]->segment;
  float vector[DIM];
  for (uint64_t position = 0; position < TEMPLATES; position++) {
    lk_template t = lk_gallery_template(gallery, position);
    check_within(segment, t.key);
    check_within(segment, t.subject);
    check_within(segment, t.group);
    lk_error error;
    lk_status status = lk_gallery_export(gallery, position, 1, NULL, vector, &error);
    cr_assert(status == LK_OK || status == LK_ENOTFOUND, "%d %s", status, error.text);
    uint32_t rows = 0;
    lk_catalog_each_of_subject(gallery->contents->catalog, lk_text_of("17"), count_row, &rows);
    cr_assert_leq(rows, TEMPLATES);
  }
  uint64_t position;
  if (lk_gallery_find(gallery, lk_text_of("17"), &position, NULL) == LK_OK) cr_assert_lt(position, TEMPLATES);
}

/* Ends of texts and numbers of rows say where something lies: none of them is believed. */
Test(changing_files, what_says_where_something_lies_is_checked) {
  static const lk_section sections[] = {LK_SECTION_KEY_ENDS, LK_SECTION_SUBJECT_ENDS, LK_SECTION_GROUP_ENDS,
                                        LK_SECTION_BY_KEY,   LK_SECTION_BY_SUBJECT,   LK_SECTION_BY_NUMBER};
  static const uint8_t bytes[] = {0xff, 0x7f, 0x01, 0x00};
  for (size_t s = 0; s < sizeof sections / sizeof sections[0]; s++)
    for (size_t b = 0; b < sizeof bytes; b++) {
      files_teardown();
      files_setup();
      lk_gallery *gallery = enroll_and_open();
      overwrite(gallery, sections[s], bytes[b]);
      read_all(gallery);
      bool same = sections[s] == LK_SECTION_GROUP_ENDS && bytes[b] == 0; /* no template has a group */
      cr_assert_eq(lk_gallery_check(gallery, NULL), same ? LK_OK : LK_ECORRUPT);
      lk_gallery_close(gallery);
    }
}

/* The header says where the sections lie, and it was read when the gallery was opened. */
Test(changing_files, a_header_that_changes_is_not_read_again) {
  lk_gallery *gallery = enroll_and_open();
  const lk_segment *segment = &gallery->contents->catalog->parts[0]->segment;
  static const char nothing[sizeof(lk_segment_header)];
  int file = open(segment->path, O_RDWR | O_CLOEXEC);
  cr_assert_eq(pwrite(file, nothing, sizeof nothing, 0), (ssize_t)sizeof nothing);
  close(file);
  read_all(gallery);
  for (lk_section s = 0; s < LK_SECTIONS; s++) cr_assert_eq(lk_segment_verify(segment, s, NULL), LK_OK);
  lk_error error;
  cr_assert_eq(lk_gallery_check(gallery, &error), LK_ECORRUPT);
  cr_assert_not_null(strstr(error.text, "segment-000001.lks: the header has changed"), "%s", error.text);
  lk_gallery_close(gallery);
}

static lk_gallery *load(const char *name, lk_device *device) {
  random_state random = {9};
  float *data = files_random(&random, TEMPLATES, DIM);
  const char *folder = files_gallery(name, LK_COSINE, DIM);
  files_enroll(folder, data, TEMPLATES, DIM, NULL);
  free(data);
  lk_gallery *gallery = files_open(folder);
  cr_assert_eq(lk_gallery_load(gallery, device, NULL), LK_OK);
  return gallery;
}

static lk_status identify(lk_gallery *gallery, lk_result *result, lk_error *error) {
  static float probe[DIM] = {1, 2, 3};
  lk_vectors probes = files_vectors(probe, 1, DIM);
  lk_query query = {.probes = &probes, .probes_count = 1, .k = 5, .threshold = -INFINITY};
  return lk_gallery_identify(gallery, &query, result, NULL, error);
}

/* Reading beyond the end of a file that was cut off raises SIGBUS. */
Test(changing_files, a_segment_that_is_cut_off_fails_its_gallery_alone) {
  lk_device *device;
  lk_result *result;
  lk_error error = {0};
  cr_assert_eq(lk_device_open("cpu", 2, &device, NULL), LK_OK);
  cr_assert_eq(lk_result_open(&result, NULL), LK_OK);
  lk_gallery *cut = load("cut", device), *whole = load("whole", device);
  cr_assert_eq(identify(cut, result, &error), LK_OK);
  cr_assert_eq(truncate(cut->contents->catalog->parts[0]->segment.path, 4096), 0);
  cr_assert_eq(identify(cut, result, &error), LK_EIO);
  cr_assert_not_null(strstr(error.text, "cut/segment-000001.lks: the file was cut off"), "%s", error.text);
  cr_assert_eq(lk_result_count(result, 0), 0);
  lk_vectors probe = files_vectors((float[DIM]){1}, 1, DIM);
  cr_assert_eq(lk_gallery_verify(cut, &probe, lk_text_of("290"), NULL, result, &error), LK_EIO);
  float vector[DIM] = {7};
  cr_assert_eq(lk_gallery_export(cut, 290, 1, NULL, vector, &error), LK_EIO);
  cr_assert_eq(vector[0], 0);
  cr_assert_eq(lk_gallery_check(cut, &error), LK_EIO);
  cr_assert_eq(identify(whole, result, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_result_count(result, 0), 5);
  lk_result_close(result);
  lk_gallery_close(cut);
  lk_gallery_close(whole);
  lk_device_close(device);
}

Test(changing_files, a_source_that_is_cut_off_is_named) {
  static float data[ROWS * DIM];
  for (int i = 0; i < ROWS * DIM; i++) data[i] = (float)(i % 7) + 1;
  files_write_npy(files_path("v.npy"), "<f4", ROWS, DIM, data, sizeof data);
  lk_vector_file source;
  lk_error error;
  const char *folder = files_gallery("g", LK_IP, DIM);
  cr_assert_eq(lk_vector_file_open(files_path("v.npy"), LK_ROLE_TEMPLATES, &source, NULL), LK_OK);
  cr_assert_eq(truncate(files_path("v.npy"), 4096), 0);
  cr_assert_eq(lk_gallery_enroll(folder, &source.vectors, NULL, NULL, NULL, NULL, NULL, &error), LK_EIO);
  cr_assert_not_null(strstr(error.text, "v.npy: the file was cut off"), "%s", error.text);
  lk_vector_file_close(&source);
  cr_assert_eq(files_count(folder), 1, "only the manifest is left");
}

/* Adds to one element of the first exact row, beneath the map. */
static void change_row(const lk_gallery *gallery, uint32_t row, float by) {
  const lk_segment *segment = &gallery->contents->catalog->parts[0]->segment;
  off_t at = (off_t)(segment->header.sections[LK_SECTION_EXACT].offset + row * DIM * sizeof(float));
  int file = open(segment->path, O_RDWR | O_CLOEXEC);
  float element;
  cr_assert_eq(pread(file, &element, sizeof element, at), (ssize_t)sizeof element);
  element += by;
  cr_assert_eq(pwrite(file, &element, sizeof element, at), (ssize_t)sizeof element);
  close(file);
}

static uint32_t first_candidate_row(const lk_gallery *gallery, const lk_result *result) {
  uint64_t position;
  lk_candidate first = lk_result_candidate(result, 0, 0);
  cr_assert_eq(lk_gallery_find(gallery, first.found.key, &position, NULL), LK_OK);
  return lk_segment_row_at(&gallery->contents->catalog->parts[0]->segment, (uint32_t)position);
}

/* Searched with the codes that were loaded before, and again after a restart, when exact rows are not verified. */
Test(changing_files, a_row_that_is_written_over_is_named) {
  lk_device *device;
  lk_result *result;
  lk_error error = {0};
  cr_assert_eq(lk_device_open("cpu", 2, &device, NULL), LK_OK);
  cr_assert_eq(lk_result_open(&result, NULL), LK_OK);
  lk_gallery *gallery = load("g", device), *whole = load("whole", device);
  cr_assert_eq(identify(gallery, result, &error), LK_OK);
  uint32_t row = first_candidate_row(gallery, result);
  lk_text subject = lk_result_candidate(result, 0, 0).found.subject;
  char named[64], of[LK_TEXT_MAX + 1];
  snprintf(of, sizeof of, "%.*s", (int)subject.length, subject.bytes);
  snprintf(named, sizeof named, "g/segment-000001.lks: row %u: the vector", row);
  change_row(gallery, row, 0.25F);
  for (int restarts = 0; restarts < 2; restarts++) {
    cr_assert_eq(identify(gallery, result, &error), LK_ECORRUPT);
    cr_assert_not_null(strstr(error.text, named), "%s", error.text);
    cr_assert_eq(lk_result_count(result, 0), 0);
    lk_vectors probe = files_vectors((float[DIM]){1}, 1, DIM);
    cr_assert_eq(lk_gallery_verify(gallery, &probe, lk_text_of(of), NULL, result, &error), LK_ECORRUPT);
    float vectors[TEMPLATES * DIM];
    cr_assert_eq(lk_gallery_export(gallery, 0, TEMPLATES, NULL, vectors, &error), LK_ECORRUPT);
    cr_assert_eq(lk_gallery_check(gallery, &error), LK_ECORRUPT);
    cr_assert_eq(identify(whole, result, &error), LK_OK, "%s", error.text);
    lk_gallery_close(gallery);
    gallery = files_open(files_path("g"));
    cr_assert_eq(lk_gallery_load(gallery, device, NULL), LK_OK);
  }
  lk_result_close(result);
  lk_gallery_close(gallery);
  lk_gallery_close(whole);
  lk_device_close(device);
}

/* A change that the code cannot tell from rounding is found by the checksum. */
Test(changing_files, a_row_that_changes_a_little_is_found_by_a_check) {
  lk_gallery *gallery = enroll_and_open();
  lk_error error;
  cr_assert_eq(lk_gallery_check(gallery, &error), LK_OK, "%s", error.text);
  change_row(gallery, 7, 0x1p-20F);
  cr_assert_eq(lk_gallery_check(gallery, &error), LK_ECORRUPT);
  cr_assert_not_null(strstr(error.text, "exact rows: the checksum does not match"), "%s", error.text);
  lk_gallery_close(gallery);
}

/* As a forger would write the file, with checksums that are right: the row cannot be found, and the check says so. */
Test(changing_files, a_code_that_is_forged_is_found_by_a_check) {
  static const int8_t nothing[DIM];
  static const lk_row_bound short_row = {.residual = 0, .norm = 0x1p-60F};
  lk_gallery *gallery = enroll_and_open();
  lk_segment *segment = &gallery->contents->catalog->parts[0]->segment;
  lk_segment_header *header = &segment->header;
  int file = open(segment->path, O_RDWR | O_CLOEXEC);
  off_t code = (off_t)header->sections[LK_SECTION_CODES].offset + 9 * DIM,
        bound = (off_t)header->sections[LK_SECTION_BOUNDS].offset + 9 * (off_t)sizeof short_row;
  cr_assert_eq(pwrite(file, nothing, sizeof nothing, code), (ssize_t)sizeof nothing);
  cr_assert_eq(pwrite(file, &short_row, sizeof short_row, bound), (ssize_t)sizeof short_row);
  for (lk_section s = 0; s < LK_SECTIONS; s++)
    header->sections[s].checksum = XXH3_64bits(lk_segment_section(segment, s), header->sections[s].bytes);
  cr_assert_eq(pwrite(file, header, sizeof *header, 0), (ssize_t)sizeof *header);
  close(file);
  lk_error error;
  cr_assert_eq(lk_gallery_check(gallery, &error), LK_ECORRUPT);
  cr_assert_not_null(strstr(error.text, "row 9: the vector and its code do not agree"), "%s", error.text);
  lk_gallery_close(gallery);
}
