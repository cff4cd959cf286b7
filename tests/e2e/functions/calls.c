#include "tests/e2e/functions/calls.h"

#include <criterion/criterion.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_SIZE = 1 << 16 };

void calls_setup(void) {
  files_setup();
  redis_server_name(&redis, files_root);
  redis_server_start(&redis, true);
  redis_do(&redis, "FUNCTION", "LOAD", lk_functions_library, NULL);
  expect_call("1", LK_JOIN, "1", FACES_LO, LK_GROUP, NULL);
}

void calls_teardown(void) {
  redis_server_close(&redis);
  files_teardown();
}

/* How often anything was written. */
static int64_t redis_changes(void) {
  lk_redis_reply *reply = redis_ask(&redis, "INFO", "persistence", NULL);
  size_t length;
  const char *found = strstr(lk_redis_reply_string(reply, &length), "rdb_changes_since_last_save:");
  cr_assert_not_null(found);
  int64_t changes = strtoll(strchr(found, ':') + 1, NULL, 10);
  lk_redis_reply_free(reply);
  return changes;
}

static void render(const lk_redis_reply *reply, char *text) {
  size_t length, used = strlen(text);
  const char *string = lk_redis_reply_string(reply, &length), *refused = lk_redis_reply_error(reply);
  char *end = text + used;
  if (refused != NULL) {
    snprintf(end, TEXT_SIZE - used, "!%s", refused);
  } else if (string != NULL) {
    snprintf(end, TEXT_SIZE - used, "%.*s", (int)length, string);
  } else if (lk_redis_reply_elements(reply) == 0) {
    snprintf(end, TEXT_SIZE - used, "%lld", (long long)lk_redis_reply_integer(reply));
  } else {
    strcat(end, "(");
    for (size_t i = 0; i < lk_redis_reply_elements(reply); i++) {
      if (i > 0) strcat(text, " ");
      render(lk_redis_reply_element(reply, i), text);
    }
    strcat(text, ")");
  }
}

static void expect(const char *pattern, bool is_function, size_t count, const char *const *words) {
  static char text[TEXT_SIZE];
  lk_redis_reply *reply = NULL;
  lk_error error = {0};
  lk_status status = is_function ? lk_functions_call_words(redis.link, &reply, &error, count, words)
                                 : lk_redis_call_words(redis.link, &reply, &error, count, words);
  cr_assert_eq(status, LK_OK, "%s", error.text);
  text[0] = '\0';
  render(reply, text);
  lk_redis_reply_free(reply);
  cr_assert_eq(fnmatch(pattern, text, 0), 0, "%s %s: '%s' is not '%s'", words[0], words[1], text, pattern);
}

static size_t collect(const char **words, va_list more) {
  size_t count = 0;
  while ((words[count] = va_arg(more, const char *)) != NULL) cr_assert_lt(++count, CALL_WORDS);
  return count;
}

void expect_call(const char *pattern, ...) {
  const char *words[CALL_WORDS];
  va_list more;
  va_start(more, pattern);
  size_t count = collect(words, more);
  va_end(more);
  expect(pattern, true, count, words);
}

void expect_redis(const char *pattern, ...) {
  const char *words[CALL_WORDS];
  va_list more;
  va_start(more, pattern);
  size_t count = collect(words, more);
  va_end(more);
  expect(pattern, false, count, words);
}

void expect_refused(const char *reason, const char *const *call) {
  char pattern[256];
  size_t count = 0;
  while (call[count] != NULL) count++;
  snprintf(pattern, sizeof pattern, "!ERR %s: *%s*", call[0], reason);
  int64_t changes = redis_changes();
  expect(pattern, true, count, call);
  cr_assert_eq(redis_changes(), changes, "%s", reason);
}

void limit_to(int64_t percent) {
  char bytes[32];
  lk_redis_reply *reply = redis_ask(&redis, "INFO", "memory", NULL);
  size_t length;
  const char *used = strstr(lk_redis_reply_string(reply, &length), "used_memory:");
  snprintf(bytes, sizeof bytes, "%lld", strtoll(strchr(used, ':') + 1, NULL, 10) * (long long)percent / 100);
  lk_redis_reply_free(reply);
  redis_do(&redis, "CONFIG", "SET", "maxmemory", bytes, NULL);
  sleep_ms(60);
}

void deliver(const char *entry, const char *worker) {
  redis_do(&redis, "XADD", FACES_LO, entry, "to", "me", NULL);
  redis_do(&redis, "XREADGROUP", "GROUP", LK_GROUP, worker, "STREAMS", FACES_LO, ">", NULL);
}
