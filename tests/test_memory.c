/* Memory runs out, at every place where any is asked for: once, or from there on. What fails says so, leaks
 * allocations_nothing, changes allocations_nothing on the disk, and works on the same objects as soon as there is
 * memory again. */
#include <criterion/criterion.h>
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include <likeness/dedupe.h>
#include <likeness/label_file.h>
#include <likeness/vector_file.h>
#include "base/text.h"
#include "engine/cli/render.h"
#include "engine/queue/reply.h"
#include "governance/decision_record.h"
#include "index/formats/id_list.h"
#include "index/gallery/gallery.h"
#include "tests/support/allocations.h"
#include "tests/support/files.h"

TestSuite(memory, .init = files_setup, .fini = files_teardown);

static void start_afresh(void) {
  files_teardown();
  files_setup();
}

static void check_gallery(const char *folder, uint64_t templates) {
  lk_error error = {0};
  lk_gallery *gallery = files_open(folder);
  cr_assert_eq(gallery->contents->catalog->rows, templates);
  cr_assert_eq(lk_gallery_check(gallery, &error), LK_OK, "%s", error.text);
  lk_gallery_close(gallery);
}

/* ---- a gallery on the disk ---- */

enum { DIM = 8, ROWS = 2500, MORE = 300 };
static float vectors[(ROWS + MORE) * DIM];
static lk_label labels[ROWS + MORE];
static char subjects[ROWS][8];

static void make_data(void) {
  random_state random = {5};
  for (uint32_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) vectors[i] = (float)random_normal(&random);
  for (uint32_t r = 0; r < ROWS; r++) {
    snprintf(subjects[r], sizeof subjects[r], "s%u", r / 3);
    labels[r] = (lk_label){.subject = lk_text_of(subjects[r]), .tags = r % 2};
  }
}

static lk_status create(lk_error *error) {
  lk_gallery_options options = {.dim = DIM, .metric = LK_IP, .model = "m1"};
  return lk_gallery_create(files_path("new"), &options, error);
}

static void check_not_created(void) { cr_assert_eq(files_count(files_root), 0); }
static void check_created(void) { check_gallery(files_path("new"), 0); }

Test(memory, create) {
  static const allocations_trial trial = {"create",          start_afresh,  create,
                                          check_not_created, check_created, allocations_nothing};
  allocations_try_all(&trial, 30);
}

static const char *folder;
static uint64_t numbered_from;

static void make_empty_gallery(void) {
  start_afresh();
  folder = files_gallery("g", LK_IP, DIM);
}

static void make_small_gallery(void) {
  make_empty_gallery();
  files_enroll(folder, vectors, MORE, DIM, labels);
}

static lk_status enroll(const lk_label *with, lk_error *error) {
  lk_vectors more = files_vectors(vectors + ROWS * DIM, MORE, DIM);
  return lk_gallery_enroll(folder, &more, with, NULL, NULL, NULL, &numbered_from, error);
}
static lk_status enroll_first(lk_error *error) { return enroll(labels, error); }
static lk_status enroll_more(lk_error *error) { return enroll(NULL, error); }

static void check_still_empty(void) { check_gallery(folder, 0); }
static void check_still_small(void) { check_gallery(folder, MORE); }

static void check_enrolled(uint64_t from, uint32_t segments) {
  check_gallery(folder, from + MORE);
  cr_assert_eq(numbered_from, from);
  cr_assert_eq(files_count(folder), segments + 1, "a file that the manifest does not name");
}
static void check_enrolled_first(void) { check_enrolled(0, 1); }
static void check_enrolled_more(void) { check_enrolled(MORE, 2); }

Test(memory, enroll) {
  static const allocations_trial first = {"enroll",          make_empty_gallery,   enroll_first,
                                          check_still_empty, check_enrolled_first, allocations_nothing};
  static const allocations_trial more = {"enroll more",     make_small_gallery,  enroll_more,
                                         check_still_small, check_enrolled_more, allocations_nothing};
  make_data();
  allocations_try_all(&first, 100);
  allocations_try_all(&more, 100);
}

/* ---- an open gallery ---- */

static lk_gallery *gallery;
static const char *device_name = "cpu";
static lk_device *device;
static lk_result *result;

static void make_gallery(void) {
  make_data();
  make_empty_gallery();
  files_enroll(folder, vectors, ROWS, DIM, labels);
  files_enroll(folder, vectors + ROWS * DIM, MORE, DIM, NULL);
}

static lk_status open_gallery(lk_error *error) { return lk_gallery_open(folder, &gallery, error); }
static void check_open(void) { cr_assert_eq(gallery->contents->catalog->rows, ROWS + MORE); }
static void close_gallery(void) {
  lk_gallery_close(gallery);
  gallery = NULL;
}

Test(memory, open) {
  static const allocations_trial trial = {"open", allocations_nothing, open_gallery, NULL, check_open, close_gallery};
  make_gallery();
  allocations_try_all(&trial, 30);
}

static lk_status open_device(lk_error *error) { return lk_device_open("cpu", 3, &device, error); }
static void check_device(void) { cr_assert_eq(strncmp(lk_device_name(device), "cpu:", 4), 0); }
static void close_device(void) { lk_device_close(device); }

Test(memory, device) {
  static const allocations_trial trial = {"device", allocations_nothing, open_device, NULL, check_device, close_device};
  allocations_try_all(&trial, 6);
}

static lk_status open_devices(lk_error *error) { return lk_device_open("cpu,cpu", 2, &device, error); }

Test(memory, several_devices) {
  static const allocations_trial trial = {"several devices", allocations_nothing, open_devices, NULL,
                                          check_device,      close_device};
  allocations_try_all(&trial, 12);
}

static lk_status open_result(lk_error *error) { return lk_result_open(&result, error); }
static void check_result(void) { cr_assert_not_null(result); }
static void close_result(void) { lk_result_close(result); }

Test(memory, result) {
  static const allocations_trial trial = {"result", allocations_nothing, open_result, NULL, check_result, close_result};
  allocations_try_all(&trial, 1);
}

static void open_for_load(void) {
  gallery = files_open(folder);
  cr_assert_eq(lk_device_open(device_name, 2, &device, NULL), LK_OK);
  cr_assert_eq(lk_result_open(&result, NULL), LK_OK);
}

static void close_all(void) {
  close_gallery();
  lk_device_close(device);
  lk_result_close(result);
}

static void load_again(void) {
  open_for_load();
  cr_assert_eq(lk_gallery_load(gallery, device, NULL), LK_OK);
}

static lk_status load(lk_error *error) { return lk_gallery_load(gallery, device, error); }

/* A gallery that could not be loaded refuses to be searched. */
static void check_not_loaded(void) {
  lk_vectors probes = files_vectors(vectors, 1, DIM);
  lk_query query = {.probes = &probes, .probes_count = 1, .k = 1, .threshold = -INFINITY};
  cr_assert_eq(lk_gallery_identify(gallery, &query, result, NULL, NULL), LK_EINVAL);
}

static void check_loaded(void) {
  lk_vectors probes = files_vectors(vectors, 1, DIM);
  lk_query query = {.probes = &probes, .probes_count = 1, .k = 1, .threshold = -INFINITY};
  cr_assert_eq(lk_gallery_identify(gallery, &query, result, NULL, NULL), LK_OK);
  cr_assert_eq(lk_result_count(result, 0), 1);
}

Test(memory, load) {
  static const allocations_trial fresh = {"load", open_for_load, load, check_not_loaded, check_loaded, close_all};
  static const allocations_trial again = {"load again", load_again, load, check_not_loaded, check_loaded, close_all};
  make_gallery();
  allocations_try_all(&fresh, 9);
  allocations_try_all(&again, 9);
}

static lk_status count_subjects(lk_error *error) {
  uint64_t counted = 0;
  lk_status status = lk_gallery_subjects(gallery, &counted, error);
  if (status == LK_OK) cr_assert_eq(counted, (ROWS + 2) / 3 + MORE);
  return status;
}

static lk_status check_all(lk_error *error) { return lk_gallery_check(gallery, error); }

Test(memory, subjects_and_check) {
  static const allocations_trial subjects_of = {"subjects", open_for_load,       count_subjects,
                                                NULL,       allocations_nothing, close_all};
  static const allocations_trial check = {"check", open_for_load, check_all, NULL, allocations_nothing, close_all};
  make_gallery();
  allocations_try_all(&subjects_of, 2);
  allocations_try_all(&check, 0);
}

/* ---- searches ---- */

enum { PROBES = 40 };
static lk_query query;
static uint32_t answers; /* candidate lists */
static uint64_t answer;  /* their digest */

static uint64_t digest(const lk_result *of) {
  uint64_t sum = 0;
  for (uint32_t p = 0; p < answers; p++)
    for (uint32_t rank = 0; rank < lk_result_count(of, p); rank++) {
      lk_candidate c = lk_result_candidate(of, p, rank);
      uint64_t entry[] = {p, rank, c.found.number, 0};
      memcpy(&entry[3], &c.score, sizeof c.score);
      sum += XXH3_64bits(entry, sizeof entry);
    }
  return sum;
}

static lk_status identify(lk_error *error) { return lk_gallery_identify(gallery, &query, result, NULL, error); }
static void check_answer(void) { cr_assert_eq(digest(result), answer); }

/* Buffers that are there, but too small. */
static void open_and_search_a_little(void) {
  load_again();
  check_loaded();
}

/* The answer of objects that allocations_nothing ever failed in. */
static void find_answer(lk_status (*run)(lk_error *error)) {
  load_again();
  lk_error error;
  cr_assert_eq(run(&error), LK_OK, "%s", error.text);
  answer = digest(result);
  uint32_t all = 0;
  for (uint32_t p = 0; p < answers; p++) all += lk_result_count(result, p);
  cr_assert_geq(all, PROBES);
  close_all();
}

static void try_search(const char *name, lk_status (*run)(lk_error *error), uint32_t at_least) {
  allocations_trial cold = {name, load_again, run, NULL, check_answer, close_all}, warm = cold;
  warm.prepare = open_and_search_a_little;
  find_answer(run);
  allocations_try_all(&cold, at_least);
  allocations_try_all(&warm, at_least / 3);
}

static void start_search(void) {
  static lk_vectors probes[2];
  make_gallery();
  answers = PROBES;
  probes[0] = files_vectors(vectors, 3, DIM);
  probes[1] = files_vectors(vectors + 100 * DIM, PROBES - 3, DIM);
  query = (lk_query){.probes = probes, .probes_count = 2, .k = 20, .threshold = -INFINITY};
}

Test(memory, identify_by_template) {
  start_search();
  try_search("by template", identify, 12);
}

Test(memory, identify_by_subject) {
  start_search();
  query.by_subject = true;
  try_search("by subject", identify, 12);
}

Test(memory, identify_fused) {
  start_search();
  answers = 2; /* one a run */
  query.fusion = LK_FUSE_MAX;
  try_search("largest", identify, 12);
  query.fusion = LK_FUSE_MEAN;
  try_search("mean", identify, 12);
}

Test(memory, identify_with_tags) {
  start_search();
  query.tags = query.mask = 1;
  try_search("with tags", identify, 13);
}

Test(memory, identify_with_lists) {
  start_search();
  lk_text keys[] = {lk_text_of("7"), lk_text_of("2600"), lk_text_of("unknown")};
  lk_text of[] = {lk_text_of("s40"), lk_text_of("2601"), lk_text_of("unknown")};
  query.keys = keys;
  query.subjects = of;
  query.keys_count = query.subjects_count = 3;
  try_search("with lists", identify, 13);
}

Test(memory, identify_in_range) {
  start_search();
  query.k = LK_K_ALL;
  query.threshold = 2;
  try_search("in range", identify, 12);
  query.threshold = -INFINITY;
  try_search("all there are", identify, 12);
}

Test(memory, identify_on_several_devices) {
  static lk_text two[] = {{"s40", 3}, {"2601", 4}};
  device_name = "cpu,cpu";
  start_search();
  query.by_subject = true;
  try_search("by subject on two", identify, 20);
  query.subjects = two;
  query.subjects_count = 2;
  query.by_subject = false;
  query.k = 1;
  try_search("of two subjects on two", identify, 20);
}

static lk_status count_pair(void *pairs, const lk_pair *pair, lk_error *error) {
  (void)pair, (void)error;
  ++*(uint64_t *)pairs;
  return LK_OK;
}

static uint64_t pairs;

static lk_status dedupe(lk_error *error) {
  lk_dedupe wanted = {.threshold = 6, .found = count_pair, .context = &pairs};
  pairs = 0;
  return lk_gallery_dedupe(gallery, &wanted, result, error);
}

static void check_pairs(void) { cr_assert_eq(pairs, answer); }

/* Some lists are full, so that there is a search of the second level too. */
Test(memory, dedupe) {
  start_search();
  load_again();
  cr_assert_eq(dedupe(NULL), LK_OK);
  answer = pairs;
  cr_assert_gt(pairs, 10 * ROWS);
  close_all();
  allocations_try_all(&(allocations_trial){"dedupe", load_again, dedupe, NULL, check_pairs, close_all}, 16);
}

static lk_status verify(lk_error *error) {
  return lk_gallery_verify(gallery, &query.probes[1], lk_text_of("s40"), NULL, result, error);
}

/* A log that is new, and that nobody has seen: reading a longer one allocates more. */
static void load_without_a_log(void) {
  char log[PATH_MAX + 32], seen[PATH_MAX + 32];
  glob_t found;
  snprintf(seen, sizeof seen, "%s/audit-*.head", folder);
  if (glob(seen, 0, NULL, &found) == 0) remove(found.gl_pathv[0]);
  globfree(&found);
  snprintf(log, sizeof log, "%s/audit-000001.log", files_path("audit"));
  remove(log);
  load_again();
}

/* Under a policy, and with a log. */
Test(memory, identify_governed) {
  static const char rules[] = "policy: 1\nname: t\nrules:\n  - id: a\n    effect: permit\n    text: All may search.\n";
  static lk_claims claims;
  lk_error error;
  start_search();
  files_write(files_path("policy.yaml"), rules, strlen(rules));
  lk_binding binding = {.policy = files_path("policy.yaml"), .audit = files_path("audit")};
  cr_assert_eq(lk_gallery_bind(folder, &binding, &error), LK_OK, "%s", error.text);
  claims.case_id = lk_text_of("c-1");
  query.claims = &claims;
  find_answer(identify);
  allocations_try_all(&(allocations_trial){"governed", load_without_a_log, identify, NULL, check_answer, close_all},
                      20);
}

Test(memory, verify) {
  start_search();
  lk_vectors probes[2] = {{0}, files_vectors(vectors, PROBES, DIM)};
  query.probes = probes;
  try_search("verify", verify, 3);
}

/* ---- replies ---- */

static lk_bytes reply, whole_reply;
static void (*encode)(const lk_reply_head *head, const lk_reply_part *part, const json_t *decision, lk_bytes *out);

static lk_status encode_reply(lk_error *error) {
  lk_reply_head head = {
      .id = lk_text_of("j1"), .gallery = lk_text_of("g"), .text = lk_text_of("refused: \xff"), .probes = 5};
  lk_bytes_free(&reply);
  json_t *decision = lk_decision_record(NULL, NULL, (lk_text){0}, NULL);
  if (decision == NULL) return lk_fail_memory(error);
  encode(&head, &(lk_reply_part){.result = result, .k = UINT32_MAX, .threshold = -INFINITY}, decision, &reply);
  json_decref(decision);
  return reply.failed ? lk_fail_memory(error) : LK_OK;
}
static void check_reply(void) {
  cr_assert_eq(reply.length, whole_reply.length);
  cr_assert_arr_eq(reply.data, whole_reply.data, reply.length);
}
static void free_reply(void) { lk_bytes_free(&reply); }

static void try_reply(uint32_t at_least) {
  static const allocations_trial trial = {"reply", allocations_nothing, encode_reply, NULL, check_reply, free_reply};
  cr_assert_eq(encode_reply(NULL), LK_OK);
  whole_reply = reply;
  reply = (lk_bytes){0};
  allocations_try_all(&trial, at_least);
  lk_bytes_free(&whole_reply);
}

Test(memory, reply) {
  start_search();
  query.k = 3;
  load_again();
  cr_assert_eq(identify(NULL), LK_OK);
  encode = lk_reply_encode;
  try_reply(3);
  encode = lk_reply_encode_json;
  try_reply(100);
  close_all();
}

static char line[4096];

static lk_candidate next_candidate(void *context) { return lk_result_candidate(result, 0, (*(uint32_t *)context)++); }

static lk_status render(lk_error *error) {
  uint32_t rank = 0;
  FILE *out = fmemopen(line, sizeof line, "w");
  cr_assert_not_null(out);
  lk_status status = lk_render_list(out, LK_JSON, 0, lk_result_count(result, 0), next_candidate, &rank,
                                    lk_result_decision(result), error);
  fclose(out);
  return status;
}
static void check_allocations_nothing_printed(void) { cr_assert_eq(line[0], '\0'); }
static void check_line(void) {
  cr_assert_str_eq(line + strlen(line) - 4, "\"}}\n");
  line[0] = '\0';
}

Test(memory, render) {
  static const allocations_trial trial = {"render",   allocations_nothing, render, check_allocations_nothing_printed,
                                          check_line, allocations_nothing};
  start_search();
  query.k = 3;
  load_again();
  cr_assert_eq(identify(NULL), LK_OK);
  allocations_try_all(&trial, 30);
  close_all();
}
