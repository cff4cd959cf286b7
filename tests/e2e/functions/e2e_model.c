/* Three workers that read, claim, hand back, log, answer, die and answer all the same, against a model of what Redis
 * must hold: each job is logged at most once and answered exactly once, each call says what the model says, and nothing
 * remains but the log. LIKENESS_SEED: which. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/functions/log_calls.h"
#include "tests/support/random.h"

TestSuite(model, .init = calls_setup, .fini = calls_teardown);

enum { STEPS = 6000, JOBS = 3000, IDS = 40, CLIENTS = 3, LANES = 3, WORKERS = 3, FINISHED_MOST = 4, NOBODY = -1 };

static const char *const lanes[LANES] = {FACES_HI, FACES_LO, FACES_LO_3};
static const char *const clients[CLIENTS] = {"me", "you:", "h\xc3\xa9"};
static const char *const workers[WORKERS] = {"a", "b", "c"};

/* A job as Redis has it. `held` are the workers that believe that they must answer it: not only the one that must. */
typedef struct model_job {
  char entry[48];
  int lane, client, id, owner; /* whose it is while it is pending; NOBODY: it was handed back */
  bool delivered, logged, answered, held[WORKERS];
} model_job;

static model_job jobs[JOBS];
static model_job *logged[JOBS]; /* by seq, from 0 */
static int logged_count, acknowledged;
static int jobs_count, known[CLIENTS][IDS]; /* the job that the client's id stands for; -1: none */
static int expected[CLIENTS];               /* replies in the client's list */
static bool lives[WORKERS];
static random_state chance;

static void list_key(int client, char *key) { sprintf(key, FACES_REPLIES "%s", clients[client]); }

static void submit(void) {
  int client = (int)random_below(&chance, CLIENTS), id = (int)random_below(&chance, IDS);
  int lane = (int)random_below(&chance, LANES), before = known[client][id];
  char name[16];
  snprintf(name, sizeof name, "%d", id);
  lk_redis_reply *reply =
      redis_ask(&redis, "FCALL", LK_SUBMIT, "1", lanes[lane], "id", name, "to", clients[client], NULL);
  size_t length;
  const char *state = lk_redis_reply_string(lk_redis_reply_element(reply, 0), &length);
  const char *entry = lk_redis_reply_string(lk_redis_reply_element(reply, 1), &length);
  if (before >= 0 && jobs[before].answered) {
    char key[64];
    list_key(client, key);
    cr_assert_str_eq(state, "ANSWERED");
    expect_redis(jobs[before].entry, "LINDEX", key, "-1", NULL);
    expected[client]++;
  } else if (before >= 0) {
    cr_assert_str_eq(state, "WAITING");
    cr_assert_str_eq(entry, jobs[before].logged ? "" : jobs[before].entry);
  } else {
    cr_assert_str_eq(state, "QUEUED");
    cr_assert_lt(jobs_count, JOBS);
    model_job *job = &jobs[known[client][id] = jobs_count++];
    *job = (model_job){.lane = lane, .client = client, .id = id};
    strcpy(job->entry, entry);
  }
  lk_redis_reply_free(reply);
}

static model_job *job_of(const char *entry, int lane) {
  int i = 0;
  while (i < jobs_count && (jobs[i].lane != lane || strcmp(jobs[i].entry, entry) != 0)) i++;
  cr_assert_lt(i, jobs_count, "nobody sent %s", entry);
  return &jobs[i];
}

static void read_jobs(int worker) {
  int lane = (int)random_below(&chance, LANES);
  lk_redis_reply *reply = redis_ask(&redis, "XREADGROUP", "GROUP", LK_GROUP, workers[worker], "COUNT", "3", "STREAMS",
                                    lanes[lane], ">", NULL);
  if (lk_redis_reply_elements(reply) > 0) {
    const lk_redis_reply *entries = lk_redis_reply_element(lk_redis_reply_element(reply, 0), 1);
    for (size_t i = 0; i < lk_redis_reply_elements(entries); i++) {
      size_t length;
      model_job *job =
          job_of(lk_redis_reply_string(lk_redis_reply_element(lk_redis_reply_element(entries, i), 0), &length), lane);
      cr_assert(!job->answered && !job->logged && !job->delivered, "%s is delivered again", job->entry);
      job->delivered = job->held[worker] = true;
      job->owner = worker;
    }
  }
  lk_redis_reply_free(reply);
}

static void claim(int worker, const char *whose) {
  lk_redis_reply *reply = redis_ask(&redis, "FCALL", LK_CLAIM, "4", FACES_WORKERS, lanes[0], lanes[1], lanes[2],
                                    LK_GROUP, workers[worker], "5", whose, NULL);
  for (size_t i = 0; i < lk_redis_reply_elements(reply); i++) {
    const lk_redis_reply *claimed = lk_redis_reply_element(reply, i);
    size_t length;
    model_job *job = job_of(lk_redis_reply_string(lk_redis_reply_element(claimed, 1), &length),
                            (int)lk_redis_reply_integer(lk_redis_reply_element(claimed, 0)) - 1);
    cr_assert(!job->answered && !job->logged && job->delivered, "%s need not be claimed", job->entry);
    cr_assert(job->owner == NOBODY || (strcmp(whose, "all") == 0 && job->owner != worker && !lives[job->owner]),
              "%s is taken from %d, who lives", job->entry, job->owner);
    job->owner = worker;
    job->held[worker] = true;
  }
  lk_redis_reply_free(reply);
}

/* Some job of this lane that the worker believes it has; NULL: none. */
static model_job *some_job(int worker, int lane) {
  int first = jobs_count > 0 ? (int)random_below(&chance, (uint32_t)jobs_count) : 0;
  for (int i = 0; i < jobs_count; i++) {
    model_job *job = &jobs[(first + i) % jobs_count];
    if (job->held[worker] && job->lane == lane) return job;
  }
  return NULL;
}

static bool is_pending(const model_job *job) { return job->delivered && !job->logged && !job->answered; }

/* Its first answer; the model says whether there may be one. */
static bool takes_answer(model_job *job) {
  bool takes = is_pending(job);
  if (takes) {
    expected[job->client]++;
    job->answered = true;
  }
  return takes;
}

static void finish(int worker) {
  int lane = (int)random_below(&chance, LANES), answered = 0, before = 0;
  char keys[CLIENTS][64], ids[FINISHED_MOST][16], lists[FINISHED_MOST][16];
  lk_command command = {0};
  lk_functions_begin(&command, LK_FINISH, "5");
  lk_command_add_string(&command, lanes[lane]);
  lk_command_add_string(&command, FACES_DEAD);
  for (int c = 0; c < CLIENTS; c++) {
    list_key(c, keys[c]);
    lk_command_add_string(&command, keys[c]);
  }
  lk_command_add_string(&command, LK_GROUP);
  for (uint32_t n = 1 + random_below(&chance, FINISHED_MOST), i = 0; i < n; i++) {
    model_job *job = some_job(worker, lane);
    if (job == NULL) break;
    snprintf(ids[i], sizeof ids[i], "%d", job->id);
    snprintf(lists[i], sizeof lists[i], "%d", job->client + 1);
    const char *const words[] = {job->entry, lists[i], ALWAYS, ids[i], job->entry};
    for (int w = 0; w < 6; w++) lk_command_add_string(&command, words[w]);
    if (random_one_in(&chance, 4)) job->held[worker] = false;
    *(takes_answer(job) ? &answered : &before) += 1;
  }
  lk_redis_reply *reply = NULL;
  cr_assert_eq(lk_functions_call(redis.link, &command, &reply, NULL), LK_OK);
  cr_assert_null(lk_redis_reply_error(reply), "%s", lk_redis_reply_error(reply));
  cr_assert_eq(lk_redis_reply_integer(lk_redis_reply_element(reply, 0)), answered);
  cr_assert_eq(lk_redis_reply_integer(lk_redis_reply_element(reply, 1)), before);
  lk_redis_reply_free(reply);
  lk_command_free(&command);
}

/* The worker makes a change of a job. */
static void mutate(int worker) {
  int lane = (int)random_below(&chance, LANES);
  model_job *job = some_job(worker, lane);
  if (job == NULL) return;
  char id[16], pattern[48];
  snprintf(id, sizeof id, "%d", job->id);
  snprintf(pattern, sizeof pattern, is_pending(job) ? "(LOGGED * %d %d)" : "(GONE)", logged_count + 1, logged_count);
  expect_call(pattern, LK_MUTATE, "3", FACES_LOG, FACES_STATE, lanes[lane], LK_GROUP, job->entry, "0", EVER, "1", "",
              "op", "tag", "id", id, "to", clients[job->client], NULL);
  if (random_one_in(&chance, 4)) job->held[worker] = false;
  if (!is_pending(job)) return;
  job->logged = true;
  logged[logged_count++] = job;
}

/* The owner of the log, which forgets now and then that it did. */
static void acknowledge(void) {
  if (logged_count == 0) return;
  bool is_again = acknowledged == logged_count || (acknowledged > 0 && random_one_in(&chance, 4));
  int seq = is_again ? 1 + (int)random_below(&chance, (uint32_t)acknowledged) : acknowledged + 1;
  model_job *job = logged[seq - 1];
  char key[64], id[16], number[16];
  list_key(job->client, key);
  snprintf(id, sizeof id, "%d", job->id);
  snprintf(number, sizeof number, "%d", seq);
  expect_call(is_again ? "(ACKNOWLEDGED 0 0 *)" : "(ACKNOWLEDGED 1 0 *)", LK_ACKNOWLEDGE, "2", FACES_STATE, key, "o",
              "1", number, "1", id, job->entry, NULL);
  if (is_again) return;
  acknowledged = seq;
  job->answered = true;
  expected[job->client]++;
}

static void hand_back(int worker) {
  int lane = (int)random_below(&chance, LANES);
  model_job *job = some_job(worker, lane);
  if (job == NULL) return;
  bool is_its = is_pending(job) && job->owner == worker;
  expect_call(is_its ? "1" : "0", LK_RETURN, "1", lanes[lane], LK_GROUP, workers[worker], job->entry, NULL);
  if (is_its) job->owner = NOBODY;
  job->held[worker] = false;
}

static void forget(void) {
  char key[64], name[16];
  int client = (int)random_below(&chance, CLIENTS), id = (int)random_below(&chance, IDS);
  if (known[client][id] < 0 || !jobs[known[client][id]].answered) return;
  list_key(client, key);
  snprintf(name, sizeof name, "%d", id);
  expect_call("1", LK_FORGET, "1", key, name, NULL);
  known[client][id] = -1;
}

static void lease(int worker) {
  redis_do(&redis, "FCALL", LK_LEASE, "1", FACES_WORKERS, workers[worker], "600000", LK_GROUP, NULL);
  lives[worker] = true;
}

static void die(int worker) {
  redis_do(&redis, "ZREM", FACES_WORKERS, workers[worker], NULL);
  lives[worker] = false;
}

static void destroy_group(void) {
  int lane = (int)random_below(&chance, LANES);
  redis_do(&redis, "XGROUP", "DESTROY", lanes[lane], LK_GROUP, NULL);
  redis_do(&redis, "FCALL", LK_JOIN, "3", lanes[0], lanes[1], lanes[2], LK_GROUP, NULL);
  for (int i = 0; i < jobs_count; i++)
    if (jobs[i].lane == lane) jobs[i].delivered = false;
}

static void trim(void) { redis_do(&redis, "FCALL", LK_TRIM, "3", lanes[0], lanes[1], lanes[2], LK_GROUP, NULL); }

static void step(void) {
  int worker = (int)random_below(&chance, WORKERS);
  uint32_t what = random_below(&chance, 128);
  if (what < 24)
    submit();
  else if (what < 48)
    read_jobs(worker);
  else if (what < 64)
    claim(worker, what < 56 ? "all" : "returned");
  else if (what < 76)
    finish(worker);
  else if (what < 82)
    mutate(worker);
  else if (what < 88)
    acknowledge();
  else if (what < 96)
    hand_back(worker);
  else if (what < 104)
    forget();
  else if (what < 112)
    lease(worker);
  else if (what < 120)
    die(worker);
  else if (what < 127)
    trim();
  else
    destroy_group();
}

static bool all_answered(void) {
  for (int i = 0; i < jobs_count; i++)
    if (!jobs[i].answered) return false;
  return true;
}

/* The lists have a reply to each job, and no more than the clients asked for again. */
static void expect_replies(void) {
  for (int c = 0; c < CLIENTS; c++) {
    char key[64];
    list_key(c, key);
    cr_assert_eq(redis_number(&redis, "LLEN", key, NULL), expected[c], "%s", clients[c]);
    for (int i = 0; i < jobs_count; i++)
      if (jobs[i].client == c)
        cr_assert_geq(redis_number(&redis, "EVAL", "return redis.call('LPOS', KEYS[1], ARGV[1]) and 1 or 0", "1", key,
                                   jobs[i].entry, NULL),
                      1, "%s has no answer to %s", clients[c], jobs[i].entry);
  }
}

/* The gallery's keys when everybody has everything: the streams, which are empty, the groups, and the log. */
static void expect_nothing_remains(void) {
  for (int w = 0; w < WORKERS; w++)
    redis_do(&redis, "FCALL", LK_LEAVE, "4", FACES_WORKERS, lanes[0], lanes[1], lanes[2], LK_GROUP, workers[w], NULL);
  for (int i = 0; i < 2; i++) claim(0, "all");
  for (int c = 0; c < CLIENTS; c++) {
    char key[64], name[16];
    list_key(c, key);
    redis_do(&redis, "DEL", key, NULL);
    for (int id = 0; id < IDS; id++) {
      snprintf(name, sizeof name, "%d", id);
      expect_call("1", LK_FORGET, "1", key, name, NULL);
    }
  }
  for (int l = 0; l < LANES; l++) {
    expect_redis("0", "XLEN", lanes[l], NULL);
    expect_redis("((name " LK_GROUP " consumers 0 pending 0 *))", "XINFO", "GROUPS", lanes[l], NULL);
  }
  expect_redis("(" FACES_GROUPS " " FACES_LOG " " FACES_STATE " " FACES_HI " " FACES_LO " " FACES_LO_3 ")", "EVAL",
               "local keys = redis.call('KEYS', '*') table.sort(keys) return keys", "0", NULL);
}

Test(model, each_job_is_answered_once) {
  const char *set = getenv("LIKENESS_SEED");
  chance.state = set != NULL ? strtoull(set, NULL, 10) : 14;
  fprintf(stderr, "model: LIKENESS_SEED=%llu\n", (unsigned long long)chance.state);
  memset(known, -1, sizeof known);
  redis_do(&redis, "FCALL", LK_JOIN, "3", lanes[0], lanes[1], lanes[2], LK_GROUP, NULL);
  log_settle();
  expect_call("(OWNER 1 0 0)", LK_OWN, "2", FACES_LOG, FACES_STATE, "o", "o", "86400000", "0", "0-0", ZEROS, "0", "0",
              NULL);
  for (int s = 0; s < STEPS; s++) step();
  for (int w = 0; w < WORKERS; w++) die(w);
  for (int round = 0; round < 10000 && !all_answered(); round++) {
    read_jobs(0);
    claim(0, "all");
    finish(0);
    acknowledge();
  }
  cr_assert(all_answered());
  cr_assert_gt(jobs_count, 100);
  cr_assert_gt(logged_count, 50);
  expect_replies();
  expect_nothing_remains();
}
