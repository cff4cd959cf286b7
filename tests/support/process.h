/* A program that a test runs. Its output and its log go to files without a name, so that it never waits for a reader;
 * it dies with the test, however that ends. Whatever cannot be done here fails the test. */
#ifndef TESTS_SUPPORT_PROCESS_H
#define TESTS_SUPPORT_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { PROCESS_LATE = -1, PROCESS_PATIENCE_MS = 60000 };

typedef struct process {
  pid_t pid;          /* 0: none runs */
  int out, log;       /* its stdout and stderr */
  char *texts[2];     /* what process_out and process_log handed out */
  const char *output; /* set before the start: a path for its stdout, which process_out then does not show */
} process;

/* `words` ends with NULL; the first is the program. What an earlier program of this process left is forgotten. */
void process_start(process *process, const char *const *words);
void process_signal(const process *process, int signal);

/* The exit code, 128 plus the signal that killed it, or PROCESS_LATE: it still runs. */
int process_wait(process *process, uint32_t timeout_ms);

/* Waits until its log holds `text`; false when it ended, or the time did, without. */
bool process_logs(process *process, const char *text, uint32_t timeout_ms);

/* All of it so far; valid until asked again. */
const char *process_out(process *process);
const char *process_log(process *process);

/* The most memory that it has had so far. */
uint64_t process_peak_bytes(const process *process);

/* Kills it where it still runs. */
void process_close(process *process);

void sleep_ms(uint32_t ms);
/* Milliseconds of a clock that only goes forward. */
uint64_t now_ms(void);

#endif
