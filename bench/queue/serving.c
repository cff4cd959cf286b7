#include "bench/queue/serving.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/bench.h"

enum { WORDS_MOST = 24, LOG_PATH = 96 };
static const double start_patience_s = 300, stop_patience_s = 30;

/* `words` end with NULL. Its output goes into the file of this name. */
static pid_t start(const char *const *words, const char *log) {
  pid_t parent = getpid(), child = fork();
  if (child < 0) bench_fail("cannot fork");
  if (child > 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  int file = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (getppid() != parent || file < 0) _exit(126);
  dup2(file, STDOUT_FILENO);
  dup2(file, STDERR_FILENO);
  execvp(words[0], (char *const *)words);
  _exit(127);
}

static void check_lives(pid_t pid, const char *what) {
  if (waitpid(pid, NULL, WNOHANG) == pid) bench_fail(what);
}

static void start_redis(serving *s) {
  char log[LOG_PATH];
  snprintf(log, sizeof log, "%s/redis.log", s->folder);
  snprintf(s->socket, sizeof s->socket, "%s/redis", s->folder);
  const char *const words[] = {"redis-server",
                               "--port",
                               "0",
                               "--unixsocket",
                               s->socket,
                               "--save",
                               "",
                               "--dir",
                               s->folder,
                               "--appendonly",
                               s->options.aof ? "yes" : "no",
                               "--appendfsync",
                               "everysec",
                               NULL};
  s->redis = start(words, log);
  lk_address address;
  lk_error error;
  char url[sizeof s->socket + 8];
  snprintf(url, sizeof url, "unix:%s", s->socket);
  if (lk_address_parse(url, &address, &error) != LK_OK) bench_fail(error.text);
  for (double end = bench_now() + start_patience_s; lk_redis_open(&address, &s->link, &error) != LK_OK;
       lk_clock_sleep_us(5000)) {
    check_lives(s->redis, "redis-server did not start");
    if (bench_now() > end) bench_fail(error.text);
  }
}

static void worker_log(const serving *s, uint32_t worker, char path[LOG_PATH]) {
  snprintf(path, LOG_PATH, "%s/worker-%u.log", s->folder, worker);
}

static void start_worker(serving *s, uint32_t worker) {
  char log[LOG_PATH], url[sizeof s->socket + 8], threads[12], batch[12];
  worker_log(s, worker, log);
  snprintf(url, sizeof url, "unix:%s", s->socket);
  snprintf(threads, sizeof threads, "%u", s->options.threads);
  snprintf(batch, sizeof batch, "%u", s->options.batch);
  const char *words[WORDS_MOST] = {LIKENESS_PROGRAM, "serve", s->faces->gallery, "--redis", url, "--threads", threads};
  if (s->options.batch > 0) {
    words[7] = "--batch";
    words[8] = batch;
  }
  s->workers[worker] = start(words, log);
}

int64_t serving_ask(serving *s, size_t count, const char *const *words) {
  lk_redis_reply *reply = NULL;
  lk_error error;
  if (lk_redis_call_words(s->link, &reply, &error, count, words) != LK_OK) bench_fail(error.text);
  if (lk_redis_reply_error(reply) != NULL) bench_fail(lk_redis_reply_error(reply));
  int64_t number = lk_redis_reply_integer(reply);
  lk_redis_reply_free(reply);
  return number;
}

void serving_open(serving *s, const faces *f, const serving_options *options) {
  const char *const count[] = {"ZCARD", "lk:{faces}:workers"};
  static uint32_t folders;
  *s = (serving){.faces = f, .options = *options};
  snprintf(s->folder, sizeof s->folder, "%s/%u", f->folder, folders++);
  if (mkdir(s->folder, 0700) != 0) bench_fail("cannot make a folder");
  if (options->workers > SERVING_WORKERS_MOST) bench_fail("too many workers");
  start_redis(s);
  for (uint32_t w = 0; w < options->workers; w++) start_worker(s, w);
  for (double end = bench_now() + start_patience_s; serving_ask(s, 2, count) < options->workers;
       lk_clock_sleep_us(5000)) {
    for (uint32_t w = 0; w < options->workers; w++) check_lives(s->workers[w], "a worker ended");
    if (bench_now() > end) bench_fail("the workers do not serve");
  }
}

/* From the last line of its log. */
static uint64_t jobs_of(const serving *s, uint32_t worker) {
  static const char before[] = "stopped after ";
  char path[LOG_PATH], line[512];
  uint64_t jobs = 0;
  worker_log(s, worker, path);
  FILE *log = fopen(path, "r");
  if (log == NULL) bench_fail("a worker has no log");
  while (fgets(line, sizeof line, log) != NULL) {
    const char *at = strstr(line, before);
    if (at != NULL) jobs = strtoull(at + sizeof before - 1, NULL, 10);
  }
  fclose(log);
  return jobs;
}

static void await_end(pid_t pid) {
  for (double end = bench_now() + stop_patience_s; waitpid(pid, NULL, WNOHANG) != pid; lk_clock_sleep_us(2000))
    if (bench_now() > end) bench_fail("a worker does not stop");
}

void serving_close(serving *s, uint64_t jobs[SERVING_WORKERS_MOST]) {
  for (uint32_t w = 0; w < s->options.workers; w++) kill(s->workers[w], SIGTERM);
  for (uint32_t w = 0; w < s->options.workers; w++) {
    await_end(s->workers[w]);
    uint64_t answered = jobs_of(s, w);
    if (jobs != NULL) jobs[w] = answered;
  }
  lk_redis_close(s->link);
  kill(s->redis, SIGKILL);
  waitpid(s->redis, NULL, 0);
}

double serving_cpu_us(pid_t pid) {
  clockid_t clock;
  struct timespec spent;
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &spent) != 0) bench_fail("a program has ended");
  return (double)spent.tv_sec * 1e6 + (double)spent.tv_nsec * 1e-3;
}
