/* What the chain finds: every kind of tampering with a log of 1,000 records, and what only a head finds. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <likeness/signing_key.h>
#include "base/text.h"
#include "governance/audit/chain.h"
#include "governance/audit/head.h"
#include "tests/support/audit_log.h"
#include "tests/support/files.h"

enum { RECORDS = 1000 };

typedef struct image {
  char *data;
  size_t size, at[RECORDS + 1];       /* where each record's line begins, and the last one ends */
  lk_audit_chain before[RECORDS + 1]; /* the chain before each record */
  char log[PATH_MAX], key[PATH_MAX];
} image;

static image made; /* a whole log in one file */

/* Exactly RECORDS: opened, those, head, closed, head. */
static void make_log(void) {
  lk_audit *audit;
  files_setup();
  strcpy(made.log, files_path("log"));
  strcpy(made.key, files_path("key"));
  cr_assert_eq(lk_signing_key_make(made.key, NULL), LK_OK);
  cr_assert_eq(lk_audit_open(made.log, &(lk_audit_options){.key_file = made.key}, &audit, NULL), LK_OK);
  for (uint32_t i = 0; i < RECORDS - 4; i++) audit_log_append(audit, i);
  char head[LK_AUDIT_HEAD_MAX];
  cr_assert_eq(lk_audit_head(audit, head, NULL), LK_OK);
  cr_assert_eq(lk_audit_close(audit, NULL), LK_OK);
  made.data = files_read(files_path("log/audit-000001.log"), &made.size);
  made.before[0] = lk_audit_chain_start(true);
  for (uint32_t i = 0; i < RECORDS; i++) {
    const char *line = made.data + made.at[i];
    size_t length = strcspn(line, "\n");
    lk_error error = {0};
    made.at[i + 1] = made.at[i] + length + 1;
    made.before[i + 1] = made.before[i];
    cr_assert_eq(lk_audit_chain_take(&made.before[i + 1], line, length, &error), LK_OK, "%s", error.text);
  }
  cr_assert_eq(made.at[RECORDS], made.size);
}

static void drop_log(void) {
  free(made.data);
  files_teardown();
}

TestSuite(audit_chain, .init = make_log, .fini = drop_log);

/* What verifying a file of these bytes would say, where all before record `from` is as it was: so that a flip costs one
 * record and not a thousand. */
static bool holds(const char *data, size_t size, uint32_t from) {
  lk_audit_chain chain = made.before[from];
  size_t whole, start = made.at[from];
  return lk_audit_chain_read(&chain, "log", data + start, size - start, &whole, NULL, NULL, NULL) == LK_OK &&
         whole == size - start;
}

/* The same through the files, from the very beginning. */
static lk_status verify_file(const char *data, size_t size, const char *head, lk_error *error) {
  lk_audit_report report;
  files_write(files_path("log/audit-000001.log"), data, size);
  char key[PATH_MAX + 8];
  snprintf(key, sizeof key, "%s.pub", made.key);
  return lk_audit_verify(made.log, head, key, &report, error);
}

Test(audit_chain, as_written_it_holds) {
  lk_error error = {0};
  cr_assert(holds(made.data, made.size, 0));
  cr_assert_eq(verify_file(made.data, made.size, NULL, &error), LK_OK, "%s", error.text);
}

Test(audit_chain, every_flip_is_found) {
  random_state random = {1};
  for (uint32_t i = 0; i < RECORDS; i++)
    for (size_t at = made.at[i]; at < made.at[i + 1]; at++) {
      char flip = (char)(1u << random_below(&random, 8));
      made.data[at] ^= flip;
      cr_assert_not(holds(made.data, made.size, i), "byte %zu, flip %d", at, flip);
      made.data[at] ^= flip;
    }
  cr_assert(holds(made.data, made.size, 0));
}

Test(audit_chain, every_bit_of_the_first_and_the_last_record) {
  uint32_t ends[] = {0, RECORDS - 1};
  for (int e = 0; e < 2; e++)
    for (size_t at = made.at[ends[e]]; at < made.at[ends[e] + 1]; at++)
      for (int value = 1; value < 256; value++) {
        made.data[at] ^= (char)value;
        cr_assert_not(holds(made.data, made.size, ends[e]), "byte %zu, flip %d", at, value);
        made.data[at] ^= (char)value;
      }
}

Test(audit_chain, flips_are_found_through_the_file) {
  random_state random = {2};
  for (int i = 0; i < 100; i++) {
    size_t at = random_below(&random, (uint32_t)made.size);
    lk_error error = {0};
    made.data[at] ^= 1;
    cr_assert_eq(verify_file(made.data, made.size, NULL, &error), LK_ECORRUPT, "byte %zu", at);
    cr_assert_not_null(strstr(error.text, "log/audit-000001.log: "), "%s", error.text);
    made.data[at] ^= 1;
  }
}

/* The lines in `order`, `count` of them, as a file. The caller frees it. */
static char *arrange(const uint32_t *order, uint32_t count, size_t *size) {
  char *data = malloc(2 * made.size);
  *size = 0;
  for (uint32_t i = 0; i < count; i++) {
    size_t length = made.at[order[i] + 1] - made.at[order[i]];
    memcpy(data + *size, made.data + made.at[order[i]], length);
    *size += length;
  }
  return data;
}

static bool arrangement_holds(const uint32_t *order, uint32_t count) {
  size_t size;
  char *data = arrange(order, count, &size);
  uint32_t same = 0;
  while (same < count && same < RECORDS && order[same] == same) same++;
  bool held = holds(data, size, same);
  free(data);
  return held;
}

static void in_order(uint32_t order[RECORDS + 1]) {
  for (uint32_t i = 0; i <= RECORDS; i++) order[i] = i;
}

static void swap(uint32_t *order, uint32_t a, uint32_t b) {
  uint32_t kept = order[a];
  order[a] = order[b];
  order[b] = kept;
}

Test(audit_chain, every_swap_of_neighbours_and_a_thousand_others) {
  uint32_t order[RECORDS + 1];
  random_state random = {3};
  in_order(order);
  cr_assert(arrangement_holds(order, RECORDS));
  for (uint32_t i = 0; i < RECORDS - 1 + 1000; i++) {
    uint32_t a = i < RECORDS - 1 ? i : random_below(&random, RECORDS);
    uint32_t b = i < RECORDS - 1 ? i + 1 : random_below(&random, RECORDS);
    if (a == b) continue;
    swap(order, a, b);
    cr_assert_not(arrangement_holds(order, RECORDS), "%u and %u", a, b);
    swap(order, a, b);
  }
}

Test(audit_chain, every_drop) {
  uint32_t order[RECORDS + 1];
  for (uint32_t i = 0; i < RECORDS - 1; i++) { /* dropping the last is a cut */
    in_order(order);
    memmove(order + i, order + i + 1, (RECORDS - i) * sizeof *order);
    cr_assert_not(arrangement_holds(order, RECORDS - 1), "%u", i);
  }
}

Test(audit_chain, every_duplicate_and_insert) {
  uint32_t order[RECORDS + 1];
  random_state random = {4};
  for (uint32_t i = 0; i < 2 * RECORDS; i++) {
    uint32_t at = i % RECORDS, what = i < RECORDS ? at : random_below(&random, RECORDS);
    in_order(order);
    memmove(order + at + 1, order + at, (RECORDS - at) * sizeof *order);
    order[at] = what;
    cr_assert_not(arrangement_holds(order, RECORDS + 1), "%u before %u", what, at);
  }
}

/* A record made anew for its place, as the log itself would have made it: the next one does not follow. */
Test(audit_chain, every_insert_that_is_well_made) {
  for (uint32_t i = 1; i < RECORDS; i++) {
    const lk_audit_chain *before = &made.before[i];
    lk_audit_entry entry = {.record = {.type = LK_AUDIT_RESULT, .time_ms = 1, .candidates = 1},
                            .sequence = before->sequence + 1,
                            .previous = lk_text_of(before->hash)};
    char line[LK_AUDIT_LINE_MAX], hash[LK_AUDIT_HEX];
    size_t length, rest = made.at[i + 1] - made.at[i];
    cr_assert_eq(lk_audit_encode(&entry, line, &length, hash, NULL), LK_OK);
    lk_audit_chain chain = *before;
    cr_assert_eq(lk_audit_chain_take(&chain, line, length, NULL), LK_OK);
    cr_assert_neq(lk_audit_chain_take(&chain, made.data + made.at[i], rest - 1, NULL), LK_OK, "%u", i);
  }
}

/* What a head kept elsewhere is for: without it the shorter log holds. */
Test(audit_chain, every_cut) {
  char head[LK_AUDIT_HEAD_MAX];
  lk_error error = {0};
  cr_assert_eq(lk_audit_head_of(made.log, made.key, head, &error), LK_OK, "%s", error.text);
  for (uint32_t i = 0; i < RECORDS; i++)
    for (size_t size = made.at[i] + 1; size < made.at[i + 1]; size++)
      cr_assert_not(holds(made.data, size, i), "in the middle, at %zu", size);
  for (uint32_t i = 1; i < RECORDS; i++) {
    if (i % 10 != 0 && i < RECORDS - 5) continue;
    cr_assert_eq(verify_file(made.data, made.at[i], NULL, &error), LK_OK, "%s", error.text);
    cr_assert_eq(verify_file(made.data, made.at[i], head, &error), LK_ECORRUPT);
    cr_assert_not_null(strstr(error.text, "the log was cut: it ends with record "), "%s", error.text);
  }
  cr_assert_eq(verify_file("", 0, NULL, &error), LK_ECORRUPT);
  cr_assert_eq(verify_file(made.data, made.size, head, &error), LK_OK, "%s", error.text);
}

/* Who has the files but not the key writes a log anew from record 500 on, all hashes right. */
Test(audit_chain, a_log_written_anew_is_found_by_a_head) {
  char head[LK_AUDIT_HEAD_MAX], *forged = malloc(made.size + LK_AUDIT_LINE_MAX);
  lk_error error = {0};
  cr_assert_eq(lk_audit_head_of(made.log, made.key, head, &error), LK_OK, "%s", error.text);
  lk_audit_chain chain = made.before[500];
  size_t size = made.at[500];
  memcpy(forged, made.data, size);
  for (uint32_t i = 500; i < RECORDS; i++) {
    char hash[LK_AUDIT_HEX];
    size_t length;
    lk_audit_entry entry = {.record = {.type = LK_AUDIT_RESULT, .time_ms = 1},
                            .sequence = chain.sequence + 1,
                            .previous = lk_text_of(chain.hash)};
    cr_assert_eq(lk_audit_encode(&entry, forged + size, &length, hash, NULL), LK_OK);
    cr_assert_eq(lk_audit_chain_take(&chain, forged + size, length, NULL), LK_OK);
    size += length;
    forged[size++] = '\n';
  }
  cr_assert_eq(verify_file(forged, size, NULL, &error), LK_OK, "%s", error.text);
  cr_assert_eq(verify_file(forged, size, head, &error), LK_ECORRUPT);
  cr_assert_not_null(strstr(error.text, "record 1000 is not the one that the head covers"), "%s", error.text);
  free(forged);
}

/* Hashes right, but not what the log would have written. */
static void expect_unfit(const char *rest, const char *words) {
  char line[2048], previous[LK_AUDIT_HEX];
  memcpy(previous, made.before[1].hash, sizeof previous);
  snprintf(line, sizeof line, "{\"_hash\":\"%064d\",", 0);
  snprintf(line + strlen(line), sizeof line - strlen(line), rest, previous);
  size_t length = strlen(line);
  char hash[LK_AUDIT_HEX];
  lk_audit_hash(previous, line, length, hash);
  memcpy(line + 10, hash, 64);
  lk_audit_chain chain = made.before[1];
  lk_error error = {0};
  lk_status status = lk_audit_chain_take(&chain, line, length, &error);
  cr_assert_eq(status, words == NULL ? LK_OK : LK_ECORRUPT, "%s: %s", line, error.text);
  if (words != NULL) cr_assert_not_null(strstr(error.text, words), "'%s' is not in: %s", words, error.text);
}

Test(audit_chain, only_the_canonical_form) {
  expect_unfit("\"previous\":\"%s\",\"sequence\":2,\"time\":5,\"type\":\"closed\"}", NULL);
  expect_unfit("\"previous\":\"%s\",\"sequence\":2,\"time\":5, \"type\":\"closed\"}", "canonical");
  expect_unfit("\"previous\":\"%s\",\"sequence\":2,\"time\":5,\"type\":\"\\u0063losed\"}", "canonical");
  expect_unfit("\"sequence\":2,\"previous\":\"%s\",\"time\":5,\"type\":\"closed\"}", "canonical");
  expect_unfit("\"name\":\"Jane\",\"previous\":\"%s\",\"sequence\":2,\"time\":5,\"type\":\"closed\"}", "canonical");
  expect_unfit("\"actor\":\"x\",\"previous\":\"%s\",\"sequence\":2,\"time\":5,\"type\":\"closed\"}",
               "actor is not allowed");
  expect_unfit("\"previous\":\"%s\",\"sequence\":2,\"sequence\":2,\"time\":5,\"type\":\"closed\"}", "duplicate");
  expect_unfit("\"previous\":\"%s\",\"sequence\":3,\"time\":5,\"type\":\"closed\"}", "the record's number is 3, not 2");
  expect_unfit("\"previous\":\"%s\",\"sequence\":2,\"time\":-5,\"type\":\"closed\"}", "time is malformed");
  expect_unfit("\"previous\":\"%s\",\"sequence\":2,\"time\":5,\"type\":\"opener\"}", "type is malformed");
  expect_unfit("\"previous\":\"%s\",\"sequence\":2,\"time\":5}", "no type");
  expect_unfit("\"previous\":\"%.63s\",\"sequence\":2,\"time\":5,\"type\":\"closed\"}", "canonical");
  expect_unfit("\"previous\":\"%s\",\"sequence\":2,\"signature\":\"00\",\"time\":5,\"type\":\"head\"}", "signature");
  expect_unfit("\"previous\":\"%s\",\"sequence\":2,\"time\":5,\"type\":\"rotated\",\"version\":1}",
               "only a file may begin");
}

/* Its own writer and jansson agree on the form. */
Test(audit_chain, the_form_is_that_of_sorted_compact_json) {
  for (uint32_t i = 0; i < RECORDS; i++) {
    size_t length = made.at[i + 1] - made.at[i] - 1;
    json_t *root = json_loadb(made.data + made.at[i], length, 0, NULL);
    char *text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(9));
    cr_assert_eq(strlen(text), length);
    cr_assert_arr_eq(text, made.data + made.at[i], length, "%s", text);
    free(text);
    json_decref(root);
  }
}
