#include "engine/queue/job_change.h"

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

static void begin(const char *op) {
  count = 0;
  add_text("v", "1");
  add_text("id", "j1");
  add_text("to", "me");
  add_text("gallery", "faces");
  add_text("op", op);
}

static void begin_enrollment(const char *op) {
  begin(op);
  add_text("n", "2");
  add("f32", vectors, sizeof vectors);
}

static lk_status parse(void) {
  error.text[0] = '\0';
  return lk_job_parse(fields, count, &job, &error);
}

static void expect_good(void) {
  lk_status got = parse();
  cr_assert_eq(got, LK_OK, "%s: %s", lk_status_name(got), error.text);
}

static void expect_bad(const char *words) {
  lk_status got = parse();
  cr_assert_eq(got, LK_EBADJOB, "%s: %s", lk_status_name(got), error.text);
  cr_assert_not_null(strstr(error.text, words), "'%s' is not in '%s'", words, error.text);
}

/* The last of two fields of a name counts. */
static void expect_bad_with(const char *name, const char *value, const char *words) {
  add_text(name, value);
  expect_bad(words);
  count--;
}

static bool is(lk_text text, const char *expected) { return lk_text_equal(text, lk_text_of(expected)); }

/* ---- which fields an operation has ---- */

typedef struct op_case {
  const char *op;
  lk_op number;
  lk_op_kind kind;
  const char *fields; /* beside those of all, each with a blank before and after it */
} op_case;

static const op_case ops[] = {
    {"identify", LK_OP_IDENTIFY, LK_OP_SEARCHES, " n f32 f16 model k threshold after by fuse tags mask keys subjects "},
    {"verify", LK_OP_VERIFY, LK_OP_SEARCHES, " n f32 f16 model k threshold after subject tags mask "},
    {"enroll", LK_OP_ENROLL, LK_OP_CHANGES, " n f32 f16 model version labels unless_match "},
    {"replace", LK_OP_REPLACE, LK_OP_CHANGES, " n f32 f16 model version labels unless_match "},
    {"delete", LK_OP_DELETE, LK_OP_CHANGES, " keys subjects version "},
    {"tag", LK_OP_TAG, LK_OP_CHANGES, " keys tags mask version "},
    {"expire", LK_OP_EXPIRE, LK_OP_CHANGES, " keys expires version "},
    {"erase", LK_OP_ERASE, LK_OP_CHANGES, ""},
    {"list", LK_OP_LIST, LK_OP_ASKS, " cursor count "},
    {"stat", LK_OP_STAT, LK_OP_ASKS, ""},
};
enum { OPS = sizeof ops / sizeof ops[0] };

static bool has(const op_case *c, const char *field) {
  char blanks[32];
  snprintf(blanks, sizeof blanks, " %s ", field);
  return strstr(c->fields, blanks) != NULL;
}

Test(job_change, fields_that_do_not_belong_are_refused_by_name) {
  static const char *const names[] = {"n",      "f32",   "f16",    "model",   "k",       "threshold",   "after",
                                      "by",     "fuse",  "tags",   "mask",    "keys",    "subjects",    "subject",
                                      "cursor", "count", "labels", "version", "expires", "unless_match"};
  cr_assert_eq(OPS, LK_OPS);
  for (size_t o = 0; o < OPS; o++)
    for (size_t f = 0; f < sizeof names / sizeof names[0]; f++) {
      char words[64];
      snprintf(words, sizeof words, "field %s does not belong to %s", names[f], ops[o].op);
      begin(ops[o].op);
      add_text(names[f], "?");
      bool refused = parse() == LK_EBADJOB && strstr(error.text, words) != NULL;
      cr_assert_eq(refused, !has(&ops[o], names[f]), "%s with %s: '%s'", ops[o].op, names[f], error.text);
    }
}

Test(job_change, operations_have_names_and_kinds) {
  for (size_t o = 0; o < OPS; o++) {
    begin(ops[o].op);
    parse();
    cr_assert(job.op == ops[o].number && job.op == (lk_op)o, "%s", ops[o].op);
    cr_assert_str_eq(lk_op_name(job.op), ops[o].op);
    cr_assert_eq(lk_op_kind_of(job.op), ops[o].kind, "%s", ops[o].op);
    cr_assert(ops[o].kind == LK_OP_SEARCHES || lk_job_lists(&job) == 0);
  }
  cr_assert_str_eq(lk_op_name(LK_OPS), "?");
}

/* All of them: who asks, for what, until when. */
Test(job_change, fields_of_all_operations) {
  static const char *const with[][2] = {{"delete", "keys"}, {"erase", NULL}, {"list", NULL}, {"stat", NULL}};
  for (size_t i = 0; i < 4; i++) {
    begin(with[i][0]);
    if (with[i][1] != NULL) add_text(with[i][1], "a");
    add_text("ttl", "9");
    add_text("flags", "json");
    add_text("purpose", "border");
    add_text("granted", "yes");
    add_text("x-own", "7");
    expect_good();
    cr_assert(job.ttl_ms == 9 && job.json && is(job.claims.purpose, "border") && job.claims.granted);
    cr_assert(job.probes.rows == 0 && job.k == 1 && job.threshold == -INFINITY);
  }
}

static void expect_operations(lk_operation first, int second, int third) {
  lk_operation needed[LK_JOB_OPERATIONS_MAX];
  uint32_t n = lk_job_operations(&job, needed);
  cr_assert_eq(n, 1U + (second >= 0) + (third >= 0));
  cr_assert_eq(needed[0], first);
  if (second >= 0) cr_assert_eq(needed[1], (lk_operation)second);
  if (third >= 0) cr_assert_eq(needed[2], (lk_operation)third);
}

/* A replacement deletes, and a match tells whom a row is like. */
Test(job_change, what_the_policy_must_permit) {
  static const lk_operation one[OPS] = {LK_OPERATION_IDENTIFY, LK_OPERATION_VERIFY, LK_OPERATION_ENROLL,
                                        LK_OPERATION_ENROLL,   LK_OPERATION_DELETE, LK_OPERATION_TAG,
                                        LK_OPERATION_EXPIRE,   LK_OPERATION_ERASE,  LK_OPERATION_EXPORT};
  for (size_t o = 0; o < LK_OP_STAT; o++) {
    job = (lk_job){.op = (lk_op)o};
    expect_operations(one[o], o == LK_OP_REPLACE ? (int)LK_OPERATION_DELETE : -1, -1);
  }
  job = (lk_job){.op = LK_OP_STAT};
  expect_operations(LK_OPERATION_EXPORT, -1, -1);
  job = (lk_job){.op = LK_OP_ENROLL, .change.unless_match = true};
  expect_operations(LK_OPERATION_ENROLL, LK_OPERATION_IDENTIFY, -1);
  job.op = LK_OP_REPLACE;
  expect_operations(LK_OPERATION_ENROLL, LK_OPERATION_DELETE, LK_OPERATION_IDENTIFY);
}

/* ---- enrollments ---- */

Test(job_change, enrollment) {
  static const char csv[] = "row,key,subject,tags\n1,b,anna,2\n0,a,,1\n";
  for (int i = 0; i < 2; i++) {
    begin_enrollment(i == 0 ? "enroll" : "replace");
    add_text("model", "net-2");
    add_text("labels", csv);
    add_text("version", "18446744073709551615");
    add_text("unless_match", "0.5");
    expect_good();
    cr_assert(job.probes.rows == 2 && job.probes.dim == DIM && is(job.model, "net-2"));
    lk_label_file labels;
    cr_assert_eq(lk_job_read_labels(&job, &labels, &error), LK_OK, "%s", error.text);
    lk_enrollment e = lk_job_enrollment(&job, &labels);
    cr_assert(e.vectors->rows == 2 && e.replace == (i == 1) && e.unless_match && e.match_threshold == 0.5F);
    cr_assert(is(e.labels[0].key, "a") && is(e.labels[1].key, "b") && is(e.labels[1].subject, "anna"));
    cr_assert(e.labels[0].tags == 1 && e.labels[0].version == UINT64_MAX && e.labels[1].version == UINT64_MAX);
    lk_label_file_close(&labels);
  }
}

Test(job_change, enrollment_without_labels) {
  begin_enrollment("enroll");
  expect_good();
  lk_label_file labels;
  cr_assert_eq(lk_job_read_labels(&job, &labels, &error), LK_OK, "%s", error.text);
  lk_enrollment e = lk_job_enrollment(&job, &labels);
  cr_assert(!e.replace && !e.unless_match && e.labels[1].key.length == 0 && e.labels[1].version == 0);
  lk_label_file_close(&labels);
}

Test(job_change, labels_are_checked) {
  static const char *const cases[][2] = {
      {"", "field labels is empty"},
      {"key\na\n", "field labels: has 1 labels, but there are 2 vectors"},
      {"key\na\nb\nc\n", "field labels: has 3 labels, but there are 2 vectors"},
      {"row,key\n0,a\n2,b\n", "field labels: record 3: there is no row 2 of the 2 vectors"},
      {"row,key\n0,a\n0,b\n", "field labels: record 3: this row is named twice"},
      {"row,key\n0,a\nx,b\n", "field labels: record 3: row is not a number: 'x'"},
      {"key,tags\na,1\nb,two\n", "field labels: record 3: tags are not a 64-bit number: 'two'"},
      {"key,expires\na,1\nb,soon\n", "field labels: record 3: expires 'soon'"},
      {"key\na\n\"b\n", "field labels: record 3: malformed quotes"},
      {"key,subject\na\nb\n", "field labels: record 2 has 1 field"},
      {"key,colour\na,1\nb,2\n", "field labels: unknown column 'colour'"},
      {"kye\na\nb\n", "field labels: unknown column 'kye'; did you mean 'key'?"},
      {"name\na\nb\n", "field labels: unknown column 'name'; known are"},
      {"\x93NUMPY\1\0", "field labels: "},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    lk_label_file labels;
    begin_enrollment("enroll");
    add_text("labels", cases[i][0]);
    expect_good();
    cr_assert_eq(lk_job_read_labels(&job, &labels, &error), LK_EBADJOB, "%s", cases[i][0]);
    cr_assert_not_null(strstr(error.text, cases[i][1]), "'%s' is not in '%s'", cases[i][1], error.text);
    cr_assert(strstr(error.text, ".txt") == NULL && strstr(error.text, "--") == NULL, "a job is no file: %s",
              error.text);
  }
}

Test(job_change, malformed_enrollments) {
  begin("enroll");
  expect_bad("field n is missing");
  add_text("n", "2");
  expect_bad("field f32 (or f16) is missing");
  begin_enrollment("enroll");
  static const char *const no_scores[] = {"", "x", "nan", "inf", "1e39", "-1e39"};
  for (size_t i = 0; i < 6; i++) expect_bad_with("unless_match", no_scores[i], "field unless_match");
  static const char *const no_versions[] = {"", "0", "-1", "x", "18446744073709551616"};
  for (size_t i = 0; i < 5; i++) expect_bad_with("version", no_versions[i], "field version");
}

/* The owner takes no more at a time; so a job of more is told at once. */
Test(job_change, the_largest_enrollment) {
  static float rows[1000 * LK_DIM_MAX];
  char n[12];
  uint64_t most = LK_ENROLLMENT_ROWS(LK_DIM_MAX);
  for (uint64_t more = 0; more < 2; more++) {
    begin("enroll");
    snprintf(n, sizeof n, "%u", (unsigned)(most + more));
    add_text("n", n);
    add("f32", rows, (most + more) * LK_DIM_MAX * sizeof(float));
    if (more == 0)
      expect_good();
    else
      expect_bad("field n: 993 rows of dimension 4096; one job may enroll 992");
  }
}

/* ---- other changes ---- */

static lk_text texts[LK_TEXT_LIST_MOST];
static lk_change changes[LK_TEXT_LIST_MOST];

static uint32_t make_changes(void) {
  expect_good();
  lk_text_list_split(job.keys.given ? &job.keys : &job.subjects, texts);
  return lk_job_changes(&job, texts, changes);
}

Test(job_change, deletion) {
  begin("delete");
  expect_bad("field keys (or subjects) is missing");
  add_text("keys", "b\na\nb\nab");
  add_text("version", "7");
  cr_assert_eq(make_changes(), 3, "whoever is named twice is deleted once");
  static const char *const sorted[] = {"a", "ab", "b"};
  for (int i = 0; i < 3; i++) {
    cr_assert(is(changes[i].key, sorted[i]) && changes[i].subject.length == 0, "%d", i);
    cr_assert(changes[i].kind == LK_CHANGE_DELETE_KEY && changes[i].version == 7);
  }
  expect_bad_with("subjects", "anna", "both keys and subjects");
  begin("delete");
  add_text("subjects", "anna\nberta");
  cr_assert_eq(make_changes(), 2);
  cr_assert(changes[0].kind == LK_CHANGE_DELETE_SUBJECT && is(changes[0].subject, "anna"));
  cr_assert(changes[0].key.length == 0 && is(changes[1].subject, "berta"));
}

Test(job_change, lists_of_nobody) {
  static const char *const with[] = {"delete", "tag", "expire"};
  for (int i = 0; i < 3; i++) {
    begin(with[i]);
    expect_bad_with("keys", "", "field keys is empty");
    expect_bad_with("keys", "a\n\nb", "field keys: text 2 is empty");
    if (i > 0) expect_bad("field keys is missing");
  }
  begin("delete");
  expect_bad_with("subjects", "", "field subjects is empty");
}

Test(job_change, tagging) {
  begin("tag");
  add_text("keys", "a");
  expect_bad("field tags is missing");
  add_text("tags", "4");
  expect_bad("field mask is missing");
  add_text("mask", "6");
  cr_assert_eq(make_changes(), 1);
  cr_assert(changes[0].kind == LK_CHANGE_TAG && changes[0].tags == 4 && changes[0].mask == 6);
  expect_bad_with("mask", "0", "field mask: 0");
  expect_bad_with("tags", "9", "field tags: 0x9 lies outside mask");
  expect_bad_with("subjects", "anna", "field subjects does not belong to tag");
}

Test(job_change, expiry) {
  begin("expire");
  add_text("keys", "a\nb");
  expect_bad("field expires is missing");
  add_text("expires", "1893456000000");
  cr_assert_eq(make_changes(), 2);
  cr_assert(changes[1].kind == LK_CHANGE_EXPIRE && changes[1].expires_ms == 1893456000000);
  add_text("expires", "never");
  make_changes();
  cr_assert_eq(changes[0].expires_ms, LK_NEVER);
  static const char *const no_times[] = {"", "0", "Never", "soon", "2030-01-01", "18446744073709551615"};
  for (size_t i = 0; i < 6; i++) expect_bad_with("expires", no_times[i], "field expires");
}

Test(job_change, pages) {
  begin("list");
  expect_good();
  cr_assert(job.page.cursor == 0 && job.page.count == 100);
  add_text("cursor", "18446744073709551615");
  add_text("count", "1000");
  expect_good();
  cr_assert(job.page.cursor == UINT64_MAX && job.page.count == LK_JOB_PAGE_MAX);
  expect_bad_with("count", "0", "field count: 0 is outside 1 .. 1000");
  expect_bad_with("count", "1001", "field count: 1001");
  expect_bad_with("cursor", "-1", "field cursor");
}

/* Sorted and without doubles, whatever the texts are. */
Test(job_change, random_lists) {
  random_state random = {7};
  for (int round = 0; round < 300; round++) {
    char list[2048];
    uint32_t n = 1 + random_below(&random, 60), end = 0;
    for (uint32_t i = 0; i < n; i++) {
      if (i > 0) list[end++] = '\n';
      for (uint32_t length = 1 + random_below(&random, 3); length > 0; length--)
        list[end++] = (char)('a' + random_below(&random, 3));
    }
    begin("delete");
    add("keys", list, end);
    uint32_t made = make_changes();
    for (uint32_t i = 0; i < n; i++) {
      uint32_t found = 0;
      for (uint32_t c = 0; c < made; c++) found += lk_text_equal(changes[c].key, texts[i]);
      cr_assert_eq(found, 1, "round %d: '%.*s' is there %u times", round, (int)texts[i].length, texts[i].bytes, found);
    }
  }
}
