/* What a session makes of a Redis that refuses it, and how long it pauses. */
#include "engine/worker/redis_session.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/support/redis/fake_redis.h"

static fake_redis fake;
static lk_address address;
static lk_error error;
static char *text;
static size_t text_size;
static lk_redis_session session;
static atomic_bool stop, reached;

#define SCRIPT(...) ((const char *const[]){__VA_ARGS__, NULL})

static void setup(void) {
  session = (lk_redis_session){.route = {.address = &address},
                               .stage = "stage",
                               .log = open_memstream(&text, &text_size),
                               .stop = &stop,
                               .reached = &reached};
}

static void teardown(void) {
  lk_redis_session_close(&session);
  fake_redis_stop(&fake);
  fclose(session.log);
  free(text);
}

TestSuite(redis_session, .init = setup, .fini = teardown, .timeout = 60);

static void start(const char *const *script) {
  fake_redis_start(&fake, script);
  cr_assert_eq(lk_address_parse(fake.url, &address, &error), LK_OK);
  strcpy(address.password, "x");
}

static void expect_lines(int count) {
  int lines = 0;
  fflush(session.log);
  for (const char *line = text; (line = strchr(line, '\n')) != NULL; line++) lines++;
  cr_assert_eq(lines, count, "%s", text);
}

/* A typing error in the password ends a worker; a password that was changed does not, and is logged once. */
Test(redis_session, a_refused_password) {
  start(SCRIPT("-WRONGPASS typo\r\n", "+OK\r\n", "-WRONGPASS changed\r\n", "-WRONGPASS changed\r\n", "+OK\r\n"));
  cr_assert_eq(lk_redis_session_open(&session, &error), LK_EPOLICY);
  cr_assert_eq(lk_redis_session_open(&session, &error), LK_OK, "%s", error.text);
  lk_redis_session_works(&session);
  expect_lines(2);
  lk_redis_session_close(&session);
  cr_assert_eq(lk_redis_session_open(&session, &error), LK_EIO);
  cr_assert_eq(lk_redis_session_open(&session, &error), LK_EIO);
  expect_lines(3);
  cr_assert_eq(lk_redis_session_open(&session, &error), LK_OK, "%s", error.text);
  lk_redis_session_works(&session);
  expect_lines(4);
}

/* Another session of the process was connected before. */
Test(redis_session, the_process_was_connected) {
  start(SCRIPT("-WRONGPASS typo\r\n", "-WRONGPASS changed\r\n", "+OK\r\n"));
  cr_assert_eq(lk_redis_session_open(&session, &error), LK_EPOLICY);
  atomic_store(&reached, true);
  cr_assert_eq(lk_redis_session_open(&session, &error), LK_EIO);
  atomic_store(&reached, false);
  cr_assert_eq(lk_redis_session_open(&session, &error), LK_OK, "%s", error.text);
  cr_assert(atomic_load(&reached));
}

static uint64_t pause_ms(void) {
  uint64_t since_us = lk_clock_us();
  lk_redis_session_broke(&session, &(lk_error){"gone"});
  return (lk_clock_us() - since_us) / 1000;
}

/* At the worker's stop the growing pauses are short again; once it gives up there are none. */
Test(redis_session, pauses_end_early) {
  lk_give_up give_up = 0;
  session.route.give_up = &give_up;
  session.failures = 20;
  cr_assert_geq(pause_ms(), 1900);
  atomic_store(&stop, true);
  uint64_t ms = pause_ms();
  cr_assert(ms >= 49 && ms < 200, "%d ms", (int)ms);
  atomic_store(&give_up, lk_clock_us());
  cr_assert_lt(pause_ms(), 40);
}
