/* What becomes of changes that a policy has decided, or that none has, once the log's owner makes them. */
#include <criterion/criterion.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "engine/queue/functions.h"
#include "engine/queue/protocol.h"
#include "tests/e2e/live/changing.h"

static process worker, p;

static void start(const char *rules) {
  files_write(files_path("rules.yaml"), rules, strlen(rules));
  worker_start(&worker, "--policy", files_path("rules.yaml"), "--audit", files_path("audit"), NULL);
  changing_await_owner(&worker);
}

static void setup(void) { e2e_setup_with_redis(); }

static void teardown(void) {
  process_close(&p);
  process_close(&worker);
  e2e_teardown();
}

TestSuite(decided, .init = setup, .fini = teardown);

static uint32_t recorded(const char *words) { return files_lines_with(files_path("audit"), "audit-000001.log", words); }

static void enroll(const char *id, const char *labels) {
  changing_send(&redis, id, "enroll", changing_vector(1), "labels", labels, "unless_match", "0.99", "purpose", "demo",
                NULL);
}

static void expect_decision(const char *id, const char *status, const char *decision) {
  json_t *reply = next_reply("me");
  cr_assert_str_eq(reply_text(reply, "id"), id);
  cr_assert_str_eq(reply_text(reply, "status"), status, "%s", reply_text(reply, "text"));
  cr_assert_str_eq(reply_text(json_object_get(reply, "decision"), "decision"), decision);
  cr_assert_eq(strstr(reply_text(reply, "text"), "somebody") != NULL, strcmp(status, "EEXIST") == 0, "%s",
               reply_text(reply, "text"));
  json_decref(reply);
}

/* As the answer to a search is: counted, recorded, and withheld where too many have found the subject. */
Test(decided, a_match_is_told_so_often_as_the_rules_permit) {
  start(DEMO_PERMIT "    operations: [enroll, identify]\n    subject_probes_per_hour: 1\n");
  enroll("e1", "key,subject\nnew,somebody\n");
  expect_decision("e1", "OK", "permit");
  enroll("e2", "key,subject\nother,else\n");
  expect_decision("e2", "EEXIST", "permit");
  enroll("e3", "key,subject\nother,else\n");
  expect_decision("e3", "EPOLICY", "refuse");
  worker_stop(&worker);
  EXPECT(&p, 0, "", "audit", "verify", files_path("audit"));
  cr_assert_eq(recorded("\"type\":\"result\""), 3);
  cr_assert_eq(recorded("\"candidates\":1"), 1);
  cr_assert_eq(recorded("\"released\":true"), 2, "that there was no match is told, too");
  cr_assert_eq(recorded("\"released\":false"), 1);
}

static void add_decision(lk_command *command, const char *decision) {
  if (decision == NULL) return;
  lk_command_add_string(command, "decision");
  lk_command_add_string(command, decision);
}

static void add_vector(lk_command *command, const float *vector) {
  static char hex[65], dim[12];
  unsigned char digest[32];
  crypto_generichash(digest, sizeof digest, (const unsigned char *)vector, FACES_DIM * sizeof *vector, NULL, 0);
  sodium_bin2hex(hex, sizeof hex, digest, sizeof digest);
  snprintf(dim, sizeof dim, "%d", FACES_DIM);
  const char *const words[] = {"unless_match", "0.99", "element", "f32", "dim", dim, "digest", hex};
  lk_command_add_words(command, 8, words);
}

/* Logs a change as another worker could: with this decision (NULL: none), while the owner stands still. */
static void log_change(const char *entry, const char *op, const float *vector, const char *name, const char *value,
                       const char *decision) {
  lk_command command = {0};
  lk_redis_reply *reply = NULL;
  size_t length;
  process_signal(&worker, SIGSTOP);
  redis_do(&redis, "XADD", FACES_LO, entry, "v", "1", NULL);
  redis_do(&redis, "XREADGROUP", "GROUP", LK_GROUP, "w", "STREAMS", FACES_LO, ">", NULL);
  const char *const call[] = {"lk:{faces}:log",   "lk:{faces}:log:state",    FACES_LO, LK_GROUP, entry, "0",
                              "9007199254740991", vector != NULL ? "1" : "0"};
  const char *const fields[] = {"op", op, "id", entry, "to", "me", "flags", "json", name, value};
  lk_functions_begin(&command, LK_MUTATE, "3");
  lk_command_add_words(&command, 8, call);
  lk_command_add(&command, vector != NULL ? (const char *)vector : "", vector != NULL ? FACES_DIM * sizeof *vector : 0);
  lk_command_add_words(&command, 10, fields);
  if (vector != NULL) add_vector(&command, vector);
  add_decision(&command, decision);
  cr_assert_eq(lk_redis_call(redis.link, &command, &reply, NULL), LK_OK);
  const char *word = lk_redis_reply_string(lk_redis_reply_element(reply, 0), &length);
  cr_assert(word != NULL && strcmp(word, "LOGGED") == 0, "%s", lk_redis_reply_error(reply));
  lk_redis_reply_free(reply);
  lk_command_free(&command);
  process_signal(&worker, SIGCONT);
}

#define PERMIT "\"decision\":\"permit\",\"ids\":[\"1\",\"2\"],\"rules\":[],\"since\":0,\"subject_probes_per_hour\":null"
#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

/* By rules that are no longer those, or at another time. */
Test(decided, a_match_is_told_while_its_permit_holds) {
  start(DEMO_PERMIT "    operations: [enroll, identify]\n");
  enroll("e1", "key,subject\nnew,somebody\n");
  json_t *reply = next_reply("me");
  char decision[512];
  const char *policy = reply_text(json_object_get(reply, "decision"), "policy");
  static const char *const forms[] = {"{" PERMIT ",\"policy\":\"%s\",\"until\":null}",
                                      "{" PERMIT ",\"policy\":\"%s\",\"until\":1000}",
                                      "{" PERMIT ",\"policy\":\"" ZEROS "\",\"until\":null}", "{}"};
  static const char *const entries[] = {"1-1", "1-2", "1-3", "1-4"};
  redis_do(&redis, "DEL", FACES_LO, NULL);
  redis_do(&redis, "XGROUP", "CREATE", FACES_LO, LK_GROUP, "0", "MKSTREAM", NULL);
  for (int i = 0; i < 4; i++) {
    snprintf(decision, sizeof decision, forms[i], policy);
    log_change(entries[i], "enroll", changing_vector(1), "labels", "key,subject\nother,else\n", decision);
    expect_decision(entries[i], i == 0 ? "EEXIST" : "EPOLICY", i == 0 ? "permit" : "refuse");
  }
  json_decref(reply);
  worker_stop(&worker);
  cr_assert_eq(recorded("\"released\":false"), 3);
}

/* Somebody without a policy, or who is no worker: it is made, since it is in the log, and the owner says so. */
Test(decided, what_no_policy_has_decided_is_recorded_and_answered) {
  static const char *const decisions[] = {NULL, "{\"policy\":\"none\"}", "no JSON", "[1]", "{\"ids\":[7]}"};
  static const char *const entries[] = {"1-1", "1-2", "1-3", "1-4", "1-5"};
  char key[8];
  start(DEMO_PERMIT "    operations: [identify]\n");
  redis_do(&redis, "DEL", FACES_LO, NULL);
  redis_do(&redis, "XGROUP", "CREATE", FACES_LO, LK_GROUP, "0", "MKSTREAM", NULL);
  for (int i = 0; i < 5; i++) {
    snprintf(key, sizeof key, "t%d", i + 1);
    log_change(entries[i], "delete", NULL, "keys", key, decisions[i]);
    cr_assert_eq(changing_expect(&redis, entries[i], NULL), 1);
  }
  worker_stop(&worker);
  cr_assert_not_null(strstr(process_log(&worker), "entry 2, the delete '1-2', came without a valid decision"), "%s",
                     process_log(&worker));
  EXPECT(&p, 0, "", "audit", "verify", files_path("audit"));
  cr_assert_eq(recorded("\"id\":\"undecided\",\"model\":"), 5);
  cr_assert_eq(recorded("\"type\":\"delete\""), 5);
}
