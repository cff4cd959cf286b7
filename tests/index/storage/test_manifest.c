#include <criterion/criterion.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "governance/binding.h"
#include "index/storage/manifest.h"
#include "tests/support/files.h"

TestSuite(manifest, .init = files_setup, .fini = files_teardown);

static lk_manifest_segment segments[3] = {{.id = 1, .rows = 262144, .checksum = UINT64_C(0x0123456789abcdef)},
                                          {.id = 2, .rows = 1, .checksum = UINT64_MAX},
                                          {.id = 1000007, .rows = 7, .checksum = 0}};

static const lk_manifest full = {.metric = LK_L2,
                                 .dim = 4096,
                                 .model = "arcface \"r100\" \\ Z\xc3\xbcrich",
                                 .epoch = 17,
                                 .next_number = UINT64_C(1) << 40,
                                 .next_segment = 1000008,
                                 .segments = segments,
                                 .segments_count = 3};

static void check_equal(const lk_manifest *a, const lk_manifest *b) {
  cr_assert_eq(a->metric, b->metric);
  cr_assert_eq(a->dim, b->dim);
  cr_assert_str_eq(a->model, b->model);
  cr_assert_eq(a->epoch, b->epoch);
  cr_assert_eq(a->next_number, b->next_number);
  cr_assert_eq(a->next_segment, b->next_segment);
  cr_assert_eq(a->segments_count, b->segments_count);
  for (uint32_t i = 0; i < a->segments_count; i++) {
    cr_assert_eq(a->segments[i].id, b->segments[i].id);
    cr_assert_eq(a->segments[i].rows, b->segments[i].rows);
    cr_assert_eq(a->segments[i].checksum, b->segments[i].checksum);
  }
}

static void check_round_trip(const lk_manifest *manifest) {
  lk_manifest read;
  lk_error error = {0};
  cr_assert_eq(lk_manifest_write(files_folder(files_root), manifest, NULL), LK_OK);
  cr_assert_eq(lk_manifest_read(files_folder(files_root), &read, &error), LK_OK, "%s", error.text);
  check_equal(manifest, &read);
  lk_manifest_free(&read);
  cr_assert_eq(files_count(files_root), 1);
}

Test(manifest, round_trip) {
  check_round_trip(&full);
  lk_manifest bare = {.metric = LK_COSINE, .dim = 1, .next_segment = 1};
  check_round_trip(&bare);
  lk_manifest named = bare;
  memset(named.model, 'm', LK_TEXT_MAX);
  check_round_trip(&named);
}

Test(manifest, segment_names) {
  char name[LK_SEGMENT_NAME_MAX];
  lk_manifest_segment_name(1, name);
  cr_assert_str_eq(name, "segment-000001.lks");
  lk_manifest_segment_name(UINT32_MAX, name);
  cr_assert_str_eq(name, "segment-4294967295.lks");
}

Test(manifest, every_changed_byte_is_refused_or_means_the_same) {
  cr_assert_eq(lk_manifest_write(files_folder(files_root), &full, NULL), LK_OK);
  size_t size;
  char *data = files_read(files_path(LK_MANIFEST_FILE), &size);
  for (size_t at = 0; at < size; at++)
    for (int value = 0; value < 256; value++) {
      char kept = data[at];
      data[at] = (char)value;
      lk_manifest read;
      if (lk_manifest_parse("m", data, size, &read, NULL) == LK_OK) {
        check_equal(&full, &read);
        lk_manifest_free(&read);
      } else {
        cr_assert_null(read.segments);
      }
      data[at] = kept;
    }
  free(data);
}

Test(manifest, cut_off_anywhere) {
  cr_assert_eq(lk_manifest_write(files_folder(files_root), &full, NULL), LK_OK);
  size_t size;
  char *data = files_read(files_path(LK_MANIFEST_FILE), &size);
  lk_manifest read;
  for (size_t length = 0; length < size; length++) {
    char *cut = malloc(length + 1);
    memcpy(cut, data, length);
    cr_assert_neq(lk_manifest_parse("m", cut, length, &read, NULL), LK_OK, "%zu bytes", length);
    free(cut);
  }
  free(data);
}

/* Parses what the writer wrote after `change` and with a checksum that fits again. */
static lk_status parse_changed(const char *field, json_t *value, lk_error *error) {
  cr_assert_eq(lk_manifest_write(files_folder(files_root), &full, NULL), LK_OK);
  json_t *root = json_load_file(files_path(LK_MANIFEST_FILE), 0, NULL);
  json_object_del(root, "checksum");
  if (value != NULL)
    json_object_set_new(root, field, value);
  else
    json_object_del(root, field);
  char *text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS), hex[17];
  snprintf(hex, sizeof hex, "%016" PRIx64, (uint64_t)XXH3_64bits(text, strlen(text)));
  free(text);
  json_object_set_new(root, "checksum", json_string(hex));
  text = json_dumps(root, 0);
  lk_manifest read;
  lk_status status = lk_manifest_parse("m", text, strlen(text), &read, error);
  if (status == LK_OK) lk_manifest_free(&read);
  free(text);
  json_decref(root);
  return status;
}

Test(manifest, other_versions_are_refused_by_name) {
  lk_error error;
  cr_assert_eq(parse_changed("version", json_integer(1), &error), LK_OK);
  cr_assert_eq(parse_changed("version", json_integer(0), &error), LK_EFORMAT);
  cr_assert_eq(parse_changed("version", json_integer(3), &error), LK_EFORMAT);
  cr_assert_str_eq(error.text, "m: manifest version 3; this build reads 1 and 2");
  cr_assert_eq(parse_changed("version", json_integer((INT64_C(1) << 32) + 1), &error), LK_EFORMAT);
  cr_assert_eq(parse_changed("version", json_string("1"), &error), LK_EFORMAT);
  cr_assert_eq(parse_changed("version", NULL, &error), LK_EFORMAT);
}

/* Galleries of 0.1.0 have none. */
Test(manifest, a_name_may_be_missing_but_not_malformed) {
  static const char *const bad[] = {"a/b", "..", " a", "\xc3\xa9"};
  lk_error error;
  cr_assert_eq(parse_changed("name", NULL, &error), LK_OK, "%s", error.text);
  cr_assert_eq(parse_changed("name", json_string("faces"), &error), LK_OK, "%s", error.text);
  cr_assert_eq(parse_changed("name", json_integer(1), &error), LK_EFORMAT);
  for (int i = 0; i < 4; i++)
    cr_assert_eq(parse_changed("name", json_string(bad[i]), &error), LK_EFORMAT, "%s", bad[i]);
}

/* Version 2 is a bound gallery's, so that a program that knows no bindings refuses it. */
Test(manifest, version_and_binding_go_together) {
  lk_error error;
  cr_assert_eq(parse_changed("version", json_integer(2), &error), LK_EFORMAT);
  cr_assert_not_null(strstr(error.text, "may and must name a policy"), "%s", error.text);
  cr_assert_eq(parse_changed("governance", json_pack("{s:s}", "policy", "/p.yaml"), &error), LK_EFORMAT);
  cr_assert_not_null(strstr(error.text, "may and must name a policy"), "%s", error.text);
}

Test(manifest, a_binding_is_read_back_and_nothing_unknown_is_ignored) {
  static const char *const bad[][2] = {{"limit", "1"}, {"policy", ""}, {"audit", "a\nb"}};
  lk_error error;
  json_t *root = json_pack("{s:s, s:s, s:s, s:s}", "policy", "/p.yaml", "calibration", "c.json", "audit", "log",
                           "audit_key", "key");
  lk_binding binding = {0};
  cr_assert_eq(lk_binding_from_json("m", root, &binding, &error), LK_OK, "%s", error.text);
  cr_assert_str_eq(binding.policy, "/p.yaml");
  cr_assert_str_eq(binding.calibration, "c.json");
  cr_assert_str_eq(binding.audit, "log");
  cr_assert_str_eq(binding.audit_key, "key");
  json_t *again = lk_binding_to_json(&binding);
  cr_assert(json_equal(root, again));
  json_decref(again);
  lk_binding_free(&binding);
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    json_t *broken = json_copy(root);
    json_object_set_new(broken, bad[i][0], json_string(bad[i][1]));
    cr_assert_eq(lk_binding_from_json("m", broken, &binding, &error), LK_EFORMAT, "%s", bad[i][0]);
    lk_binding_free(&binding);
    json_decref(broken);
  }
  json_object_del(root, "policy");
  cr_assert_eq(lk_binding_from_json("m", root, &binding, &error), LK_EFORMAT, "no policy");
  lk_binding_free(&binding);
  json_decref(root);
}

static json_t *segment_list(json_int_t id, json_int_t rows, const char *checksum) {
  return json_pack("[{s:I, s:I, s:s}]", "id", id, "rows", rows, "checksum", checksum);
}

Test(manifest, fields_out_of_range_though_the_checksum_fits) {
  static const char *const fields[] = {"metric", "dim",         "store",        "model",
                                       "epoch",  "next_number", "next_segment", "segments"};
  lk_error error;
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
    cr_assert_eq(parse_changed(fields[i], NULL, &error), LK_EFORMAT, "%s", fields[i]);
    cr_assert_eq(parse_changed(fields[i], json_real(1.5), &error), LK_EFORMAT, "%s", fields[i]);
    cr_assert_eq(parse_changed(fields[i], json_null(), &error), LK_EFORMAT, "%s", fields[i]);
    cr_assert_eq(parse_changed(fields[i], json_integer(-1), &error), LK_EFORMAT, "%s", fields[i]);
    cr_assert_eq(parse_changed(fields[i], json_object(), &error), LK_EFORMAT, "%s", fields[i]);
  }
  char longest[LK_TEXT_MAX + 2] = {0};
  memset(longest, 'x', LK_TEXT_MAX + 1);
  cr_assert_eq(parse_changed("model", json_string(longest), &error), LK_EFORMAT);
  cr_assert_eq(parse_changed("metric", json_string("hamming"), &error), LK_EFORMAT);
  cr_assert_eq(parse_changed("store", json_string("f8"), &error), LK_EFORMAT);
  cr_assert_eq(parse_changed("dim", json_integer(0), &error), LK_EFORMAT);
  cr_assert_eq(parse_changed("dim", json_integer(4097), &error), LK_EFORMAT);
  cr_assert_eq(parse_changed("dim", json_integer((INT64_C(1) << 32) + 1), &error), LK_EFORMAT);
  cr_assert_eq(parse_changed("next_segment", json_integer(INT64_C(1) << 32), &error), LK_EFORMAT);
  cr_assert_str_eq(error.text, "m: a field is out of range");
}

Test(manifest, segments_out_of_range_though_the_checksum_fits) {
  lk_error error;
  const char *sum = "00000000000000ff";
  cr_assert_eq(parse_changed("segments", segment_list(1, 1, sum), &error), LK_OK, "%s", error.text);
  cr_assert_eq(parse_changed("segments", segment_list(1, 0, sum), &error), LK_EFORMAT);
  cr_assert_str_eq(error.text, "m: segment 0 is malformed");
  cr_assert_eq(parse_changed("segments", segment_list(-1, 1, sum), &error), LK_EFORMAT);
  cr_assert_eq(parse_changed("segments", segment_list(1, -1, sum), &error), LK_EFORMAT);
  cr_assert_eq(parse_changed("segments", segment_list(1, INT64_C(1) << 32, sum), &error), LK_EFORMAT);
  cr_assert_eq(parse_changed("segments", segment_list((INT64_C(1) << 32) + 1, 1, sum), &error), LK_EFORMAT);
  cr_assert_eq(parse_changed("segments", segment_list(1, 1, "ff"), &error), LK_EFORMAT);
  cr_assert_eq(parse_changed("segments", segment_list(1, 1, "00000000000000fx"), &error), LK_EFORMAT);
  cr_assert_eq(parse_changed("segments", json_pack("[i]", 1), &error), LK_EFORMAT);
  /* The next enrollment would take it for a leftover. */
  cr_assert_eq(parse_changed("segments", segment_list(1000008, 1, sum), &error), LK_EFORMAT);
}

/* Two readers could each take another one. */
Test(manifest, a_name_that_comes_twice) {
  cr_assert_eq(lk_manifest_write(files_folder(files_root), &full, NULL), LK_OK);
  size_t size;
  char *data = files_read(files_path(LK_MANIFEST_FILE), &size), *twice = malloc(size + 16);
  cr_assert_eq(data[0], '{');
  memcpy(twice, "{\"dim\": 7, ", 11);
  memcpy(twice + 11, data + 1, size - 1);
  lk_manifest read;
  lk_error error;
  cr_assert_eq(lk_manifest_parse("m", twice, size + 10, &read, &error), LK_EFORMAT);
  cr_assert_not_null(strstr(error.text, "duplicate"), "%s", error.text);
  free(data);
  free(twice);
}

Test(manifest, missing_and_empty) {
  lk_manifest read;
  lk_error error;
  cr_assert_eq(lk_manifest_read(files_folder(files_root), &read, &error), LK_EIO);
  cr_assert_not_null(strstr(error.text, "/MANIFEST: cannot open"), "%s", error.text);
  files_write(files_path(LK_MANIFEST_FILE), "", 0);
  cr_assert_eq(lk_manifest_read(files_folder(files_root), &read, &error), LK_EFORMAT);
  files_write(files_path(LK_MANIFEST_FILE), "[]", 2);
  cr_assert_eq(lk_manifest_read(files_folder(files_root), &read, &error), LK_EFORMAT);
}
