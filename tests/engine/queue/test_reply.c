#include "engine/queue/reply.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "engine/queue/reply_text.h"
#include "tests/support/files.h"

enum { DIM = 8, ROWS = 40, PROBES = 6, K = 5 };

static lk_device *device;
static lk_gallery *gallery;
static lk_result *result;

/* A result to encode, from a real search: keys of odd kinds, and lists that a threshold cuts. */
static void search(void) {
  random_state random = {17};
  lk_label labels[ROWS] = {0};
  labels[3].key = lk_text_of("a, \"quoted\" one");
  labels[4].key = lk_text_of("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
  for (int i = 0; i < ROWS; i += 2) labels[i].subject = lk_text_of("even");
  for (int i = 0; i < ROWS; i += 3) labels[i].metadata = lk_text_of("of \xc3\xa9very third");
  for (int i = 0; i < ROWS; i += 5) labels[i].metadata = (lk_text){.bytes = "\xff\0\x10", .length = 3};
  float *rows = files_random(&random, ROWS, DIM), *probes = files_random(&random, PROBES, DIM);
  const char *folder = files_gallery("g", LK_COSINE, DIM);
  files_enroll(folder, rows, ROWS, DIM, labels);
  gallery = files_open(folder);
  lk_vectors run = files_vectors(probes, PROBES, DIM);
  lk_query query = {.probes = &run, .probes_count = 1, .k = K, .threshold = -INFINITY};
  lk_error error = {0};
  cr_assert_eq(lk_device_open("cpu", 1, &device, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_gallery_load(gallery, device, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_result_open(&result, &error), LK_OK);
  cr_assert_eq(lk_gallery_identify(gallery, &query, result, NULL, &error), LK_OK, "%s", error.text);
  free(rows);
  free(probes);
}

static void setup(void) {
  files_setup();
  search();
}

static void teardown(void) {
  lk_result_close(result);
  lk_gallery_close(gallery);
  lk_device_close(device);
  files_teardown();
}

TestSuite(reply, .init = setup, .fini = teardown);

static lk_reply_head head_of(uint32_t probes) {
  return (lk_reply_head){.status = LK_OK,
                         .id = lk_text_of("job 1"),
                         .gallery = lk_text_of("g"),
                         .model = lk_text_of("m1"),
                         .decision = lk_text_of("{\"policy\":\"none\"}"),
                         .epoch = 0x123456789,
                         .searched = 1000000007,
                         .total = UINT64_C(5000000000),
                         .wait_us = 4294967295,
                         .compute_us = 77,
                         .probes = probes};
}

typedef void encode(const lk_reply_head *head, const lk_reply_part *part, const json_t *decision, lk_bytes *out);

/* With the decision that the head will have once it is read back. */
static void encode_as(encode *function, const lk_reply_head *head, const lk_reply_part *part, lk_bytes *out) {
  json_t *decision =
      head->decision.length > 0 ? json_loadb(head->decision.bytes, head->decision.length, 0, NULL) : NULL;
  function(head, part, decision, out);
  json_decref(decision);
}

static bool same_text(lk_text a, lk_text b) { return lk_text_equal(a, b); }

static void expect_head(const lk_reply_head *a, const lk_reply_head *b) {
  cr_assert(a->status == b->status && same_text(a->id, b->id) && same_text(a->gallery, b->gallery));
  cr_assert(same_text(a->model, b->model) && same_text(a->text, b->text) && a->epoch == b->epoch);
  cr_assert(a->searched == b->searched && a->total == b->total && a->probes == b->probes);
  cr_assert(same_text(a->decision, b->decision));
  cr_assert(a->wait_us == b->wait_us && a->compute_us == b->compute_us);
}

static uint32_t reaching(uint32_t probe, float threshold) {
  uint32_t count = 0;
  while (count < lk_result_count(result, probe) && lk_result_candidate(result, probe, count).score >= threshold)
    count++;
  return count;
}

static void round_trip(uint32_t first, uint32_t probes, float threshold) {
  lk_bytes bytes = {0};
  lk_reply_reader reader;
  lk_reply_head head = head_of(probes);
  encode_as(lk_reply_encode, &head,
            &(lk_reply_part){.result = result, .first = first, .k = UINT32_MAX, .threshold = threshold}, &bytes);
  cr_assert_not(bytes.failed);
  cr_assert_eq(lk_reply_decode(bytes.data, bytes.length, &reader, NULL), LK_OK);
  expect_head(&reader.head, &head);
  for (uint32_t p = 0; p < probes; p++) {
    cr_assert_eq(lk_reply_count(&reader, p), reaching(first + p, threshold));
    for (uint32_t rank = 0; rank < lk_reply_count(&reader, p); rank++) {
      lk_candidate got = lk_reply_next(&reader), sent = lk_result_candidate(result, first + p, rank);
      cr_assert(got.found.number == sent.found.number && got.score == sent.score);
      cr_assert(same_text(got.found.key, sent.found.key) && same_text(got.found.subject, sent.found.subject));
      cr_assert(same_text(got.found.metadata, sent.found.metadata));
    }
  }
  cr_assert_eq(reader.candidates, bytes.data + bytes.length);
  lk_bytes_free(&bytes);
}

Test(reply, round_trip) {
  for (uint32_t first = 0; first < PROBES; first++)
    for (uint32_t probes = 0; first + probes <= PROBES; probes++)
      for (float threshold = -1; threshold <= 1.25F; threshold += 0.25F) round_trip(first, probes, threshold);
  round_trip(0, PROBES, lk_result_candidate(result, 2, 2).score);
}

/* A release may let fewer candidates through than were searched for. */
Test(reply, at_most_k) {
  lk_reply_part part = {.result = result, .k = 2, .threshold = -INFINITY};
  lk_reply_head head = head_of(PROBES);
  lk_bytes bytes = {0};
  lk_reply_reader reader;
  encode_as(lk_reply_encode, &head, &part, &bytes);
  cr_assert_eq(lk_reply_decode(bytes.data, bytes.length, &reader, NULL), LK_OK);
  uint64_t candidates = 0;
  for (uint32_t p = 0; p < PROBES; p++) {
    uint32_t all = lk_result_count(result, p);
    cr_assert_eq(lk_reply_count(&reader, p), all < 2 ? all : 2);
    candidates += lk_reply_count(&reader, p);
  }
  cr_assert_eq(lk_reply_candidates(&part, PROBES), candidates);
  lk_bytes_free(&bytes);
}

/* A reply without scores has a hash without scores. */
Test(reply, its_hash_is_of_the_scores_that_are_released) {
  char hex[LK_EVIDENCE_HEX], expected[LK_EVIDENCE_HEX];
  lk_reply_part part = {.result = result, .k = 2, .threshold = -INFINITY, .detail = {.hidden = true}};
  lk_answer_hash hash;
  lk_answer_hash_start(&hash, "d-1");
  for (uint32_t p = 0; p < PROBES; p++) {
    uint32_t count = lk_reply_list_candidates(&part, p);
    lk_answer_hash_list(&hash, count);
    for (uint32_t i = 0; i < count; i++)
      lk_answer_hash_candidate(&hash, lk_result_candidate(result, p, i).found.number, NAN);
  }
  lk_answer_hash_end(&hash, expected);
  lk_reply_hash(&part, PROBES, "d-1", hex);
  cr_assert_str_eq(hex, expected);
}

Test(reply, an_error) {
  lk_reply_head head = {.status = LK_EDIM, .id = lk_text_of("x"), .text = lk_text_of("dimension 3, not 4")};
  lk_bytes bytes = {0};
  lk_reply_reader reader;
  encode_as(lk_reply_encode, &head,
            &(lk_reply_part){.result = NULL, .first = 0, .k = UINT32_MAX, .threshold = -INFINITY}, &bytes);
  cr_assert_eq(lk_reply_decode(bytes.data, bytes.length, &reader, NULL), LK_OK);
  expect_head(&reader.head, &head);
  lk_bytes_free(&bytes);
}

static void expect_json_text(const json_t *json, const char *field, lk_text expected) {
  const json_t *text = json_object_get(json, field);
  cr_assert(json_is_string(text), "%s", field);
  cr_assert(same_text((lk_text){json_string_value(text), (uint32_t)json_string_length(text)}, expected), "%s", field);
}

static void expect_json_number(const json_t *json, const char *field, uint64_t expected) {
  cr_assert(json_is_integer(json_object_get(json, field)), "%s", field);
  cr_assert_eq((uint64_t)json_integer_value(json_object_get(json, field)), expected, "%s", field);
}

static void expect_json_candidate(const json_t *json, uint32_t rank, const lk_candidate *expected) {
  expect_json_number(json, "rank", rank);
  expect_json_number(json, "number", expected->found.number);
  expect_json_text(json, "key", expected->found.key);
  expect_json_text(json, "subject", expected->found.subject);
  cr_assert_eq((float)json_real_value(json_object_get(json, "score")), expected->score);
  const lk_text metadata = expected->found.metadata;
  if (metadata.length == 3)
    expect_json_text(json, "metadata_hex", lk_text_of("ff0010"));
  else if (metadata.length > 0)
    expect_json_text(json, "metadata", metadata);
  cr_assert_eq(json_object_size(json), metadata.length > 0 ? 6 : 5);
}

static json_t *encode_json(const lk_reply_head *head, float threshold) {
  lk_bytes bytes = {0};
  encode_as(lk_reply_encode_json, head,
            &(lk_reply_part){.result = result, .first = 0, .k = UINT32_MAX, .threshold = threshold}, &bytes);
  cr_assert_not(bytes.failed);
  json_t *json = json_loadb(bytes.data, bytes.length, 0, NULL);
  cr_assert_not_null(json, "%.*s", (int)bytes.length, bytes.data);
  lk_bytes_free(&bytes);
  return json;
}

static void expect_json_head(const json_t *json, const lk_reply_head *head) {
  expect_json_number(json, "v", 1);
  expect_json_text(json, "status", lk_text_of(lk_status_name(head->status)));
  expect_json_text(json, "id", head->id);
  expect_json_text(json, "gallery", head->gallery);
  expect_json_text(json, "model", head->model);
  expect_json_text(json, "text", head->text);
  expect_json_number(json, "epoch", head->epoch);
  expect_json_number(json, "searched", head->searched);
  expect_json_number(json, "total", head->total);
  expect_json_number(json, "wait_us", head->wait_us);
  expect_json_number(json, "compute_us", head->compute_us);
  cr_assert_str_eq(json_string_value(json_object_get(json_object_get(json, "decision"), "policy")), "none");
  cr_assert_eq(json_object_size(json), 13);
}

/* Field for field what the binary form says. */
Test(reply, json_says_the_same) {
  for (float threshold = -1; threshold <= 1; threshold += 0.25F) {
    lk_bytes bytes = {0};
    lk_reply_reader reader;
    lk_reply_head head = head_of(PROBES);
    encode_as(lk_reply_encode, &head,
              &(lk_reply_part){.result = result, .first = 0, .k = UINT32_MAX, .threshold = threshold}, &bytes);
    cr_assert_eq(lk_reply_decode(bytes.data, bytes.length, &reader, NULL), LK_OK);
    json_t *json = encode_json(&head, threshold);
    const json_t *lists = json_object_get(json, "probes");
    expect_json_head(json, &reader.head);
    cr_assert_eq(json_array_size(lists), reader.head.probes);
    for (uint32_t p = 0; p < PROBES; p++) {
      cr_assert_eq(json_array_size(json_array_get(lists, p)), lk_reply_count(&reader, p));
      for (uint32_t rank = 0; rank < lk_reply_count(&reader, p); rank++) {
        lk_candidate candidate = lk_reply_next(&reader);
        expect_json_candidate(json_array_get(json_array_get(lists, p), rank), rank + 1, &candidate);
      }
    }
    json_decref(json);
    lk_bytes_free(&bytes);
  }
}

/* Error texts may quote a job's bytes; JSON has to be UTF-8. */
Test(reply, json_of_a_text_that_is_not_utf8) {
  lk_reply_head head = {.status = LK_EBADJOB, .text = lk_text_of("field k: '\xff\xc3' is not \xc3\xa9")};
  json_t *json = encode_json(&head, 0);
  expect_json_text(json, "text",
                   lk_text_of("field k: '?"
                              "?' is not ?"
                              "?"));
  json_decref(json);
}

/* From a copy of exactly that many bytes, so that a sanitizer sees a read beyond them. */
static lk_status decode_and_read(const char *data, size_t length) {
  char *copy = malloc(length > 0 ? length : 1);
  memcpy(copy, data, length);
  lk_reply_reader reader;
  lk_error error;
  lk_status status = lk_reply_decode(copy, length, &reader, &error);
  uint64_t sum = reader.head.id.length;
  for (uint32_t p = 0; status == LK_OK && p < reader.head.probes; p++)
    for (uint32_t left = lk_reply_count(&reader, p); left > 0; left--) {
      lk_candidate c = lk_reply_next(&reader);
      for (uint32_t i = 0; i < c.found.key.length; i++) sum += (unsigned char)c.found.key.bytes[i];
      for (uint32_t i = 0; i < c.found.subject.length; i++) sum += (unsigned char)c.found.subject.bytes[i];
      for (uint32_t i = 0; i < c.found.metadata.length; i++) sum += (unsigned char)c.found.metadata.bytes[i];
    }
  cr_assert(status != LK_OK || (reader.candidates == copy + length && sum < UINT64_MAX));
  free(copy);
  return status;
}

static lk_bytes encoded(void) {
  lk_bytes bytes = {0};
  lk_reply_head head = head_of(PROBES);
  head.text = lk_text_of("remark");
  encode_as(lk_reply_encode, &head,
            &(lk_reply_part){.result = result, .first = 0, .k = UINT32_MAX, .threshold = -INFINITY}, &bytes);
  return bytes;
}

Test(reply, every_other_length_is_refused) {
  lk_bytes bytes = encoded();
  for (size_t length = 0; length < bytes.length; length++)
    cr_assert_eq(decode_and_read(bytes.data, length), LK_EFORMAT, "%zu of %zu", length, bytes.length);
  cr_assert_eq(decode_and_read(bytes.data, bytes.length), LK_OK);
  lk_bytes_append(&bytes, "", 1);
  cr_assert_eq(decode_and_read(bytes.data, bytes.length), LK_EFORMAT);
  lk_bytes_free(&bytes);
}

Test(reply, any_changed_byte_is_refused_or_harmless) {
  lk_bytes bytes = encoded();
  for (size_t at = 0; at < bytes.length; at++) {
    char was = bytes.data[at];
    for (int value = 0; value < 256; value++) {
      bytes.data[at] = (char)value;
      lk_status status = decode_and_read(bytes.data, bytes.length);
      cr_assert(at >= 4 || (char)value == was || status == LK_EFORMAT, "another magic");
    }
    bytes.data[at] = was;
  }
  lk_bytes_free(&bytes);
}

/* ---- what is told beside candidates ---- */

/* Both forms tell the same: the binary one as its text, the other as a member. Returns the member. */
static json_t *tell(lk_op op, const lk_bytes *told) {
  cr_assert_not(told->failed);
  lk_reply_head head = head_of(0);
  head.text = (lk_text){.bytes = told->data, .length = (uint32_t)told->length};
  head.member = lk_reply_member(op);
  lk_bytes bytes = {0};
  lk_reply_reader reader;
  encode_as(lk_reply_encode, &head, NULL, &bytes);
  cr_assert_eq(lk_reply_decode(bytes.data, bytes.length, &reader, NULL), LK_OK);
  expect_head(&reader.head, &head);
  json_t *text = json_loadb(reader.head.text.bytes, reader.head.text.length, 0, NULL);
  json_t *json = encode_json(&head, 0), *member = json_object_get(json, head.member);
  cr_assert(json_is_object(member) && json_equal(member, text), "%.*s", (int)told->length, told->data);
  json_incref(member);
  json_object_del(json, head.member);
  head.text = (lk_text){0};
  expect_json_head(json, &head);
  json_decref(json);
  json_decref(text);
  lk_bytes_free(&bytes);
  return member;
}

static void expect_null(const json_t *json, const char *field) {
  cr_assert(json_is_null(json_object_get(json, field)), "%s", field);
}

Test(reply, receipts) {
  lk_reply_receipt receipt = {.op = LK_OP_REPLACE,
                              .done = {.epoch = 9, .numbered_from = 70, .templates = 3, .replaced = 2, .unchanged = 1},
                              .log = {.ms = 1622505600000, .sequence = UINT64_MAX},
                              .replicated = true};
  lk_bytes told = {0};
  lk_reply_receipt_print(&receipt, &told);
  json_t *json = tell(receipt.op, &told);
  expect_json_text(json, "operation", lk_text_of("replace"));
  expect_json_number(json, "epoch", 9);
  expect_json_number(json, "numbered_from", 70);
  expect_json_number(json, "templates", 3);
  expect_json_number(json, "replaced", 2);
  expect_json_number(json, "unchanged", 1);
  expect_json_text(json, "log", lk_text_of("1622505600000-18446744073709551615"));
  expect_json_text(json, "promise", lk_text_of("replicated"));
  cr_assert(json_array_size(json_object_get(json, "remains")) == 0 && json_object_size(json) == 9);
  json_decref(json);
  lk_bytes_free(&told);
  receipt = (lk_reply_receipt){.op = LK_OP_DELETE,
                               .keys = {.given = true, .count = 2, .bytes = "a\nb\xc3\xa9", .length = 5},
                               .in_journal = true,
                               .in_segments = true,
                               .in_redis = true};
  lk_reply_receipt_print(&receipt, &told);
  json = tell(receipt.op, &told);
  expect_json_text(json, "operation", lk_text_of("delete"));
  expect_json_text(json, "promise", lk_text_of("owner-durable"));
  expect_null(json, "numbered_from");
  expect_null(json, "log");
  static const char *const places[] = {"journal", "segments", "redis"};
  const json_t *remains = json_object_get(json, "remains");
  cr_assert_eq(json_array_size(remains), 3);
  for (size_t i = 0; i < 3; i++) cr_assert_str_eq(json_string_value(json_array_get(remains, i)), places[i]);
  const json_t *keys = json_object_get(json, "keys");
  cr_assert(json_array_size(keys) == 2 && json_object_get(json, "subjects") == NULL);
  cr_assert_str_eq(json_string_value(json_array_get(keys, 1)), "b\xc3\xa9");
  json_decref(json);
  lk_bytes_free(&told);
}

Test(reply, pages) {
  const lk_template templates[] = {{.number = 5,
                                    .key = lk_text_of("a \"b\""),
                                    .subject = lk_text_of("\xc3\xa9"),
                                    .group = lk_text_of("g"),
                                    .tags = UINT64_MAX,
                                    .version = UINT64_MAX - 1,
                                    .expires_ms = LK_NEVER - 1,
                                    .metadata = lk_text_of("{\"x\":1}")},
                                   {.number = 7,
                                    .key = lk_text_of("c"),
                                    .subject = lk_text_of("c"),
                                    .expires_ms = LK_NEVER,
                                    .metadata = {.bytes = "\xff\0", .length = 2}}};
  lk_reply_list list = {.epoch = 12, .templates = templates, .count = 2, .more = true, .next = UINT64_MAX};
  lk_bytes told = {0};
  lk_reply_list_print(&list, &told);
  json_t *json = tell(LK_OP_LIST, &told);
  expect_json_number(json, "epoch", 12);
  expect_json_text(json, "next", lk_text_of("18446744073709551615"));
  const json_t *told_of = json_object_get(json, "templates");
  cr_assert(json_array_size(told_of) == 2 && json_object_size(json) == 3);
  const json_t *first = json_array_get(told_of, 0), *second = json_array_get(told_of, 1);
  expect_json_number(first, "number", 5);
  expect_json_text(first, "key", templates[0].key);
  expect_json_text(first, "subject", templates[0].subject);
  expect_json_text(first, "group", templates[0].group);
  expect_json_text(first, "tags", lk_text_of("18446744073709551615"));
  expect_json_text(first, "version", lk_text_of("18446744073709551614"));
  expect_json_text(first, "expires", lk_text_of("18446744073709551614"));
  expect_json_text(first, "metadata", templates[0].metadata);
  expect_null(second, "expires");
  expect_json_text(second, "metadata_hex", lk_text_of("ff00"));
  cr_assert(json_object_size(first) == 8 && json_object_size(second) == 8);
  json_decref(json);
  lk_bytes_free(&told);
  list = (lk_reply_list){.epoch = 12};
  lk_reply_list_print(&list, &told);
  json = tell(LK_OP_LIST, &told);
  expect_null(json, "next");
  cr_assert_eq(json_array_size(json_object_get(json, "templates")), 0);
  json_decref(json);
  lk_bytes_free(&told);
}

Test(reply, stats) {
  lk_gallery_stat told_of = {.name = "faces",
                             .model = "m1",
                             .metric = LK_L2,
                             .store = LK_STORE_F16,
                             .dim = 512,
                             .templates = 5000000000,
                             .deleted_in_segments = 3,
                             .deleted_in_journals = 2,
                             .epoch = 44,
                             .next_number = 6000000000};
  lk_reply_stat stat = {.gallery = &told_of, .expired = 17, .log = {.ms = 5, .sequence = 1}};
  lk_bytes told = {0};
  lk_reply_stat_print(&stat, &told);
  json_t *json = tell(LK_OP_STAT, &told);
  static const char *const texts[][2] = {
      {"name", "faces"}, {"model", "m1"}, {"metric", "l2"}, {"store", "f16"}, {"log", "5-1"}};
  for (size_t i = 0; i < 5; i++) expect_json_text(json, texts[i][0], lk_text_of(texts[i][1]));
  expect_json_number(json, "dim", 512);
  expect_json_number(json, "templates", 5000000000);
  expect_json_number(json, "expired", 17);
  expect_json_number(json, "epoch", 44);
  expect_json_number(json, "next_number", 6000000000);
  const json_t *remains = json_object_get(json, "remains");
  expect_json_number(remains, "journal", 2);
  expect_json_number(remains, "segments", 3);
  cr_assert_eq(json_object_size(json), 11);
  json_decref(json);
  lk_bytes_free(&told);
}

/* An error tells nothing of the gallery. */
Test(reply, an_error_has_no_member) {
  lk_reply_head head = {.status = LK_EPOLICY, .text = lk_text_of("refused"), .member = "list"};
  json_t *json = encode_json(&head, 0);
  cr_assert_null(json_object_get(json, "list"));
  expect_json_text(json, "text", head.text);
  json_decref(json);
}

Test(reply, members) {
  for (int op = 0; op < LK_OPS; op++) {
    const char *member = lk_reply_member((lk_op)op);
    const char *expected = op <= LK_OP_VERIFY ? "" : op <= LK_OP_ERASE ? "receipt" : op == LK_OP_LIST ? "list" : "stat";
    cr_assert_str_eq(member != NULL ? member : "", expected);
  }
}
