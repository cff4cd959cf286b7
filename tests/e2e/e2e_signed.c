/* Signed jobs: only the actor's key is accepted, and each job only once. */
#include <criterion/criterion.h>
#include <ctype.h>
#include <inttypes.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <likeness/audit.h>
#include "base/text.h"
#include "engine/queue/signature.h"
#include "tests/e2e/live/changing.h"

static process worker, other;
static char policy[PATH_MAX], audit[PATH_MAX], key_file[PATH_MAX];
static lk_signing_key key, stranger;

static void make_key(const char *path, lk_signing_key *made) {
  lk_error error;
  cr_assert_eq(lk_signing_key_make(path, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_signing_key_read_secret(path, made, &error), LK_OK, "%s", error.text);
}

/* RFC 8032, 7.1, TEST 1. */
static const char somebody[] = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

static void write_policy_of(const char *fields, const char *actor, const lk_signing_key *listed) {
  char text[1024];
  int length =
      snprintf(text, sizeof text,
               "policy: 1\nname: test\n%skeys:\n  - {actor: %s, ed25519: %s}\n  - {actor: other, ed25519: %s}\n"
               "rules:\n  - id: signed\n    effect: permit\n    text: Who signs may search.\n"
               "    require: signature\n",
               fields, actor, listed->public_hex, somebody);
  files_write(policy, text, (size_t)length);
}

static void write_policy(const char *actor, const lk_signing_key *listed) {
  write_policy_of("deployment: here\n", actor, listed);
}

static void setup(void) {
  e2e_setup();
  redis_server_start(&redis, true);
  strcpy(policy, files_path("policy.yaml"));
  strcpy(audit, files_path("audit"));
  strcpy(key_file, files_path("desk"));
  make_key(key_file, &key);
  make_key(files_path("stranger"), &stranger);
  write_policy("desk", &key);
}

static void teardown(void) {
  process_close(&worker);
  process_close(&other);
  e2e_teardown();
}

TestSuite(signed, .init = setup, .fini = teardown);

typedef struct signed_job {
  lk_field fields[LK_FIELDS_MAX];
  size_t count;
  char signed_ms[24], signature[LK_SIGNATURE_HEX];
  unsigned char message[LK_SIGNED_SIZE];
} signed_job;

static int64_t clock_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void add(signed_job *job, const char *name, const char *value) {
  job->fields[job->count++] = (lk_field){.name = lk_text_of(name), .value = value, .length = strlen(value)};
}

static lk_field *field_of(signed_job *job, const char *name) {
  size_t i = 0;
  while (i < job->count && !lk_text_equal(job->fields[i].name, lk_text_of(name))) i++;
  cr_assert_lt(i, job->count, "no field %s", name);
  return &job->fields[i];
}

static void sign(signed_job *job, const lk_signing_key *by) {
  cr_assert_eq(lk_signature_message(job->fields, job->count, job->message, NULL), LK_OK);
  lk_signature_sign(job->message, by, job->signature);
  add(job, LK_SIGNATURE_FIELD, job->signature);
}

/* `deployment`: NULL for none. */
static void make_job_for(signed_job *job, const char *deployment, const char *id, int64_t signed_ms,
                         const lk_signing_key *by) {
  static const char *const usual[][2] = {{"v", "1"},  {"op", "identify"},  {"to", "me"},         {"gallery", "faces"},
                                         {"k", "3"},  {"n", "1"},          {"flags", "json"},    {"actor", "desk"},
                                         {"x-", "?"}, {"purpose", "demo"}, {"threshold", "-0.5"}};
  job->count = 0;
  for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++) add(job, usual[i][0], usual[i][1]);
  add(job, "id", id);
  job->fields[job->count++] = (lk_field){
      .name = lk_text_of("f32"), .value = (const char *)faces_probes, .length = FACES_DIM * sizeof *faces_probes};
  snprintf(job->signed_ms, sizeof job->signed_ms, "%" PRId64, signed_ms);
  add(job, "signed_ms", job->signed_ms);
  if (deployment != NULL) add(job, "deployment", deployment);
  sign(job, by);
}

static void make_job(signed_job *job, const char *id, int64_t signed_ms, const lk_signing_key *by) {
  make_job_for(job, "here", id, signed_ms, by);
}

static void send_as(const signed_job *job, const char *entry) {
  lk_command command = {0};
  lk_redis_reply *reply = NULL;
  lk_command_add_string(&command, "XADD");
  lk_command_add_string(&command, FACES_LO);
  lk_command_add_string(&command, entry);
  for (size_t i = 0; i < job->count; i++) {
    lk_command_add(&command, job->fields[i].name.bytes, job->fields[i].name.length);
    lk_command_add(&command, job->fields[i].value, job->fields[i].length);
  }
  cr_assert_eq(lk_redis_call(redis.link, &command, &reply, NULL), LK_OK);
  cr_assert_null(lk_redis_reply_error(reply), "%s", lk_redis_reply_error(reply));
  lk_redis_reply_free(reply);
  lk_command_free(&command);
}

static void send(const signed_job *job) { send_as(job, "*"); }

static void start_worker(void) { worker_start(&worker, "--policy", policy, "--audit", audit, NULL); }

/* Records of the log with these words. */
static uint32_t records_with(const char *words) { return files_lines_with(audit, "audit-000001.log", words); }

static void expect_nothing_searched(uint32_t decisions) {
  worker_stop(&worker);
  cr_assert_not_null(strstr(process_log(&worker), ", 0 probes searched"), "%s", process_log(&worker));
  cr_assert_eq(records_with("\"permitted\":false"), decisions);
  cr_assert_eq(records_with("\"authenticated\":true"), 0);
}

Test(signed, a_signed_job_is_searched_and_an_unsigned_one_is_not) {
  signed_job job;
  start_worker();
  make_job(&job, "good", clock_ms(), &key);
  send(&job);
  expect_reply("me", "good", "OK", "");
  send_job(&(test_job){.id = "asserted", .extra = "actor", .extra_value = "desk"});
  expect_reply("me", "asserted", "EPOLICY", "signature");
  worker_stop(&worker);
  cr_assert_eq(records_with("\"authenticated\":true"), 1);
  cr_assert_eq(records_with("\"authenticated\":false"), 1);
}

/* Fields that are changed, added or removed after signing. */
Test(signed, an_altered_job_is_refused) {
  static const char *const changes[][2] = {{"k", "4"},         {"purpose", "other"}, {"threshold", "-0.6"},
                                           {"id", "changed"},  {"x-", "!"},          {"signed_ms", NULL},
                                           {"actor", "other"}, {"to", "me2"},        {"deployment", "there"}};
  const uint32_t count = sizeof changes / sizeof changes[0];
  signed_job job;
  char later[24];
  start_worker();
  snprintf(later, sizeof later, "%" PRId64, clock_ms() + 1);
  for (uint32_t i = 0; i < count; i++) {
    make_job(&job, "a", clock_ms(), &key);
    lk_field *field = field_of(&job, changes[i][0]);
    field->value = changes[i][1] != NULL ? changes[i][1] : later;
    field->length = strlen(field->value);
    send(&job);
    expect_reply(strcmp(changes[i][0], "to") == 0 ? "me2" : "me", strcmp(changes[i][0], "id") == 0 ? "changed" : "a",
                 "EPOLICY", "signature");
  }
  make_job(&job, "a", clock_ms(), &key);
  field_of(&job, "f32")->value += FACES_DIM * sizeof *faces_probes;
  send(&job);
  expect_reply("me", "a", "EPOLICY", "signature");
  make_job(&job, "a", clock_ms(), &key);
  add(&job, "ttl", "100000");
  send(&job);
  expect_reply("me", "a", "EPOLICY", "signature");
  make_job(&job, "a", clock_ms(), &key);
  *field_of(&job, "x-") = job.fields[--job.count];
  send(&job);
  expect_reply("me", "a", "EPOLICY", "signature");
  expect_nothing_searched(count + 3);
}

/* What the log takes over is answered: the entry that brought it counts no more. */
Test(signed, a_signed_change_is_made_once) {
  static const char *const fields[][2] = {{"v", "1"},           {"op", "delete"},      {"to", "me"},
                                          {"gallery", "faces"}, {"keys", "t1"},        {"id", "gone"},
                                          {"flags", "json"},    {"actor", "desk"},     {"purpose", "x"},
                                          {"x-", "?"},          {"deployment", "here"}};
  signed_job job = {.count = 0};
  start_worker();
  changing_await_owner(&worker);
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) add(&job, fields[i][0], fields[i][1]);
  snprintf(job.signed_ms, sizeof job.signed_ms, "%" PRId64, clock_ms());
  add(&job, "signed_ms", job.signed_ms);
  sign(&job, &key);
  send_as(&job, "1-1");
  expect_reply("me", "gone", "OK", "");
  static const char is_answered[] = "local key = redis.call('KEYS', 'lk:{faces}:signed:*')[1] return redis.call('GET', "
                                    "key):match(' answered$') and 1";
  cr_assert_eq(redis_number(&redis, "EVAL", is_answered, "0", NULL), 1);
  send(&job);
  expect_reply("me", "gone", "EPOLICY", "was received before");
}

Test(signed, by_another_key_is_refused) {
  signed_job job;
  start_worker();
  make_job(&job, "a", clock_ms(), &stranger);
  send(&job);
  expect_reply("me", "a", "EPOLICY", "'desk'");
  expect_nothing_searched(1);
}

Test(signed, without_what_it_needs_is_no_job) {
  signed_job job;
  start_worker();
  make_job(&job, "a", clock_ms(), &key);
  *field_of(&job, "actor") = job.fields[--job.count];
  send(&job);
  expect_reply("me", "a", "EBADJOB", "actor");
  make_job(&job, "a", clock_ms(), &key);
  *field_of(&job, "signed_ms") = job.fields[--job.count];
  send(&job);
  expect_reply("me", "a", "EBADJOB", "signed_ms");
  make_job(&job, "a", clock_ms(), &key);
  field_of(&job, LK_SIGNATURE_FIELD)->length--;
  send(&job);
  expect_reply("me", "a", "EBADJOB", "signature");
  make_job(&job, "a", clock_ms(), &key);
  add(&job, "k", "5");
  send(&job);
  expect_reply("me", "a", "EBADJOB", "field k occurs twice");
}

/* A copy of an answered job is refused by the same worker, after a restart, and by another worker. */
Test(signed, a_job_that_is_sent_again_is_refused) {
  signed_job job;
  start_worker();
  make_job(&job, "once", clock_ms(), &key);
  send(&job);
  expect_reply("me", "once", "OK", "");
  send(&job);
  expect_reply("me", "once", "EPOLICY", "was received before");
  for (char *digit = job.signature; *digit != '\0'; digit++) *digit = (char)toupper(*digit);
  send(&job);
  expect_reply("me", "once", "EPOLICY", "was received before");
  worker_stop(&worker);
  process_close(&worker);
  make_job(&job, "twice", clock_ms(), &key);
  start_worker();
  send(&job);
  expect_reply("me", "twice", "OK", "");
  worker_stop(&worker);
  process_close(&worker);
  worker_start(&other, "--policy", policy, NULL);
  send(&job);
  expect_reply("me", "twice", "EPOLICY", "was received before");
}

Test(signed, long_ago_or_ahead_of_time_is_refused) {
  signed_job job;
  start_worker();
  make_job(&job, "old", clock_ms() - 660000, &key);
  send(&job);
  expect_reply("me", "old", "EPOLICY", "ago; at most 600 are allowed");
  make_job(&job, "early", clock_ms() + 400000, &key);
  send(&job);
  expect_reply("me", "early", "EPOLICY", "ahead");
  make_job(&job, "late", clock_ms() - 540000, &key);
  send(&job);
  expect_reply("me", "late", "OK", "");
}

Test(signed, the_policy_says_how_long_ago) {
  signed_job job;
  write_policy_of("deployment: here\nsignature_minutes: 2\n", "desk", &key);
  start_worker();
  make_job(&job, "old", clock_ms() - 180000, &key);
  send(&job);
  expect_reply("me", "old", "EPOLICY", "ago; at most 120 are allowed");
  make_job(&job, "young", clock_ms() - 60000, &key);
  send(&job);
  expect_reply("me", "young", "OK", "");
  write_policy_of("deployment: here\nsignature_minutes: 60\n", "desk", &key);
  process_signal(&worker, SIGHUP);
  cr_assert(process_logs(&worker, "the policy was reloaded", PROCESS_PATIENCE_MS));
  make_job(&job, "older", clock_ms() - 3500000, &key);
  send(&job);
  expect_reply("me", "older", "OK", "");
}

/* The same actors, keys and rules: only the id differs. */
Test(signed, for_another_deployment_is_refused) {
  signed_job job;
  start_worker();
  make_job_for(&job, "there", "a", clock_ms(), &key);
  send(&job);
  expect_reply("me", "a", "EPOLICY", "signed for the deployment 'there'; this is 'here'");
  make_job_for(&job, NULL, "a", clock_ms(), &key);
  send(&job);
  expect_reply("me", "a", "EPOLICY", "names no deployment; this is 'here'");
  make_job_for(&job, "", "a", clock_ms(), &key);
  send(&job);
  expect_reply("me", "a", "EPOLICY", "names no deployment; this is 'here'");
  expect_nothing_searched(3);
}

/* A job that was answered here, played at a second Redis of another deployment. */
Test(signed, an_answered_job_is_refused_elsewhere) {
  signed_job job;
  start_worker();
  make_job(&job, "a", clock_ms(), &key);
  send(&job);
  expect_reply("me", "a", "OK", "");
  worker_stop(&worker);
  process_close(&worker);
  redis_do(&redis, "FLUSHALL", NULL);
  write_policy_of("deployment: there\n", "desk", &key);
  worker_start(&other, "--policy", policy, "--audit", files_path("audit-there"), NULL);
  send(&job);
  expect_reply("me", "a", "EPOLICY", "signed for the deployment 'here'; this is 'there'");
}

/* To Redis, which forgot the first of it, a job under whichever id is the first; and so is one under the very id that
 * Redis remembers, once the stream is gone. */
static void expect_no_second(const signed_job *job, const char *id) {
  redis_do(&redis, "FLUSHALL", NULL);
  send(job);
  expect_reply("me", id, "EPOLICY", "received and decided before");
  redis_do(&redis, "FLUSHALL", NULL);
  for (int i = 0; i < 2; i++) {
    redis_do(&redis, "DEL", FACES_LO, NULL);
    send_as(job, "5-1");
    expect_reply("me", id, "EPOLICY", "received and decided before");
  }
}

/* What Redis loses is in the worker's memory, and in its log after a restart. */
Test(signed, a_job_is_refused_after_redis_lost_its_data) {
  signed_job job;
  start_worker();
  make_job(&job, "once", clock_ms(), &key);
  send_as(&job, "5-1");
  expect_reply("me", "once", "OK", "");
  expect_no_second(&job, "once");
  worker_stop(&worker);
  process_close(&worker);
  start_worker();
  expect_no_second(&job, "once");
  make_job(&job, "new", clock_ms(), &key);
  send(&job);
  expect_reply("me", "new", "OK", "");
}

static void name_memory(const signed_job *job, char name[128]) {
  unsigned char hash[32];
  crypto_hash_sha256(hash, job->message, sizeof job->message);
  strcpy(name, FACES_SIGNED);
  sodium_bin2hex(name + strlen(name), 65, hash, sizeof hash);
}

/* The worker that had remembered it lost its connection before it had taken it. */
Test(signed, the_same_entry_read_again_is_no_copy) {
  signed_job job;
  char remembered[128];
  make_job(&job, "same", clock_ms(), &key);
  name_memory(&job, remembered);
  redis_do(&redis, "SET", remembered, FACES_LO " 5-1", NULL);
  send_as(&job, "5-1");
  start_worker();
  expect_reply("me", "same", "OK", "");
  send_as(&job, "5-2");
  expect_reply("me", "same", "EPOLICY", "5-1");
}

/* An answer that was given; and then a failover to a Redis that had the job, but not yet that it was answered. */
static void lose_answer(const signed_job *job) {
  char remembered[128];
  name_memory(job, remembered);
  redis_do(&redis, "DEL", FACES_LO, NULL);
  redis_do(&redis, "SET", remembered, FACES_LO " 5-1", NULL);
  send_as(job, "5-1");
}

Test(signed, what_redis_has_not_as_answered_is_answered) {
  signed_job job;
  start_worker();
  make_job(&job, "lost", clock_ms(), &key);
  send_as(&job, "5-1");
  expect_reply("me", "lost", "OK", "");
  lose_answer(&job);
  expect_reply("me", "lost", "OK", "");
  worker_stop(&worker);
  process_close(&worker);
  start_worker();
  lose_answer(&job);
  expect_reply("me", "lost", "OK", "");
  send(&job);
  expect_reply("me", "lost", "EPOLICY", "was received before");
}

/* The very entry that brought a job, after it was answered, to a worker that knows nothing of it. */
Test(signed, redis_knows_what_was_answered) {
  signed_job job;
  start_worker();
  make_job(&job, "once", clock_ms(), &key);
  send_as(&job, "5-1");
  expect_reply("me", "once", "OK", "");
  worker_stop(&worker);
  process_close(&worker);
  redis_do(&redis, "DEL", FACES_LO, NULL);
  worker_start(&other, "--policy", policy, NULL);
  send_as(&job, "5-1");
  expect_reply("me", "once", "EPOLICY", "received and decided before");
}

/* A key that was taken off the list while a job waited. */
Test(signed, the_key_must_be_good_at_the_release_too) {
  signed_job job;
  worker_start(&worker, "--policy", policy, "--audit", audit, "--max-queue-delay-us", "2000000", NULL);
  make_job(&job, "a", clock_ms(), &key);
  send(&job);
  sleep_ms(300);
  write_policy("desk", &stranger);
  process_signal(&worker, SIGHUP);
  expect_reply("me", "a", "EPOLICY", "signature");
  worker_stop(&worker);
  cr_assert_eq(records_with("\"permitted\":true"), 1);
  cr_assert_eq(records_with("\"released\":false"), 1);
}

Test(signed, submit_signs) {
  start_worker();
  cr_assert_eq(likeness(&other, "submit", probes, "--redis", redis.url, "--gallery", "faces", "--sign", key_file, NULL),
               2, "%s", process_log(&other));
  process_close(&other);
  cr_assert_eq(likeness(&other, "submit", probes, "--redis", redis.url, "--gallery", "faces", "--actor", "desk",
                        "--job-probes", "10", "--purpose", "demo", "--sign", key_file, "--deployment", "here", NULL),
               0, "%s", process_log(&other));
  process_close(&other);
  cr_assert_eq(likeness(&other, "submit", probes, "--redis", redis.url, "--gallery", "faces", "--actor", "desk",
                        "--sign", key_file, NULL),
               2, "without --deployment");
  process_close(&other);
  cr_assert_eq(likeness(&other, "submit", probes, "--redis", redis.url, "--gallery", "faces", "--actor", "desk",
                        "--sign", key_file, "--deployment", "there", NULL),
               3);
  cr_assert_not_null(strstr(process_log(&other), "this is 'here'"), "%s", process_log(&other));
  process_close(&other);
  cr_assert_eq(likeness(&other, "submit", probes, "--redis", redis.url, "--gallery", "faces", "--actor", "desk", NULL),
               3);
  worker_stop(&worker);
  cr_assert_eq(records_with("\"authenticated\":true"), FACES_PROBES / 10);
}

/* Redis loses signed jobs that the worker took, and so remembers: they come again under a new signature. */
Test(signed, submit_signs_again_what_redis_lost) {
  worker_start(&worker, "--policy", policy, "--audit", audit, "--max-queue-delay-us", "1000000", NULL);
  workers_await(FACES_WORKERS);
  likeness_start(&other, "submit", probes, "--redis", redis.url, "--gallery", "faces", "--actor", "desk", "--purpose",
                 "demo", "--sign", key_file, "--deployment", "here", NULL);
  lk_redis_reply *reply = NULL;
  do {
    lk_redis_reply_free(reply);
    reply = redis_ask(&redis, "KEYS", FACES_SIGNED "*", NULL);
  } while (lk_redis_reply_elements(reply) < 3);
  lk_redis_reply_free(reply);
  redis_do(&redis, "FLUSHALL", NULL);
  cr_assert_eq(process_wait(&other, PROCESS_PATIENCE_MS), 0, "%s%s", process_log(&other), process_log(&worker));
  worker_stop(&worker);
}
