/* Shared parts of the end-to-end tests: a folder with a gallery, a private Redis, and the program itself. A suite uses
 * e2e_setup and e2e_teardown as its .init and .fini. Any error here fails the test. */
#ifndef TESTS_E2E_E2E_H
#define TESTS_E2E_E2E_H

#include <jansson.h>

#include "engine/queue/keys.h"
#include "engine/queue/protocol.h"
#include "tests/support/files.h"
#include "tests/support/process.h"
#include "tests/support/redis/redis_server.h"

enum { FACES_DIM = 24, FACES_ROWS = 600, FACES_PROBES = 150 };

/* The keys of the gallery "faces", as docs/protocol.md has them. */
#define FACES_HI "lk:{faces}:q:hi"
#define FACES_LO "lk:{faces}:q:lo"
#define FACES_RUNNING "lk:{faces}:running"
#define FACES_DEATHS "lk:{faces}:deaths"
#define FACES_CANCELLED "lk:{faces}:cancelled"
#define FACES_DEAD "lk:{faces}:dead"
#define FACES_HEADS "lk:{faces}:heads"
#define FACES_WORKERS "lk:{faces}:workers"
#define FACES_GROUPS "lk:{faces}:groups"
#define FACES_REPLIES "lk:{faces}:r:"
#define FACES_SIGNED "lk:{faces}:signed:"

/* A policy that permits the purpose "demo". More fields of its rule, and more rules, may follow. */
#define DEMO_PERMIT                         \
  "policy: 1\n"                             \
  "name: test\n"                            \
  "rules:\n"                                \
  "  - id: demo\n"                          \
  "    effect: permit\n"                    \
  "    text: Demonstrations are allowed.\n" \
  "    purposes: [demo]\n"

extern char faces[PATH_MAX], probes[PATH_MAX]; /* the gallery's folder, the file of the probes */
extern redis_server redis;                     /* named, not started */
extern float *faces_probes;                    /* FACES_PROBES x FACES_DIM */

/* Makes the gallery "faces" (cosine, model "m1"; keys t0, t1, ..., three to a subject s0, s1, ...;
 * row i has tags i % 8), and "probes.npy".
 */
void e2e_setup(void);
/* The same, and starts Redis. */
void e2e_setup_with_redis(void);
void e2e_teardown(void);

/* Runs the program with these words (the last is NULL) to its end; returns the exit code. */
int likeness(process *process, ...) __attribute__((sentinel));

/* Fails unless the program ended with the exit code that is wanted and has these words on stderr. */
void expect_exit(process *process, int exit_code, int wanted, const char *words);
/* Fails unless it has these words on stdout. */
void expect_out(process *process, const char *words);

/* Runs the program with these words. */
#define EXPECT(process, wanted, words, ...) expect_exit(process, likeness(process, __VA_ARGS__, NULL), wanted, words)

/* Starts it. */
void likeness_start(process *process, ...) __attribute__((sentinel));

/* Starts a worker on "faces" with these further words and waits until it serves. */
void worker_start(process *worker, ...) __attribute__((sentinel));
/* Waits until clients see that a worker serves the gallery of these workers. */
void workers_await(const char *workers);
/* Starts a worker that is busy for many seconds: one thread searches a large gallery, "many", for all its LONG_JOBS
 * jobs in one batch, with replies to "me". */
enum { LONG_JOBS = 16 };
void worker_start_long(process *worker);
/* Sends SIGTERM and expects exit code 0. */
void worker_stop(process *worker);

/* A job. A field that is NULL gets a usual value; NO_FIELD leaves it out. */
typedef struct test_job {
  const char *stream, *entry, *v, *op, *id, *to, *gallery, *k, *n, *threshold, *ttl, *flags, *model, *subject, *tags;
  const char *extra, *extra_value;
  const void *f32;
  size_t bytes;
  const char *f32_name;
} test_job;

extern const char NO_FIELD[];

void send_job(const test_job *job);
/* Sends n small jobs "<prefix>0", "<prefix>1", ... with replies to `to`, in one pipeline. */
void send_jobs(const char *stream, const char *prefix, const char *to, uint32_t n);

/* The next reply in the list of this key, as JSON; the caller frees it. Fails the test where none comes. */
json_t *next_reply_at(const char *key);
/* The next reply to `to` from the workers of "faces", as JSON; the caller frees it. Fails the test where none comes. */
json_t *next_reply(const char *to);
const char *reply_text(const json_t *reply, const char *field);
int64_t reply_number(const json_t *reply, const char *field);
/* Expects the next reply to have this id and this status, and `words` in its text. */
void expect_reply(const char *to, const char *id, const char *status, const char *words);
/* Expects the list of `to` to hold exactly one reply to each of the n jobs "<prefix>...". */
void expect_each_once(const char *to, const char *prefix, uint32_t n);

/* Entries that were delivered and not acknowledged, on all streams. */
int64_t pending(void);

/* Entries in all streams. */
int64_t queued(void);
/* Waits until there are so many. False: there never were. */
bool await_queued(int64_t jobs);

#endif
