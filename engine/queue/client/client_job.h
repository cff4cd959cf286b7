/* What a client wants to know: a search for many probes, which go in jobs of some probes each. */
#ifndef ENGINE_QUEUE_CLIENT_CLIENT_JOB_H
#define ENGINE_QUEUE_CLIENT_CLIENT_JOB_H

#include <likeness/likeness.h>

#include "engine/queue/text_list.h"

typedef struct lk_client_job {
  const char *gallery, *model, *priority; /* model: NULL for none */
  const lk_vectors *probes;
  uint32_t k;
  float threshold;
  bool by_subject;
  lk_fusion fusion; /* of a job's probes */
  uint64_t tags, mask;
  lk_text_list keys, subjects;
  lk_claims claims;       /* their key signs each job */
  const char *deployment; /* that signed jobs are for; NULL: none */
  uint64_t ttl_ms;        /* 0: no deadline */
  uint32_t job_probes;    /* probes in one job */
  uint32_t timeout_s;     /* without any reply for so long, the client gives up */
} lk_client_job;

static inline uint64_t lk_client_job_count(const lk_client_job *job) {
  return (job->probes->rows + job->job_probes - 1) / job->job_probes;
}

/* The first probe of the job with this number, the number of its probes, and of the lists in its reply. */
static inline uint64_t lk_client_job_first(const lk_client_job *job, uint64_t number) {
  return number * job->job_probes;
}

static inline uint64_t lk_client_job_probes(const lk_client_job *job, uint64_t number) {
  uint64_t left = job->probes->rows - lk_client_job_first(job, number);
  return left < job->job_probes ? left : job->job_probes;
}

static inline uint64_t lk_client_job_lists(const lk_client_job *job, uint64_t number) {
  return job->fusion != LK_FUSE_NONE ? 1 : lk_client_job_probes(job, number);
}

#endif
