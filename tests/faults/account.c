#include "tests/faults/account.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* What can be wrong with a job, and how many of each are shown. */
typedef enum flaw { RIGHT, MISSING, WRONG, CONTRADICTED, FLAWS } flaw;

enum { SHOWN_MOST = 4 };

typedef struct line {
  account_job job;
  lk_entry entry;
  answer first, other; /* the first answer, and one that differs from it */
  uint32_t answers;
  bool accepted, cancelled, contradicted;
  bool doubted;     /* Redis may have lost its answer */
  const char *lost; /* why */
} line;

struct account {
  pthread_mutex_t lock;
  uint32_t jobs, jobs_most, strangers;
  line *lines;
};

account *account_open(uint32_t jobs_most) {
  account *a = calloc(1, sizeof *a);
  line *lines = calloc(jobs_most, sizeof *lines);
  if (a == NULL || lines == NULL) abort();
  *a = (account){.lock = PTHREAD_MUTEX_INITIALIZER, .jobs_most = jobs_most, .lines = lines};
  return a;
}

void account_close(account *a) {
  free(a->lines);
  free(a);
}

uint32_t account_send(account *a, const account_job *job) {
  pthread_mutex_lock(&a->lock);
  uint32_t number = a->jobs < a->jobs_most ? a->jobs++ : ACCOUNT_FULL;
  if (number != ACCOUNT_FULL) a->lines[number].job = *job;
  pthread_mutex_unlock(&a->lock);
  return number;
}

account_job account_job_of(account *a, uint32_t number) {
  pthread_mutex_lock(&a->lock);
  account_job job = a->lines[number].job;
  pthread_mutex_unlock(&a->lock);
  return job;
}

void account_accept(account *a, uint32_t number, lk_entry entry) {
  pthread_mutex_lock(&a->lock);
  line *l = &a->lines[number];
  l->accepted = true;
  l->entry = entry;
  l->lost = NULL;
  pthread_mutex_unlock(&a->lock);
}

static bool equal(const answer *a, const answer *b) { return a->status == b->status && a->digest == b->digest; }

/* Redis lost the answer, and then gave the job to a worker that remembers its signature. */
static bool is_refused(const line *l, const answer *read) {
  return l->doubted && read->status == LK_EPOLICY && strstr(read->text, "received and decided before") != NULL;
}

static bool is_right(const line *l, const answer *read) {
  if (l->job.poison) return read->status == LK_EPOISON;
  if (read->status == LK_OK) return read->digest == l->job.digest;
  return (l->cancelled && read->status == LK_ECANCELLED) || is_refused(l, read);
}

static void enter(line *l, const answer *read) {
  bool explained = l->doubted && is_right(l, read);
  if (l->answers++ == 0) {
    l->first = *read;
  } else if (!equal(&l->first, read) && !explained) {
    l->contradicted = true;
    l->other = *read;
  }
}

void account_answer(account *a, const char *reply, size_t length) {
  answer read;
  bool whole = answer_read(reply, length, &read);
  pthread_mutex_lock(&a->lock);
  if (whole && read.job < a->jobs)
    enter(&a->lines[read.job], &read);
  else
    a->strangers++;
  pthread_mutex_unlock(&a->lock);
}

void account_cancel(account *a, uint32_t number) {
  pthread_mutex_lock(&a->lock);
  a->lines[number].cancelled = true;
  pthread_mutex_unlock(&a->lock);
}

bool account_is_open(account *a, uint32_t number) {
  pthread_mutex_lock(&a->lock);
  bool open = a->lines[number].answers == 0 && a->lines[number].lost == NULL;
  pthread_mutex_unlock(&a->lock);
  return open;
}

static bool is_after(lk_entry a, lk_entry b) { return a.ms > b.ms || (a.ms == b.ms && a.sequence > b.sequence); }

uint32_t account_lose(account *a, uint32_t stream, lk_entry last, const char *reason) {
  uint32_t lost = 0;
  pthread_mutex_lock(&a->lock);
  for (line *l = a->lines; l < a->lines + a->jobs; l++) {
    if (!l->accepted || l->job.stream != stream) continue;
    l->doubted = true;
    if (l->answers > 0 || l->lost != NULL || !is_after(l->entry, last)) continue;
    l->lost = reason;
    lost++;
  }
  pthread_mutex_unlock(&a->lock);
  return lost;
}

static void add(account_sums *sums, const line *l) {
  bool answered = l->answers > 0;
  sums->sent++;
  sums->accepted += l->accepted;
  sums->answered += answered;
  sums->repeated += l->answers > 1 && !l->contradicted;
  sums->lost += !answered && l->lost != NULL;
  sums->missing += l->accepted && !answered && l->lost == NULL;
  sums->wrong += answered && !is_right(l, &l->first);
  sums->cancelled += answered && l->first.status == LK_ECANCELLED;
  sums->refused += answered && is_refused(l, &l->first);
  sums->contradicted += l->contradicted;
  sums->poison += l->accepted && l->job.poison;
  sums->poison_answered += answered && l->job.poison;
}

account_sums account_sum(account *a) {
  account_sums sums = {0};
  pthread_mutex_lock(&a->lock);
  for (uint32_t i = 0; i < a->jobs; i++) add(&sums, &a->lines[i]);
  sums.strangers = a->strangers;
  pthread_mutex_unlock(&a->lock);
  return sums;
}

static flaw flaw_of(const line *l) {
  if (l->answers == 0) return l->accepted && l->lost == NULL ? MISSING : RIGHT;
  if (!is_right(l, &l->first)) return WRONG;
  return l->contradicted ? CONTRADICTED : RIGHT;
}

static void show_answer(FILE *out, const char *before, const answer *shown) {
  fprintf(out, "%s%s ", before, lk_status_name(shown->status));
  if (shown->status == LK_OK)
    fprintf(out, "%016" PRIx64, shown->digest);
  else
    fprintf(out, "'%s'", shown->text);
}

static void show(FILE *out, uint32_t number, const line *l, flaw found) {
  static const char *const words[FLAWS] = {[MISSING] = "was accepted and never answered",
                                           [WRONG] = "has a wrong answer",
                                           [CONTRADICTED] = "has two different answers"};
  fprintf(out, "  job %u (stream %u, entry %" PRIu64 "-%" PRIu64 ", probes %u+%u, k %u%s%s) %s", number, l->job.stream,
          l->entry.ms, l->entry.sequence, l->job.first, l->job.n, l->job.k, l->job.json ? ", json" : "",
          l->job.poison ? ", poison" : "", words[found]);
  if (l->answers > 0) show_answer(out, ": ", &l->first);
  if (found == WRONG) fprintf(out, ", not %s %016" PRIx64, l->job.poison ? "EPOISON" : "OK", l->job.digest);
  if (l->contradicted) show_answer(out, ", and ", &l->other);
  fputc('\n', out);
}

bool account_judge(account *a, FILE *out) {
  uint32_t shown[FLAWS] = {0};
  pthread_mutex_lock(&a->lock);
  for (uint32_t i = 0; i < a->jobs; i++) {
    flaw found = flaw_of(&a->lines[i]);
    if (found != RIGHT && shown[found]++ < SHOWN_MOST) show(out, i, &a->lines[i], found);
  }
  bool clean = shown[MISSING] + shown[WRONG] + shown[CONTRADICTED] == 0 && a->strangers == 0;
  if (a->strangers > 0) fprintf(out, "  %u replies answer no job that was sent\n", a->strangers);
  pthread_mutex_unlock(&a->lock);
  return clean;
}
