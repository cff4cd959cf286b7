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

static lk_manifest full = {
    .id = {0xd1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0},
    .metric = LK_L2,
    .dim = 4096,
    .model = "arcface \"r100\" \\ Z\xc3\xbcrich",
    .epoch = 17,
    .next_number = UINT64_C(1) << 40,
    .next_file = 1000011,
    .segments = segments,
    .segments_count = 3,
    .state = {.id = 1000008, .checksum = UINT64_C(0xfedcba9876543210)},
    .sequence = 400,
    .journals = {{.id = 1000009, .epoch = 12, .sequence = 400}, {.id = 1000010, .epoch = 17, .sequence = INT64_MAX}},
    .journals_count = 2,
    .log = {.mark = {.ms = INT64_MAX, .n = 3, .seq = 7, .term = 2, .hash = "0123456789abcdef0123456789abcdef01234567"},
            .seen = 9}};

static void check_equal(const lk_manifest *a, const lk_manifest *b) {
  cr_assert_eq(a->metric, b->metric);
  cr_assert_eq(a->dim, b->dim);
  cr_assert_str_eq(a->model, b->model);
  cr_assert_eq(a->epoch, b->epoch);
  cr_assert_eq(a->next_number, b->next_number);
  cr_assert_eq(a->next_file, b->next_file);
  cr_assert_arr_eq(a->id, b->id, sizeof a->id);
  cr_assert_eq(a->sequence, b->sequence);
  cr_assert(a->state.id == b->state.id && a->state.checksum == b->state.checksum);
  const lk_log_mark *x = &a->log.mark, *y = &b->log.mark;
  cr_assert(x->ms == y->ms && x->n == y->n && x->seq == y->seq && x->term == y->term && a->log.seen == b->log.seen);
  cr_assert_str_eq(x->hash, y->hash);
  cr_assert_eq(a->journals_count, b->journals_count);
  for (uint32_t i = 0; i < a->journals_count; i++)
    cr_assert(a->journals[i].id == b->journals[i].id && a->journals[i].epoch == b->journals[i].epoch &&
              a->journals[i].sequence == b->journals[i].sequence);
  cr_assert_eq(a->segments_count, b->segments_count);
  for (uint32_t i = 0; i < a->segments_count; i++) {
    cr_assert_eq(a->segments[i].id, b->segments[i].id);
    cr_assert_eq(a->segments[i].rows, b->segments[i].rows);
    cr_assert_eq(a->segments[i].checksum, b->segments[i].checksum);
  }
}

static void check_round_trip(lk_manifest *manifest) {
  lk_manifest read;
  lk_error error = {0};
  cr_assert_eq(lk_manifest_write(files_folder(files_root), manifest, NULL), LK_OK);
  cr_assert_eq(lk_manifest_read(files_folder(files_root), &read, &error), LK_OK, "%s", error.text);
  check_equal(manifest, &read);
  cr_assert(read.version == 3 && manifest->version == 3);
  lk_manifest_free(&read);
  cr_assert_eq(files_count(files_root), 1);
}

Test(manifest, round_trip) {
  check_round_trip(&full);
  lk_manifest bare = {.metric = LK_COSINE, .dim = 1, .next_file = 1};
  check_round_trip(&bare);
  lk_manifest named = bare;
  memset(named.model, 'm', LK_TEXT_MAX);
  check_round_trip(&named);
  lk_manifest seen = bare;
  seen.log.seen = 4; /* by a fold that began before the first entry */
  check_round_trip(&seen);
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

/* Parses it with a checksum that fits. */
static lk_status parse_sealed(json_t *root, lk_manifest *read, lk_error *error) {
  json_object_del(root, "checksum");
  char *text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS), hex[17];
  snprintf(hex, sizeof hex, "%016" PRIx64, (uint64_t)XXH3_64bits(text, strlen(text)));
  free(text);
  json_object_set_new(root, "checksum", json_string(hex));
  text = json_dumps(root, 0);
  lk_status status = lk_manifest_parse("m", text, strlen(text), read, error);
  free(text);
  return status;
}

static json_t *written(void) {
  cr_assert_eq(lk_manifest_write(files_folder(files_root), &full, NULL), LK_OK);
  return json_load_file(files_path(LK_MANIFEST_FILE), 0, NULL);
}

static void change(json_t *root, const char *field, json_t *value) {
  if (value != NULL)
    json_object_set_new(root, field, value);
  else
    json_object_del(root, field);
}

/* What older builds wrote, of version 1. */
static json_t *older(void) {
  static const char *const newer[] = {"id", "next_file", "sequence", "state", "journals"};
  json_t *root = written();
  for (int i = 0; i < 5; i++) change(root, newer[i], NULL);
  change(root, "next_segment", json_integer(1000008));
  change(root, "version", json_integer(1));
  return root;
}

static lk_status parse_after(json_t *root, const char *field, json_t *value, lk_error *error) {
  lk_manifest read;
  change(root, field, value);
  lk_status status = parse_sealed(root, &read, error);
  if (status == LK_OK) lk_manifest_free(&read);
  json_decref(root);
  return status;
}

static lk_status parse_changed(const char *field, json_t *value, lk_error *error) {
  return parse_after(written(), field, value, error);
}

static lk_status parse_older(const char *field, json_t *value, lk_error *error) {
  return parse_after(older(), field, value, error);
}

Test(manifest, other_versions_are_refused_by_name) {
  lk_error error;
  cr_assert_eq(parse_changed("version", json_integer(3), &error), LK_OK);
  cr_assert_eq(parse_changed("version", json_integer(0), &error), LK_EFORMAT);
  cr_assert_eq(parse_changed("version", json_integer(4), &error), LK_EFORMAT);
  cr_assert_str_eq(error.text, "m: manifest version 4; this build reads 1 to 3");
  cr_assert_eq(parse_changed("version", json_integer((INT64_C(1) << 32) + 1), &error), LK_EFORMAT);
  cr_assert_eq(parse_changed("version", json_string("1"), &error), LK_EFORMAT);
  cr_assert_eq(parse_changed("version", NULL, &error), LK_EFORMAT);
}

Test(manifest, older_versions_have_no_identity_until_they_are_written) {
  static const uint8_t none[LK_GALLERY_ID_BYTES];
  lk_manifest read, again;
  lk_error error = {0};
  json_t *root = older();
  cr_assert_eq(parse_sealed(root, &read, &error), LK_OK, "%s", error.text);
  cr_assert(read.version == 1 && read.next_file == 1000008 && read.segments_count == 3);
  cr_assert(read.journals_count == 0 && read.sequence == 0 && read.state.id == 0);
  cr_assert_arr_eq(read.id, none, sizeof none);
  cr_assert_eq(lk_manifest_write(files_folder(files_root), &read, &error), LK_OK, "%s", error.text);
  cr_assert_arr_neq(read.id, none, sizeof none);
  cr_assert_eq(lk_manifest_read(files_folder(files_root), &again, &error), LK_OK, "%s", error.text);
  check_equal(&read, &again);
  cr_assert_eq(again.version, 3);
  /* The second manifest is another gallery's. */
  lk_manifest_free(&again);
  cr_assert_eq(parse_sealed(root, &again, &error), LK_OK);
  cr_assert_eq(lk_manifest_give_identity(&again, &error), LK_OK);
  cr_assert_arr_neq(read.id, again.id, sizeof none);
  lk_manifest_free(&read);
  lk_manifest_free(&again);
  json_decref(root);
}

/* Galleries of 0.1.0 have none. */
Test(manifest, a_name_may_be_missing_but_not_malformed) {
  static const char *const bad[] = {"a/b", "..", " a", "\xc3\xa9"};
  lk_error error;
  cr_assert_eq(parse_older("name", NULL, &error), LK_OK, "%s", error.text);
  cr_assert_eq(parse_older("name", json_string("faces"), &error), LK_OK, "%s", error.text);
  cr_assert_eq(parse_older("name", json_integer(1), &error), LK_EFORMAT);
  for (int i = 0; i < 4; i++)
    cr_assert_eq(parse_changed("name", json_string(bad[i]), &error), LK_EFORMAT, "%s", bad[i]);
  cr_assert_str_eq(error.text, "m: 'name' must be a gallery's name");
}

/* Version 2 is a bound gallery's, so that a program that knows no bindings refuses it. */
Test(manifest, version_and_binding_go_together) {
  lk_error error;
  cr_assert_eq(parse_older("version", json_integer(2), &error), LK_EFORMAT);
  cr_assert_not_null(strstr(error.text, "may and must name a policy"), "%s", error.text);
  cr_assert_eq(parse_older("governance", json_pack("{s:s}", "policy", "/p.yaml"), &error), LK_EFORMAT);
  cr_assert_not_null(strstr(error.text, "may and must name a policy"), "%s", error.text);
  json_t *bound = older();
  change(bound, "version", json_integer(2));
  cr_assert_eq(parse_after(bound, "governance", json_pack("{s:s}", "policy", "/p.yaml"), &error), LK_OK);
  cr_assert_eq(parse_changed("governance", json_pack("{s:s}", "policy", "/p.yaml"), &error), LK_OK);
  cr_assert_eq(parse_changed("governance", json_null(), &error), LK_EFORMAT);
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

/* Messages name the file and the field. */
static void check_refused(const char *field, json_t *value, const char *named) {
  lk_error error = {0};
  char wanted[64];
  snprintf(wanted, sizeof wanted, "m: '%s'", named);
  cr_assert_eq(parse_changed(field, value, &error), LK_EFORMAT, "%s", field);
  cr_assert_eq(strncmp(error.text, wanted, strlen(wanted)), 0, "%s, not: %s", wanted, error.text);
}

Test(manifest, fields_out_of_range_though_the_checksum_fits) {
  static const char *const fields[] = {"id",          "metric",    "dim",      "store",    "model",   "epoch",
                                       "next_number", "next_file", "sequence", "segments", "journals"};
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
    check_refused(fields[i], NULL, fields[i]);
    check_refused(fields[i], json_real(1.5), fields[i]);
    check_refused(fields[i], json_null(), fields[i]);
    check_refused(fields[i], json_integer(-1), fields[i]);
    check_refused(fields[i], json_object(), fields[i]);
  }
  char longest[LK_TEXT_MAX + 2] = {0};
  memset(longest, 'x', LK_TEXT_MAX + 1);
  check_refused("model", json_string(longest), "model");
  check_refused("metric", json_string("hamming"), "metric");
  check_refused("store", json_string("f8"), "store");
  check_refused("dim", json_integer(0), "dim");
  check_refused("dim", json_integer(4097), "dim");
  check_refused("dim", json_integer((INT64_C(1) << 32) + 1), "dim");
  check_refused("next_file", json_integer(INT64_C(1) << 32), "next_file");
  check_refused("next_file", json_integer(0), "next_file");
  check_refused("id", json_string("00000000000000000000000000000000"), "id");
  check_refused("id", json_string("d102030405060708090a0b0c0d0e0f0"), "id");
  check_refused("id", json_string("d102030405060708090a0b0c0d0e0f000"), "id");
  check_refused("id", json_string("D102030405060708090a0b0c0d0e0f00"), "id");
  lk_error error;
  cr_assert_eq(parse_older("next_segment", NULL, &error), LK_EFORMAT);
  cr_assert_str_eq(error.text, "m: 'next_segment' must be an integer from 1 to 4294967295");
}

Test(manifest, segments_out_of_range_though_the_checksum_fits) {
  lk_error error;
  const char *sum = "00000000000000ff";
  cr_assert_eq(parse_changed("segments", segment_list(1, 1, sum), &error), LK_OK, "%s", error.text);
  check_refused("segments", segment_list(1, 0, sum), "segments[0].rows");
  check_refused("segments", segment_list(-1, 1, sum), "segments[0].id");
  check_refused("segments", segment_list(1, -1, sum), "segments[0].rows");
  check_refused("segments", segment_list(1, INT64_C(1) << 32, sum), "segments[0].rows");
  check_refused("segments", segment_list((INT64_C(1) << 32) + 1, 1, sum), "segments[0].id");
  check_refused("segments", segment_list(1, 1, "ff"), "segments[0].checksum");
  check_refused("segments", segment_list(1, 1, "00000000000000fx"), "segments[0].checksum");
  check_refused("segments", segment_list(1, 1, "0x000000000000ff"), "segments[0].checksum");
  check_refused("segments", json_pack("[i]", 1), "segments[0].id");
  /* The next enrollment would take it for a leftover. */
  check_refused("segments", segment_list(1000011, 1, sum), "segments[0].id");
}

static json_t *state(json_int_t id, const char *checksum) {
  return json_pack("{s:I, s:s}", "id", id, "checksum", checksum);
}

Test(manifest, a_state_out_of_range_though_the_checksum_fits) {
  lk_error error;
  const char *sum = "00000000000000ff";
  cr_assert_eq(parse_changed("state", NULL, &error), LK_OK, "%s", error.text);
  cr_assert_eq(parse_changed("state", state(1000010, sum), &error), LK_OK, "%s", error.text);
  check_refused("state", json_null(), "state.id");
  check_refused("state", json_array(), "state.id");
  check_refused("state", state(0, sum), "state.id");
  check_refused("state", state(-1, sum), "state.id");
  check_refused("state", state((INT64_C(1) << 32) + 1, sum), "state.id");
  check_refused("state", state(1000011, sum), "state.id");
  check_refused("state", state(1, "ff"), "state.checksum");
}

/* Journals i of the ids, epochs and sequences, as many as have an id. */
static json_t *journals(json_int_t a, json_int_t a_epoch, json_int_t a_sequence, json_int_t b, json_int_t b_epoch,
                        json_int_t b_sequence) {
  json_t *list = json_array();
  json_array_append_new(list, json_pack("{s:I, s:I, s:I}", "id", a, "epoch", a_epoch, "sequence", a_sequence));
  if (b != 0)
    json_array_append_new(list, json_pack("{s:I, s:I, s:I}", "id", b, "epoch", b_epoch, "sequence", b_sequence));
  return list;
}

/* The full manifest has the sequence 400. */
Test(manifest, journals_out_of_range_though_the_checksum_fits) {
  lk_error error;
  cr_assert_eq(parse_changed("journals", json_array(), &error), LK_OK, "%s", error.text);
  cr_assert_eq(parse_changed("journals", journals(7, 5, 400, 0, 0, 0), &error), LK_OK, "%s", error.text);
  cr_assert_eq(parse_changed("journals", journals(7, 5, 400, 8, 5, 400), &error), LK_OK, "%s", error.text);
  check_refused("journals", json_pack("[i]", 1), "journals[0].id");
  check_refused("journals", json_pack("[[], [], []]"), "journals");
  check_refused("journals", journals(-1, 5, 400, 0, 0, 0), "journals[0].id");
  check_refused("journals", journals(INT64_C(1) << 32, 5, 400, 0, 0, 0), "journals[0].id");
  check_refused("journals", journals(1000011, 5, 400, 0, 0, 0), "journals[0].id");
  check_refused("journals", journals(7, -1, 400, 0, 0, 0), "journals[0].epoch");
  check_refused("journals", journals(7, 5, -1, 0, 0, 0), "journals[0].sequence");
  check_refused("journals", journals(7, 5, 399, 0, 0, 0), "journals[0].sequence");
  check_refused("journals", journals(7, 5, 401, 0, 0, 0), "journals[0].sequence");
  check_refused("journals", journals(7, 5, 400, 7, 5, 400), "journals[1].id");
  check_refused("journals", journals(7, 5, 400, 6, 5, 400), "journals[1].id");
  check_refused("journals", journals(7, 5, 400, 8, 4, 400), "journals[1].epoch");
  check_refused("journals", journals(7, 5, 400, 8, 5, 399), "journals[1].sequence");
}

/* Nor are they written. */
Test(manifest, what_could_not_be_read_is_not_written) {
  lk_error error;
  lk_manifest forged = full;
  forged.journals[1].sequence = 399;
  cr_assert_eq(lk_manifest_write(files_folder(files_root), &forged, &error), LK_EFORMAT);
  cr_assert_not_null(strstr(error.text, "/MANIFEST: 'journals[1].sequence' does not follow"), "%s", error.text);
  uint64_t *const numbers[] = {&forged.epoch, &forged.next_number, &forged.journals[1].epoch,
                               &forged.journals[1].sequence};
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    forged = full;
    *numbers[i] = UINT64_C(1) << 63;
    cr_assert_eq(lk_manifest_write(files_folder(files_root), &forged, &error), LK_EFORMAT, "number %zu", i);
    cr_assert_not_null(strstr(error.text, "is above 9223372036854775807"), "%s", error.text);
  }
  forged = full;
  forged.state.id = forged.next_file;
  cr_assert_eq(lk_manifest_write(files_folder(files_root), &forged, &error), LK_EFORMAT);
  cr_assert_eq(files_count(files_root), 0);
}

Test(manifest, says_what_header_a_journal_has) {
  lk_manifest manifest = full;
  manifest.metric = LK_IP;
  manifest.store = LK_STORE_F16;
  lk_journal_header first = lk_manifest_journal_header(&manifest, 0), second = lk_manifest_journal_header(&manifest, 1);
  cr_assert(first.id == 1000009 && first.epoch == 12 && first.sequence == 400);
  cr_assert(second.id == 1000010 && second.epoch == 17 && second.sequence == INT64_MAX);
  cr_assert(first.metric == LK_IP && first.store == LK_STORE_F16 && first.dim == 4096);
  cr_assert_arr_eq(first.gallery, full.id, sizeof full.id);
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
