#include "index/formats/vectors/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/file.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

enum { GOES_ON = 0, ANSWERS = 1 }; /* a message's first byte */

#ifndef SANITIZED
static const rlim_t memory_most = (rlim_t)2 << 30; /* more than what the caller has */

static void limit_memory(void) {
  unsigned long long pages = 0;
  struct rlimit limit;
  FILE *file = fopen("/proc/self/statm", "re");
  if (file == NULL || fscanf(file, "%llu", &pages) != 1) pages = 0;
  if (file != NULL) fclose(file);
  if (pages == 0 || getrlimit(RLIMIT_AS, &limit) != 0) return;
  rlim_t most = pages * (rlim_t)sysconf(_SC_PAGESIZE) + memory_most;
  if (most < limit.rlim_max) limit.rlim_cur = most;
  setrlimit(RLIMIT_AS, &limit);
}

/* What the C library would say of a damaged heap. */
static void be_silent(void) {
  int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (nowhere >= 0) dup2(nowhere, STDERR_FILENO);
}
#endif

static void limit_time(uint32_t seconds) {
  struct rlimit limit;
  struct timespec used = {0};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  getrlimit(RLIMIT_CPU, &limit);
  rlim_t most = (rlim_t)used.tv_sec + seconds;
  limit.rlim_cur = most < limit.rlim_max ? most : limit.rlim_max;
  setrlimit(RLIMIT_CPU, &limit);
}

/* What the caller handles. A sanitizer keeps its memory and its words. */
static void leave_caller(const lk_child *child) {
  static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGXCPU};
  for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) signal(signals[i], SIG_DFL);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const struct rlimit no_core = {0};
  setrlimit(RLIMIT_CORE, &no_core);
#ifndef SANITIZED
  limit_memory();
  be_silent();
#endif
  limit_time(child->processor_s);
}

/* A pipe takes a message of this size whole. If the caller is gone, the child is, too. */
static void post(int to, char kind, void *bytes, size_t size) {
  struct iovec message[] = {{&kind, 1}, {bytes, size}};
  if (writev(to, message, 2) < 0) raise(SIGKILL);
}

void lk_child_go_on(const lk_child *child) {
  limit_time(child->processor_s);
  post(child->to, GOES_ON, NULL, 0);
}

/* It ends without running what the caller has registered for its own end. */
static void run(lk_child *child, lk_child_work *work, const void *task, void *answer, size_t answer_bytes) {
  leave_caller(child);
  work(child, task, answer);
  post(child->to, ANSWERS, answer, answer_bytes);
  raise(SIGKILL);
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Reads some bytes, until `end_ms` at the latest. 0: there are no more; -1: none came in time. */
static ssize_t read_some(int from, int64_t end_ms, void *bytes, size_t size) {
  for (;;) {
    int64_t left_ms = end_ms - now_ms();
    struct pollfd readable = {.fd = from, .events = POLLIN};
    int ready = left_ms > 0 ? poll(&readable, 1, (int)left_ms) : 0;
    ssize_t got = ready > 0 ? read(from, bytes, size) : -1;
    if (ready == 0 || got >= 0) return got;
    if (errno != EINTR) return 0;
  }
}

/* 1: the answer is there; 0: the child is at its end without one; -1: it took too long. */
static int take_answer(const lk_child *limits, int from, char *answer, size_t size) {
  char kind = GOES_ON;
  ssize_t got = 1;
  int64_t end_ms = 0;
  while (got == 1 && kind == GOES_ON) {
    end_ms = now_ms() + limits->wait_ms;
    got = read_some(from, end_ms, &kind, 1);
  }
  for (size_t done = 0; got > 0 && done < size; done += (size_t)got) {
    got = read_some(from, end_ms, answer + done, size - done);
    if (got <= 0) break;
  }
  return got > 0 ? 1 : (int)got;
}

/* Why there is no answer. */
static lk_status explain(const char *name, const lk_child *limits, int status, lk_error *error) {
  if (WIFEXITED(status))
    return lk_fail(error, LK_EIO, "%s: the process that reads it ended with exit code %d", name, WEXITSTATUS(status));
  switch (WTERMSIG(status)) {
    case SIGXCPU:
      return lk_fail(error, LK_EFORMAT, "%s: a part of it took more than %u s of a processor", name,
                     limits->processor_s);
    case SIGINT:
    case SIGTERM:
    case SIGHUP:
      return lk_fail(error, LK_EIO, "%s: the process that reads it was stopped", name);
    case SIGKILL:
      return lk_fail(error, LK_EIO, "%s: the process that reads it was killed; there may be too little memory", name);
    default:
      return lk_fail(error, LK_EFORMAT, "%s: its library failed on this file: it is damaged", name);
  }
}

static lk_status await(const char *name, const lk_child *limits, pid_t child, int from, char *answer, size_t size,
                       lk_error *error) {
  int status = 0, taken = take_answer(limits, from, answer, size);
  if (taken != 0) kill(child, SIGKILL);
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (taken > 0) return LK_OK;
  if (taken < 0)
    return lk_fail(error, LK_EIO, "%s: nothing of it could be read for %u s", name, (limits->wait_ms + 999) / 1000);
  return explain(name, limits, status, error);
}

lk_status lk_child_run(const char *name, const lk_child *limits, lk_child_work *work, const void *task, void *answer,
                       size_t answer_bytes, lk_error *error) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return lk_fail(error, LK_EIO, "cannot make a pipe: %s", strerror(errno));
  for (int i = 0; i < 2; i++) ends[i] = lk_file_raise(ends[i]);
  lk_child self = *limits;
  self.to = ends[1];
  pid_t child = fork();
  if (child == 0) run(&self, work, task, answer, answer_bytes);
  int fault = errno;
  close(ends[1]);
  lk_status status = child > 0 ? await(name, limits, child, ends[0], answer, answer_bytes, error)
                               : lk_fail(error, LK_EIO, "cannot start a process: %s", strerror(fault));
  close(ends[0]);
  return status;
}
