/* list and stat through a worker, while the gallery changes. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/e2e/e2e.h"

static process worker, p;
static char policy[PATH_MAX], audit[PATH_MAX];

static void setup(void) {
  e2e_setup_with_redis();
  strcpy(policy, files_path("policy.yaml"));
  strcpy(audit, files_path("audit"));
}

static void teardown(void) {
  process_close(&p);
  process_close(&worker);
  e2e_teardown();
}

TestSuite(list, .init = setup, .fini = teardown);

/* Sends a job without vectors that has these further fields, up to a NULL, and returns its reply. */
static json_t *ask(const char *op, const char *const *fields) {
  lk_redis_reply *entry = NULL;
  lk_command command = {0};
  const char *const usual[] = {"XADD", FACES_LO, "*",  "v",       "1",     "op",    op,    "id",
                               "q",    "to",     "me", "gallery", "faces", "flags", "json"};
  lk_command_add_words(&command, sizeof usual / sizeof usual[0], usual);
  for (; *fields != NULL; fields++) lk_command_add_string(&command, *fields);
  cr_assert_eq(lk_redis_send(redis.link, &command, NULL), LK_OK);
  cr_assert_eq(lk_redis_receive(redis.link, &entry, NULL), LK_OK);
  cr_assert_null(lk_redis_reply_error(entry), "%s", lk_redis_reply_error(entry));
  lk_redis_reply_free(entry);
  lk_command_free(&command);
  return next_reply("me");
}

static json_t *ask_well(const char *op, const char *const *fields) {
  json_t *reply = ask(op, fields);
  cr_assert_str_eq(reply_text(reply, "status"), "OK", "%s", reply_text(reply, "text"));
  cr_assert_eq(json_array_size(json_object_get(reply, "probes")), 0);
  return reply;
}

static void expect_status(const char *op, const char *const *fields, const char *status, const char *words) {
  json_t *reply = ask(op, fields);
  cr_assert_str_eq(reply_text(reply, "status"), status, "%s", reply_text(reply, "text"));
  cr_assert_not_null(strstr(reply_text(reply, "text"), words), "%s", reply_text(reply, "text"));
  cr_assert_eq(reply_number(reply, "total"), 0);
  json_decref(reply);
}

/* Lists the gallery from the cursor on, and counts how often each key t0, t1, ... is told. */
static void list_all(uint32_t listed[FACES_ROWS], const char *count, uint32_t deletes) {
  char cursor[24] = "0";
  for (bool more = true; more;) {
    json_t *reply = ask_well("list", (const char *[]){"cursor", cursor, "count", count, NULL});
    const json_t *page = json_object_get(reply, "list"), *next = json_object_get(page, "next");
    const json_t *templates = json_object_get(page, "templates");
    cr_assert_leq(json_array_size(templates), strtoul(count, NULL, 10));
    for (size_t i = 0; i < json_array_size(templates); i++)
      listed[strtoul(reply_text(json_array_get(templates, i), "key") + 1, NULL, 10)]++;
    more = json_is_string(next);
    if (more) snprintf(cursor, sizeof cursor, "%s", json_string_value(next));
    json_decref(reply);
    if (deletes == 0) continue;
    char key[16];
    snprintf(key, sizeof key, "t%u", --deletes * 3);
    EXPECT(&p, 0, "", "delete", faces, "--key", key);
    usleep(1100000); /* the worker follows within a second */
  }
}

Test(list, all_templates_page_by_page) {
  uint32_t listed[FACES_ROWS] = {0};
  worker_start(&worker, "--follow", NULL);
  list_all(listed, "7", 0);
  for (uint32_t i = 0; i < FACES_ROWS; i++) cr_assert_eq(listed[i], 1, "t%u: %u times", i, listed[i]);
  json_t *reply = ask_well("list", (const char *[]){"count", "1", "cursor", "9", NULL});
  const json_t *one = json_array_get(json_object_get(json_object_get(reply, "list"), "templates"), 0);
  cr_assert_str_eq(reply_text(one, "key"), "t9");
  cr_assert_str_eq(reply_text(one, "subject"), "s3");
  cr_assert_str_eq(reply_text(one, "tags"), "1");
  cr_assert_eq(reply_number(reply, "total"), FACES_ROWS);
  cr_assert_str_eq(reply_text(reply, "model"), "m1");
  json_decref(reply);
  worker_stop(&worker);
}

Test(list, who_stays_is_listed_once_while_others_go) {
  uint32_t listed[FACES_ROWS] = {0};
  worker_start(&worker, "--follow", NULL);
  list_all(listed, "150", 4);
  for (uint32_t i = 0; i < FACES_ROWS; i++) {
    bool goes = i < 12 && i % 3 == 0;
    cr_assert(listed[i] == 1 || (goes && listed[i] == 0), "t%u: %u times", i, listed[i]);
  }
  worker_stop(&worker);
}

Test(list, stat) {
  worker_start(&worker, "--follow", NULL);
  EXPECT(&p, 0, "", "delete", faces, "--key", "t5");
  EXPECT(&p, 0, "", "expire", faces, "--key", "t6", "--at", "2001-01-01T00:00:00Z");
  usleep(1100000);
  json_t *reply = ask_well("stat", (const char *[]){NULL});
  const json_t *stat = json_object_get(reply, "stat"), *remains = json_object_get(stat, "remains");
  cr_assert_str_eq(reply_text(stat, "name"), "faces");
  cr_assert_str_eq(reply_text(stat, "model"), "m1");
  cr_assert_str_eq(reply_text(stat, "metric"), "cosine");
  cr_assert_str_eq(reply_text(stat, "store"), "f32");
  cr_assert_eq(reply_number(stat, "dim"), FACES_DIM);
  cr_assert_eq(reply_number(stat, "templates"), FACES_ROWS - 1);
  cr_assert_eq(reply_number(stat, "expired"), 1);
  cr_assert_eq(reply_number(stat, "next_number"), FACES_ROWS);
  cr_assert_eq(reply_number(remains, "segments") + reply_number(remains, "journal"), 1);
  cr_assert_eq(reply_number(stat, "epoch"), reply_number(reply, "epoch"));
  json_decref(reply);
  worker_stop(&worker);
}

/* A list is an export; nobody is told more than the rules permit, and the log has who was told. */
Test(list, under_a_policy) {
  static const char rules[] = DEMO_PERMIT "    operations: [export]\n";
  files_write(policy, rules, strlen(rules));
  worker_start(&worker, "--policy", policy, "--audit", audit, NULL);
  expect_status("list", (const char *[]){NULL}, "EPOLICY", "no rule of policy");
  json_t *reply = ask_well("list", (const char *[]){"purpose", "demo", "count", "5", NULL});
  cr_assert_str_eq(reply_text(json_object_get(reply, "decision"), "decision"), "permit");
  json_decref(reply);
  expect_status("stat", (const char *[]){NULL}, "EPOLICY", "no rule of policy");
  reply = ask_well("stat", (const char *[]){"purpose", "demo", NULL});
  cr_assert_str_eq(reply_text(json_object_get(reply, "decision"), "decision"), "permit");
  json_decref(reply);
  worker_stop(&worker);
  cr_assert_eq(files_lines_with(audit, "audit-000001.log", "\"type\":\"export\""), 2);
  cr_assert_eq(files_lines_with(audit, "audit-000001.log", "\"templates\":5,"), 1);
  cr_assert_eq(files_lines_with(audit, "audit-000001.log", "\"operation\":\"export\""), 4, "all decisions");
}

/* 24 floats of letters. */
#define ROW "abc?abc?abc?abc?abc?abc?abc?abc?abc?abc?abc?abc?abc?abc?abc?abc?abc?abc?abc?abc?abc?abc?abc?abc?"

/* Whoever may enroll may neither delete by it nor learn whom a row is like. The log has each decision. */
Test(list, changes_need_all_their_operations) {
  static const char rules[] = DEMO_PERMIT "    operations: [enroll]\n";
  static const char refused[] = "no rule of policy";
  files_write(policy, rules, strlen(rules));
  worker_start(&worker, "--policy", policy, "--audit", audit, NULL);
  expect_status("delete", (const char *[]){"keys", "t1", "purpose", "demo", NULL}, "EPOLICY", refused);
  expect_status("erase", (const char *[]){"purpose", "demo", NULL}, "EPOLICY", refused);
  expect_status("replace", (const char *[]){"n", "1", "f32", ROW, "purpose", "demo", NULL}, "EPOLICY", refused);
  expect_status("enroll", (const char *[]){"n", "1", "f32", ROW, "unless_match", "0.5", "purpose", "demo", NULL},
                "EPOLICY", refused);
  worker_stop(&worker);
  static const char *const words[] = {"\"operation\":\"delete\"", "\"operation\":\"erase\"", "\"operation\":\"enroll\"",
                                      "\"operation\":\"identify\""};
  static const uint32_t records[] = {2, 1, 2, 1};
  for (size_t i = 0; i < 4; i++)
    cr_assert_eq(files_lines_with(audit, "audit-000001.log", words[i]), records[i], "%s: %u", words[i],
                 files_lines_with(audit, "audit-000001.log", words[i]));
  cr_assert_eq(files_lines_with(audit, "audit-000001.log", "\"reason\":\"EPOLICY\""), 6,
               "four refusals, and two enrollments that were permitted are withheld");
}

/* Under a stricter limit the check would pass over matches. */
Test(list, matches_below_the_policy_s_limit_are_not_looked_for) {
  static const char rules[] = DEMO_PERMIT "    operations: [enroll, identify]\n    min_score: 0.6\n";
  files_write(policy, rules, strlen(rules));
  worker_start(&worker, "--policy", policy, "--audit", audit, NULL);
  expect_status("enroll", (const char *[]){"n", "1", "f32", ROW, "unless_match", "0.5", "purpose", "demo", NULL},
                "EPOLICY", "the policy releases no score below 0.6");
  worker_stop(&worker);
}

Test(list, refused_jobs_say_nothing_of_the_gallery) {
  worker_start(&worker, "--follow", NULL);
  expect_status("list", (const char *[]){"count", "1001", NULL}, "EBADJOB", "field count");
  expect_status("stat", (const char *[]){"count", "1", NULL}, "EBADJOB", "field count does not belong to stat");
  expect_status("list", (const char *[]){"k", "1", NULL}, "EBADJOB", "field k does not belong to list");
  expect_status("enroll", (const char *[]){"n", "1", "f32", ROW, "labels", "key\na\nb\n", NULL}, "EBADJOB",
                "field labels: has 2 labels");
  worker_stop(&worker);
}
