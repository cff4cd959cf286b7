#include "engine/queue/job.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tests/support/random.h"

enum { FIELDS_MOST = 32, DIM = 4 };

static lk_field fields[FIELDS_MOST];
static size_t count;
static lk_job job;
static lk_error error;
static const float vectors[2 * DIM] = {1, 2, 3, 4, 5, 6, 7, 8};

static void add(const char *name, const void *value, size_t length) {
  cr_assert_lt(count, FIELDS_MOST);
  fields[count++] = (lk_field){.name = lk_text_of(name), .value = value, .length = length};
}

static void add_text(const char *name, const char *value) { add(name, value, strlen(value)); }

static void setup(void) {
  count = 0;
  add_text("v", "1");
  add_text("op", "identify");
  add_text("id", "j1");
  add_text("to", "me");
  add_text("gallery", "faces");
  add_text("n", "2");
  add("f32", vectors, sizeof vectors);
}

TestSuite(job, .init = setup);

static lk_status parse(void) {
  error.text[0] = '\0';
  return lk_job_parse(fields, count, &job, &error);
}

static void expect_bad(lk_status status, const char *words) {
  lk_status got = parse();
  cr_assert_eq(got, status, "%s: %s", lk_status_name(got), error.text);
  cr_assert_not_null(strstr(error.text, words), "'%s' is not in '%s'", words, error.text);
}

/* A usual job with one field changed: the field is added last, so it counts. */
static void expect_bad_field(const char *name, const char *value, const char *words) {
  setup();
  add_text(name, value);
  expect_bad(LK_EBADJOB, words);
  cr_assert(strcmp(name, "id") == 0 || lk_text_equal(job.id, lk_text_of("j1")));
  cr_assert(strcmp(name, "to") == 0 || lk_text_equal(job.to, lk_text_of("me")));
}

static void leave_out(const char *name) {
  setup();
  for (size_t i = 0; i < count; i++)
    if (lk_text_equal(fields[i].name, lk_text_of(name))) fields[i] = fields[--count];
}

static bool is(lk_text text, const char *expected) { return lk_text_equal(text, lk_text_of(expected)); }

Test(job, all_fields) {
  add_text("k", "7");
  add_text("threshold", "-0.25");
  add_text("ttl", "1500");
  add_text("model", "net-2");
  add_text("by", "template");
  add_text("flags", "progress,json");
  cr_assert_eq(parse(), LK_OK, "%s", error.text);
  cr_assert(is(job.id, "j1") && is(job.to, "me") && is(job.gallery, "faces") && is(job.model, "net-2"));
  cr_assert(job.op == LK_OP_IDENTIFY && job.k == 7 && job.threshold == -0.25F && job.ttl_ms == 1500 && job.json);
  cr_assert(job.probes.rows == 2 && job.probes.dim == DIM && job.probes.element == LK_F32);
  cr_assert_eq(job.probes.data, vectors);
}

Test(job, defaults) {
  cr_assert_eq(parse(), LK_OK, "%s", error.text);
  cr_assert(job.k == 10 && job.threshold == -INFINITY && job.ttl_ms == 0 && !job.json && job.model.length == 0);
}

Test(job, needed_fields) {
  static const char *const needed[] = {"v", "op", "id", "to", "gallery", "n", "f32"};
  for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
    char words[40];
    leave_out(needed[i]);
    snprintf(words, sizeof words, "field %s", needed[i]);
    expect_bad(LK_EBADJOB, words);
  }
}

Test(job, malformed_fields) {
  char longest[400];
  memset(longest, 'a', sizeof longest);
  longest[sizeof longest - 1] = '\0';
  static const char *const names[] = {"id", "to", "gallery", "model"};
  for (size_t i = 0; i < 4; i++) {
    expect_bad_field(names[i], longest, names[i]);
    expect_bad_field(names[i], "\xff", "UTF-8");
    expect_bad_field(names[i], "a\nb", "control");
  }
  static const char *const not_numbers[] = {"", "x", "1x", " 1", "+1", "-1", "1.5", "0x10", "18446744073709551616"};
  for (size_t i = 0; i < sizeof not_numbers / sizeof not_numbers[0]; i++) {
    expect_bad_field("k", not_numbers[i], "k");
    expect_bad_field("n", not_numbers[i], "n");
    expect_bad_field("ttl", not_numbers[i], "ttl");
  }
  static const char *const not_floats[] = {"",        "x",      "1x",  " 1",  "\t1", "nan",
                                           "-nan(1)", "0x1p-1", "1,5", "inf", "1e39"};
  for (size_t i = 0; i < sizeof not_floats / sizeof not_floats[0]; i++)
    expect_bad_field("threshold", not_floats[i], "threshold");
  expect_bad_field("op", "enrol", "enrol");
  expect_bad_field("op", "", "op");
  expect_bad_field("op", "identif", "op");
  expect_bad_field("by", "subjects", "by");
}

Test(job, out_of_range) {
  expect_bad_field("k", "0", "0 is outside 1 .. 4096");
  expect_bad_field("k", "4097", "4097");
  expect_bad_field("n", "0", "0 is outside 1 .. 4096");
  expect_bad_field("n", "4097", "4097");
  expect_bad_field("ttl", "0", "ttl");
  expect_bad_field("ttl", "4294967296", "ttl");
}

Test(job, lengths_at_the_limit) {
  char text[LK_TEXT_MAX + 1];
  memset(text, 'a', sizeof text);
  add("id", text, LK_JOB_ID_MAX);
  add("to", text, LK_JOB_TO_MAX);
  add("gallery", text, LK_TEXT_MAX);
  cr_assert_eq(parse(), LK_OK, "%s", error.text);
  add("id", text, LK_JOB_ID_MAX + 1);
  expect_bad(LK_EBADJOB, "65 bytes");
  add("id", text, 1);
  add("to", text, LK_JOB_TO_MAX + 1);
  expect_bad(LK_EBADJOB, "129 bytes");
  add("to", text, 1);
  add("gallery", text, LK_TEXT_MAX + 1);
  expect_bad(LK_EBADJOB, "256 bytes");
}

Test(job, nul_bytes_end_nothing) {
  static const char *const names[] = {"id", "to", "gallery", "model", "k", "n", "ttl", "threshold", "op", "v", "by"};
  static const char *const values[] = {"j", "m", "f", "n", "1", "2", "9", "1", "identify", "1", "template"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    char value[16] = {0};
    strcpy(value, values[i]);
    setup();
    add(names[i], value, strlen(value) + 1);
    cr_assert_neq(parse(), LK_OK, "%s", names[i]);
    setup();
    fields[count++] = (lk_field){.name = {names[i], (uint32_t)strlen(names[i]) + 1}, .value = "?", .length = 1};
    expect_bad(LK_EBADJOB, "unknown field"); /* a longer name is another field's */
  }
}

Test(job, the_last_of_two_counts) {
  add_text("k", "zero");
  add_text("k", "3");
  add_text("to", "you");
  cr_assert_eq(parse(), LK_OK, "%s", error.text);
  cr_assert(job.k == 3 && is(job.to, "you"));
}

/* Whatever else is wrong, the job keeps what is needed to send the refusal in the requested form. */
Test(job, the_way_back_survives_errors) {
  static const char *const names[] = {"v", "op", "gallery", "n", "k", "ttl", "threshold", "model", "f32", "tags"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    setup();
    add_text("flags", "json");
    add_text(names[i], "\xff");
    cr_assert_neq(parse(), LK_OK, "%s", names[i]);
    cr_assert(is(job.id, "j1") && is(job.to, "me") && job.json, "%s", names[i]);
  }
  leave_out("id");
  add_text("flags", "json");
  expect_bad(LK_EBADJOB, "id");
  cr_assert(job.id.length == 0 && is(job.to, "me") && job.json);
  leave_out("to");
  expect_bad(LK_EBADJOB, "to");
  cr_assert(is(job.id, "j1") && job.to.length == 0);
  leave_out("id");
  add_text("to", "\n");
  expect_bad(LK_EBADJOB, "id");
  cr_assert(job.id.length == 0 && job.to.length == 0);
}

Test(job, versions) {
  static const char *const unknown[] = {"2", "", "10", "1 ", "one", "\xff\xff"};
  for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
    setup();
    add_text("v", unknown[i]);
    add_text("op", "something of that version");
    expect_bad(LK_EVERSION, unknown[i]);
  }
}

Test(job, fields_of_other_operations_are_refused_by_name) {
  static const char *const others[] = {"subject", "version", "labels", "unless_match", "expires", "cursor", "count"};
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    char words[64];
    snprintf(words, sizeof words, "field %s does not belong to identify", others[i]);
    expect_bad_field(others[i], "1", words);
  }
  static const char *const with_verify[] = {"by", "fuse", "keys", "subjects"};
  for (size_t i = 0; i < 4; i++) {
    setup();
    add_text("op", "verify");
    add_text("subject", "anna");
    add_text(with_verify[i], i == 0 ? "template" : i == 1 ? "max" : "1");
    char words[64];
    snprintf(words, sizeof words, "field %s does not belong to verify", with_verify[i]);
    expect_bad(LK_EBADJOB, words);
  }
}

Test(job, after_an_entry_of_the_log) {
  cr_assert(parse() == LK_OK && job.after.ms == 0 && job.after.sequence == 0);
  add_text("after", "1622505600000-18446744073709551615");
  cr_assert_eq(parse(), LK_OK, "%s", error.text);
  cr_assert(job.after.ms == 1622505600000 && job.after.sequence == UINT64_MAX);
  static const char *const no_ids[] = {"", "1", "1-", "-1", "1-2-3", "01-2", "1-+2", "$", "18446744073709551616-0"};
  for (size_t i = 0; i < sizeof no_ids / sizeof no_ids[0]; i++) expect_bad_field("after", no_ids[i], "field after: ");
  setup();
  add_text("op", "verify");
  add_text("subject", "anna");
  add_text("after", "7-1");
  cr_assert(parse() == LK_OK && job.after.ms == 7 && job.after.sequence == 1, "%s", error.text);
}

Test(job, view) {
  cr_assert(parse() == LK_OK && !job.by_subject && job.tags == 0 && job.mask == 0);
  add_text("by", "subject");
  add_text("tags", "6");
  cr_assert_eq(parse(), LK_OK, "%s", error.text);
  cr_assert(job.by_subject && job.tags == 6 && job.mask == 6, "without a mask, all of the tags");
  add_text("mask", "18446744073709551615");
  cr_assert(parse() == LK_OK && job.tags == 6 && job.mask == UINT64_MAX);
  expect_bad_field("mask", "18446744073709551616", "mask");
  expect_bad_field("tags", "0x6", "tags");
}

static void expect_texts(const lk_text_list *list, uint32_t n, const char *const *texts) {
  lk_text read[8];
  cr_assert(list->given && list->count == n);
  lk_text_list_split(list, read);
  for (uint32_t i = 0; i < n; i++) cr_assert(is(read[i], texts[i]), "%u", i);
}

Test(job, lists) {
  cr_assert(parse() == LK_OK && !job.keys.given && !job.subjects.given);
  add_text("keys", "");
  add_text("subjects", "anna\nb\xc3\xa9 c\nd");
  cr_assert_eq(parse(), LK_OK, "%s", error.text);
  expect_texts(&job.keys, 0, NULL);
  expect_texts(&job.subjects, 3, (const char *const[]){"anna", "b\xc3\xa9 c", "d"});
  static const char *const names[] = {"keys", "subjects"};
  for (size_t i = 0; i < 2; i++) {
    expect_bad_field(names[i], "\n", "text 1 is empty");
    expect_bad_field(names[i], "a\n", "text 2 is empty");
    expect_bad_field(names[i], "a\n\nb", "text 2 is empty");
    expect_bad_field(names[i], "a\r\nb", "text 1 has a control character");
    expect_bad_field(names[i], "a\n\xff", "UTF-8");
  }
}

Test(job, the_longest_lists) {
  static char bytes[4097 * (LK_TEXT_MAX + 1)];
  static lk_text texts[LK_TEXT_LIST_MOST];
  memset(bytes, 'a', sizeof bytes);
  for (size_t i = 1; i <= 4097; i++) bytes[i * (LK_TEXT_MAX + 1) - 1] = '\n';
  add("keys", bytes, 4096 * (LK_TEXT_MAX + 1) - 1);
  cr_assert_eq(parse(), LK_OK, "%s", error.text);
  cr_assert_eq(job.keys.count, LK_TEXT_LIST_MOST);
  lk_text_list_split(&job.keys, texts);
  cr_assert(texts[4095].bytes == bytes + 4095 * 256 && texts[4095].length == LK_TEXT_MAX);
  add("keys", bytes, 4097 * (LK_TEXT_MAX + 1) - 1);
  expect_bad(LK_EBADJOB, "text 4097 is one too many");
  bytes[LK_TEXT_MAX] = 'a';
  add("keys", bytes, LK_TEXT_MAX + 1);
  expect_bad(LK_EBADJOB, "field keys: text 1 is longer than 255 bytes");
}

Test(job, fusion) {
  cr_assert(parse() == LK_OK && job.fusion == LK_FUSE_NONE);
  uint32_t probes = (uint32_t)job.probes.rows;
  cr_assert_eq(lk_job_lists(&job), probes);
  static const char *const names[] = {"none", "max", "mean"};
  for (int i = 0; i < 3; i++) {
    add_text("fuse", names[i]);
    cr_assert(parse() == LK_OK && job.fusion == (lk_fusion)i);
    cr_assert_eq(lk_job_lists(&job), i == 0 ? probes : 1);
  }
  expect_bad_field("fuse", "maximum", "fuse");
  expect_bad_field("fuse", "", "fuse");
}

Test(job, claims) {
  cr_assert(parse() == LK_OK && job.claims.purpose.length == 0 && job.claims.pending_since_ms == 0);
  static const char *const names[] = {"purpose", "actor", "jurisdiction", "case", "authorisation"};
  for (int i = 0; i < 5; i++) add_text(names[i], names[i]);
  add_text("pending_since", "1622505600000");
  cr_assert_eq(parse(), LK_OK, "%s", error.text);
  const lk_text claims[] = {job.claims.purpose, job.claims.actor, job.claims.jurisdiction, job.claims.case_id,
                            job.claims.authorisation};
  for (int i = 0; i < 5; i++) cr_assert(lk_text_equal(claims[i], lk_text_of(names[i])), "%s", names[i]);
  cr_assert_eq(job.claims.pending_since_ms, 1622505600000);
  for (int i = 0; i < 5; i++) expect_bad_field(names[i], "a\nb", names[i]);
  expect_bad_field("pending_since", "2021-06-01", "pending_since");
  expect_bad_field("pending_since", "0", "pending_since");
  setup();
  cr_assert(parse() == LK_OK && !job.claims.granted);
  add_text("granted", "yes");
  cr_assert(parse() == LK_OK && job.claims.granted);
  expect_bad_field("granted", "no", "granted");
}

/* A field that is ignored would change the answer without a word: a threshold that does not hold, a list of people that
 * is everybody. */
Test(job, unknown_fields_are_refused_by_name) {
  static const char *const cases[][2] = {
      {"Threshold", "unknown field 'Threshold'; did you mean 'threshold'?"},
      {"treshold", "unknown field 'treshold'; did you mean 'threshold'?"},
      {"TRESHOLT", "unknown field 'TRESHOLT'; did you mean 'threshold'?"},
      {"treshol", "unknown field 'treshol'; did you mean 'threshold'?"},
      {"resholt", "unknown field 'resholt'; only names"},
      {"V", "unknown field 'V'; did you mean 'v'?"},
      {"ttll", "did you mean 'ttl'?"},
      {"authorization", "did you mean 'authorisation'?"},
      {"signedms", "did you mean 'signed_ms'?"},
      {"actors", "did you mean 'actor'?"},
      {"x", "unknown field 'x'; only names"},
      {"X-note", "unknown field 'X-note'; only names"},
      {"xnote", "unknown field 'xnote'; only names"},
      {"colour", "unknown field 'colour'; only names"},
      {"", "unknown field ''; only names"},
      {"a_name_that_is_longer_than_any_field_of_the_protocol_has", "'a_name_that_is_longer_than_any_field_of_'; only"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) expect_bad_field(cases[i][0], "1", cases[i][1]);
  expect_bad_field("\xff\xfe", "1", "unknown field");
}

Test(job, fields_of_the_client_s_own_are_ignored) {
  add_text("x-trace", "7");
  add_text("x-", "");
  cr_assert_eq(parse(), LK_OK, "%s", error.text);
}

/* An older or newer version has other fields. */
Test(job, the_version_is_read_before_the_names) {
  add_text("v", "2");
  add_text("colour", "red");
  expect_bad(LK_EVERSION, "2");
}

Test(job, unknown_flags_are_ignored) {
  add_text("flags", "jso,json5,,xjson");
  cr_assert_eq(parse(), LK_OK, "%s", error.text);
  cr_assert_not(job.json);
  static const char *const with[] = {"json", "json,", ",json", "a,json,b"};
  for (size_t i = 0; i < 4; i++) {
    add_text("flags", with[i]);
    cr_assert(parse() == LK_OK && job.json, "%s", with[i]);
  }
}

Test(job, probes) {
  static char bytes[4 * LK_DIM_MAX + 8];
  leave_out("f32");
  add("f16", vectors, sizeof vectors);
  cr_assert_eq(parse(), LK_OK, "%s", error.text);
  cr_assert(job.probes.element == LK_F16 && job.probes.dim == 2 * DIM && job.probes.rows == 2);
  add("f32", vectors, sizeof vectors);
  expect_bad(LK_EBADJOB, "both");
  setup();
  add("f32", vectors, 0);
  expect_bad(LK_EBADJOB, "f32");
  for (size_t length = 1; length < sizeof vectors; length++) {
    if (length % 8 == 0) continue;
    setup();
    add("f32", vectors, length);
    expect_bad(LK_EBADJOB, "f32");
  }
  setup();
  add_text("n", "1");
  add("f32", bytes, 4 * LK_DIM_MAX);
  cr_assert(parse() == LK_OK && job.probes.dim == LK_DIM_MAX, "%s", error.text);
  add("f32", bytes, 4 * LK_DIM_MAX + 4);
  expect_bad(LK_EDIM, "4097");
}

Test(job, n_times_k) {
  static char bytes[4 * 4096];
  add_text("n", "4096");
  add("f32", bytes, sizeof bytes);
  add_text("k", "64");
  cr_assert_eq(parse(), LK_OK, "%s", error.text);
  add_text("k", "65");
  expect_bad(LK_EBADJOB, "266240");
}

Test(job, verify) {
  add_text("op", "verify");
  expect_bad(LK_EBADJOB, "subject");
  add_text("subject", "alice");
  add_text("k", "5");
  cr_assert_eq(parse(), LK_OK, "%s", error.text);
  cr_assert(job.op == LK_OP_VERIFY && job.k == 1 && is(job.subject, "alice"));
}

Test(job, nothing_at_all) {
  cr_assert_eq(lk_job_parse(NULL, 0, &job, &error), LK_EBADJOB);
  cr_assert_eq(lk_job_parse(NULL, 0, &job, NULL), LK_EBADJOB);
}

/* Random bytes as values, each in memory of its own so that a sanitizer sees a step beyond. */
Test(job, random_fields) {
  static const char *const names[] = {"v",         "op",  "id",  "to", "gallery", "n",       "k",    "ttl",
                                      "threshold", "f32", "f16", "by", "flags",   "subject", "model"};
  static const char *const good[] = {"1",   "verify", "a",  "b",        "c",    "1", "2", "3",
                                     "0.5", "abcd",   "ab", "template", "json", "s", "m"};
  random_state random = {5};
  for (int round = 0; round < 20000; round++) {
    char *values[12];
    count = 0;
    for (int i = 0; i < 12; i++) {
      uint32_t which = random_below(&random, 15), length = random_below(&random, 48);
      bool plain = !random_one_in(&random, 4);
      if (plain) length = (uint32_t)strlen(good[which]);
      values[i] = malloc(length + 1);
      values[i] = realloc(values[i], length > 0 ? length : 1);
      for (uint32_t b = 0; b < length; b++) values[i][b] = plain ? good[which][b] : (char)random_bits(&random);
      add(names[which], values[i], length);
    }
    lk_status status = parse();
    cr_assert(status == LK_OK || status == LK_EBADJOB || status == LK_EVERSION || status == LK_EDIM);
    cr_assert((status == LK_OK) == (error.text[0] == '\0'));
    for (int i = 0; i < 12; i++) free(values[i]);
  }
}
