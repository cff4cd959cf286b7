/* What the generator wants of a reply: little, so that reading it does not hold up sending. */
#ifndef BENCH_QUEUE_JOB_REPLY_H
#define BENCH_QUEUE_JOB_REPLY_H

#include <stddef.h>
#include <stdint.h>

typedef struct job_reply {
  uint64_t id;
  uint32_t compute_us;
} job_reply;

/* Of a binary reply, or of one in JSON. Ends the process unless it is OK. */
job_reply job_reply_read(const char *text, size_t length);

#endif
