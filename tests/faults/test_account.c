/* The account of the fault suite finds what it is there for. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "engine/queue/bytes.h"
#include "engine/queue/reply.h"
#include "tests/faults/account.h"

static account *jobs;
static FILE *out;
static char *text;
static size_t text_size;

static void setup(void) {
  jobs = account_open(4);
  out = open_memstream(&text, &text_size);
}

static void teardown(void) {
  account_close(jobs);
  fclose(out);
  free(text);
}

TestSuite(account, .init = setup, .fini = teardown);

static const lk_entry entry = {.ms = 5, .sequence = 1};

static lk_text text_of(const char *string) { return (lk_text){.bytes = string, .length = (uint32_t)strlen(string)}; }

static lk_candidate candidate(float score) {
  return (lk_candidate){.found = {.number = 7, .key = text_of("t7"), .subject = text_of("s2")}, .score = score};
}

static uint64_t digest_of(float score) {
  lk_candidate found = candidate(score);
  return answer_digest_candidate(answer_digest_count(0, 1), &found);
}

static void send(bool poison) {
  uint32_t number = account_send(jobs, &(account_job){.n = 1, .k = 1, .poison = poison, .digest = digest_of(0.5F)});
  account_accept(jobs, number, entry);
}

/* A reply as a worker's JSON has it. */
static void answer_json(uint32_t job, float score) {
  char reply[256];
  int length = snprintf(reply, sizeof reply,
                        "{\"status\":\"OK\",\"id\":\"%u\",\"probes\":[[{\"rank\":1,\"key\":\"t7\",\"subject\":\"s2\","
                        "\"score\":%.9g,\"number\":7}]]}",
                        job, (double)score);
  account_answer(jobs, reply, (size_t)length);
}

static void answer_error(const char *id, lk_status status) {
  lk_bytes bytes = {0};
  lk_reply_head head = {.status = status, .id = text_of(id), .gallery = text_of("faces"), .text = text_of("why")};
  lk_reply_encode(&head, &(lk_reply_part){0}, NULL, &bytes);
  account_answer(jobs, bytes.data, bytes.length);
  lk_bytes_free(&bytes);
}

static void expect(bool clean, const char *words) {
  cr_assert_eq(account_judge(jobs, out), clean);
  fflush(out);
  cr_assert_not_null(strstr(text, words), "'%s' is not in: %s", words, text);
}

Test(account, one_right_answer) {
  send(false);
  answer_json(0, 0.5F);
  expect(true, "");
  cr_assert_eq(account_sum(jobs).answered, 1);
}

Test(account, the_same_answer_again_is_one) {
  send(false);
  answer_json(0, 0.5F);
  answer_json(0, 0.5F);
  expect(true, "");
  cr_assert_eq(account_sum(jobs).repeated, 1);
}

Test(account, a_dropped_reply) {
  send(false);
  send(false);
  answer_json(1, 0.5F);
  expect(false, "job 0 (stream 0, entry 5-1, probes 0+1, k 1) was accepted and never answered");
  cr_assert_eq(account_sum(jobs).missing, 1);
}

Test(account, a_wrong_candidate) {
  send(false);
  answer_json(0, 0.50000006F);
  expect(false, "job 0 (stream 0, entry 5-1, probes 0+1, k 1) has a wrong answer: OK");
  cr_assert_eq(account_sum(jobs).wrong, 1);
}

Test(account, a_second_reply_that_differs) {
  send(false);
  answer_json(0, 0.5F);
  answer_error("0", LK_EINTERNAL);
  expect(false, "has two different answers");
  cr_assert_eq(account_sum(jobs).contradicted, 1);
}

Test(account, an_error_is_a_wrong_answer) {
  send(false);
  answer_error("0", LK_EINTERNAL);
  expect(false, "has a wrong answer: EINTERNAL");
}

Test(account, poison_must_be_called_poison) {
  send(true);
  send(true);
  answer_error("0", LK_EPOISON);
  answer_json(1, 0.5F);
  expect(false, "job 1 (stream 0, entry 5-1, probes 0+1, k 1, poison) has a wrong answer");
  cr_assert_eq(account_sum(jobs).wrong, 1);
}

Test(account, replies_to_nobody) {
  send(false);
  answer_json(0, 0.5F);
  answer_json(1, 0.5F);
  account_answer(jobs, "junk", 4);
  expect(false, "2 replies answer no job");
}

Test(account, only_what_redis_had_acknowledged_and_lacks_is_lost) {
  for (int i = 0; i < 3; i++) send(false);
  account_accept(jobs, 1, (lk_entry){.ms = 5, .sequence = 2});
  answer_json(2, 0.5F);
  cr_assert_eq(account_lose(jobs, 1, (lk_entry){0}, "another stream"), 0);
  cr_assert_eq(account_lose(jobs, 0, entry, "a kill"), 1);
  cr_assert(account_is_open(jobs, 0) && !account_is_open(jobs, 1) && !account_is_open(jobs, 2));
  expect(false, "job 0");
  cr_assert_null(strstr(text, "job 1"), "%s", text);
}

Test(account, a_cancelled_job_has_either_answer_but_not_both) {
  for (int i = 0; i < 3; i++) send(false);
  for (uint32_t i = 0; i < 2; i++) account_cancel(jobs, i);
  for (uint32_t i = 0; i < 3; i++) answer_error(i == 0 ? "0" : i == 1 ? "1" : "2", LK_ECANCELLED);
  answer_json(1, 0.5F);
  expect(false, "job 1 (stream 0, entry 5-1, probes 0+1, k 1) has two different answers");
  cr_assert_null(strstr(text, "job 0"), "%s", text);
  cr_assert_not_null(strstr(text, "job 2 (stream 0, entry 5-1, probes 0+1, k 1) has a wrong answer"), "%s", text);
}

static void refuse(uint32_t job) {
  char reply[128];
  int length = snprintf(reply, sizeof reply,
                        "{\"status\":\"EPOLICY\",\"id\":\"%u\",\"text\":\"refused: this signed job was received and "
                        "decided before\"}",
                        job);
  account_answer(jobs, reply, (size_t)length);
}

Test(account, a_signed_job_is_refused_again_only_where_redis_lost_answers) {
  for (int i = 0; i < 2; i++) send(false);
  answer_json(0, 0.5F);
  account_lose(jobs, 0, entry, "a failover");
  refuse(0);
  refuse(1);
  expect(true, "");
  cr_assert_eq(account_sum(jobs).refused, 1);
  answer_json(1, 0.25F);
  expect(false, "job 1 (stream 0, entry 5-1, probes 0+1, k 1) has two different answers");
}

Test(account, a_signed_job_is_not_refused_where_redis_lost_nothing) {
  send(false);
  refuse(0);
  expect(false, "job 0 (stream 0, entry 5-1, probes 0+1, k 1) has a wrong answer: EPOLICY");
}

Test(account, what_was_never_acknowledged_needs_no_answer) {
  account_send(jobs, &(account_job){.n = 1, .k = 1});
  expect(true, "");
}
