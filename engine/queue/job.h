/* One job of the stream, and what its fields mean (docs/protocol.md). Pure: it knows no Redis, no gallery, no clock. */
#ifndef ENGINE_QUEUE_JOB_H
#define ENGINE_QUEUE_JOB_H

#include "engine/queue/signature.h"
#include "engine/queue/text_list.h"

#define LK_PROTOCOL_VERSION 1
#define LK_JOB_ID_MAX 64
#define LK_JOB_TO_MAX 128
#define LK_JOB_DEPLOYMENT_MAX 64
#define LK_JOB_PROBES_MAX 4096
#define LK_JOB_CANDIDATES_MAX (1 << 18) /* n times k */

typedef enum lk_op { LK_OP_IDENTIFY, LK_OP_VERIFY } lk_op;

/* Texts and probes point into the fields. */
typedef struct lk_job {
  lk_text id, to, gallery, subject, model;
  lk_op op;
  bool json;
  uint32_t k;
  float threshold; /* -INFINITY for none */
  bool by_subject;
  lk_fusion fusion;
  uint64_t tags, mask;
  lk_text_list keys, subjects; /* if one is given: only these templates, and those of these subjects */
  uint64_t ttl_ms;             /* from the entry's own time; 0: no deadline */
  lk_claims claims;            /* what a policy may ask for; without a key */
  bool is_signed;
  lk_text deployment; /* that a signed job is for; "": it names none */
  uint64_t signed_ms; /* Unix time, by the signer's clock */
  unsigned char signature[LK_SIGNATURE_SIZE], signed_message[LK_SIGNED_SIZE];
  lk_vectors probes;
} lk_job;

/* The number of candidate lists in the job's reply. */
static inline uint32_t lk_job_lists(const lk_job *job) {
  return job->fusion != LK_FUSE_NONE ? 1 : (uint32_t)job->probes.rows;
}

/* Reads all fields, at most LK_FIELDS_MAX. LK_EBADJOB names the bad field. Also on an error `id`, `to` and `json` are
 * set as far as the job has them, so that the refusal can be sent; `to` is empty if the job has no valid one. */
lk_status lk_job_parse(const lk_field *fields, size_t count, lk_job *job, lk_error *error);

#endif
