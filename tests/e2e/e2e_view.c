/* Jobs that see a part of the gallery: tags, listed keys and subjects. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/e2e.h"

static process worker;

static void teardown(void) {
  process_close(&worker);
  e2e_teardown();
}

TestSuite(view, .init = e2e_setup_with_redis, .fini = teardown);

static void expect_tagged(int mask) {
  json_t *reply = next_reply("me");
  const json_t *list = json_array_get(json_object_get(reply, "probes"), 0);
  cr_assert_eq(reply_number(reply, "searched"), FACES_ROWS / 2);
  cr_assert_eq(json_array_size(list), FACES_ROWS / 2);
  for (size_t c = 0; c < json_array_size(list); c++)
    cr_assert_eq(atoi(reply_text(json_array_get(list, c), "key") + 1) % 8 & mask, 0);
  json_decref(reply);
}

/* Jobs of equal tags and mask share a batch, for which they wait; those of others do not see their templates. */
Test(view, jobs_with_a_mask_share_batches) {
  enum { BATCH = 8 };
  worker_start(&worker, "--batch", "8", "--max-queue-delay-us", "60000000", NULL);
  for (int mask = 1; mask <= 2; mask++) {
    for (int i = 0; i < BATCH; i++) {
      if (i == BATCH - 1) {
        sleep_ms(300);
        cr_assert_eq(redis_number(&redis, "EXISTS", FACES_REPLIES "me", NULL), 0);
      }
      send_job(&(test_job){.k = "400", .extra = "mask", .extra_value = mask == 1 ? "1" : "2"});
    }
    for (int i = 0; i < BATCH; i++) expect_tagged(mask);
  }
  worker_stop(&worker);
}

/* The subject s5 has the templates t15, t16 and t17, of the tags 7, 0 and 1. The score is that of identify, which knows
 * the template by its key. */
static void expect_verified(const char *field, const char *value, int searched, const char *key) {
  process p = {0};
  json_error_t why;
  send_job(&(test_job){.op = "verify", .subject = "s5", .extra = field, .extra_value = value});
  json_t *reply = next_reply("me"), *list = json_array_get(json_object_get(reply, "probes"), 0);
  cr_assert_str_eq(reply_text(reply, "status"), "OK", "%s", reply_text(reply, "text"));
  cr_assert_eq(reply_number(reply, "searched"), searched, "%s %s", field, value);
  cr_assert_eq(json_array_size(list), key != NULL ? 1 : 0);
  if (key != NULL) {
    files_write(files_path("key"), key, strlen(key));
    cr_assert_eq(
        likeness(&p, "identify", faces, probes, "--keys", files_path("key"), "-k", "1", "--format", "json", NULL), 0);
    json_t *first = json_loads(process_out(&p), JSON_DISABLE_EOF_CHECK, &why);
    const json_t *same = json_array_get(json_object_get(first, "candidates"), 0), *best = json_array_get(list, 0);
    cr_assert_str_eq(reply_text(best, "key"), key);
    cr_assert_eq((float)json_number_value(json_object_get(best, "score")),
                 (float)json_number_value(json_object_get(same, "score")));
    json_decref(first);
  }
  process_close(&p);
  json_decref(reply);
}

Test(view, verify_among_templates_of_some_tags) {
  worker_start(&worker, NULL);
  expect_verified("tags", "7", 1, "t15");
  expect_verified("mask", "1", 1, "t16");
  expect_verified("tags", "4", 1, "t15");
  expect_verified("tags", "8", 0, NULL);
  worker_stop(&worker);
}

/* submit's output is that of identify with the same lists. */
static void compare_lists(const char *keys, const char *subjects, const char *view, const char *value) {
  process a = {0}, b = {0};
  char lists[2][PATH_MAX];
  strcpy(lists[0], files_path("keys"));
  strcpy(lists[1], files_path("subjects"));
  files_write(lists[0], keys, strlen(keys));
  files_write(lists[1], subjects, strlen(subjects));
  cr_assert_eq(likeness(&a, "identify", faces, probes, "--format", "csv", "--keys", lists[0], "--subjects", lists[1],
                        view, value, NULL),
               0, "%s", process_log(&a));
  cr_assert_eq(likeness(&b, "submit", probes, "--redis", redis.url, "--gallery", "faces", "--format", "csv", "--keys",
                        lists[0], "--subjects", lists[1], view, value, NULL),
               0, "%s", process_log(&b));
  cr_assert_gt(strlen(process_out(&a)), 1000);
  cr_assert_str_eq(process_out(&a), process_out(&b));
  process_close(&a);
  process_close(&b);
}

Test(view, submit_with_lists_prints_what_identify_prints) {
  worker_start(&worker, NULL);
  workers_await(FACES_WORKERS);
  compare_lists("t0\nt5\r\n\nnobody\n", "s7\ns7\ns100", "-k", "20");
  compare_lists("t1\n", "s2\n", "--by", "subject");
  compare_lists("t8\nt9\nt10\nt11\n", "s0\n", "--mask", "1");
  worker_stop(&worker);
}

/* One of both lists; and a list as long as a job may have, and one longer. */
Test(view, submit_with_one_list) {
  enum { LINES = 4097 };
  static char lines[LINES * 8];
  process a = {0}, b = {0};
  size_t length = 0, most = 0;
  char list[PATH_MAX];
  strcpy(list, files_path("list"));
  for (int i = 0; i < LINES; i++) {
    most = length;
    length += (size_t)snprintf(lines + length, 8, "t%d\n", i + 300);
  }
  worker_start(&worker, NULL);
  workers_await(FACES_WORKERS);
  files_write(list, lines, most);
  cr_assert_eq(likeness(&a, "identify", faces, probes, "--keys", list, "-k", "400", NULL), 0);
  cr_assert_eq(likeness(&b, "submit", probes, "--redis", redis.url, "--gallery", "faces", "--keys", list, "-k", "400",
                        "--job-probes", "50", NULL),
               0, "%s", process_log(&b));
  cr_assert_str_eq(process_out(&a), process_out(&b));
  files_write(list, lines, length);
  cr_assert_eq(likeness(&b, "submit", probes, "--redis", redis.url, "--gallery", "faces", "--subjects", list, NULL), 2);
  cr_assert_not_null(strstr(process_log(&b), "list: 4097 keys or subjects; a job may list at most 4096"), "%s",
                     process_log(&b));
  cr_assert_str_eq(process_out(&b), "");
  process_close(&a);
  process_close(&b);
  worker_stop(&worker);
}
