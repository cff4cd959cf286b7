#include "governance/recall.h"

#include <sodium.h>

#include "base/fail.h"
#include "governance/audit/verify.h"

typedef struct recall {
  uint64_t valid_ms;
  lk_cases *cases;
  lk_seen *seen;
  lk_anchor *anchors;
} recall;

/* The log's time is that of the clock that decided. */
static lk_status take_signed(const recall *r, const lk_audit_record *record, lk_error *error) {
  uint8_t hash[LK_SEEN_HASH];
  size_t length;
  lk_text hex = record->signed_hash;
  if (hex.length == 0) return LK_OK;
  if (sodium_hex2bin(hash, sizeof hash, hex.bytes, hex.length, NULL, &length, NULL) != 0 || length != sizeof hash)
    return lk_fail(error, LK_ECORRUPT, "a record's member signed is no hash");
  return lk_seen_add(r->seen, hash, record->time_ms, r->valid_ms) ? LK_OK : lk_fail_memory(error);
}

static lk_status take_record(void *context, const lk_audit_chain *chain, const char *line, size_t length,
                             lk_error *error) {
  const recall *r = context;
  lk_anchor_meet(r->anchors, chain);
  if (chain->type != LK_AUDIT_DECISION) return LK_OK;
  lk_audit_entry entry;
  lk_status status = lk_audit_decode(line, length, &entry, error);
  if (status != LK_OK) return status;
  if (entry.record.permitted && !lk_cases_add(r->cases, entry.record.case_id, entry.record.probes))
    status = lk_fail_memory(error);
  if (status == LK_OK) status = take_signed(r, &entry.record, error);
  lk_audit_entry_free(&entry);
  return status;
}

lk_status lk_recall(const char *audit, uint64_t valid_ms, lk_cases *cases, lk_seen *seen, lk_anchor *anchors,
                    lk_error *error) {
  recall r = {.valid_ms = valid_ms, .cases = cases, .seen = seen, .anchors = anchors};
  lk_audit_report report;
  return lk_audit_read(audit, NULL, NULL, take_record, &r, &report, error);
}
