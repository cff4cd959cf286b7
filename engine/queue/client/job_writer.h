/* Writes jobs as commands for Redis. */
#ifndef ENGINE_QUEUE_CLIENT_JOB_WRITER_H
#define ENGINE_QUEUE_CLIENT_JOB_WRITER_H

#include "engine/queue/client/client_job.h"
#include "engine/queue/redis.h"
#include "engine/queue/signature.h"

typedef struct lk_job_writer {
  const lk_client_job *job;
  const char *stream, *to;
  lk_command command; /* the one that was written last */
  float *probes;      /* of one job */
  lk_field fields[LK_FIELDS_MAX];
  size_t fields_count;
  char id[24], k[12], n[24], threshold[32], ttl[24], tags[24], mask[24], since[24], signed_ms[24];
  char signature[LK_SIGNATURE_HEX];
} lk_job_writer;

/* What is pointed to must outlive the writer. LK_EBADPROBE names a probe that no gallery accepts: nothing needs to be
 * sent to find it, and here its row in the file is known. */
lk_status lk_job_writer_make(lk_job_writer *writer, const lk_client_job *job, const char *stream, const char *to,
                             lk_error *error);
void lk_job_writer_free(lk_job_writer *writer);

/* Writes the call of lk_submit_5 for the job with this number, which is also its id. The command lives until the next
 * one is written. A job is signed anew each time: where Redis still knows it under its id, the entry of then is
 * answered; where Redis lost it, a worker may have met the signature of then, and would refuse it as a copy. */
lk_status lk_job_writer_write(lk_job_writer *writer, uint64_t number, lk_error *error);

#endif
