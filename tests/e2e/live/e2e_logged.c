/* Changes of a gallery through its log: each is answered once, and seen by every search that asks for it. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "engine/queue/functions.h"
#include "tests/e2e/live/changing.h"

static process worker, p;
static char entry[CHANGING_ID];

static void setup(void) {
  e2e_setup_with_redis();
  worker_start(&worker, NULL);
  changing_await_owner(&worker);
}

static void teardown(void) {
  process_close(&p);
  process_close(&worker);
  e2e_teardown();
}

TestSuite(logged, .init = setup, .fini = teardown);

static void enroll(const char *id, uint32_t number, const char *labels) {
  changing_send(&redis, id, "enroll", changing_vector(number), "labels", labels, NULL);
  cr_assert_eq(changing_expect(&redis, id, entry), 1);
}

Test(logged, what_is_enrolled_is_found_and_what_is_deleted_is_not) {
  enroll("e1", 1, "key,subject\nnew,somebody\n");
  cr_assert(changing_finds(&redis, changing_vector(1), "new", entry));
  changing_send(&redis, "d1", "delete", NULL, "keys", "new\nnobody", NULL);
  cr_assert_eq(changing_expect(&redis, "d1", entry), 1);
  cr_assert(!changing_finds(&redis, changing_vector(1), "new", entry));
  changing_send(&redis, "d2", "delete", NULL, "subjects", "s3", NULL);
  cr_assert_eq(changing_expect(&redis, "d2", entry), 3);
  worker_stop(&worker);
  EXPECT(&p, 0, "", "check", faces);
}

Test(logged, replace) {
  enroll("e1", 1, "key\nnew\n");
  changing_send(&redis, "e2", "enroll", changing_vector(2), "labels", "key\nnew\n", NULL);
  expect_reply("me", "e2", "EEXIST", "key 'new' is in the gallery already");
  changing_send(&redis, "r", "replace", changing_vector(2), "labels", "key\nnew\n", NULL);
  cr_assert_eq(changing_expect(&redis, "r", entry), 1);
  cr_assert(changing_finds(&redis, changing_vector(2), "new", entry));
  cr_assert(!changing_finds(&redis, changing_vector(1), "new", entry));
}

Test(logged, a_row_that_matches_is_refused) {
  enroll("e1", 1, "key,subject\nnew,somebody\n");
  changing_send(&redis, "e2", "enroll", changing_vector(1), "labels", "key,subject\nnewer,else\n", "unless_match",
                "0.99", NULL);
  expect_reply("me", "e2", "EEXIST", "key 'new' of subject 'somebody'");
}

Test(logged, tag_and_expire) {
  enroll("e1", 1, "key\nnew\n");
  changing_send(&redis, "t", "tag", NULL, "keys", "new", "tags", "256", "mask", "256", NULL);
  cr_assert_eq(changing_expect(&redis, "t", entry), 1);
  changing_send(&redis, "i", "identify", changing_vector(1), "k", "1", "tags", "256", "after", entry, NULL);
  json_t *reply = next_reply("me");
  cr_assert_eq(reply_number(reply, "searched"), 1);
  json_decref(reply);
  changing_send(&redis, "x", "expire", NULL, "keys", "new", "expires", "1000", NULL);
  cr_assert_eq(changing_expect(&redis, "x", entry), 1);
  cr_assert(!changing_finds(&redis, changing_vector(1), "new", entry));
}

Test(logged, a_change_that_is_sent_again_is_answered_again_and_made_once) {
  for (int i = 0; i < 3; i++) {
    changing_send(&redis, "e1", "enroll", changing_vector(1), "labels", "key\nnew\n", NULL);
    cr_assert_eq(changing_expect(&redis, "e1", entry), 1);
  }
  cr_assert_eq(redis_number(&redis, "XLEN", "lk:{faces}:log", NULL), 1);
  cr_assert_eq(pending(), 0);
}

/* It keeps no other search waiting, and a stop does not wait for it. */
Test(logged, a_search_waits_for_an_entry_until_its_time_is_over) {
  static const char *const beyond = "99999999999999-0";
  char far[CHANGING_ID], late[128];
  snprintf(far, sizeof far, "%llu-0", (unsigned long long)time(NULL) * 1000 + 30000);
  snprintf(late, sizeof late, "did not have entry %s of its log in time", far);
  changing_send(&redis, "late", "identify", changing_vector(1), "k", "1", "after", far, "ttl", "1500", NULL);
  changing_send(&redis, "usual", "identify", changing_vector(1), "k", "1", NULL);
  uint64_t since_ms = now_ms();
  expect_reply("me", "usual", "OK", "");
  cr_assert_lt(now_ms(), since_ms + 1000);
  expect_reply("me", "late", "EDEADLINE", late);
  cr_assert_gt(now_ms(), since_ms + 1000);
  changing_send(&redis, "beyond", "identify", changing_vector(1), "k", "1", "after", beyond, NULL);
  expect_reply("me", "beyond", "EBADJOB", "ahead of redis' time");
  changing_send(&redis, "held", "identify", changing_vector(1), "k", "1", "after", far, NULL);
  sleep_ms(300);
  worker_stop(&worker);
  cr_assert_not_null(strstr(process_log(&worker), "1 jobs handed back"), "%s", process_log(&worker));
}

/* The search comes first, and the entry that it waits for later. */
Test(logged, a_search_sees_the_entry_that_it_waited_for) {
  enroll("e1", 1, "key\nfirst\n");
  unsigned long long ms = strtoull(entry, NULL, 10);
  char after[CHANGING_ID];
  snprintf(after, sizeof after, "%llu-0", ms + 1);
  changing_send(&redis, "waits", "identify", changing_vector(2), "k", "1", "after", after, NULL);
  sleep_ms(500);
  cr_assert_eq(redis_number(&redis, "LLEN", FACES_REPLIES "me", NULL), 0);
  changing_send(&redis, "e2", "enroll", changing_vector(2), "labels", "key\nsecond\n", NULL);
  int met = 0;
  for (int i = 0; i < 2; i++) {
    json_t *reply = next_reply("me");
    cr_assert_str_eq(reply_text(reply, "status"), "OK");
    if (strcmp(reply_text(reply, "id"), "waits") == 0) {
      const json_t *first = json_array_get(json_array_get(json_object_get(reply, "probes"), 0), 0);
      cr_assert_str_eq(reply_text(first, "key"), "second");
      met++;
    }
    json_decref(reply);
  }
  cr_assert_eq(met, 1);
}

static bool redis_says(const char *section, const char *line) {
  lk_redis_reply *reply = redis_ask(&redis, "INFO", section, NULL);
  size_t length;
  bool says = strstr(lk_redis_reply_string(reply, &length), line) != NULL;
  lk_redis_reply_free(reply);
  return says;
}

/* Until what Redis appends to, too, has been written anew. */
static void await_rewrite(void) {
  for (int i = 0; i < 1000 && !redis_says("persistence", "aof_rewrite_in_progress:0"); i++) sleep_ms(20);
  for (int i = 0; i < 1000 && !redis_says("persistence", "aof_rewrite_scheduled:0"); i++) sleep_ms(20);
  cr_assert(redis_says("persistence", "aof_rewrite_in_progress:0\r\naof_rewrite_scheduled:0"));
}

/* Whether the bytes leave all files. Redis removes its old ones in the background. */
static bool bytes_go(const void *bytes, size_t size) {
  bool has = true;
  for (int i = 0; i < 500 && has; i++, sleep_ms(20)) has = changing_has_bytes(files_root, bytes, size);
  return !has;
}

/* The vector's bytes are in no file of the gallery, nor of Redis, once that has written its files anew. */
Test(logged, erase) {
  float vector[FACES_DIM];
  memcpy(vector, changing_vector(1), sizeof vector);
  redis_do(&redis, "CONFIG", "SET", "appendonly", "yes", NULL);
  await_rewrite();
  enroll("e1", 1, "key\nnew\n");
  redis_do(&redis, "SAVE", NULL);
  cr_assert(changing_has_bytes(files_root, vector, sizeof vector), "this test must be able to find them");
  changing_send(&redis, "d", "delete", NULL, "keys", "new", NULL);
  cr_assert_eq(changing_expect(&redis, "d", entry), 1);
  changing_send(&redis, "x", "erase", NULL, NULL);
  cr_assert_eq(changing_expect(&redis, "x", entry), 0);
  cr_assert(process_logs(&worker, "has no byte of 1 templates any more", PROCESS_PATIENCE_MS), "%s",
            process_log(&worker));
  for (int i = 0; i < 500 && redis_number(&redis, "XLEN", "lk:{faces}:log", NULL) > 0; i++) sleep_ms(20);
  cr_assert_eq(redis_number(&redis, "EXISTS", "lk:{faces}:v:1", NULL), 0);
  redis_do(&redis, "SAVE", NULL);
  cr_assert(changing_has_bytes(files_root, vector, sizeof vector), "in the file that Redis appends to");
  redis_do(&redis, "BGREWRITEAOF", NULL);
  await_rewrite();
  cr_assert(bytes_go(vector, sizeof vector));
  enroll("e2", 2, "key\nnewer\n");
  cr_assert(changing_finds(&redis, changing_vector(2), "newer", entry));
}

/* It is on the disk before it is acknowledged, and not forgotten with the process. */
Test(logged, an_erasure_outlives_its_worker) {
  float vector[FACES_DIM];
  memcpy(vector, changing_vector(1), sizeof vector);
  enroll("e1", 1, "key\nnew\n");
  changing_send(&redis, "d", "delete", NULL, "keys", "new", NULL);
  cr_assert_eq(changing_expect(&redis, "d", entry), 1);
  changing_send(&redis, "x", "erase", NULL, NULL);
  cr_assert_eq(changing_expect(&redis, "x", entry), 0);
  process_signal(&worker, SIGKILL);
  process_close(&worker);
  worker_start(&worker, NULL);
  for (int i = 0; i < 500 && changing_has_bytes(faces, vector, sizeof vector); i++) sleep_ms(20);
  cr_assert(!changing_has_bytes(faces, vector, sizeof vector), "%s", process_log(&worker));
}

/* No worker can apply it, so nothing more is changed; what was acknowledged is still found, and not more. */
Test(logged, an_entry_that_cannot_be_read_stops_changes_and_not_searches) {
  enroll("e1", 1, "key\nnew\n");
  redis_do(&redis, "XADD", "lk:{faces}:log", "*", "no", "entry", NULL);
  cr_assert(process_logs(&worker, "of the log has 1 fields", PROCESS_PATIENCE_MS), "%s", process_log(&worker));
  cr_assert(changing_finds(&redis, changing_vector(1), "new", entry));
  sleep_ms(500);
  changing_send(&redis, "d", "delete", NULL, "keys", "new", NULL);
  expect_reply("me", "d", "EBUSY", "");
  redis_do(&redis, "HSET", "lk:{faces}:log:state", "acked", "2", NULL); /* as if another worker had applied it */
  cr_assert(process_logs(&worker, "gallery faces is out of service", PROCESS_PATIENCE_MS), "%s", process_log(&worker));
}

/* How often the file in the audit log has these words. */
static uint32_t recorded(const char *words) { return files_lines_with(files_path("audit"), "audit-000001.log", words); }

/* A policy decides before a change is logged, and the log has what was done. */
Test(logged, under_a_policy) {
  static const char rules[] = DEMO_PERMIT "    operations: [enroll, delete, identify]\n";
  files_write(files_path("rules.yaml"), rules, sizeof rules - 1);
  worker_stop(&worker);
  process_close(&worker);
  worker_start(&worker, "--policy", files_path("rules.yaml"), "--audit", files_path("audit"), NULL);
  changing_await_owner(&worker);
  changing_send(&redis, "no", "enroll", changing_vector(1), NULL);
  expect_reply("me", "no", "EPOLICY", "");
  changing_send(&redis, "tag", "tag", NULL, "keys", "t1", "tags", "1", "mask", "1", "purpose", "demo", NULL);
  expect_reply("me", "tag", "EPOLICY", "");
  cr_assert_eq(redis_number(&redis, "XLEN", "lk:{faces}:log", NULL), 0);
  changing_send(&redis, "e1", "enroll", changing_vector(1), "purpose", "demo", "labels", "key\nnew\n", NULL);
  json_t *reply = next_reply("me");
  cr_assert_str_eq(reply_text(reply, "status"), "OK", "%s", reply_text(reply, "text"));
  cr_assert_str_eq(reply_text(json_object_get(reply, "decision"), "decision"), "permit");
  json_decref(reply);
  changing_send(&redis, "d1", "delete", NULL, "keys", "new\nt1", "purpose", "demo", NULL);
  cr_assert_eq(changing_expect(&redis, "d1", entry), 2);
  changing_send(&redis, "e2", "enroll", changing_vector(2), "purpose", "demo", "labels", "key,subject\na,one\n",
                "unless_match", "0.9", NULL);
  cr_assert_eq(changing_expect(&redis, "e2", entry), 1);
  changing_send(&redis, "e3", "enroll", changing_vector(2), "purpose", "demo", "labels", "key,subject\nb,two\n",
                "unless_match", "0.9", NULL);
  expect_reply("me", "e3", "EEXIST", "key 'a' of subject 'one'");
  worker_stop(&worker);
  EXPECT(&p, 0, "", "audit", "verify", files_path("audit"));
  cr_assert_eq(recorded("\"type\":\"enroll\""), 2);
  cr_assert_eq(recorded("\"candidates\":0"), 1);
  cr_assert_eq(recorded("\"candidates\":1"), 1);
  cr_assert_eq(recorded("\"type\":\"delete\""), 1);
}

/* It rises when a worker becomes the owner of the log, again, too. */
static int64_t log_term(void) {
  size_t length;
  lk_redis_reply *reply = redis_ask(&redis, "HGET", "lk:{faces}:log:state", "term", NULL);
  int64_t term = strtoll(lk_redis_reply_string(reply, &length), NULL, 10);
  lk_redis_reply_free(reply);
  return term;
}

/* As if Redis had kept the worker waiting, once. */
Test(logged, a_change_that_comes_too_late_is_decided_again) {
  static const char before[] = "  if now < tonumber(argv[3]) or";
  static const char once[] = "if redis.call('SET', 'lk:{faces}:late', '1', 'NX') then return {'UNTIMELY', now} end\n";
  size_t length = strlen(lk_functions_library);
  const char *at = strstr(lk_functions_library, before);
  char *library = malloc(length + sizeof once);
  cr_assert_not_null(at);
  snprintf(library, length + sizeof once, "%.*s%s%s", (int)(at - lk_functions_library), lk_functions_library, once, at);
  int64_t before_term = log_term();
  redis_do(&redis, "FUNCTION", "LOAD", "REPLACE", library, NULL);
  free(library);
  for (int i = 0; i < 500 && log_term() == before_term; i++) sleep_ms(20);
  changing_send(&redis, "d1", "delete", NULL, "keys", "t1", NULL);
  cr_assert_eq(changing_expect(&redis, "d1", entry), 1);
  cr_assert_eq(redis_number(&redis, "EXISTS", "lk:{faces}:late", NULL), 1);
  cr_assert_eq(redis_number(&redis, "XLEN", "lk:{faces}:log", NULL), 1);
}

static bool is_replicated(const char *id) {
  changing_send(&redis, id, "tag", NULL, "keys", "t1", "tags", "1", "mask", "1", NULL);
  json_t *reply = next_reply("me");
  const char *promise = reply_text(json_object_get(reply, "receipt"), "promise");
  bool replicated = strcmp(promise, "replicated") == 0;
  if (!replicated) cr_assert_str_eq(promise, "owner-durable");
  json_decref(reply);
  return replicated;
}

Test(logged, replicas_of_redis_are_waited_for) {
  static redis_server replica;
  worker_stop(&worker);
  process_close(&worker);
  worker_start(&worker, "--replicas", "1", NULL);
  changing_await_owner(&worker);
  cr_assert(!is_replicated("alone"));
  cr_assert_eq(mkdir(files_path("second"), 0700), 0);
  redis_server_name(&replica, files_path("second"));
  char port[12];
  snprintf(port, sizeof port, "%d", redis_free_port());
  redis_do(&redis, "CONFIG", "SET", "port", port, NULL);
  replica.more[0] = "--replicaof";
  replica.more[1] = "127.0.0.1";
  replica.more[2] = port;
  redis_server_start(&replica, true);
  cr_assert(redis_reaches(&redis, 1, "EVAL", "return redis.call('INFO', 'replication'):find('state=online') and 1 or 0",
                          "0", NULL));
  cr_assert(is_replicated("together"));
  redis_server_close(&replica);
}
