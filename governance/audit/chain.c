#include "governance/audit/chain.h"

#include <inttypes.h>
#include <string.h>

#include "base/fail.h"
#include "base/text.h"
#include "governance/audit/head.h"

lk_audit_chain lk_audit_chain_start(bool anchored) {
  lk_audit_chain chain = {.at_start = true, .anchored = anchored};
  memset(chain.hash, '0', LK_AUDIT_HEX - 1);
  return chain;
}

static void copy_text(char *to, size_t size, lk_text text) {
  size_t length = text.length < size ? text.length : size - 1;
  if (length > 0) memcpy(to, text.bytes, length);
  to[length] = '\0';
}

static bool matches(const char *known, lk_text text) { return lk_text_equal(lk_text_of(known), text); }

static bool is_hex(lk_text text, size_t size) {
  return text.length == size - 1 && strspn(text.bytes, "0123456789abcdef") == text.length;
}

/* Takes the number and `previous` of a lone file's first record on trust. */
static void anchor(lk_audit_chain *chain, const lk_audit_entry *entry) {
  if (entry->sequence > 1) {
    copy_text(chain->hash, sizeof chain->hash, entry->previous);
    chain->sequence = entry->sequence - 1;
  }
  chain->anchored = true;
}

/* Checks that the record names this log and its key. The first record that names them decides what they are. */
static const char *identity_fault(const lk_audit_chain *chain, const lk_audit_entry *entry) {
  if (entry->version != LK_AUDIT_VERSION) return "this build does not read the version of the log";
  if (!is_hex(entry->log, LK_AUDIT_LOG_HEX)) return "the record does not name its log";
  if (entry->key.length > 0 && !is_hex(entry->key, LK_AUDIT_HEX)) return "the record names a malformed key";
  if (chain->log[0] == '\0') return NULL;
  if (!matches(chain->log, entry->log)) return "the record belongs to another log";
  return matches(chain->key, entry->key) ? NULL : "the record names another key than the first record";
}

static const char *head_fault(const lk_audit_chain *chain, const lk_audit_entry *entry) {
  lk_audit_mark mark = {.sequence = chain->sequence, .time_ms = entry->record.time_ms};
  memcpy(mark.log, chain->log, sizeof mark.log);
  memcpy(mark.hash, chain->hash, sizeof mark.hash);
  memcpy(mark.key, chain->key, sizeof mark.key);
  copy_text(mark.signature, sizeof mark.signature, entry->signature);
  return lk_audit_mark_is_signed(&mark) ? NULL : "the head's signature does not match";
}

/* What is wrong with the record at this place; NULL: nothing. */
static const char *place_fault(const lk_audit_chain *chain, const lk_audit_entry *entry) {
  lk_audit_type type = entry->record.type;
  bool starts = type == LK_AUDIT_ROTATED || (type == LK_AUDIT_OPENED && entry->sequence == 1);
  if (starts != chain->at_start)
    return starts ? "only a file may begin with this type of record" : "a file must begin with opened or rotated";
  if (type == LK_AUDIT_OPENED || type == LK_AUDIT_ROTATED) return identity_fault(chain, entry);
  return type == LK_AUDIT_HEAD ? head_fault(chain, entry) : NULL;
}

void lk_audit_chain_move(lk_audit_chain *chain, const lk_audit_entry *entry, const char *hash) {
  if (chain->log[0] == '\0') {
    copy_text(chain->log, sizeof chain->log, entry->log);
    copy_text(chain->key, sizeof chain->key, entry->key);
  }
  if (entry->record.type == LK_AUDIT_HEAD) {
    chain->heads++;
    chain->signed_to = chain->sequence;
  }
  chain->cuts += entry->cut > 0;
  chain->sequence++;
  chain->time_ms = entry->record.time_ms;
  chain->type = entry->record.type;
  chain->is_closed = chain->type == LK_AUDIT_CLOSED || (chain->is_closed && chain->type == LK_AUDIT_HEAD);
  chain->at_start = false;
  memcpy(chain->hash, hash, LK_AUDIT_HEX);
}

/* Checks that the line is, byte for byte, what lk_audit_encode writes for the entry at this place of the chain. */
static lk_status check_entry(const lk_audit_chain *chain, const char *line, size_t length, lk_audit_entry *entry,
                             lk_error *error) {
  char again[LK_AUDIT_LINE_MAX], hash[LK_AUDIT_HEX];
  size_t again_length;
  if (entry->sequence != chain->sequence + 1)
    return lk_fail(error, LK_ECORRUPT, "the record's number is %" PRIu64 ", not %" PRIu64, entry->sequence,
                   chain->sequence + 1);
  const char *fault = place_fault(chain, entry);
  if (fault != NULL) return lk_fail(error, LK_ECORRUPT, "%s", fault);
  entry->previous = (lk_text){.bytes = chain->hash, .length = LK_AUDIT_HEX - 1};
  if (lk_audit_encode(entry, again, &again_length, hash, error) != LK_OK) return LK_ECORRUPT;
  if (again_length != length || memcmp(again, line, length) != 0)
    return lk_fail(error, LK_ECORRUPT, "the record is not in its canonical form");
  return LK_OK;
}

static lk_status check_hash(const lk_audit_chain *chain, const char *line, size_t length, lk_error *error) {
  char hash[LK_AUDIT_HEX];
  lk_audit_hash(chain->hash, line, length, hash);
  if (memcmp(hash, lk_audit_line_hash(line, length), LK_AUDIT_HEX - 1) == 0) return LK_OK;
  return lk_fail(error, LK_ECORRUPT, "the hash differs: the record was changed or does not follow the one before it");
}

lk_status lk_audit_chain_take(lk_audit_chain *chain, const char *line, size_t length, lk_error *error) {
  if (lk_audit_line_hash(line, length) == NULL || length > LK_AUDIT_LINE_MAX)
    return lk_fail(error, LK_ECORRUPT, "not an audit record");
  lk_audit_chain next = *chain;
  lk_status status = chain->anchored ? check_hash(chain, line, length, error) : LK_OK;
  if (status != LK_OK) return status;
  lk_audit_entry entry;
  if (lk_audit_decode(line, length, &entry, error) != LK_OK) return LK_ECORRUPT;
  if (!chain->anchored) {
    anchor(&next, &entry);
    status = check_hash(&next, line, length, error);
  }
  if (status == LK_OK) status = check_entry(&next, line, length, &entry, error);
  if (status == LK_OK) {
    char hash[LK_AUDIT_HEX] = {0};
    memcpy(hash, lk_audit_line_hash(line, length), LK_AUDIT_HEX - 1);
    lk_audit_chain_move(&next, &entry, hash);
    *chain = next;
  }
  lk_audit_entry_free(&entry);
  return status;
}

lk_status lk_audit_chain_read(lk_audit_chain *chain, const char *name, const char *data, size_t size, size_t *whole,
                              lk_audit_visit *visit, void *context, lk_error *error) {
  lk_error why = {0};
  lk_status status = LK_OK;
  uint32_t row = 0;
  *whole = 0;
  for (const char *end; *whole < size && (end = memchr(data + *whole, '\n', size - *whole)) != NULL;) {
    const char *line = data + *whole;
    row++;
    status = lk_audit_chain_take(chain, line, (size_t)(end - line), &why);
    if (status != LK_OK)
      return lk_fail(error, status, "%s: line %" PRIu32 " (offset %zu): %s", name, row, *whole, why.text);
    if (visit != NULL) status = visit(context, chain, line, (size_t)(end - line), error);
    if (status != LK_OK) return status;
    *whole = (size_t)(end - data) + 1;
  }
  return LK_OK;
}
