#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "index/formats/vector.h"
#include "index/gallery/gallery.h"
#include "index/gallery/unchecked.h"
#include "tests/support/files.h"

TestSuite(gallery, .init = files_setup, .fini = files_teardown);

static const lk_gallery_options plain = {.dim = 3, .metric = LK_IP, .model = "m1"};

Test(gallery, a_new_one_is_empty) {
  const char *folder = files_gallery("g1.A_b-c", LK_L2, 12);
  lk_gallery *gallery = files_open(folder);
  lk_gallery_stat stat;
  lk_gallery_stat_get(gallery, &stat);
  cr_assert_str_eq(stat.name, "g1.A_b-c");
  cr_assert_str_eq(stat.model, "m1");
  cr_assert(stat.metric == LK_L2 && stat.dim == 12 && stat.templates == 0 && stat.segments == 0);
  cr_assert(stat.epoch == 0 && stat.next_number == 0 && stat.bytes == 0);
  uint64_t subjects = 9;
  cr_assert_eq(lk_gallery_subjects(gallery, &subjects, NULL), LK_OK);
  cr_assert_eq(subjects, 0);
  cr_assert_eq(lk_gallery_check(gallery, NULL), LK_OK);
  lk_gallery_close(gallery);
}

Test(gallery, made_in_an_empty_folder_but_in_no_other) {
  lk_error error;
  cr_assert_eq(mkdir(files_path("g"), 0777), 0);
  cr_assert_eq(lk_gallery_create(files_path("g"), &plain, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_gallery_create(files_path("g"), &plain, &error), LK_EEXIST);
  cr_assert_not_null(strstr(error.text, "/g: the folder exists already and is not empty"), "%s", error.text);
  cr_assert_eq(mkdir(files_path("full"), 0777), 0);
  files_write(files_path("full/notes"), "x", 1);
  cr_assert_eq(lk_gallery_create(files_path("full"), &plain, NULL), LK_EEXIST);
  cr_assert_eq(files_count(files_path("full")), 1);
  files_write(files_path("file"), "x", 1);
  cr_assert_neq(lk_gallery_create(files_path("file"), &plain, NULL), LK_OK);
}

Test(gallery, bad_names_leave_nothing_behind) {
  static const char *const bad[] = {"has space", ".hidden", "semi;colon", "Z\xc3\xbcrich", "new\nline", "a:b"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    cr_assert_eq(lk_gallery_create(files_path(bad[i]), &plain, NULL), LK_EINVAL, "%s", bad[i]);
    cr_assert_eq(files_count(files_root), 0, "%s", bad[i]);
  }
  cr_assert_eq(lk_gallery_create(files_path("no/parent"), &plain, NULL), LK_EIO);
  cr_assert_neq(lk_gallery_create("", &plain, NULL), LK_OK);
}

Test(gallery, bad_options_leave_nothing_behind) {
  char longest[LK_TEXT_MAX + 2] = {0};
  memset(longest, 'm', LK_TEXT_MAX + 1);
  lk_gallery_options options[] = {{.dim = 0},
                                  {.dim = LK_DIM_MAX + 1},
                                  {.dim = 1, .model = longest},
                                  {.dim = 1, .model = "\xff"},
                                  {.dim = 1, .model = "a\nb"},
                                  {.dim = 1, .metric = (lk_metric)3}};
  for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
    cr_assert_neq(lk_gallery_create(files_path("g"), &options[i], NULL), LK_OK, "%zu", i);
  cr_assert_eq(files_count(files_root), 0);
  lk_gallery_options widest = {.dim = LK_DIM_MAX, .model = longest + 1};
  cr_assert_eq(lk_gallery_create(files_path("g"), &widest, NULL), LK_OK);
}

Test(gallery, the_name_is_the_folders_whatever_the_path) {
  files_gallery("named", LK_IP, 3);
  cr_assert_eq(mkdir(files_path("side"), 0777), 0);
  cr_assert_eq(symlink(files_path("named"), files_path("link")), 0);
  cr_assert_eq(chdir(files_path("named")), 0);
  const char *const ways[] = {".", "../named/", files_path("side/../named//"), files_path("link")};
  for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
    lk_gallery *gallery = files_open(ways[i]);
    lk_gallery_stat stat;
    lk_gallery_stat_get(gallery, &stat);
    cr_assert_str_eq(stat.name, "named", "%s", ways[i]);
    lk_gallery_close(gallery);
  }
}

/* A rule that forbids a gallery must not end with its folder's name. */
Test(gallery, the_name_stays_when_the_folder_is_renamed) {
  files_gallery("named", LK_IP, 3);
  cr_assert_eq(rename(files_path("named"), files_path("other")), 0);
  for (int enrolled = 0; enrolled < 2; enrolled++) {
    lk_gallery *gallery = files_open(files_path("other"));
    lk_gallery_stat stat;
    lk_gallery_stat_get(gallery, &stat);
    cr_assert_str_eq(stat.name, "named");
    lk_gallery_close(gallery);
    files_enroll(files_path("other"), (float[]){1, 2, 3}, 1, 3, NULL);
  }
}

Test(gallery, what_is_none_is_named) {
  lk_gallery *gallery = NULL;
  lk_error error;
  cr_assert_eq(lk_gallery_open(files_path("missing"), &gallery, &error), LK_EGALLERY);
  cr_assert_not_null(strstr(error.text, "/missing: no such gallery"), "%s", error.text);
  cr_assert_eq(mkdir(files_path("bare"), 0777), 0);
  cr_assert_eq(lk_gallery_open(files_path("bare"), &gallery, &error), LK_EIO);
  cr_assert_not_null(strstr(error.text, "MANIFEST"), "%s", error.text);
  cr_assert_null(gallery);
  lk_gallery_close(NULL);
}

static void enroll_random(const char *folder, uint64_t seed, uint32_t rows, uint32_t dim) {
  random_state random = {seed};
  float *data = files_random(&random, rows, dim);
  files_enroll(folder, data, rows, dim, NULL);
  free(data);
}

Test(gallery, templates_of_all_segments_in_order) {
  const char *folder = files_gallery("g", LK_IP, 2);
  static const uint32_t runs[] = {1, 5, 300, 2};
  for (int i = 0; i < 4; i++) enroll_random(folder, 1, runs[i], 2);
  lk_gallery *gallery = files_open(folder);
  lk_gallery_stat stat;
  lk_gallery_stat_get(gallery, &stat);
  cr_assert(stat.segments == 4 && stat.templates == 308 && stat.epoch == 4 && stat.next_number == 308);
  for (uint64_t i = 0; i < stat.templates; i++) {
    lk_template t = lk_gallery_template(gallery, i);
    cr_assert_eq(t.number, i);
    char key[8];
    snprintf(key, sizeof key, "%u", (unsigned)i);
    cr_assert(lk_text_equal(t.key, lk_text_of(key)) && lk_text_equal(t.subject, t.key));
    uint32_t inside, segment = i < 1 ? 0 : i < 6 ? 1 : i < 306 ? 2 : 3;
    cr_assert_eq(lk_catalog_part_at(gallery->contents->catalog, i, &inside),
                 gallery->contents->catalog->parts[segment]);
    cr_assert_eq(gallery->contents->catalog->first_row[segment] + inside, i);
  }
  lk_gallery_close(gallery);
}

/* By key, from galleries whose rows lie in another order. */
static void check_vectors(lk_metric metric, lk_store store) {
  enum { ROWS = 700, DIM = 6 };
  char name[16];
  snprintf(name, sizeof name, "g%d%d", (int)metric, (int)store);
  const char *folder = files_path(name);
  lk_gallery_options options = {.dim = DIM, .metric = metric, .store = store};
  cr_assert_eq(lk_gallery_create(folder, &options, NULL), LK_OK);
  random_state random = {5};
  float *data = files_random(&random, ROWS, DIM), want[DIM], got[DIM];
  files_enroll(folder, data, 300, DIM, NULL);
  files_enroll(folder, data + 300 * DIM, ROWS - 300, DIM, NULL);
  lk_gallery *gallery = files_open(folder);
  lk_vectors vectors = files_vectors(data, ROWS, DIM);
  for (uint64_t i = 0; i < ROWS; i++) {
    char key[8];
    snprintf(key, sizeof key, "%u", (unsigned)i);
    uint64_t position = ROWS;
    cr_assert_eq(lk_gallery_find(gallery, lk_text_of(key), &position, NULL), LK_OK);
    cr_assert_eq(position, i);
    cr_assert_eq(lk_gallery_export_unchecked(gallery, position, got, NULL), LK_OK);
    lk_vector_prepare(metric, &vectors, i, want);
    lk_vector_round(metric, store, want, DIM);
    cr_assert_arr_eq(got, want, sizeof got, "template %u", (unsigned)i);
  }
  lk_error error;
  uint64_t position;
  cr_assert_eq(lk_gallery_find(gallery, lk_text_of("700"), &position, &error), LK_ENOTFOUND);
  cr_assert_not_null(strstr(error.text, "'700'"));
  lk_gallery_close(gallery);
  free(data);
}

Test(gallery, vectors_come_back_as_stored) {
  for (lk_metric metric = LK_COSINE; metric <= LK_L2; metric++)
    for (lk_store store = LK_STORE_F32; store <= LK_STORE_F16; store++) check_vectors(metric, store);
}

Test(gallery, an_f16_gallery_refuses_what_halves_cannot_hold) {
  const char *folder = files_path("g");
  lk_gallery_options options = {.dim = 2, .metric = LK_IP, .store = LK_STORE_F16};
  cr_assert_eq(lk_gallery_create(folder, &options, NULL), LK_OK);
  lk_vectors vectors = files_vectors((float[]){1, 2, 3, 70000}, 2, 2);
  lk_error error;
  cr_assert_eq(lk_gallery_enroll(folder, &vectors, NULL, NULL, NULL, NULL, NULL, &error), LK_EBADPROBE);
  cr_assert_not_null(strstr(error.text, "row 1 has an element beyond 65504"), "%s", error.text);
}

Test(gallery, subjects_are_counted_once) {
  const char *folder = files_gallery("g", LK_IP, 1);
  static const char *const subjects[] = {"a", "b", "a", "", "c"};
  lk_label labels[5];
  memset(labels, 0, sizeof labels);
  for (int i = 0; i < 5; i++) labels[i].subject = lk_text_of(subjects[i]);
  float data[5] = {1, 2, 3, 4, 5};
  files_enroll(folder, data, 5, 1, labels);
  files_enroll(folder, data, 5, 1, labels);
  lk_gallery *gallery = files_open(folder);
  uint64_t count;
  cr_assert_eq(lk_gallery_subjects(gallery, &count, NULL), LK_OK);
  cr_assert_eq(count, 5, "a, b, c and the two default ones, 3 and 8");
  lk_gallery_close(gallery);
}

Test(gallery, an_open_one_shows_what_it_had) {
  const char *folder = files_gallery("g", LK_IP, 2);
  enroll_random(folder, 1, 3, 2);
  lk_gallery *before = files_open(folder);
  enroll_random(folder, 2, 4, 2);
  lk_gallery *after = files_open(folder);
  lk_gallery_stat stat;
  lk_gallery_stat_get(before, &stat);
  cr_assert_eq(stat.templates, 3);
  lk_gallery_stat_get(after, &stat);
  cr_assert_eq(stat.templates, 7);
  cr_assert_eq(lk_gallery_check(before, NULL), LK_OK);
  lk_gallery_close(before);
  lk_gallery_close(after);
}

/* Opened, checked, and with a device to load on: LK_OK only where all of it is. */
static lk_status open_and_check(const char *folder, lk_error *error) {
  lk_gallery *gallery;
  lk_status status = lk_gallery_open(folder, &gallery, error);
  if (status != LK_OK) return status;
  status = lk_gallery_check(gallery, error);
  lk_gallery_close(gallery);
  return status;
}

Test(gallery, every_changed_byte_of_every_file_is_found) {
  const char *folder = files_gallery("g", LK_COSINE, 2);
  enroll_random(folder, 1, 3, 2);
  enroll_random(folder, 2, 2, 2);
  static const char *const names[] = {"g/segment-000001.lks", "g/segment-000002.lks"};
  for (int i = 0; i < 2; i++) {
    size_t size;
    char *data = files_read(files_path(names[i]), &size);
    for (size_t at = 0; at < size; at++) {
      data[at] ^= 0x20;
      files_write(files_path(names[i]), data, size);
      lk_error error = {0};
      cr_assert_neq(open_and_check(folder, &error), LK_OK, "byte %zu", at);
      cr_assert_not_null(strstr(error.text, names[i]), "%s", error.text);
      data[at] ^= 0x20;
    }
    files_write(files_path(names[i]), data, size);
    free(data);
  }
  cr_assert_eq(open_and_check(folder, NULL), LK_OK);
}

Test(gallery, segments_that_the_manifest_does_not_mean) {
  const char *folder = files_gallery("g", LK_COSINE, 2);
  enroll_random(folder, 1, 3, 2);
  enroll_random(folder, 2, 3, 2);
  files_copy(files_path("g/segment-000001.lks"), files_path("one"));
  files_copy(files_path("g/segment-000002.lks"), files_path("g/segment-000001.lks"));
  lk_error error;
  cr_assert_eq(open_and_check(folder, &error), LK_ECORRUPT);
  cr_assert_not_null(strstr(error.text, "not the segment that the manifest names"), "%s", error.text);
  unlink(files_path("g/segment-000001.lks"));
  cr_assert_eq(open_and_check(folder, &error), LK_EIO);
  files_copy(files_path("one"), files_path("g/segment-000001.lks"));
  cr_assert_eq(open_and_check(folder, &error), LK_OK);
}

/* What no enrollment makes, but a manifest put together by hand could: check has to find it. */
Test(gallery, check_finds_a_key_that_two_templates_have) {
  const char *folder = files_gallery("g", LK_COSINE, 2);
  enroll_random(folder, 1, 3, 2);
  lk_manifest manifest;
  cr_assert_eq(lk_manifest_read(files_folder(folder), &manifest, NULL), LK_OK);
  lk_manifest_segment twice[2] = {manifest.segments[0], manifest.segments[0]};
  lk_manifest forged = manifest;
  forged.segments = twice;
  forged.segments_count = 2;
  cr_assert_eq(lk_manifest_write(files_folder(folder), &forged, NULL), LK_OK);
  lk_error error;
  cr_assert_eq(open_and_check(folder, &error), LK_ECORRUPT);
  cr_assert_not_null(strstr(error.text, "another template with key '0'"), "%s", error.text);
  forged = manifest;
  forged.next_number = 2;
  cr_assert_eq(lk_manifest_write(files_folder(folder), &forged, NULL), LK_OK);
  cr_assert_eq(open_and_check(folder, &error), LK_ECORRUPT);
  cr_assert_not_null(strstr(error.text, "row 2: template number 2 was never given"), "%s", error.text);
  forged = manifest;
  forged.dim = 3;
  cr_assert_eq(lk_manifest_write(files_folder(folder), &forged, NULL), LK_OK);
  cr_assert_eq(open_and_check(folder, &error), LK_ECORRUPT);
  lk_manifest_free(&manifest);
}

Test(gallery, load_refuses_damaged_codes) {
  const char *folder = files_gallery("g", LK_COSINE, 2);
  enroll_random(folder, 1, 3, 2);
  lk_gallery *gallery = files_open(folder);
  size_t size, offset = (size_t)((const char *)gallery->contents->catalog->parts[0]->segment.block.codes -
                                 (const char *)gallery->contents->catalog->parts[0]->segment.file.data);
  lk_gallery_close(gallery);
  char *data = files_read(files_path("g/segment-000001.lks"), &size);
  data[offset] ^= 1;
  files_write(files_path("g/segment-000001.lks"), data, size);
  free(data);
  lk_device *device;
  lk_error error;
  cr_assert_eq(lk_device_open("cpu", 1, &device, NULL), LK_OK);
  gallery = files_open(folder);
  cr_assert_eq(lk_gallery_load(gallery, device, &error), LK_ECORRUPT);
  cr_assert_not_null(strstr(error.text, "codes"), "%s", error.text);
  lk_gallery_close(gallery);
  lk_device_close(device);
}

Test(gallery, metric_names) {
  lk_metric metric;
  for (lk_metric m = LK_COSINE; m <= LK_L2; m++) {
    cr_assert_eq(lk_metric_parse(lk_metric_name(m), &metric, NULL), LK_OK);
    cr_assert_eq(metric, m);
  }
  cr_assert_eq(lk_metric_parse("hamming", &metric, NULL), LK_EINVAL);
  cr_assert_str_eq(lk_metric_name((lk_metric)3), "?");
  cr_assert_str_eq(lk_metric_name((lk_metric)-1), "?");
}

Test(gallery, store_and_fusion_names) {
  lk_error error;
  lk_store store = LK_STORE_F32;
  lk_fusion fusion = LK_FUSE_NONE;
  cr_assert_eq(lk_store_parse("f16", &store, NULL), LK_OK);
  cr_assert(store == LK_STORE_F16 && strcmp(lk_store_name(store), "f16") == 0);
  cr_assert_eq(lk_store_parse("f8", &store, &error), LK_EINVAL);
  cr_assert_eq(lk_fusion_parse(lk_text_of("mean"), &fusion, NULL), LK_OK);
  cr_assert(fusion == LK_FUSE_MEAN && strcmp(lk_fusion_name(fusion), "mean") == 0);
  cr_assert_eq(lk_fusion_parse(lk_text_of("median"), &fusion, &error), LK_EINVAL);
  cr_assert_not_null(strstr(error.text, "'median' is not one of"), "%s", error.text);
  cr_assert_str_eq(lk_store_name((lk_store)2), "?");
  cr_assert_str_eq(lk_fusion_name((lk_fusion)3), "?");
}
