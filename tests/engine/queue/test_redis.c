/* The connection, with a server that answers what no Redis should, or nothing. */
#include "engine/queue/redis.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/support/redis/fake_redis.h"

static fake_redis fake;
static lk_redis *redis;
static lk_error error;
static lk_redis_reply *reply;

static void teardown(void) {
  lk_redis_reply_free(reply);
  lk_redis_close(redis);
  fake_redis_stop(&fake);
}

TestSuite(redis, .fini = teardown, .timeout = 60);

static void open_fake(const char *const *script) {
  lk_address address;
  fake_redis_start(&fake, script);
  cr_assert_eq(lk_address_parse(fake.url, &address, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_redis_open(&address, &redis, &error), LK_OK, "%s", error.text);
}

static lk_status ask(const char *word) {
  lk_redis_reply_free(reply);
  reply = NULL;
  error.text[0] = '\0';
  return lk_redis_call_words(redis, &reply, &error, 1, &word);
}

static void expect_failure(const char *word, const char *words) {
  cr_assert_eq(ask(word), LK_EIO);
  cr_assert_null(reply);
  cr_assert_not_null(strstr(error.text, words), "'%s' is not in '%s'", words, error.text);
}

/* What may be asked of a reply that is no list and no string. */
static void expect_hollow(const lk_redis_reply *hollow) {
  size_t length = 7;
  cr_assert_null(lk_redis_reply_string(hollow, &length));
  cr_assert_eq(length, 0);
  cr_assert_eq(lk_redis_reply_elements(hollow), 0);
  cr_assert(lk_redis_reply_is_nil(lk_redis_reply_element(hollow, 0)));
  cr_assert(lk_redis_reply_is_nil(lk_redis_reply_element(lk_redis_reply_element(hollow, 5), 5)));
  cr_assert(!lk_redis_reply_is_array(hollow));
}

Test(redis, replies_of_every_form) {
  static const char *const script[] = {
      "$-1\r\n", "*-1\r\n", ":42\r\n", "-ERR no\r\n", "+OK\r\n", "$2\r\n17\r\n", "*3\r\n:1\r\n$-1\r\n*1\r\n+in\r\n",
      "*0\r\n",  NULL};
  size_t length;
  open_fake(script);
  expect_hollow(NULL);
  cr_assert_null(lk_redis_reply_error(NULL));
  cr_assert_eq(lk_redis_reply_integer(NULL), 0);
  cr_assert(lk_redis_reply_is_nil(NULL));
  for (int i = 0; i < 2; i++) {
    cr_assert_eq(ask("NIL"), LK_OK);
    expect_hollow(reply);
    cr_assert(lk_redis_reply_is_nil(reply) && lk_redis_reply_integer(reply) == 0);
    cr_assert_null(lk_redis_reply_take_element(reply, 0));
  }
  cr_assert_eq(ask("INTEGER"), LK_OK);
  expect_hollow(reply);
  cr_assert(lk_redis_reply_is_integer(reply) && lk_redis_reply_integer(reply) == 42);
  cr_assert_eq(ask("ERROR"), LK_OK);
  expect_hollow(reply);
  cr_assert_str_eq(lk_redis_reply_error(reply), "ERR no");
  cr_assert_eq(ask("STATUS"), LK_OK);
  cr_assert_str_eq(lk_redis_reply_string(reply, &length), "OK");
  cr_assert_eq(ask("STRING"), LK_OK);
  cr_assert_eq(lk_redis_reply_integer(reply), 17);
  cr_assert_eq(ask("LIST"), LK_OK);
  cr_assert_eq(lk_redis_reply_elements(reply), 3);
  expect_hollow(lk_redis_reply_element(reply, 1));
  expect_hollow(lk_redis_reply_element(reply, 3));
  lk_redis_reply_free(lk_redis_reply_take_element(reply, 2));
  expect_hollow(lk_redis_reply_element(reply, 2));
  cr_assert_null(lk_redis_reply_take_element(reply, 3));
  cr_assert_eq(ask("EMPTY"), LK_OK);
  cr_assert(lk_redis_reply_is_array(reply) && lk_redis_reply_elements(reply) == 0);
}

Test(redis, unexpected_replies_have_words) {
  static const char *const script[] = {"$-1\r\n", ":42\r\n", "-NOPERM time\r\n", "*1\r\n:1\r\n", "+OK\r\n", NULL};
  static const char *const words[] = {"answered TIME with nothing", "answered TIME with the number 42",
                                      "refused TIME: NOPERM time", "answered TIME with a list of 1 elements",
                                      "answered TIME with 'OK'"};
  open_fake(script);
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    cr_assert_eq(ask("TIME"), LK_OK);
    cr_assert_eq(lk_redis_reply_unexpected(reply, "TIME", &error), LK_EIO);
    cr_assert_not_null(strstr(error.text, words[i]), "'%s' is not in '%s'", words[i], error.text);
  }
}

/* After each of these the connection is of no use, and says so instead of taking the next reply for this one's. */
static void expect_broken(const char *answer, const char *words) {
  const char *const script[] = {answer, "+next\r\n", NULL};
  open_fake(script);
  expect_failure("GET", words);
  expect_failure("GET", "broken");
  lk_redis_close(redis);
  redis = NULL;
  fake_redis_stop(&fake);
}

Test(redis, broken_answers) {
  static const char *const malformed[] = {"nonsense\r\n", "*x\r\n", "$x\r\n",      "$-7\r\n",
                                          "*-7\r\n",      "\r\n",   "*1\r\n!\r\n", "%1\r\nq\r\n"};
  for (size_t i = 0; i < 7; i++) expect_broken(malformed[i], "redis at 127.0.0.1:");
  expect_broken("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
                "redis at 127.0.0.1:");
  expect_broken(FAKE_CLOSE, "closed");
}

static uint64_t elapsed_ms(uint64_t since_us) { return (lk_clock_us() - since_us) / 1000; }

/* Silence, at once or after half an answer. */
Test(redis, silence_has_a_deadline) {
  static const char *const answers[] = {"", "$100\r\nhalf", "*2\r\n:1\r\n"};
  for (size_t i = 0; i < 3; i++) {
    const char *const script[] = {answers[i], NULL};
    open_fake(script);
    lk_redis_set_timeout(redis, 200);
    uint64_t since_us = lk_clock_us();
    expect_failure("GET", "no answer in time");
    cr_assert(elapsed_ms(since_us) >= 199 && elapsed_ms(since_us) < 400, "%zu: %d ms", i, (int)elapsed_ms(since_us));
    expect_failure("GET", "broken");
    lk_redis_close(redis);
    redis = NULL;
    fake_redis_stop(&fake);
  }
}

/* As long as bytes come; the one after it is waited for as long as the first. */
Test(redis, a_slow_answer_is_waited_for) {
  static const char *const script[] = {FAKE_SLOW, "", NULL};
  open_fake(script);
  lk_redis_set_timeout(redis, 200);
  uint64_t since_us = lk_clock_us();
  cr_assert_eq(ask("GET"), LK_OK, "%s", error.text);
  cr_assert_geq(elapsed_ms(since_us), 300);
  size_t length;
  cr_assert_not_null(lk_redis_reply_string(reply, &length));
  cr_assert_eq(length, 50);
  since_us = lk_clock_us();
  expect_failure("GET", "no answer in time");
  cr_assert(elapsed_ms(since_us) >= 199 && elapsed_ms(since_us) < 400, "%d ms", (int)elapsed_ms(since_us));
}

static lk_give_up give_up;

static void *give_up_soon(void *argument) {
  lk_clock_sleep_us(200000);
  atomic_store(&give_up, lk_clock_us());
  return argument;
}

/* It is set while the call waits, also for the end of an answer; and whatever comes later does not wait at all. */
static void expect_given_up(const char *answer) {
  const char *const script[] = {answer, NULL};
  lk_address address;
  pthread_t thread;
  atomic_store(&give_up, 0);
  fake_redis_start(&fake, script);
  cr_assert_eq(lk_address_parse(fake.url, &address, &error), LK_OK);
  lk_route route = {.address = &address, .give_up = &give_up};
  cr_assert_eq(lk_redis_open_route(&route, &redis, &error), LK_OK);
  uint64_t since_us = lk_clock_us();
  pthread_create(&thread, NULL, give_up_soon, NULL);
  expect_failure("GET", "no answer in time");
  pthread_join(thread, NULL);
  cr_assert(elapsed_ms(since_us) >= 199 && elapsed_ms(since_us) < 300, "%d ms", (int)elapsed_ms(since_us));
  lk_redis_close(redis);
  redis = NULL;
  cr_assert_eq(lk_redis_open_route(&route, &redis, &error), LK_EIO);
  cr_assert_not_null(strstr(error.text, "in time"), "%s", error.text);
  cr_assert_lt(elapsed_ms(since_us), 320);
  fake_redis_stop(&fake);
}

Test(redis, a_call_is_given_up) {
  expect_given_up("");
  expect_given_up(FAKE_TRICKLE);
}

/* A listener that accepts nobody: at first PING is not answered; its queue full, connecting hangs. */
Test(redis, connecting_is_given_up) {
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof name;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  char url[64];
  lk_address address;
  cr_assert_eq(bind(listener, (struct sockaddr *)&name, size), 0);
  cr_assert_eq(listen(listener, 1), 0);
  cr_assert_eq(getsockname(listener, (struct sockaddr *)&name, &size), 0);
  snprintf(url, sizeof url, "redis://127.0.0.1:%d", ntohs(name.sin_port));
  cr_assert_eq(lk_address_parse(url, &address, &error), LK_OK);
  lk_route route = {.address = &address, .give_up = &give_up};
  for (int i = 0; i < 8; i++) {
    pthread_t thread;
    atomic_store(&give_up, 0);
    uint64_t since_us = lk_clock_us();
    pthread_create(&thread, NULL, give_up_soon, NULL);
    cr_assert_eq(lk_redis_open_route(&route, &redis, &error), LK_EIO);
    cr_assert(elapsed_ms(since_us) >= 199 && elapsed_ms(since_us) < 300, "%d: %s", i, error.text);
    pthread_join(thread, NULL);
  }
  close(listener);
}

/* The limit counts all bytes of the reply, its marks included, and no byte of the next one. */
Test(redis, a_reply_has_a_limit) {
  static const char *const script[] = {"$5\r\nhello\r\n", "$5\r\nhello\r\n+more\r\n", "$5\r\nhello\r\n", NULL};
  enum { SIZE = 11 };
  open_fake(script);
  lk_redis_set_reply_limit(redis, SIZE);
  cr_assert_eq(ask("GET"), LK_OK, "%s", error.text);
  cr_assert_eq(ask("GET"), LK_OK, "%s", error.text);
  lk_redis_reply_free(reply);
  reply = NULL;
  cr_assert_eq(lk_redis_receive(redis, &reply, &error), LK_OK, "%s", error.text);
  lk_redis_set_reply_limit(redis, SIZE - 1);
  expect_failure("GET", "larger than 10 bytes");
  expect_failure("GET", "broken");
}

/* A reply that would be larger is not waited for. */
Test(redis, a_reply_beyond_its_limit_is_not_read) {
  static const char *const script[] = {FAKE_TRICKLE, NULL};
  open_fake(script);
  lk_redis_set_reply_limit(redis, 20);
  expect_failure("GET", "larger than 20 bytes");
}

/* What is flushed has left, also if nobody waits for the answer. */
Test(redis, flushed_commands_leave) {
  static const char *const script[] = {"+one\r\n", "+two\r\n", NULL};
  open_fake(script);
  lk_command command = {0};
  lk_command_add_string(&command, "ONE");
  cr_assert_eq(lk_redis_send(redis, &command, &error), LK_OK);
  cr_assert_eq(lk_redis_flush(redis, &error), LK_OK, "%s", error.text);
  for (int i = 0; i < 200 && atomic_load(&fake.answered) == 0; i++) lk_clock_sleep_us(10000);
  cr_assert_eq(atomic_load(&fake.answered), 1);
  cr_assert_eq(lk_redis_send(redis, &command, &error), LK_OK);
  size_t length;
  for (int i = 0; i < 2; i++) {
    lk_redis_reply_free(reply);
    cr_assert_eq(lk_redis_receive(redis, &reply, &error), LK_OK, "%s", error.text);
    cr_assert_str_eq(lk_redis_reply_string(reply, &length), i == 0 ? "one" : "two");
  }
  lk_command_free(&command);
}
