/* How the answers to a batch are split into calls: by a seed, batches of replies of all sizes. */
#include "engine/worker/finish/answer_call.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/support/random.h"

enum { CLIENTS = 7, TASKS_MOST = 2500 };

static lk_keys keys;
static lk_task tasks[TASKS_MOST];
static size_t sizes[TASKS_MOST];
static uint32_t encoded[TASKS_MOST], sent[TASKS_MOST], count;
static lk_answer_call call;

static void setup(void) { cr_assert_eq(lk_keys_make("faces", &keys, NULL), LK_OK); }

static void teardown(void) { lk_answer_call_free(&call); }

TestSuite(answer_call, .init = setup, .fini = teardown);

static void make_tasks(uint32_t n, random_state *random, uint32_t least, uint32_t most) {
  static const char *const clients[CLIENTS] = {"a", "b", "bb", "client", "a ", "z", "zz"};
  count = n;
  memset(encoded, 0, sizeof encoded);
  memset(sent, 0, sizeof sent);
  for (uint32_t i = 0; i < n; i++) {
    const char *to = clients[random_below(random, CLIENTS)];
    tasks[i] = (lk_task){.stream = keys.lanes[LK_LO][3], .since = "0", .until = "9"};
    tasks[i].job.to = (lk_text){.bytes = to, .length = (uint32_t)strlen(to)};
    snprintf(tasks[i].entry, sizeof tasks[i].entry, "%u-0", i);
    sizes[i] = random_log_uniform(random, least, most);
  }
}

/* As the finish stage fills a call. */
static void fill(bool anew) {
  bool takes = true;
  lk_answer_call_next(&call, anew);
  for (uint32_t i = 0; takes && i < count; i++) {
    if (tasks[i].finished || lk_answer_call_begins_with(&call, &tasks[i])) continue;
    size_t begin = call.replies.length;
    for (size_t left = sizes[i]; left > 0;) {
      static const char zeros[1 << 16];
      size_t piece = left < sizeof zeros ? left : sizeof zeros;
      lk_bytes_append(&call.replies, zeros, piece);
      left -= piece;
    }
    memcpy(call.replies.data + begin, &i, sizeof i < sizes[i] ? sizeof i : sizes[i]);
    encoded[i]++;
    takes = lk_answer_call_add(&call, &tasks[i]);
  }
}

static void expect_job(const lk_command *command, size_t at, size_t first) {
  uint32_t i = (uint32_t)strtoul(command->arguments[at], NULL, 10);
  cr_assert_lt(i, count);
  cr_assert_eq(command->lengths[at + 5], sizes[i]);
  cr_assert_eq(memcmp(command->arguments[at + 5], &i, sizeof i < sizes[i] ? sizeof i : sizes[i]), 0);
  const char *list = command->arguments[first + strtoul(command->arguments[at + 1], NULL, 10) - 1];
  cr_assert_eq(strncmp(list, keys.replies, strlen(keys.replies)), 0);
  cr_assert_str_eq(list + strlen(keys.replies), tasks[i].job.to.bytes);
  sent[i]++;
}

static void expect_call(void) {
  const lk_command *command = lk_answer_call_build(&call, &keys);
  cr_assert_not_null(command);
  size_t lists = strtoul(command->arguments[2], NULL, 10) - 2, jobs = 5 + lists + 1, bytes = 0;
  cr_assert_str_eq(command->arguments[3], keys.lanes[LK_LO][3]);
  cr_assert_str_eq(command->arguments[4], keys.dead);
  cr_assert_eq((command->count - jobs) % 6, 0);
  for (size_t at = jobs; at < command->count; at += 6) {
    expect_job(command, at, 5);
    bytes += command->lengths[at + 5];
  }
  size_t number = (command->count - jobs) / 6;
  cr_assert_eq(number, call.count);
  cr_assert(number >= 1 && number <= LK_ANSWER_CALL_TASKS);
  cr_assert(bytes <= LK_ANSWER_CALL_BYTES || number == 1, "%zu jobs have %zu bytes", number, bytes);
}

/* Returns how many calls it took. */
static uint32_t run_all(random_state *random, bool repeats) {
  uint32_t calls = 0;
  bool anew = true;
  for (;; calls++) {
    fill(anew);
    if (call.encoded == 0) return calls;
    expect_call();
    anew = repeats && random_one_in(random, 3);
    if (anew) {
      for (size_t i = 0; i < call.count; i++) sent[call.tasks[i] - tasks]--;
      continue; /* as where the rules were read again before it was sent */
    }
    for (size_t i = 0; i < call.count; i++) call.tasks[i]->finished = true;
  }
}

Test(answer_call, small_replies_are_counted) {
  random_state random = {1};
  make_tasks(2500, &random, 1, 50);
  cr_assert_eq(run_all(&random, false), 3);
  for (uint32_t i = 0; i < count; i++) cr_assert(encoded[i] == 1 && sent[i] == 1);
}

Test(answer_call, large_replies_go_alone) {
  random_state random = {2};
  make_tasks(5, &random, LK_ANSWER_CALL_BYTES + 1, LK_ANSWER_CALL_BYTES + 9);
  cr_assert_eq(run_all(&random, false), 5);
  for (uint32_t i = 0; i < count; i++) cr_assert(encoded[i] == 1 && sent[i] == 1);
  make_tasks(4, &random, LK_ANSWER_CALL_BYTES / 2, LK_ANSWER_CALL_BYTES / 2);
  cr_assert_eq(run_all(&random, false), 2);
}

/* Each reply is written once, also the one that did not fit into its call. */
Test(answer_call, replies_of_all_sizes) {
  uint64_t seed = (uint64_t)time(NULL);
  fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
  random_state random = {seed};
  for (int round = 0; round < 12; round++) {
    make_tasks(1 + random_below(&random, 300), &random, 1, 6 << 20);
    run_all(&random, false);
    for (uint32_t i = 0; i < count; i++) cr_assert(encoded[i] == 1 && sent[i] == 1, "%u", i);
  }
}

Test(answer_call, calls_that_are_made_anew) {
  uint64_t seed = (uint64_t)time(NULL);
  fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
  random_state random = {seed};
  for (int round = 0; round < 6; round++) {
    make_tasks(1 + random_below(&random, 100), &random, 1, 6 << 20);
    run_all(&random, true);
    for (uint32_t i = 0; i < count; i++) cr_assert_eq(sent[i], 1, "%u", i);
  }
}

/* Who is to send a job again is not to find this reply to it. */
Test(answer_call, that_it_is_busy_is_not_kept) {
  random_state random = {4};
  make_tasks(2, &random, 1, 9);
  for (int i = 0; i < 2; i++) tasks[i].job.id = (lk_text){.bytes = "j", .length = 1};
  tasks[1].status = LK_EBUSY;
  fill(true);
  const lk_command *command = lk_answer_call_build(&call, &keys);
  cr_assert_not_null(command);
  cr_assert_eq(command->lengths[command->count - 8], 1);
  cr_assert_eq(command->lengths[command->count - 2], 0);
}

Test(answer_call, a_large_reply_leaves_no_large_buffer) {
  random_state random = {3};
  make_tasks(2, &random, 64 << 20, 64 << 20);
  run_all(&random, false);
  cr_assert_leq(call.replies.capacity, 16 << 20);
}
