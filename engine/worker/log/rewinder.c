#include "engine/worker/log/rewinder.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/text.h"
#include "engine/queue/functions.h"
#include "engine/worker/log/log_change.h"
#include "index/gallery/unchecked.h"
#include "kernels/half.h"

typedef struct rewinder {
  lk_redis *redis;
  const lk_keys *keys;
  const lk_claimant *claimant;
  const lk_ownership *rewound; /* where the log ends */
  uint32_t dim;
  uint64_t asked_us;
  lk_rewound how;
  uint64_t appended;
} rewinder;

static void append_halves(lk_bytes *vectors, const float *floats, size_t count) {
  for (size_t i = 0; i < count; i++) {
    uint16_t half = lk_half_from_float(floats[i]);
    lk_bytes_append(vectors, &half, sizeof half);
  }
}

/* The vectors as they were logged. Where some rows were no change, the journal does not have theirs: then a replica
 * that lacks the entry must start from an export. */
static void write_vectors(const lk_log_kept *kept, const lk_log_fields *fields, uint32_t dim, lk_bytes *vectors) {
  const lk_field *element = lk_log_fields_find(fields, "element");
  size_t floats = kept->vectors_rows * dim;
  if (element == NULL) return;
  if (kept->status != LK_OK) lk_log_change_refused(vectors, kept->status, kept->error.text);
  if (kept->status != LK_OK || kept->vectors_rows < kept->rows) return;
  if (element->length == 3 && memcmp(element->value, "f16", 3) == 0)
    append_halves(vectors, kept->vectors, floats);
  else
    lk_bytes_append(vectors, kept->vectors, floats * sizeof *kept->vectors);
}

static lk_status judge(const lk_redis_reply *reply, uint64_t seq, lk_error *error) {
  size_t length;
  const char *word = lk_redis_reply_string(lk_redis_reply_element(reply, 0), &length), *refused = NULL;
  if (word != NULL && strcmp(word, "APPENDED") == 0) return LK_OK;
  if (word != NULL && strcmp(word, "REFUSED") == 0)
    refused = lk_redis_reply_string(lk_redis_reply_element(reply, 1), &length);
  if (refused == NULL) refused = lk_redis_reply_error(reply);
  if (refused == NULL) return lk_redis_reply_unexpected(reply, LK_APPEND, error);
  return lk_fail(error, LK_EBUSY, "redis refuses entry %llu of the log: %s", (unsigned long long)seq, refused);
}

static lk_status append(rewinder *r, const lk_log_kept *kept, const lk_log_fields *fields, const lk_bytes *vectors,
                        lk_error *error) {
  char id[48], seq[24], term[24], number[24];
  lk_command command = {0};
  lk_redis_reply *reply = NULL;
  snprintf(id, sizeof id, "%llu-%llu", (unsigned long long)kept->mark.ms, (unsigned long long)kept->mark.n);
  snprintf(seq, sizeof seq, "%llu", (unsigned long long)kept->mark.seq);
  snprintf(term, sizeof term, "%llu", (unsigned long long)kept->mark.term);
  snprintf(number, sizeof number, "%llu", (unsigned long long)kept->number);
  const lk_field *rows = &fields->all[0]; /* lk_log_change_open puts them first */
  const char *const before[] = {r->keys->log, r->keys->log_state, r->claimant->nonce, id};
  const char *const after[] = {seq, term, kept->prev, kept->mark.hash, number};
  lk_functions_begin(&command, LK_APPEND, "2");
  lk_command_add_words(&command, 4, before);
  lk_command_add(&command, vectors->length > 0 ? vectors->data : "", vectors->length);
  lk_command_add_words(&command, 5, after);
  lk_command_add(&command, rows->value, rows->length);
  for (size_t i = 1; i < fields->count; i++) {
    lk_command_add(&command, fields->all[i].name.bytes, fields->all[i].name.length);
    lk_command_add(&command, fields->all[i].value, fields->all[i].length);
  }
  lk_status status = lk_functions_call(r->redis, &command, &reply, error);
  if (status == LK_OK) status = judge(reply, kept->mark.seq, error);
  lk_redis_reply_free(reply);
  lk_command_free(&command);
  if (status == LK_OK) r->appended++;
  return status;
}

/* Appending keeps the lease; the way to the first entry that is appended may be long. */
static lk_status keep_lease(rewinder *r, lk_error *error) {
  lk_ownership now;
  uint64_t half_us = 500 * (uint64_t)r->claimant->lease_ms;
  if (r->appended > 0 || lk_clock_us() < r->asked_us + half_us) return LK_OK;
  lk_status status = lk_ownership_ask(r->redis, r->keys, r->claimant, &now, error);
  r->asked_us = lk_clock_us();
  if (status != LK_OK || (now.standing == LK_STANDING_REWOUND && now.seq == r->rewound->seq)) return status;
  return lk_fail(error, LK_EBUSY, "the log was changed while the journal was read");
}

/* Of what the journal still has, the entry at which the log ends comes before those that are appended. */
static lk_status take(void *context, const lk_log_kept *kept, lk_error *error) {
  rewinder *r = context;
  lk_log_fields fields;
  lk_bytes vectors = {0};
  uint64_t seq = r->rewound->seq;
  lk_status status = keep_lease(r, error);
  if (status != LK_OK || kept->mark.seq < seq) return status;
  if (kept->mark.seq == seq) {
    r->how = strcmp(kept->mark.hash, r->rewound->hash) == 0 ? LK_REWOUND_APPENDED : LK_REWOUND_DIVERGED;
    return LK_OK;
  }
  if (r->how == LK_REWOUND_DIVERGED) return LK_OK;
  if (r->how == LK_REWOUND_FOLDED) {
    if (seq > 0 && (kept->mark.seq != seq + 1 || strcmp(kept->prev, r->rewound->hash) != 0)) return LK_OK;
    r->how = LK_REWOUND_APPENDED;
  }
  if (!lk_log_fields_unpack(kept->fields, kept->fields_bytes, &fields) || fields.count < 4)
    return lk_fail(error, LK_ECORRUPT, "entry %llu of the log is not kept as it was",
                   (unsigned long long)kept->mark.seq);
  write_vectors(kept, &fields, r->dim, &vectors);
  status = vectors.failed ? lk_fail_memory(error) : append(r, kept, &fields, &vectors, error);
  lk_bytes_free(&vectors);
  return status;
}

lk_status lk_rewinder_append(lk_owner *owner, lk_redis *redis, const lk_keys *keys, const lk_claimant *claimant,
                             const lk_ownership *rewound, lk_rewound *how, uint64_t *appended, lk_error *error) {
  lk_gallery_stat stat;
  lk_gallery_stat_get_constant(lk_owner_gallery(owner), &stat);
  rewinder r = {.redis = redis,
                .keys = keys,
                .claimant = claimant,
                .rewound = rewound,
                .dim = stat.dim,
                .asked_us = lk_clock_us(),
                .how = LK_REWOUND_FOLDED};
  lk_status status = lk_owner_log_visit(owner, 0, take, &r, error);
  *how = r.how;
  *appended = r.appended;
  return status;
}
