#include "governance/recall.h"

#include <string.h>

#include "base/fail.h"
#include "governance/audit/verify.h"

typedef struct recall {
  uint64_t valid_ms;
  lk_cases *cases;
  lk_seen *seen;
  lk_anchor *anchors;
} recall;

/* A log of an earlier version names no entry; then all that has the message is a copy. */
static lk_status read_once(const lk_audit_record *record, lk_once *once, lk_error *error) {
  lk_text hex = record->signed_hash, entry = record->entry;
  *once = (lk_once){0};
  if (hex.length == 0) return LK_OK;
  if (hex.length != sizeof once->hash - 1) return lk_fail(error, LK_ECORRUPT, "a record's member signed is no hash");
  if (entry.length >= sizeof once->entry)
    return lk_fail(error, LK_ECORRUPT, "a record's member entry has more than %zu bytes", sizeof once->entry - 1);
  memcpy(once->hash, hex.bytes, hex.length);
  if (strspn(once->hash, "0123456789abcdef") != hex.length)
    return lk_fail(error, LK_ECORRUPT, "a record's member signed is no hash");
  if (entry.length > 0) memcpy(once->entry, entry.bytes, entry.length);
  return LK_OK;
}

/* The log's time is that of the clock that decided. A job that was decided again counts once for its case. */
static lk_status take_decision(const recall *r, const lk_audit_record *record, const lk_once *once, lk_error *error) {
  lk_seen_slot *slot = NULL;
  if (once->hash[0] != '\0') {
    slot = lk_seen_take(r->seen, once, record->time_ms, r->valid_ms);
    if (slot == NULL) return lk_fail_memory(error);
  }
  bool counts = record->permitted && (slot == NULL || !slot->counted);
  if (counts && !lk_cases_add(r->cases, record->case_id, record->probes)) return lk_fail_memory(error);
  if (slot != NULL) lk_seen_decide(slot, record->permitted);
  return LK_OK;
}

static lk_status take_record(void *context, const lk_audit_chain *chain, const char *line, size_t length,
                             lk_error *error) {
  const recall *r = context;
  lk_anchor_meet(r->anchors, chain);
  if (chain->type != LK_AUDIT_DECISION && chain->type != LK_AUDIT_RESULT) return LK_OK;
  lk_audit_entry entry;
  lk_status status = lk_audit_decode(line, length, &entry, error);
  if (status != LK_OK) return status;
  lk_once once;
  status = read_once(&entry.record, &once, error);
  if (status == LK_OK && chain->type == LK_AUDIT_DECISION)
    status = take_decision(r, &entry.record, &once, error);
  else if (status == LK_OK && once.hash[0] != '\0')
    lk_seen_answer(r->seen, &once);
  lk_audit_entry_free(&entry);
  return status;
}

lk_status lk_recall(const char *audit, uint64_t valid_ms, lk_cases *cases, lk_seen *seen, lk_anchor *anchors,
                    lk_error *error) {
  recall r = {.valid_ms = valid_ms, .cases = cases, .seen = seen, .anchors = anchors};
  lk_audit_report report;
  return lk_audit_read(audit, NULL, NULL, take_record, &r, &report, error);
}
