/* How a job is given to Redis, and what Redis says to it. */
#ifndef BENCH_QUEUE_SUBMISSION_H
#define BENCH_QUEUE_SUBMISSION_H

#include <stdint.h>

#include "bench/queue/generator_link.h"

typedef enum submission_way { SUBMISSION_XADD, SUBMISSION_FUNCTION } submission_way;

typedef struct submission {
  submission_way way;
  const char *stream, *client;
  uint32_t probes, k;
  bool json;
} submission;

/* Adds the command for the job of this id, which asks for `bytes` of probes in f32. */
void submission_add(const submission *submission, generator_link *link, uint64_t id, const float *probes, size_t bytes);

/* Ends the process unless Redis took the job. */
void submission_check(const submission *submission, generator_reply reply);

#endif
