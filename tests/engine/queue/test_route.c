/* Which Redis a connection ends up at, with servers that answer from a script. */
#include "engine/queue/route.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "engine/queue/redis.h"
#include "tests/support/files.h"
#include "tests/support/redis/fake_redis.h"

enum { FAKES = 3 };

static fake_redis fakes[FAKES];
static lk_address address;
static lk_route route;
static lk_redis *redis;
static lk_redis_reply *reply;
static lk_error error;

static void stop_fakes(void) {
  lk_redis_reply_free(reply);
  reply = NULL;
  lk_redis_close(redis);
  redis = NULL;
  for (int i = 0; i < FAKES; i++) fake_redis_stop(&fakes[i]);
}

static void teardown(void) {
  stop_fakes();
  files_teardown();
}

TestSuite(route, .init = files_setup, .fini = teardown, .timeout = 60);

#define SCRIPT(...) ((const char *const[]){__VA_ARGS__, NULL})

/* An answer that names the place of a fake. */
static const char *told(const char *format, int i) {
  static char texts[8][64];
  static unsigned next;
  char *text = texts[next++ % 8];
  snprintf(text, 64, format, fakes[i].port);
  return text;
}

static void name_fakes(const char *format) {
  char url[256];
  snprintf(url, sizeof url, format, fakes[0].port, fakes[1].port, fakes[2].port);
  cr_assert_eq(lk_address_parse(url, &address, &error), LK_OK, "%s", error.text);
  route = (lk_route){.address = &address};
}

static lk_status reopen(void) {
  lk_redis_close(redis);
  redis = NULL;
  return lk_redis_open_route(&route, &redis, &error);
}

static lk_status ask(const char *word) {
  lk_redis_reply_free(reply);
  reply = NULL;
  return lk_redis_call_words(redis, &reply, &error, 1, &word);
}

static void expect_answer(const char *word, const char *words) {
  size_t length;
  cr_assert_eq(ask(word), LK_OK, "%s", error.text);
  cr_assert_str_eq(lk_redis_reply_string(reply, &length), words);
}

static void expect_error(lk_status status, const char *words) {
  cr_assert_eq(status, LK_EIO);
  cr_assert_not_null(strstr(error.text, words), "'%s' is not in '%s'", words, error.text);
}

static void expect_heard(int i, const char *words) {
  fake_redis_stop(&fakes[i]);
  cr_assert_str_eq(fakes[i].heard, words);
}

/* The command goes to the node that was named, and so does the next connection; if that is gone, back to the address.
 */
Test(route, moved) {
  fake_redis_start(&fakes[1], SCRIPT("+there\r\n", "+there again\r\n", "+after\r\n"));
  fake_redis_start(&fakes[0], SCRIPT(told("-MOVED 3999 127.0.0.1:%d\r\n", 1), "+home\r\n"));
  name_fakes("redis://127.0.0.1:%d");
  cr_assert_eq(reopen(), LK_OK, "%s", error.text);
  expect_answer("A", "there");
  expect_answer("B", "there again");
  cr_assert_eq(reopen(), LK_OK, "%s", error.text);
  expect_answer("C", "after");
  expect_heard(1, "A\nB\nC\n");
  cr_assert_eq(reopen(), LK_OK, "%s", error.text);
  expect_answer("D", "home");
  cr_assert(!lk_place_is_set(&route.moved));
  expect_heard(0, "A\nD\n");
}

Test(route, moved_to_another_port_of_the_same_host) {
  fake_redis_start(&fakes[1], SCRIPT("+there\r\n"));
  fake_redis_start(&fakes[0], SCRIPT(told("-MOVED 3999 :%d\r\n", 1)));
  name_fakes("redis://127.0.0.1:%d");
  cr_assert_eq(reopen(), LK_OK, "%s", error.text);
  expect_answer("A", "there");
}

/* For one command only: the next one goes to the first node again, on the same connection. */
Test(route, ask) {
  fake_redis_start(&fakes[1], SCRIPT("+OK\r\n", "+there\r\n"));
  fake_redis_start(&fakes[0], SCRIPT(told("-ASK 3999 127.0.0.1:%d\r\n", 1), "+home\r\n"));
  name_fakes("redis://127.0.0.1:%d");
  cr_assert_eq(reopen(), LK_OK, "%s", error.text);
  expect_answer("A", "there");
  expect_answer("B", "home");
  cr_assert_eq(fakes[0].accepted, 1);
  expect_heard(1, "ASKING\nA\n");
  expect_heard(0, "A\nB\n");
}

/* Two nodes that each name the other: five turns, then an error. */
Test(route, a_circle) {
  static char to[2][64];
  static const char *const there[] = {to[1], to[1], to[1], to[1], NULL}, *const back[] = {to[0], to[0], to[0], NULL};
  fake_redis_start(&fakes[0], there);
  fake_redis_start(&fakes[1], back);
  for (int i = 0; i < 2; i++) snprintf(to[i], sizeof to[i], "-MOVED 1 127.0.0.1:%d\r\n", fakes[i].port);
  name_fakes("redis://127.0.0.1:%d");
  cr_assert_eq(reopen(), LK_OK, "%s", error.text);
  expect_error(ask("A"), "sends us elsewhere: MOVED");
  expect_heard(0, "A\nA\nA\n");
  expect_heard(1, "A\nA\nA\n");
}

/* A node that is not there: the call fails, later ones do not crash, and a new connection begins at the address. */
Test(route, moved_to_nowhere) {
  fake_redis_start(&fakes[0], SCRIPT("-MOVED 1 127.0.0.1:1\r\n", "+home\r\n"));
  name_fakes("redis://127.0.0.1:%d");
  cr_assert_eq(reopen(), LK_OK, "%s", error.text);
  expect_error(ask("A"), "redis at 127.0.0.1:1: Connection refused");
  expect_error(ask("B"), "no connection");
  cr_assert_eq(reopen(), LK_OK, "%s", error.text);
  expect_answer("C", "home");
}

Test(route, malformed_redirections_are_errors_of_redis) {
  static const char *const odd[] = {"-MOVED \r\n", "-MOVED 1 x\r\n", "-ASK 1 x:0\r\n", "-MOVED 1 x:99999\r\n", NULL};
  fake_redis_start(&fakes[0], odd);
  name_fakes("redis://127.0.0.1:%d");
  cr_assert_eq(reopen(), LK_OK, "%s", error.text);
  for (int i = 0; odd[i] != NULL; i++) {
    cr_assert_eq(ask("A"), LK_OK, "%s", error.text);
    cr_assert_not_null(lk_redis_reply_error(reply));
  }
}

/* What was sent ahead is not kept; so the call fails, and the next connection is to the right node. */
Test(route, moved_in_a_pipeline) {
  fake_redis_start(&fakes[1], SCRIPT("+there\r\n"));
  fake_redis_start(&fakes[0], SCRIPT(told("-MOVED 3999 127.0.0.1:%d\r\n", 1)));
  name_fakes("redis://127.0.0.1:%d");
  cr_assert_eq(reopen(), LK_OK, "%s", error.text);
  lk_command command = {0};
  lk_command_add_string(&command, "A");
  cr_assert_eq(lk_redis_send(redis, &command, &error), LK_OK);
  expect_error(lk_redis_receive(redis, &reply, &error), "sends us elsewhere: MOVED");
  lk_command_free(&command);
  cr_assert_eq(reopen(), LK_OK, "%s", error.text);
  expect_answer("A", "there");
}

#define REPLICA "*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:1\r\n$9\r\nconnected\r\n:0\r\n"
#define MASTER "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"

Test(route, the_master_of_several) {
  fake_redis_start(&fakes[0], SCRIPT(REPLICA));
  fake_redis_start(&fakes[1], SCRIPT(REPLICA));
  fake_redis_start(&fakes[2], SCRIPT(MASTER, "+me\r\n", MASTER, "+me again\r\n"));
  name_fakes("redis://127.0.0.1:%d,127.0.0.1:%d,127.0.0.1:%d");
  cr_assert_eq(reopen(), LK_OK, "%s", error.text);
  expect_answer("A", "me");
  cr_assert_eq(reopen(), LK_OK, "%s", error.text);
  expect_answer("B", "me again");
  expect_heard(0, "ROLE\n");
  expect_heard(2, "ROLE\nA\nROLE\nB\n");
}

Test(route, no_master_at_all) {
  fake_redis_start(&fakes[0], SCRIPT(":7\r\n"));
  fake_redis_start(&fakes[1], SCRIPT(REPLICA));
  name_fakes("redis://127.0.0.1:%d,127.0.0.1:%d");
  expect_error(reopen(), "is no master but a slave");
}

/* A user who may not ask for the role learns at the first command. */
Test(route, a_replica_whose_role_is_secret) {
  fake_redis_start(&fakes[0], SCRIPT("-NOPERM role\r\n", "-READONLY You can't write\r\n"));
  fake_redis_start(&fakes[1], SCRIPT("-NOPERM role\r\n", "+me\r\n"));
  name_fakes("redis://127.0.0.1:%d,127.0.0.1:%d");
  cr_assert_eq(reopen(), LK_OK, "%s", error.text);
  expect_error(ask("A"), "cannot serve the queue: READONLY");
  cr_assert_eq(reopen(), LK_OK, "%s", error.text);
  expect_answer("A", "me");
  expect_heard(0, "ROLE\nA\n");
}

Test(route, a_refused_password_is_told_before_a_host_that_is_away) {
  fake_redis_start(&fakes[0], SCRIPT("-WRONGPASS no\r\n"));
  name_fakes("redis://127.0.0.1:%d,127.0.0.1:1");
  strcpy(address.password, "x");
  cr_assert_eq(reopen(), LK_EPOLICY);
  cr_assert_not_null(strstr(error.text, "refused AUTH: WRONGPASS no"), "%s", error.text);
}

static const char *master_told(int i) {
  static char text[96];
  char port[8];
  int length = snprintf(port, sizeof port, "%d", fakes[i].port);
  snprintf(text, sizeof text, "*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%s\r\n", length, port);
  return text;
}

/* The first sentinel is away, the second knows nothing; it has no password either. */
Test(route, sentinels) {
  fake_redis_start(&fakes[2], SCRIPT("+OK\r\n", MASTER, "+me\r\n"));
  fake_redis_start(&fakes[1], SCRIPT("-ERR no password is set\r\n", master_told(2)));
  fake_redis_start(&fakes[0], SCRIPT("-ERR no password is set\r\n", "*-1\r\n"));
  name_fakes("redis+sentinel://ann@127.0.0.1:1,127.0.0.1:%d,127.0.0.1:%d/m1");
  strcpy(address.password, "x");
  cr_assert_eq(reopen(), LK_OK, "%s", error.text);
  expect_answer("A", "me");
  expect_heard(0, "AUTH ann x\nSENTINEL get-master-addr-by-name m1\n");
  expect_heard(1, "AUTH ann x\nSENTINEL get-master-addr-by-name m1\n");
  expect_heard(2, "AUTH ann x\nROLE\nA\n");
}

static void expect_no_master(const char *answer, const char *words) {
  fake_redis_start(&fakes[0], SCRIPT(answer));
  name_fakes("redis+sentinel://127.0.0.1:%d/m1");
  expect_error(reopen(), words);
  stop_fakes();
}

Test(route, sentinels_that_do_not_know) {
  expect_no_master("*-1\r\n", "knows no master 'm1'");
  expect_no_master("-NOAUTH first\r\n", "refused SENTINEL: NOAUTH first");
  expect_no_master(":1\r\n", "answered SENTINEL with the number 1");
  expect_no_master("*2\r\n:1\r\n:2\r\n", "answered SENTINEL with a list of 2 elements");
  expect_no_master("*2\r\n$1\r\nh\r\n$1\r\nx\r\n", "cannot be reached");
  expect_no_master("*2\r\n$9\r\n127.0.0.1\r\n$1\r\n1\r\n", "Connection refused");
}

/* Sentinel may be late to learn of a failover. */
Test(route, a_master_that_is_none) {
  fake_redis_start(&fakes[1], SCRIPT(REPLICA));
  fake_redis_start(&fakes[0], SCRIPT(master_told(1)));
  name_fakes("redis+sentinel://127.0.0.1:%d/m1");
  expect_error(reopen(), "is no master but a slave");
}

/* The file has another password than when it was first read. */
Test(route, the_password_is_read_again) {
  const char *file = files_path("password");
  fake_redis_start(&fakes[0], SCRIPT("+OK\r\n", "+OK\r\n"));
  name_fakes("redis://127.0.0.1:%d");
  files_write(file, "one\n", 4);
  cr_assert_eq(lk_address_read_password(file, &address, &error), LK_OK, "%s", error.text);
  cr_assert_eq(reopen(), LK_OK, "%s", error.text);
  files_write(file, "two\n", 4);
  cr_assert_eq(reopen(), LK_OK, "%s", error.text);
  files_write(file, "", 0);
  expect_error(reopen(), "is empty");
  expect_heard(0, "AUTH one\nAUTH two\n");
}
