/* The account of all jobs: which were accepted, what was answered, and what is wrong with that. A job is accepted when
 * Redis acknowledged it; it then needs exactly one distinct answer, equal to the reference. Equal answers count as one.
 * Any thread may call these functions. */
#ifndef TESTS_FAULTS_ACCOUNT_H
#define TESTS_FAULTS_ACCOUNT_H

#include <stdio.h>

#include "engine/queue/entry.h"
#include "tests/faults/answer.h"

#define ACCOUNT_FULL UINT32_MAX

typedef struct account account;

/* What a job asks, and what it must get. */
typedef struct account_job {
  uint32_t first, n, k; /* probes, as reference.h has them */
  uint32_t stream;      /* number of the stream that it is sent to */
  bool json, poison;    /* poison: its answer must be EPOISON */
  uint64_t digest;
} account_job;

typedef struct account_sums {
  uint32_t sent, accepted, answered, repeated; /* repeated: answered again, equally */
  uint32_t lost, refused;                      /* by Redis, which is explained; and as account_lose says */
  uint32_t cancelled;                          /* answered so */
  uint32_t missing, wrong, contradicted;       /* accepted and never answered; not as the reference; two answers */
  uint32_t strangers;                          /* replies that are none, or of no job that was sent */
  uint32_t poison, poison_answered;            /* of those accepted */
} account_sums;

/* Ends the process where memory runs out. */
account *account_open(uint32_t jobs_most);
void account_close(account *account);

/* A job that is about to be sent; returns its number, which is its id, or ACCOUNT_FULL. */
uint32_t account_send(account *account, const account_job *job);
account_job account_job_of(account *account, uint32_t number);
/* Redis acknowledged it as this entry; a later one replaces it, when the job was sent again. */
void account_accept(account *account, uint32_t number, lk_entry entry);
void account_answer(account *account, const char *reply, size_t length);

/* Its client is about to cancel it: one right answer is ECANCELLED from now on. */
void account_cancel(account *account, uint32_t number);

/* Whether it is neither answered nor lost. */
bool account_is_open(account *account, uint32_t number);
/* Redis came back with less than it had acknowledged: in its data the newest entry that the stream ever had is `last`.
 * What was accepted after that and is not answered is lost for this reason (a static text). Returns how many are.
 * What was accepted before may come again though it was answered: a worker then refuses a signed job that it had
 * decided, and a job that was cancelled meanwhile. */
uint32_t account_lose(account *account, uint32_t stream, lk_entry last, const char *reason);

account_sums account_sum(account *account);
/* Writes the first differences, each with its job; returns whether there are none. */
bool account_judge(account *account, FILE *out);

#endif
