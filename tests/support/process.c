#include "tests/support/process.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

void sleep_ms(uint32_t ms) { lk_clock_sleep_us((uint64_t)ms * 1000); }

uint64_t now_ms(void) { return lk_clock_us() / 1000; }

static void become(const process *p, const char *const *words, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(126);
  int input = open("/dev/null", O_RDONLY);
  int output = p->output != NULL ? open(p->output, O_WRONLY) : p->out;
  dup2(input, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  dup2(p->log, STDERR_FILENO);
  signal(SIGPIPE, SIG_DFL);
  execvp(words[0], (char *const *)words);
  dprintf(STDERR_FILENO, "cannot run %s: %s\n", words[0], strerror(errno));
  _exit(127);
}

void process_start(process *p, const char *const *words) {
  const char *output = p->output;
  process_close(p);
  *p = (process){.out = memfd_create("out", MFD_CLOEXEC), .log = memfd_create("log", MFD_CLOEXEC), .output = output};
  cr_assert(p->out >= 0 && p->log >= 0);
  pid_t parent = getpid();
  fflush(NULL);
  p->pid = fork();
  cr_assert(p->pid >= 0);
  if (p->pid == 0) become(p, words, parent);
}

void process_signal(const process *p, int signal) {
  cr_assert(p->pid > 0);
  kill(p->pid, signal);
}

static bool reap(process *p, int *code) {
  int status;
  if (p->pid == 0 || waitpid(p->pid, &status, WNOHANG) != p->pid) return false;
  p->pid = 0;
  *code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return true;
}

int process_wait(process *p, uint32_t timeout_ms) {
  int code;
  for (uint64_t end_ms = now_ms() + timeout_ms; !reap(p, &code); sleep_ms(1))
    if (now_ms() > end_ms) return PROCESS_LATE;
  return code;
}

static const char *read_all(int file, char **text) {
  struct stat stat;
  cr_assert(fstat(file, &stat) == 0);
  free(*text);
  *text = calloc(1, (size_t)stat.st_size + 1);
  cr_assert(pread(file, *text, (size_t)stat.st_size, 0) == stat.st_size);
  return *text;
}

const char *process_out(process *p) { return read_all(p->out, &p->texts[0]); }

const char *process_log(process *p) { return read_all(p->log, &p->texts[1]); }

static bool is_over(const process *p) {
  siginfo_t info = {0};
  return waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0;
}

bool process_logs(process *p, const char *text, uint32_t timeout_ms) {
  for (uint64_t end_ms = now_ms() + timeout_ms;; sleep_ms(2)) {
    bool over = is_over(p);
    if (strstr(process_log(p), text) != NULL) return true;
    if (over || now_ms() > end_ms) return false;
  }
}

uint64_t process_peak_bytes(const process *p) {
  char path[64], line[256];
  unsigned long long peak_kib = 0;
  snprintf(path, sizeof path, "/proc/%d/status", (int)p->pid);
  FILE *status = fopen(path, "r");
  cr_assert_not_null(status);
  while (fgets(line, sizeof line, status) != NULL) sscanf(line, "VmHWM: %llu", &peak_kib);
  fclose(status);
  cr_assert_gt(peak_kib, 0);
  return peak_kib << 10;
}

void process_close(process *p) {
  if (p->pid > 0) {
    kill(p->pid, SIGKILL);
    waitpid(p->pid, NULL, 0);
  }
  if (p->out > 0) close(p->out);
  if (p->log > 0) close(p->log);
  free(p->texts[0]);
  free(p->texts[1]);
  *p = (process){0};
}
