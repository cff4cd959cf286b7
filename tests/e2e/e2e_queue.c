/* The queue as a client sees it: a worker, a Redis, and jobs of every kind. */
#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/e2e/e2e.h"

static process worker;

static void teardown(void) {
  process_close(&worker);
  e2e_teardown();
}

TestSuite(queue, .init = e2e_setup_with_redis, .fini = teardown);

/* submit's output is that of identify, byte for byte; `view` are two further words. */
static void compare_views(const char *k, const char *threshold, const char *format, const char *job_probes,
                          const char *view, const char *value) {
  process a = {0}, b = {0};
  cr_assert_eq(likeness(&a, "identify", faces, probes, "-k", k, "--threshold", threshold, "--format", format, view,
                        value, "--device", "cpu", NULL),
               0, "%s", process_log(&a));
  cr_assert_eq(likeness(&b, "submit", probes, "--redis", redis.url, "--gallery", "faces", "-k", k, "--threshold",
                        threshold, "--format", format, view, value, "--job-probes", job_probes, NULL),
               0, "%s", process_log(&b));
  cr_assert_gt(strlen(process_out(&a)), 1000);
  cr_assert_str_eq(process_out(&a), process_out(&b));
  cr_assert_str_eq(process_log(&b), "");
  process_close(&a);
  process_close(&b);
}

static void compare_outputs(const char *k, const char *threshold, const char *format, const char *job_probes) {
  compare_views(k, threshold, format, job_probes, "--by", "template");
}

Test(queue, submit_prints_what_identify_prints) {
  worker_start(&worker, NULL);
  workers_await(FACES_WORKERS);
  compare_outputs("10", "-1", "csv", "64");
  compare_outputs("3", "0.6", "json", "1");
  compare_outputs("600", "-1", "table", "4096");
  compare_outputs("4096", "0.1", "csv", "7");
  compare_views("20", "-1", "csv", "10", "--by", "subject");
  compare_views("20", "-1", "csv", "10", "--tags", "0x5");
  compare_views("20", "-1", "json", "64", "--mask", "2");
  compare_views("200", "-1", "csv", "1", "--fuse", "max");
  compare_views("200", "-0.05", "json", "64", "--fuse", "mean");
  strcpy(probes, files_path("probes.fvecs"));
  files_write_vecs(probes, sizeof(float), FACES_PROBES, FACES_DIM, faces_probes);
  compare_outputs("10", "-1", "csv", "64");
  worker_stop(&worker);
  cr_assert_eq(pending(), 0);
}

Test(queue, more_probes_than_a_job_may_fuse) {
  process p = {0};
  float *many = malloc(sizeof *many * FACES_DIM * 4097);
  for (int i = 0; i < FACES_DIM * 4097; i++) many[i] = faces_probes[i % FACES_DIM];
  files_write_npy(probes, "<f4", 4097, FACES_DIM, many, sizeof *many * FACES_DIM * 4097);
  free(many);
  cr_assert_eq(
      likeness(&p, "submit", probes, "--redis", redis.url, "--gallery", "faces", "-k", "1", "--fuse", "max", NULL), 2);
  cr_assert_not_null(strstr(process_log(&p), "at most 4096 can be fused"), "%s", process_log(&p));
  process_close(&p);
}

/* Each job its own view, though they wait together. */
Test(queue, jobs_keep_their_own_view) {
  worker_start(&worker, "--max-queue-delay-us", "200000", NULL);
  send_job(&(test_job){.id = "plain", .k = "400"});
  send_job(&(test_job){.id = "subject", .k = "400", .extra = "by", .extra_value = "subject"});
  send_job(&(test_job){.id = "tags", .k = "400", .extra = "tags", .extra_value = "6"});
  send_job(&(test_job){.id = "max", .k = "400", .extra = "fuse", .extra_value = "max"});
  for (int i = 0; i < 4; i++) {
    json_t *reply = next_reply("me");
    const char *id = reply_text(reply, "id");
    size_t count = json_array_size(json_array_get(json_object_get(reply, "probes"), 0));
    size_t wanted = strcmp(id, "plain") == 0 || strcmp(id, "max") == 0 ? 400
                    : strcmp(id, "subject") == 0                       ? FACES_ROWS / 3
                                                                       : FACES_ROWS / 4;
    cr_assert_eq(count, wanted, "%s: %zu and not %zu", id, count, wanted);
    json_decref(reply);
  }
  worker_stop(&worker);
}

/* Only the listed templates and those of the listed subjects; an empty list is nobody, not everybody. Unlisted jobs
 * that wait beside them see all. */
Test(queue, jobs_with_lists) {
  static const struct {
    const char *field, *value;
    size_t found;
    int searched;
  } cases[] = {{"keys", "t0\nt5\nnone", 2, 2},
               {"keys", "", 0, 0},
               {"subjects", "s1\ns7", 6, 6},
               {"subjects", "", 0, 0},
               {"x-", "", 400, FACES_ROWS}};
  worker_start(&worker, "--max-queue-delay-us", "50000", NULL);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char id[8];
    snprintf(id, sizeof id, "%zu", i);
    send_job(&(test_job){.id = id, .k = "400", .extra = cases[i].field, .extra_value = cases[i].value});
  }
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    json_t *reply = next_reply("me");
    cr_assert_str_eq(reply_text(reply, "status"), "OK", "%s", reply_text(reply, "text"));
    size_t found = json_array_size(json_array_get(json_object_get(reply, "probes"), 0));
    const int number = atoi(reply_text(reply, "id"));
    cr_assert_eq(found, cases[number].found, "%d: %zu", number, found);
    cr_assert_eq(reply_number(reply, "searched"), cases[number].searched);
    json_decref(reply);
  }
  worker_stop(&worker);
}

Test(queue, json_reply) {
  worker_start(&worker, NULL);
  send_job(&(test_job){.n = "2", .bytes = 2 * FACES_DIM * sizeof(float), .id = "j7"});
  json_t *reply = next_reply("me");
  cr_assert_eq(reply_number(reply, "v"), 1);
  cr_assert_str_eq(reply_text(reply, "id"), "j7");
  cr_assert_str_eq(reply_text(reply, "status"), "OK");
  cr_assert_str_eq(reply_text(reply, "gallery"), "faces");
  cr_assert_str_eq(reply_text(reply, "model"), "m1");
  cr_assert_str_eq(reply_text(reply, "text"), "");
  cr_assert_eq(reply_number(reply, "epoch"), 1);
  cr_assert_eq(reply_number(reply, "searched"), FACES_ROWS);
  cr_assert_eq(reply_number(reply, "total"), FACES_ROWS);
  cr_assert_geq(reply_number(reply, "wait_us"), 0);
  cr_assert_geq(reply_number(reply, "compute_us"), 0);
  const json_t *lists = json_object_get(reply, "probes");
  cr_assert_eq(json_array_size(lists), 2);
  for (size_t p = 0; p < 2; p++) {
    const json_t *list = json_array_get(lists, p);
    cr_assert_eq(json_array_size(list), 3);
    for (size_t rank = 0; rank < 3; rank++) {
      const json_t *candidate = json_array_get(list, rank);
      cr_assert_eq(reply_number(candidate, "rank"), (int64_t)rank + 1);
      char key[24];
      int64_t number = reply_number(candidate, "number");
      snprintf(key, sizeof key, "t%lld", (long long)number);
      cr_assert_eq(strncmp(reply_text(candidate, "key"), key, strlen(key)), 0);
      snprintf(key, sizeof key, "s%lld", (long long)number / 3);
      cr_assert_str_eq(reply_text(candidate, "subject"), key);
      cr_assert(json_is_real(json_object_get(candidate, "score")));
    }
  }
  json_decref(reply);
  cr_assert_gt(redis_number(&redis, "PTTL", FACES_REPLIES "me", NULL), -3);
}

/* The example of docs/protocol.md, literally. */
Test(queue, redis_cli_example_of_the_documentation) {
  if (system("command -v redis-cli >/dev/null") != 0) cr_skip("redis-cli is not installed");
  size_t size;
  char *text = files_read(LIKENESS_SOURCE "/docs/protocol.md", &size);
  text[size] = '\0';
  const char *begin = strstr(text, "\nredis-cli -x XADD "), *end = begin != NULL ? strstr(begin, "```") : NULL;
  cr_assert_not_null(end, "docs/protocol.md has no such example");
  char *script = NULL;
  int length = asprintf(&script,
                        "set -e; cd '%s'; mkdir bin; real=$(command -v redis-cli)\n"
                        "printf '#!/bin/sh\\nexec %%s -s %%s \"$@\"\\n' \"$real\" '%s' >bin/redis-cli\n"
                        "chmod +x bin/redis-cli; PATH=$PWD/bin:$PATH\n%.*s",
                        files_root, redis.socket, (int)(end - begin), begin);
  cr_assert_gt(length, 0);
  files_write(files_path("probe.f32"), faces_probes, FACES_DIM * sizeof(float));
  worker_start(&worker, NULL);
  process shell = {0};
  process_start(&shell, (const char *const[]){"sh", "-c", script, NULL});
  cr_assert_eq(process_wait(&shell, PROCESS_PATIENCE_MS), 0, "%s", process_log(&shell));
  if (strstr(script, "BLPOP") != NULL)
    cr_assert_not_null(strstr(process_out(&shell), "\"status\":\"OK\""), "%s", process_out(&shell));
  else
    expect_reply("me", "j1", "OK", "");
  process_close(&shell);
  free(script);
  free(text);
}

Test(queue, verify) {
  worker_start(&worker, NULL);
  send_job(&(test_job){.op = "verify", .subject = "s5", .n = "3", .bytes = 3 * FACES_DIM * sizeof(float)});
  json_t *reply = next_reply("me");
  cr_assert_str_eq(reply_text(reply, "status"), "OK");
  for (size_t p = 0; p < 3; p++) {
    const json_t *list = json_array_get(json_object_get(reply, "probes"), p);
    cr_assert_eq(json_array_size(list), 1);
    cr_assert_str_eq(reply_text(json_array_get(list, 0), "subject"), "s5");
  }
  json_decref(reply);
  send_job(&(test_job){.op = "verify", .subject = "s5", .threshold = "1.5"});
  reply = next_reply("me");
  cr_assert_eq(json_array_size(json_array_get(json_object_get(reply, "probes"), 0)), 0);
  json_decref(reply);
  send_job(&(test_job){.op = "verify", .subject = "nobody"});
  expect_reply("me", "j1", "EBADJOB", "nobody");
  send_job(&(test_job){.op = "verify", .subject = "nobody", .extra = "tags", .extra_value = "1"});
  expect_reply("me", "j1", "EBADJOB", "nobody");
  send_job(&(test_job){.op = "verify"});
  expect_reply("me", "j1", "EBADJOB", "subject");
}

/* Each priority is in order, and some of lo is left when hi is done. More cannot be said: they are read side by side,
 * and whatever has come in is searched for. */
static void expect_order(uint32_t hi, uint32_t lo) {
  uint32_t next_hi = 0, next_lo = 0, lo_early = 0;
  for (uint32_t i = 0; i < hi + lo; i++) {
    json_t *reply = next_reply("me");
    const char *id = reply_text(reply, "id");
    uint32_t *next = id[0] == 'h' ? &next_hi : &next_lo;
    cr_assert_eq((uint32_t)atoi(id + 1), (*next)++, "%s is out of order", id);
    if (id[0] == 'l' && next_hi < hi) lo_early++;
    json_decref(reply);
  }
  cr_assert_lt(lo_early, lo, "%u lo were answered before the last hi", lo_early);
}

Test(queue, hi_before_lo) {
  enum { JOBS = 30 };
  for (int i = 0; i < 2 * JOBS; i++) {
    char id[16];
    snprintf(id, sizeof id, "%c%d", i % 2 == 0 ? 'h' : 'l', i / 2);
    send_job(&(test_job){.stream = i % 2 == 0 ? FACES_HI : FACES_LO,
                         .id = id,
                         .n = "150",
                         .bytes = FACES_PROBES * FACES_DIM * sizeof(float)});
  }
  worker_start(&worker, "--batch", "64", NULL);
  expect_order(JOBS, JOBS);
}

Test(queue, deadline) {
  worker_start(&worker, NULL);
  send_job(&(test_job){.id = "before", .ttl = "60000"});
  expect_reply("me", "before", "OK", "");
  process_signal(&worker, SIGSTOP);
  sleep_ms(50); /* until all its threads have stopped */
  send_job(&(test_job){.id = "short", .ttl = "1"});
  send_job(&(test_job){.id = "long", .ttl = "600000"});
  sleep_ms(20);
  process_signal(&worker, SIGCONT);
  json_t *first = next_reply("me"), *second = next_reply("me");
  bool swapped = strcmp(reply_text(first, "id"), "long") == 0;
  const json_t *brief = swapped ? second : first, *patient = swapped ? first : second;
  cr_assert_str_eq(reply_text(brief, "id"), "short");
  cr_assert_str_eq(reply_text(brief, "status"), "EDEADLINE");
  cr_assert_eq(json_array_size(json_object_get(brief, "probes")), 0);
  cr_assert_str_eq(reply_text(patient, "status"), "OK");
  json_decref(first);
  json_decref(second);
}

typedef struct bad_job {
  test_job job;
  const char *status, *words;
} bad_job;

static const bad_job bad_jobs[] = {
    {{.gallery = "none"}, "EBADJOB", "'none', but the job is in a stream of the gallery 'faces'"},
    {{.model = "m2"}, "EMODEL", "m2"},
    {{.v = "2"}, "EVERSION", "2"},
    {{.v = NO_FIELD}, "EBADJOB", "v"},
    {{.op = NO_FIELD}, "EBADJOB", "op"},
    {{.op = "enrol"}, "EBADJOB", "enrol"},
    {{.gallery = NO_FIELD}, "EBADJOB", "gallery"},
    {{.n = NO_FIELD}, "EBADJOB", "n"},
    {{.n = "0"}, "EBADJOB", "n"},
    {{.n = "x"}, "EBADJOB", "n"},
    {{.n = "4097"}, "EBADJOB", "4097"},
    {{.n = "5"}, "EBADJOB", "f32"},
    {{.k = "0"}, "EBADJOB", "k"},
    {{.k = "4097"}, "EBADJOB", "4097"},
    {{.k = "1e3"}, "EBADJOB", "k"},
    {{.k = "\xff\xfe"}, "EBADJOB", "k"},
    {{.k = "4096", .n = "65", .bytes = 65 * FACES_DIM * 4}, "EBADJOB", "266240"},
    {{.threshold = "warm"}, "EBADJOB", "threshold"},
    {{.ttl = "-1"}, "EBADJOB", "ttl"},
    {{.extra = "f16", .extra_value = "ab"}, "EBADJOB", "f16"},
    {{.extra = "after", .extra_value = "x"}, "EBADJOB", "after"},
    {{.extra = "Threshold", .extra_value = "0.5"}, "EBADJOB", "'Threshold'; did you mean 'threshold'?"},
    {{.extra = "colour", .extra_value = "red"}, "EBADJOB", "'colour'"},
    {{.extra = "by", .extra_value = "person"}, "EBADJOB", "person"},
    {{.extra = "fuse", .extra_value = "median"}, "EBADJOB", "median"},
    {{.extra = "mask", .extra_value = "0x1"}, "EBADJOB", "mask"},
};

static void expect_errors(const bad_job *jobs, size_t count) {
  for (size_t i = 0; i < count; i++) {
    send_job(&jobs[i].job);
    expect_reply("me", "j1", jobs[i].status, jobs[i].words);
  }
}

Test(queue, every_error_of_a_bad_job) {
  worker_start(&worker, NULL);
  expect_errors(bad_jobs, sizeof bad_jobs / sizeof bad_jobs[0]);
  send_job(&(test_job){.id = NO_FIELD});
  expect_reply("me", "", "EBADJOB", "id");
  send_job(&(test_job){.extra = "x-trace", .extra_value = "7"});
  expect_reply("me", "j1", "OK", "");
  worker_stop(&worker);
  cr_assert_eq(pending(), 0);
  cr_assert_eq(redis_number(&redis, "EXISTS", FACES_DEAD, NULL), 0);
}

Test(queue, every_error_of_bad_probes) {
  static const float large[5000];
  float bad[FACES_DIM] = {0};
  const bad_job jobs[] = {
      {{.f32 = faces_probes, .bytes = 20}, "EDIM", "5"},
      {{.f32 = large, .bytes = sizeof large}, "EDIM", "5000"},
      {{.f32 = NO_FIELD}, "EBADJOB", "f32"},
      {{.f32 = faces_probes, .bytes = 0}, "EBADJOB", "f32"},
      {{.f32 = faces_probes, .bytes = 95}, "EBADJOB", "f32"},
      {{.f32 = bad, .bytes = sizeof bad}, "EBADPROBE", "zero"},
  };
  worker_start(&worker, NULL);
  expect_errors(jobs, sizeof jobs / sizeof jobs[0]);
  for (int i = 0; i < 2; i++) {
    bad[3] = i == 0 ? NAN : -INFINITY;
    send_job(&(test_job){.f32 = bad, .bytes = sizeof bad});
    expect_reply("me", "j1", "EBADPROBE", "probe 0");
  }
  worker_stop(&worker);
  cr_assert_eq(pending(), 0);
}

/* JSON replies show bytes that are not UTF-8 as '?'; such bytes once stopped the worker. */
Test(queue, a_job_of_garbage_hurts_nobody) {
  worker_start(&worker, NULL);
  lk_command command = {0};
  char value[300];
  for (size_t i = 0; i < sizeof value; i++) value[i] = (char)(i * 37 + 128);
  static const char *const names[] = {"v", "op", "gallery", "k", "n", "threshold", "ttl", "model", "by", "subject"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    for (size_t length = 1; length < sizeof value; length += 59) {
      char copy[sizeof value + 1];
      memcpy(copy, value, length);
      copy[length] = '\0';
      test_job job = {.extra = names[i], .extra_value = copy};
      send_job(&job);
      json_t *reply = next_reply("me");
      cr_assert_str_neq(reply_text(reply, "status"), "OK", "%s", names[i]);
      cr_assert_str_neq(reply_text(reply, "status"), "EINTERNAL", "%s", names[i]);
      json_decref(reply);
    }
  lk_command_free(&command);
  send_job(&(test_job){0});
  expect_reply("me", "j1", "OK", "");
}

/* Expects `list` to be the part of `all` with at most k candidates at or above the threshold. */
static void expect_prefix(const json_t *list, const json_t *all, size_t k, double threshold) {
  size_t count = 0;
  while (count < k && json_real_value(json_object_get(json_array_get(all, count), "score")) >= threshold) count++;
  cr_assert_eq(json_array_size(list), count);
  for (size_t i = 0; i < count; i++) cr_assert(json_equal(json_array_get(list, i), json_array_get(all, i)));
}

/* All jobs are sent before the worker starts, so they share batches where they can. */
Test(queue, jobs_keep_their_own_k_and_threshold) {
  enum { JOBS = 60, K_MOST = 6 };
  static const char *const thresholds[] = {"-1", "0.45", "0.5", "0.55"};
  json_t *replies[JOBS];
  for (int i = 0; i < JOBS; i++) {
    char id[16], k[16];
    snprintf(id, sizeof id, "%d", i);
    snprintf(k, sizeof k, "%d", i % K_MOST + 1);
    send_job(&(test_job){.id = id, .k = k, .threshold = i % 4 == 1 ? NULL : thresholds[i * 7 % 4]});
  }
  worker_start(&worker, "--max-queue-delay-us", "20000", NULL);
  for (int i = 0; i < JOBS; i++) {
    json_t *reply = next_reply("me");
    replies[atoi(reply_text(reply, "id"))] = reply;
  }
  const json_t *all = json_array_get(json_object_get(replies[5], "probes"), 0);
  cr_assert_eq(json_array_size(all), K_MOST, "job 5 has the largest k and no threshold");
  for (int i = 0; i < JOBS; i++)
    expect_prefix(json_array_get(json_object_get(replies[i], "probes"), 0), all, (size_t)i % K_MOST + 1,
                  i % 4 == 1 ? -1 : atof(thresholds[i * 7 % 4]));
  for (int i = 0; i < JOBS; i++) json_decref(replies[i]);
}

Test(queue, refused_jobs_are_answered_in_order) {
  for (int i = 0; i < 60; i++) {
    char id[16];
    snprintf(id, sizeof id, "%d", i);
    send_job(&(test_job){.id = id, .gallery = "none"});
  }
  worker_start(&worker, NULL);
  for (int i = 0; i < 60; i++) {
    char id[16];
    snprintf(id, sizeof id, "%d", i);
    expect_reply("me", id, "EBADJOB", "none");
  }
}

/* Replies of two workers come in any order; the client puts them right. */
Test(queue, submit_to_two_workers) {
  process other = {0};
  worker_start(&worker, "--batch", "1", NULL);
  worker_start(&other, "--batch", "1", NULL);
  workers_await(FACES_WORKERS);
  for (int i = 0; i < 10; i++) compare_outputs("2", "-1", "csv", i % 2 == 0 ? "1" : "2");
  process_close(&other);
}

/* Sends a job now and then until the stream is at most so long. */
static bool shrinks_to(int64_t most) {
  for (uint64_t end_ms = now_ms() + PROCESS_PATIENCE_MS; now_ms() < end_ms; sleep_ms(100)) {
    send_job(&(test_job){.to = "trim"});
    if (redis_number(&redis, "XLEN", FACES_LO, NULL) <= most) return true;
  }
  return false;
}

Test(queue, trimming) {
  redis_do(&redis, "XGROUP", "CREATE", FACES_LO, "slow", "0", "MKSTREAM", NULL);
  redis_do(&redis, "ZADD", FACES_GROUPS, "9999999999999", "slow", NULL); /* it is alive until then */
  send_jobs(FACES_LO, "x", "me", 400);
  worker_start(&worker, NULL);
  cr_assert(redis_reaches(&redis, 400, "LLEN", FACES_REPLIES "me", NULL));
  sleep_ms(1100);
  send_job(&(test_job){.to = "trim"});
  json_decref(next_reply("trim"));
  sleep_ms(50);
  cr_assert_eq(redis_number(&redis, "XLEN", FACES_LO, NULL), 401, "the slow group has read nothing yet");
  redis_do(&redis, "XREADGROUP", "GROUP", "slow", "c", "COUNT", "1000", "STREAMS", FACES_LO, ">", NULL);
  sleep_ms(1100);
  send_job(&(test_job){.to = "trim"});
  json_decref(next_reply("trim"));
  sleep_ms(50);
  cr_assert_eq(redis_number(&redis, "XLEN", FACES_LO, NULL), 402, "the slow group has acknowledged nothing yet");
  redis_do(&redis, "XGROUP", "DESTROY", FACES_LO, "slow", NULL);
  redis_do(&redis, "ZREM", FACES_GROUPS, "slow", NULL);
  cr_assert(shrinks_to(200));
}

/* What a Redis holds that was just started with its worker comes at once: no timeout of any kind is part of it. */
Test(queue, no_stall_at_the_start) {
  for (int i = 0; i < 4; i++) {
    redis_server_kill(&redis);
    process_close(&worker);
    redis_server_start(&redis, false);
    worker_start(&worker, NULL);
    process client = {0};
    uint64_t begin_ms = now_ms();
    redis_number(&redis, "PING", NULL);
    cr_assert_eq(
        likeness(&client, "submit", probes, "--redis", redis.url, "--gallery", "faces", "--job-probes", "7", NULL), 0,
        "%s", process_log(&client));
    cr_assert_lt(now_ms() - begin_ms, 4000);
    process_close(&client);
  }
}
