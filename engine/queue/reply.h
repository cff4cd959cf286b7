/* A reply to a client, as bytes or as JSON (docs/protocol.md). */
#ifndef ENGINE_QUEUE_REPLY_H
#define ENGINE_QUEUE_REPLY_H

#include <jansson.h>
#include <likeness/likeness.h>
#include <likeness/policy.h>

#include "engine/queue/bytes.h"
#include "governance/evidence.h"

#define LK_REPLY_MAGIC "LKR1"

/* All of a reply except its candidates. */
typedef struct lk_reply_head {
  lk_status status;
  lk_text id, gallery, model, text; /* text: what went wrong; with OK what is told beside candidates, as JSON
                                     * (engine/queue/reply_text.h), or nothing. With an error no model, */
  lk_text decision;                 /* JSON: what rules governed it (docs/policy.md); only of a reply that was read */
  uint64_t epoch;                   /* epoch (of the gallery, as it was searched), */
  uint64_t searched, total;         /* or numbers (of templates compared, and that there are) */
  uint32_t wait_us, compute_us;
  uint32_t probes;    /* 0 with an error */
  const char *member; /* of the reply as JSON that has what `text` tells; NULL: none. Not in a reply that was read */
} lk_reply_head;

/* Reads a reply: the head at once, the candidates one by one. */
typedef struct lk_reply_reader {
  lk_reply_head head;
  const char *counts;     /* of candidates, 4 bytes a probe */
  const char *candidates; /* the next one */
  const char *end;
} lk_reply_reader;

/* The candidates of a result that belong to a job. */
typedef struct lk_reply_part {
  const lk_result *result; /* not read where the head has no probes */
  uint32_t first;          /* its first list */
  uint32_t k;              /* at most so many a list, */
  float threshold;         /* at or above it */
  lk_score_detail detail;  /* of their scores */
} lk_reply_part;

/* The number of candidates in the first `lists` lists of the part. */
uint64_t lk_reply_candidates(const lk_reply_part *part, uint32_t lists);

uint32_t lk_reply_list_candidates(const lk_reply_part *part, uint32_t list); /* in one of them */

/* The hash of those lists as they are released, for the decision with this id. It is the same for both forms of the
 * reply. */
void lk_reply_hash(const lk_reply_part *part, uint32_t lists, const char *id, char hex[LK_EVIDENCE_HEX]);
/* Appends a reply; `part` may be NULL where the head has no probes. `decision`: the decision record
 * (governance/decision_record.h); NULL for none. */
void lk_reply_encode(const lk_reply_head *head, const lk_reply_part *part, const json_t *decision, lk_bytes *out);
void lk_reply_encode_json(const lk_reply_head *head, const lk_reply_part *part, const json_t *decision, lk_bytes *out);

/* Checks a binary reply and reads its head. Texts point into `data`. LK_EFORMAT. */
lk_status lk_reply_decode(const char *data, size_t length, lk_reply_reader *reader, lk_error *error);
uint32_t lk_reply_count(const lk_reply_reader *reader, uint32_t probe);
lk_candidate lk_reply_next(lk_reply_reader *reader); /* in order: probe by probe, rank by rank */

#endif
