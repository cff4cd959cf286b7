/* Users with the permissions that docs/protocol.md lists can do their work. */
#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/functions/log_calls.h"

static process worker, client;

static void teardown(void) {
  process_close(&worker);
  process_close(&client);
  e2e_teardown();
}

TestSuite(acl, .init = e2e_setup, .fini = teardown);

#define STREAM FACES_LO
#define LIST FACES_REPLIES "submit-1"

/* The blocks of permissions, as they stand in the document, each up to its closing fence. */
static const char *document(void) {
  static char text[1 << 17];
  FILE *file = fopen(LIKENESS_SOURCE "/docs/protocol.md", "r");
  cr_assert_not_null(file);
  text[fread(text, 1, sizeof text - 1, file)] = '\0';
  fclose(file);
  return text;
}

/* Makes the users of the document, all with the password "secret". */
static void make_users(void) {
  static const char fence[] = "```acl\n";
  int users = 0;
  for (const char *block = document(); (block = strstr(block, fence)) != NULL; users++) {
    block += sizeof fence - 1;
    size_t length = strcspn(block, "`");
    char *words = strndup(block, length);
    lk_command command = {0};
    lk_command_add_string(&command, "ACL");
    lk_command_add_string(&command, "SETUSER");
    for (char *word = strtok(words, " \n"); word != NULL; word = strtok(NULL, " \n"))
      lk_command_add_string(&command, word);
    lk_redis_reply *reply = NULL;
    cr_assert_eq(lk_redis_call(redis.link, &command, &reply, NULL), LK_OK);
    cr_assert_null(lk_redis_reply_error(reply), "%s", lk_redis_reply_error(reply));
    lk_redis_reply_free(reply);
    lk_command_free(&command);
    free(words);
  }
  cr_assert_eq(users, 4);
}

static void become(const char *user) { expect_redis("OK", "AUTH", user, "secret", NULL); }

static void start(void) {
  redis_server_start(&redis, true);
  redis_do(&redis, "ACL", "SETUSER", "default", "on", ">secret", NULL);
  make_users();
}

/* What Redis refused anybody; the functions ignore some refusals, so that they do not show otherwise. */
static void expect_nothing_refused(void) {
  become("default");
  expect_redis("0", "ACL", "LOG", NULL);
}

/* Four jobs, of one of which three workers died. One is handed back. */
static void take_over_from_the_dead(void) {
  for (int i = 1; i <= 4; i++) {
    char entry[8];
    snprintf(entry, sizeof entry, "1-%d", i);
    deliver(entry, "dead");
  }
  expect_call("1", LK_RUN, "1", FACES_RUNNING, "dead/0", "q:lo 1-1", NULL);
  expect_call("((1 1-1 3) (1 1-2 0) (1 1-3 0) (1 1-4 0))", LK_CLAIM, "2", FACES_WORKERS, STREAM, LK_GROUP, "c", "9",
              "all", NULL);
  expect_call("0", LK_CLAIM, "2", FACES_WORKERS, STREAM, LK_GROUP, "c", "9", "all", NULL);
  expect_call("0", LK_RUN, "1", FACES_RUNNING, "c/0", "", NULL);
  expect_call("1", LK_RETURN, "1", STREAM, LK_GROUP, "c", "1-2", NULL);
}

Test(acl, a_worker_may_call_its_functions) {
  start();
  become("worker");
  for (int i = 0; i < 2; i++)
    expect_call("3", LK_JOIN, "3", STREAM, FACES_HI, FACES_LO_3, LK_GROUP, NULL); /* loads them, too */
  expect_call("1", LK_JOIN, "1", STREAM, "e2.s0", NULL);
  become("default");
  redis_do(&redis, "HSET", FACES_DEATHS, "q:lo 1-1", "2", NULL);
  redis_do(&redis, "SET", FACES_REPLIES "you", "text", NULL);
  become("client");
  expect_call("(QUEUED *)", LK_SUBMIT, "1", FACES_HI, "id", "a", "to", "submit-1", NULL);
  become("worker");
  expect_call("(1 *)", LK_LEASE, "1", FACES_WORKERS, "c", "60000", LK_GROUP, NULL);
  redis_do(&redis, "ZADD", FACES_WORKERS, "9007199254740992", "d", NULL);
  expect_call("(2 *)", LK_LEASE, "1", FACES_WORKERS, "c", "60000", LK_GROUP, NULL);
  redis_do(&redis, "ZREM", FACES_WORKERS, "d", NULL);
  take_over_from_the_dead();
  expect_call("", LK_ONCE, "1", FACES_SIGNED "00", STREAM " 1-1", "60000", NULL);
  expect_call("*-*", LK_HEAD, "1", FACES_HEADS, "10", "h", NULL);
  expect_call("(2 0 1 0 *)", LK_FINISH, "5", STREAM, FACES_DEAD, LIST, FACES_REPLIES "you", FACES_SIGNED "00", LK_GROUP,
              "1-1", "1", ALWAYS, "b", "x", "1-2", "1", ALWAYS, "", "y", "1-3", "2", ALWAYS, "", "z", NULL);
  expect_call(STREAM " 1-1 answered", LK_ONCE, "1", FACES_SIGNED "00", STREAM " 1-1", "60000", NULL);
  expect_call("OK", LK_DISCARD, "2", STREAM, FACES_DEAD, LK_GROUP, "1-4", "why", NULL);
  lk_redis_reply *reply = redis_ask(&redis, "XREADGROUP", "GROUP", LK_GROUP, "c", "STREAMS", FACES_HI, ">", NULL);
  const lk_redis_reply *entries = lk_redis_reply_element(lk_redis_reply_element(reply, 0), 1);
  size_t length;
  const char *entry = lk_redis_reply_string(lk_redis_reply_element(lk_redis_reply_element(entries, 0), 0), &length);
  expect_call("(1 0 0 0 *)", LK_FINISH, "3", FACES_HI, FACES_DEAD, LIST, LK_GROUP, entry, "1", ALWAYS, "a", "kept",
              NULL);
  lk_redis_reply_free(reply);
  redis_do(&redis, "XADD", STREAM, "18446744073709551615-0", "a", "b", NULL);
  redis_do(&redis, "XREADGROUP", "GROUP", LK_GROUP, "c", "STREAMS", STREAM, ">", NULL);
  expect_call("1", LK_MEND, "2", STREAM, FACES_LO_3, LK_GROUP, "60000", NULL);
  expect_call("*", LK_TRIM, "1", STREAM, LK_GROUP, NULL);
  expect_call("1", LK_LEAVE, "2", FACES_WORKERS, STREAM, LK_GROUP, "c", NULL);
  expect_nothing_refused();
}

/* One worker after another; what is appended again has been trimmed. A client may not write the log. */
Test(acl, a_worker_may_call_the_functions_of_the_log) {
  log_entry entries[2];
  start();
  become("worker");
  expect_call("1", LK_JOIN, "1", STREAM, LK_GROUP, NULL);
  log_settle();
  expect_own("(OWNER 1 0 0)", "a", &log_nothing);
  log_add("1-1", "j1");
  log_add("1-2", "j2");
  log_read(entries, 2);
  expect_call("(ACKNOWLEDGED 1 0 2)", LK_ACKNOWLEDGE, "2", FACES_STATE, FACES_MY_REPLIES, "a", "1", "2", "1", "j2", "r",
              NULL);
  deliver("1-3", "w");
  expect_mutate("(KNOWN)", "1-3", "j2");
  redis_do(&redis, "HSET", FACES_READERS, "late", "0 1", NULL);
  expect_call("2", LK_APPLIED, "3", FACES_LOG, FACES_STATE, FACES_READERS, "a", "2", "a", "erase", NULL);
  become("default");
  redis_do(&redis, "DEL", FACES_LOG, FACES_STATE, NULL);
  become("worker");
  expect_own("(REWOUND 0 *)", "a", &entries[1]);
  for (int i = 0; i < 2; i++) expect_append("(APPENDED)", "a", &entries[i]);
  log_end_lease();
  expect_own("(BEHIND 1 2)", "b", &log_nothing);
  expect_own("(OWNER 2 2 0)", "b", &entries[1]);
  expect_nothing_refused();
  become("client");
  expect_redis("!NOPERM*", "XADD", FACES_LOG, "*", "a", "b", NULL);
}

/* Its list is full, so that it is cut. */
Test(acl, a_client_may_call_its_functions) {
  start();
  redis_do(&redis, "FUNCTION", "LOAD", lk_functions_library, NULL);
  redis_do(&redis, "CONFIG", "SET", "maxmemory", "1gb", NULL);
  expect_call("1", LK_JOIN, "1", STREAM, LK_GROUP, NULL);
  deliver("1-1", "c");
  become("client");
  expect_call("(QUEUED *)", LK_SUBMIT, "1", STREAM, "id", "a", "to", "submit-1", NULL);
  expect_call("(WAITING *)", LK_SUBMIT, "1", STREAM, "id", "a", "to", "submit-1", NULL);
  expect_call("(HELD *)", LK_WHERE, "2", STREAM, FACES_WORKERS, LK_GROUP, "1-1", NULL);
  expect_call("(GONE *)", LK_WHERE, "2", STREAM, FACES_WORKERS, LK_GROUP, "9-9", NULL);
  expect_call("(UNSERVED *)", LK_WHERE, "2", STREAM, FACES_WORKERS, "none", "1-1", NULL);
  expect_call("1", LK_CANCEL, "1", FACES_CANCELLED, "submit-1", "b", NULL);
  expect_call("1", LK_CANCEL, "1", FACES_CANCELLED, "submit-1", "b", NULL);
  become("default");
  lk_redis_reply *reply = redis_ask(&redis, "XREADGROUP", "GROUP", LK_GROUP, "c", "STREAMS", STREAM, ">", NULL);
  const lk_redis_reply *entries = lk_redis_reply_element(lk_redis_reply_element(reply, 0), 1);
  size_t length;
  const char *entry = lk_redis_reply_string(lk_redis_reply_element(lk_redis_reply_element(entries, 0), 0), &length);
  static char answer[4096];
  memset(answer, 'x', sizeof answer - 1);
  expect_call("(1 0 0 0 *)", LK_FINISH, "3", STREAM, FACES_DEAD, LIST, LK_GROUP, entry, "1", ALWAYS, "a", answer, NULL);
  lk_redis_reply_free(reply);
  redis_do(&redis, "EVAL", "for i = 1, 100000 do redis.call('RPUSH', KEYS[1], 'old') end", "1", LIST, NULL);
  become("client");
  expect_call("(ANSWERED )", LK_SUBMIT, "1", STREAM, "id", "a", "to", "submit-1", NULL);
  expect_call("1", LK_FORGET, "1", LIST, "a", NULL);
  expect_redis("(* old)", "BLPOP", LIST, "1", NULL);
  expect_redis("89999", "LLEN", LIST, NULL);
  expect_redis("1", "DEL", LIST, NULL);
  expect_redis("0", "EXISTS", FACES_WORKERS, NULL);
  expect_nothing_refused();
}

/* The command of a call in the functions' text, such as "xgroup|create"; returns what follows it. */
static const char *command_in(const char *text, char *command) {
  static const char *const with_more[] = {"xgroup", "xinfo", "memory", "info"};
  size_t used = strcspn(text, "'");
  snprintf(command, 64, "%.*s", (int)used, text);
  for (char *c = command; *c != '\0'; c++) *c = (char)tolower(*c);
  for (int i = 0; i < 4; i++)
    if (strcmp(command, with_more[i]) == 0 && text[used + 3] == '\'') {
      snprintf(command + strlen(command), 32, "|%.*s", (int)strcspn(text + used + 4, "'"), text + used + 4);
      for (char *c = command; *c != '\0'; c++) *c = (char)tolower(*c);
    }
  return text + used;
}

/* Whatever the functions call, and whenever, some user of the document may. */
Test(acl, the_document_has_what_the_functions_call) {
  static const char *const openings[] = {"call('", "read('"};
  const char *permissions = strstr(document(), "## Permissions");
  cr_assert_not_null(permissions);
  int found = 0;
  for (int o = 0; o < 2; o++)
    for (const char *text = lk_functions_library; (text = strstr(text, openings[o])) != NULL; found++) {
      char command[64], granted[72];
      text = command_in(text + strlen(openings[o]), command);
      if (strcmp(command, "xinfo") == 0) continue; /* with what it is given: each is called elsewhere */
      snprintf(granted, sizeof granted, "+%s", command);
      const char *at = strstr(permissions, granted);
      cr_assert(at != NULL && strchr(" \n", at[strlen(granted)]) != NULL, "nobody has %s", granted);
    }
  cr_assert_gt(found, 60);
}

/* The plain way gives nothing to read. */
Test(acl, a_sender_reads_only_its_replies) {
  start();
  become("sender");
  expect_redis("*-*", "XADD", STREAM, "*", "a", "b", NULL);
  expect_redis("0", "EXISTS", FACES_WORKERS, NULL);
  expect_redis("0", "DEL", FACES_REPLIES "desk", NULL);
  expect_redis("!NOPERM*", "BLPOP", LIST, "1", NULL);
  expect_redis("!NOPERM*", "XRANGE", STREAM, "-", "+", NULL);
  expect_redis("!NOPERM*", "DEL", FACES_SIGNED "00", NULL);
  become("client");
  expect_redis("!NOPERM*", "DEL", FACES_SIGNED "00", NULL);
  expect_redis("!NOPERM*", "XRANGE", "lk:{other}:q:lo", "-", "+", NULL);
  expect_redis("!NOPERM*", "XREADGROUP", "GROUP", LK_GROUP, "c", "STREAMS", STREAM, ">", NULL);
  become("worker");
  expect_redis("!NOPERM*", "XRANGE", "lk:{other}:q:lo", "-", "+", NULL);
  expect_redis("!NOPERM*", "FLUSHALL", NULL);
  expect_redis("!NOPERM*", "KEYS", "*", NULL);
}

/* Neither by a command nor by a function. */
Test(acl, a_client_harms_nobody) {
  static const char *const users[] = {"client", "sender"};
  start();
  redis_do(&redis, "FUNCTION", "LOAD", lk_functions_library, NULL);
  expect_call("1", LK_JOIN, "1", STREAM, LK_GROUP, NULL);
  expect_call("(1 *)", LK_LEASE, "1", FACES_WORKERS, "c", "60000", LK_GROUP, NULL);
  deliver("1-1", "c");
  redis_do(&redis, "RPUSH", FACES_REPLIES "you", "answer", NULL);
  redis_do(&redis, "HSET", "lk:{faces}:j:1:you", "id", "rfound", NULL);
  static const char *const whole[] = {
      STREAM,          FACES_WORKERS, FACES_GROUPS, FACES_REPLIES "you", "lk:{faces}:j:1:you",
      FACES_CANCELLED, FACES_COUNTS,  FACES_DEAD,   FACES_RUNNING,       FACES_DEATHS};
  for (int u = 0; u < 2; u++) {
    become(users[u]);
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) expect_redis("!NOPERM*", "DEL", whole[i], NULL);
    expect_redis("!NOPERM*", "XDEL", STREAM, "1-1", NULL);
    expect_redis("!NOPERM*", "XTRIM", STREAM, "MAXLEN", "0", NULL);
    expect_redis("!NOPERM*", "XACK", STREAM, LK_GROUP, "1-1", NULL);
    expect_redis("!NOPERM*", "PEXPIRE", STREAM, "1", NULL);
    expect_redis("!NOPERM*", "PEXPIRE", FACES_WORKERS, "1", NULL);
    expect_redis("!NOPERM*", "ZADD", FACES_WORKERS, "1", "c", NULL);
    expect_redis("!NOPERM*", "BLPOP", FACES_REPLIES "you", "1", NULL);
    expect_redis("!NOPERM*", "RPUSH", FACES_REPLIES "you", "forged", NULL);
    expect_redis("!NOPERM*", "HGET", "lk:{faces}:j:1:you", "id", NULL);
    expect_call("!*", LK_LEAVE, "2", FACES_WORKERS, STREAM, LK_GROUP, "c", NULL);
    expect_call("!*", LK_LEASE, "1", FACES_WORKERS, "d", "1", LK_GROUP, NULL);
    expect_call("!*", LK_CLAIM, "2", FACES_WORKERS, STREAM, LK_GROUP, "d", "9", "all", NULL);
    expect_call("!*", LK_FINISH, "3", STREAM, FACES_DEAD, FACES_REPLIES "you", LK_GROUP, "1-1", "1", ALWAYS, "", "x",
                NULL);
    expect_call("!*", LK_FORGET, "1", FACES_REPLIES "you", "id", NULL);
    expect_call("!*", LK_SUBMIT, "1", STREAM, "id", "id", "to", "you", NULL);
  }
  become("default");
  expect_redis("(c)", "ZRANGE", FACES_WORKERS, "0", "-1", NULL);
  expect_redis("1", "XLEN", STREAM, NULL);
  expect_redis("(answer)", "LRANGE", FACES_REPLIES "you", "0", "-1", NULL);
  cr_assert_eq(pending(), 1);
}

Test(acl, an_admin_looks_and_clears) {
  start();
  redis_do(&redis, "FUNCTION", "LOAD", lk_functions_library, NULL);
  become("admin");
  expect_redis("OK", "XGROUP", "CREATE", STREAM, "e0.s0", "0", "MKSTREAM", NULL);
  expect_redis("0", "ZREM", FACES_GROUPS, "e0.s0", NULL);
  expect_redis("((name e0.s0 *))", "XINFO", "GROUPS", STREAM, NULL);
  expect_redis("1", "XGROUP", "DESTROY", STREAM, "e0.s0", NULL);
  expect_redis("0", "XRANGE", FACES_DEAD, "-", "+", NULL);
  expect_redis("0", "HGETALL", FACES_COUNTS, NULL);
  expect_redis("(maxmemory 0)", "CONFIG", "GET", "maxmemory", NULL);
  expect_redis("OK", "FUNCTION", "FLUSH", NULL);
  expect_redis("!NOPERM*", "FLUSHALL", NULL);
  expect_redis("!NOPERM*", "ACL", "SETUSER", "admin", "+@all", NULL);
}

static int submit_as(const char *url, const char *password) {
  return likeness(&client, "submit", probes, "--redis", url, "--gallery", "faces", "--timeout", "20", "--password-file",
                  password, NULL);
}

/* `likeness status` reads all that it shows. */
Test(acl, an_admin_sees_the_status) {
  char url[80], port[16], password[PATH_MAX];
  strcpy(password, files_path("password"));
  files_write(password, "secret\n", 7);
  snprintf(port, sizeof port, "%d", redis_free_port());
  const char *const tcp[] = {"--port", port, "--bind", "127.0.0.1"};
  memcpy(redis.more, tcp, sizeof tcp);
  redis_server_start(&redis, true);
  make_users();
  redis_do(&redis, "XGROUP", "CREATE", STREAM, LK_GROUP, "0", "MKSTREAM", NULL);
  deliver("1-1", "somebody");
  snprintf(url, sizeof url, "redis://admin@127.0.0.1:%s", port);
  EXPECT(&client, 0, "", "status", "--redis", url, "--password-file", password);
  expect_out(&client, "  lo       jobs 1, held 1, oldest ");
  expect_out(&client, "  worker   somebody");
  expect_redis("0", "ACL", "LOG", NULL);
}

/* Worker and client over TCP; a client may not serve. */
Test(acl, worker_and_client) {
  char url[80], port[16], password[PATH_MAX];
  strcpy(password, files_path("password"));
  files_write(password, "secret\n", 7);
  snprintf(port, sizeof port, "%d", redis_free_port());
  const char *const tcp[] = {"--port", port, "--bind", "127.0.0.1"};
  memcpy(redis.more, tcp, sizeof tcp);
  redis_server_start(&redis, true);
  make_users();
  snprintf(url, sizeof url, "redis://worker@127.0.0.1:%s/0", port);
  likeness_start(&worker, "serve", faces, "--redis", url, "--password-file", password, NULL);
  workers_await(FACES_WORKERS); /* a client may not load the functions */
  snprintf(url, sizeof url, "redis://client@127.0.0.1:%s", port);
  cr_assert_eq(submit_as(url, password), 0, "%s%s", process_log(&client), process_log(&worker));
  send_jobs(STREAM, "x", "me", 100);
  sleep_ms(1100);
  send_job(&(test_job){.id = "enemy", .to = "enemy", .entry = "18446744073709551615-18446744073709551615"});
  expect_reply("enemy", "enemy", "EBADJOB", "ahead");
  cr_assert(process_logs(&worker, "last id was set back", PROCESS_PATIENCE_MS), "%s", process_log(&worker));
  send_job(&(test_job){.to = "last"});
  expect_reply("last", "j1", "OK", "");
  worker_stop(&worker);
  cr_assert_lt(redis_number(&redis, "XLEN", STREAM, NULL), 100, "it may trim");
  cr_assert_null(strstr(process_log(&worker), "refused"), "%s", process_log(&worker));
  expect_redis("0", "ACL", "LOG", NULL);
}
