#include "tests/e2e/e2e.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MOST = 48 };

char faces[PATH_MAX], probes[PATH_MAX];
redis_server redis;
float *faces_probes;
const char NO_FIELD[] = "";

/* Probes are near rows of the gallery, so that lists have a clear first and scores of every size. */
static float *make_probes(random_state *random, const float *rows) {
  float *made = files_random(random, FACES_PROBES, FACES_DIM);
  for (size_t i = 0; i < (size_t)FACES_PROBES * FACES_DIM; i++)
    made[i] = 0.5F * made[i] + rows[i * 3 % (FACES_ROWS * FACES_DIM)];
  return made;
}

static void make_faces(void) {
  static char names[FACES_ROWS][2][24];
  lk_label labels[FACES_ROWS] = {0};
  for (int i = 0; i < FACES_ROWS; i++) {
    int key = snprintf(names[i][0], sizeof names[i][0], i % 50 == 7 ? "t%d, \"\xc3\xa9\"" : "t%d", i);
    int subject = snprintf(names[i][1], sizeof names[i][1], "s%d", i / 3);
    labels[i].key = (lk_text){names[i][0], (uint32_t)key};
    labels[i].subject = (lk_text){names[i][1], (uint32_t)subject};
    labels[i].tags = (uint64_t)i % 8;
  }
  random_state random = {7};
  float *rows = files_random(&random, FACES_ROWS, FACES_DIM);
  files_enroll(files_gallery("faces", LK_COSINE, FACES_DIM), rows, FACES_ROWS, FACES_DIM, labels);
  faces_probes = make_probes(&random, rows);
  files_write_npy(probes, "<f4", FACES_PROBES, FACES_DIM, faces_probes, sizeof(float) * FACES_PROBES * FACES_DIM);
  free(rows);
}

void e2e_setup(void) {
  files_setup();
  strcpy(faces, files_path("faces"));
  strcpy(probes, files_path("probes.npy"));
  make_faces();
  redis_server_name(&redis, files_root);
}

void e2e_setup_with_redis(void) {
  e2e_setup();
  redis_server_start(&redis, true);
}

void e2e_teardown(void) {
  redis_server_close(&redis);
  free(faces_probes);
  files_teardown();
}

static void start(process *p, va_list more, const char *const *first, size_t count) {
  const char *words[WORDS_MOST] = {LIKENESS_PROGRAM};
  if (count > 0) memcpy(words + 1, first, count * sizeof *first);
  while ((words[++count] = va_arg(more, const char *)) != NULL) cr_assert_lt(count, WORDS_MOST - 1);
  process_start(p, words);
}

void likeness_start(process *p, ...) {
  va_list words;
  va_start(words, p);
  start(p, words, NULL, 0);
  va_end(words);
}

int likeness(process *p, ...) {
  va_list words;
  va_start(words, p);
  start(p, words, NULL, 0);
  va_end(words);
  int code = process_wait(p, PROCESS_PATIENCE_MS);
  cr_assert_neq(code, PROCESS_LATE, "it does not end: %s", process_log(p));
  return code;
}

void expect_exit(process *p, int exit_code, int wanted, const char *words) {
  cr_assert_eq(exit_code, wanted, "exit code %d: %s", exit_code, process_log(p));
  cr_assert_not_null(strstr(process_log(p), words), "'%s' is not in: %s", words, process_log(p));
}

void expect_out(process *p, const char *words) {
  cr_assert_not_null(strstr(process_out(p), words), "'%s' is not in: %s", words, process_out(p));
}

void worker_start(process *worker, ...) {
  const char *const first[] = {"serve", faces, "--redis", redis.url};
  va_list words;
  va_start(words, worker);
  start(worker, words, first, 4);
  va_end(words);
  cr_assert(process_logs(worker, "serving faces", PROCESS_PATIENCE_MS), "%s", process_log(worker));
}

void workers_await(const char *workers) { cr_assert(redis_reaches(&redis, 1, "EXISTS", workers, NULL)); }

void worker_start_long(process *worker) {
  enum { PROBES = 4096, ROWS = 600000 };
  const char *const many = files_gallery("many", LK_COSINE, FACES_DIM);
  random_state random = {12};
  float *rows = files_random(&random, ROWS, FACES_DIM);
  files_enroll(many, rows, ROWS, FACES_DIM, NULL);
  for (int i = 0; i < LONG_JOBS; i++)
    send_job(&(test_job){.stream = "lk:{many}:q:lo",
                         .gallery = "many",
                         .k = "64",
                         .n = "4096",
                         .flags = "",
                         .f32 = rows,
                         .bytes = PROBES * FACES_DIM * sizeof(float)});
  free(rows);
  worker_start(worker, many, "--batch", "65536", "--max-queue-delay-us", "5000000", "--device", "cpu", "--threads", "1",
               NULL);
  cr_assert(redis_reaches(&redis, 1, "EXISTS", "lk:{many}:running", NULL));
}

void worker_stop(process *worker) {
  process_signal(worker, SIGTERM);
  int code = process_wait(worker, PROCESS_PATIENCE_MS);
  cr_assert_eq(code, 0, "exit code %d: %s", code, process_log(worker));
}

static void add_text(lk_command *command, const char *name, const char *value, const char *usual) {
  if (value == NULL) value = usual;
  if (value == NULL || value == NO_FIELD) return;
  lk_command_add_string(command, name);
  lk_command_add_string(command, value);
}

static void build_job(lk_command *command, const test_job *job) {
  lk_command_add_string(command, "XADD");
  add_text(command, job->stream != NULL ? job->stream : FACES_LO, job->entry, "*");
  add_text(command, "v", job->v, "1");
  add_text(command, "op", job->op, "identify");
  add_text(command, "id", job->id, "j1");
  add_text(command, "to", job->to, "me");
  add_text(command, "gallery", job->gallery, "faces");
  add_text(command, "k", job->k, "3");
  add_text(command, "n", job->n, "1");
  add_text(command, "threshold", job->threshold, NULL);
  add_text(command, "ttl", job->ttl, NULL);
  add_text(command, "flags", job->flags, "json");
  add_text(command, "model", job->model, NULL);
  add_text(command, "subject", job->subject, NULL);
  if (job->tags != NULL) add_text(command, "tags", job->tags, NULL);
  if (job->extra != NULL) add_text(command, job->extra, job->extra_value, NULL);
  if (job->f32 == NO_FIELD) return;
  lk_command_add_string(command, job->f32_name != NULL ? job->f32_name : "f32");
  if (job->f32 != NULL)
    lk_command_add(command, job->f32, job->bytes);
  else
    lk_command_add(command, faces_probes, job->bytes > 0 ? job->bytes : FACES_DIM * sizeof(float));
}

static void receive_id(void) {
  lk_redis_reply *reply = NULL;
  lk_error error = {0};
  cr_assert_eq(lk_redis_receive(redis.link, &reply, &error), LK_OK, "%s", error.text);
  cr_assert_null(lk_redis_reply_error(reply), "%s", lk_redis_reply_error(reply));
  lk_redis_reply_free(reply);
}

void send_job(const test_job *job) {
  lk_command command = {0};
  build_job(&command, job);
  cr_assert_eq(lk_redis_send(redis.link, &command, NULL), LK_OK);
  receive_id();
  lk_command_free(&command);
}

void send_jobs(const char *stream, const char *prefix, const char *to, uint32_t n) {
  lk_command command = {0};
  for (uint32_t i = 0; i < n; i++) {
    char id[64];
    snprintf(id, sizeof id, "%s%u", prefix, i);
    lk_command_clear(&command);
    build_job(&command, &(test_job){.stream = stream,
                                    .id = id,
                                    .to = to,
                                    .f32 = faces_probes + i % FACES_PROBES * FACES_DIM,
                                    .bytes = FACES_DIM * sizeof(float)});
    cr_assert_eq(lk_redis_send(redis.link, &command, NULL), LK_OK);
  }
  for (uint32_t i = 0; i < n; i++) receive_id();
  lk_command_free(&command);
}

json_t *next_reply(const char *to) {
  char key[256];
  snprintf(key, sizeof key, "%s%s", FACES_REPLIES, to);
  return next_reply_at(key);
}

json_t *next_reply_at(const char *key) {
  lk_redis_reply *reply = NULL;
  for (int s = 0; s < PROCESS_PATIENCE_MS / 20000 && (reply == NULL || lk_redis_reply_elements(reply) == 0); s++) {
    lk_redis_reply_free(reply);
    reply = redis_ask(&redis, "BLPOP", key, "20", NULL);
  }
  cr_assert_eq(lk_redis_reply_elements(reply), 2, "no reply in %s", key);
  size_t length;
  const char *bytes = lk_redis_reply_string(lk_redis_reply_element(reply, 1), &length);
  json_error_t error;
  json_t *json = json_loadb(bytes, length, 0, &error);
  cr_assert_not_null(json, "%s: %.*s", error.text, (int)length, bytes);
  lk_redis_reply_free(reply);
  return json;
}

const char *reply_text(const json_t *reply, const char *field) {
  const char *text = json_string_value(json_object_get(reply, field));
  cr_assert_not_null(text, "no %s", field);
  return text;
}

int64_t reply_number(const json_t *reply, const char *field) {
  const json_t *number = json_object_get(reply, field);
  cr_assert(json_is_integer(number), "no %s", field);
  return json_integer_value(number);
}

void expect_reply(const char *to, const char *id, const char *status, const char *words) {
  json_t *reply = next_reply(to);
  cr_assert_str_eq(reply_text(reply, "id"), id);
  cr_assert_str_eq(reply_text(reply, "status"), status, "%s: %s", reply_text(reply, "status"),
                   reply_text(reply, "text"));
  cr_assert_not_null(strstr(reply_text(reply, "text"), words), "'%s' is not in '%s'", words, reply_text(reply, "text"));
  json_decref(reply);
}

void expect_each_once(const char *to, const char *prefix, uint32_t n) {
  char key[256];
  snprintf(key, sizeof key, "%s%s", FACES_REPLIES, to);
  cr_assert_eq(redis_number(&redis, "LLEN", key, NULL), n);
  uint8_t *met = calloc(n, 1);
  for (uint32_t i = 0; i < n; i++) {
    json_t *reply = next_reply(to);
    const char *id = reply_text(reply, "id");
    cr_assert_eq(strncmp(id, prefix, strlen(prefix)), 0);
    uint32_t number = (uint32_t)atoi(id + strlen(prefix));
    cr_assert(number < n && !met[number], "%s is answered twice", id);
    cr_assert_str_eq(reply_text(reply, "status"), "OK");
    met[number] = 1;
    json_decref(reply);
  }
  free(met);
}

int64_t queued(void) {
  int64_t sum = 0;
  lk_keys keys;
  cr_assert_eq(lk_keys_make("faces", &keys, NULL), LK_OK);
  for (int i = 0; i < LK_PRIORITIES * LK_LANES; i++)
    sum += redis_number(&redis, "XLEN", keys.lanes[i / LK_LANES][i % LK_LANES], NULL);
  return sum;
}

bool await_queued(int64_t jobs) {
  for (uint64_t end_ms = now_ms() + PROCESS_PATIENCE_MS; now_ms() < end_ms; sleep_ms(2))
    if (queued() == jobs) return true;
  return false;
}

/* A stream that has no group yet has nothing pending. */
static int64_t pending_in(const char *stream) {
  const char *const words[] = {"XPENDING", stream, LK_GROUP};
  lk_redis_reply *reply = NULL;
  lk_error error;
  cr_assert_eq(lk_redis_call_words(redis.link, &reply, &error, 3, words), LK_OK, "%s", error.text);
  const char *refused = lk_redis_reply_error(reply);
  cr_assert(refused == NULL || strncmp(refused, "NOGROUP", 7) == 0, "%s", refused);
  int64_t count = refused == NULL ? lk_redis_reply_integer(lk_redis_reply_element(reply, 0)) : 0;
  lk_redis_reply_free(reply);
  return count;
}

int64_t pending(void) {
  int64_t sum = 0;
  lk_keys keys;
  cr_assert_eq(lk_keys_make("faces", &keys, NULL), LK_OK);
  for (int i = 0; i < LK_PRIORITIES * LK_LANES; i++) sum += pending_in(keys.lanes[i / LK_LANES][i % LK_LANES]);
  return sum;
}
