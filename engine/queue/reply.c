#include "engine/queue/reply.h"

#include <math.h>

#include "base/fail.h"
#include "base/json.h"
#include "base/text.h"
#include "governance/decision_record.h"
#include "governance/policy/detail.h"

enum { HEAD_BYTES = 56, CANDIDATE_BYTES = 18 };

/* The protocol is little-endian; the code below copies integers as they are. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the protocol is little-endian");

static void append_u16(lk_bytes *out, uint32_t value) { lk_bytes_append(out, &(uint16_t){(uint16_t)value}, 2); }
static void append_u32(lk_bytes *out, uint32_t value) { lk_bytes_append(out, &value, 4); }
static void append_u64(lk_bytes *out, uint64_t value) { lk_bytes_append(out, &value, 8); }
static void append_text(lk_bytes *out, lk_text text) { lk_bytes_append(out, text.bytes, text.length); }

/* Candidates come best first, so those at or above the threshold are a prefix. */
static uint32_t count_of(const lk_reply_part *part, uint32_t list) {
  uint32_t count = lk_result_count(part->result, part->first + list);
  if (count > part->k) count = part->k;
  while (count > 0 && lk_result_candidate(part->result, part->first + list, count - 1).score < part->threshold) count--;
  return count;
}

uint32_t lk_reply_list_candidates(const lk_reply_part *part, uint32_t list) { return count_of(part, list); }

uint64_t lk_reply_candidates(const lk_reply_part *part, uint32_t lists) {
  uint64_t candidates = 0;
  for (uint32_t list = 0; list < lists; list++) candidates += count_of(part, list);
  return candidates;
}

static lk_candidate released(const lk_reply_part *part, uint32_t list, uint32_t rank) {
  lk_candidate candidate = lk_result_candidate(part->result, part->first + list, rank);
  candidate.score = lk_score_released(candidate.score, part->detail);
  return candidate;
}

void lk_reply_hash(const lk_reply_part *part, uint32_t lists, const char *id, char hex[LK_EVIDENCE_HEX]) {
  lk_answer_hash hash;
  lk_answer_hash_start(&hash, id);
  for (uint32_t list = 0; list < lists; list++) {
    uint32_t count = count_of(part, list);
    lk_answer_hash_list(&hash, count);
    for (uint32_t rank = 0; rank < count; rank++) {
      lk_candidate candidate = released(part, list, rank);
      lk_answer_hash_candidate(&hash, candidate.found.number, candidate.score);
    }
  }
  lk_answer_hash_end(&hash, hex);
}

static void append_candidate(lk_bytes *out, const lk_candidate *candidate) {
  append_u64(out, candidate->found.number);
  lk_bytes_append(out, &candidate->score, 4);
  append_u16(out, candidate->found.key.length);
  append_u16(out, candidate->found.subject.length);
  append_u16(out, candidate->found.metadata.length);
  append_text(out, candidate->found.key);
  append_text(out, candidate->found.subject);
  append_text(out, candidate->found.metadata);
}

static void append_candidates(lk_bytes *out, const lk_reply_part *part, uint32_t lists) {
  for (uint32_t list = 0; list < lists; list++) append_u32(out, count_of(part, list));
  for (uint32_t list = 0; list < lists; list++) {
    uint32_t count = count_of(part, list);
    for (uint32_t rank = 0; rank < count; rank++) {
      lk_candidate candidate = released(part, list, rank);
      append_candidate(out, &candidate);
    }
  }
}

void lk_reply_encode(const lk_reply_head *head, const lk_reply_part *part, const json_t *decision, lk_bytes *out) {
  char *printed = decision != NULL ? lk_decision_record_print(decision) : NULL;
  if (decision != NULL && printed == NULL) out->failed = true;
  lk_text decision_text = lk_text_of(printed != NULL ? printed : "");
  lk_bytes_append(out, LK_REPLY_MAGIC, 4);
  append_u16(out, (uint32_t)head->status);
  append_u16(out, head->id.length);
  append_u16(out, head->gallery.length);
  append_u16(out, head->model.length);
  append_u32(out, head->text.length);
  append_u32(out, head->probes);
  append_u32(out, head->wait_us);
  append_u32(out, head->compute_us);
  append_u32(out, decision_text.length);
  append_u64(out, head->epoch);
  append_u64(out, head->searched);
  append_u64(out, head->total);
  append_text(out, head->id);
  append_text(out, head->gallery);
  append_text(out, head->model);
  append_text(out, head->text);
  append_text(out, decision_text);
  append_candidates(out, part, head->probes);
  free(printed);
}

static json_t *json_text(lk_text text) { return json_stringn(text.length > 0 ? text.bytes : "", text.length); }

/* An error text may quote a job's bytes, or end inside a character. JSON must be UTF-8, so if the text is not, every
 * byte above 127 becomes '?'. */
static json_t *json_remark(lk_text text) {
  json_t *json = json_text(text);
  if (json != NULL) return json;
  lk_bytes ascii = {0};
  for (uint32_t i = 0; i < text.length; i++)
    lk_bytes_append(&ascii, (text.bytes[i] & 0x80) != 0 ? "?" : &text.bytes[i], 1);
  if (!ascii.failed) json = json_stringn(ascii.data, ascii.length);
  lk_bytes_free(&ascii);
  return json;
}

/* NULL: out of memory. A list that lacks an item must not look complete. */
static json_t *append_json(json_t *list, json_t *item) {
  if (json_array_append_new(list, item) == 0) return list;
  json_decref(list);
  return NULL;
}

static json_t *candidate_to_json(const lk_candidate *c, uint32_t rank) {
  json_t *json =
      json_pack("{s:i, s:o, s:o, s:o, s:I}", "rank", (int)rank, "key", json_text(c->found.key), "subject",
                json_text(c->found.subject), "score", isnan(c->score) ? json_null() : json_real((double)c->score),
                "number", (json_int_t)c->found.number);
  if (c->found.metadata.length == 0 || lk_json_set_bytes(json, "metadata", c->found.metadata)) return json;
  json_decref(json);
  return NULL;
}

static json_t *candidates_to_json(const lk_reply_part *part, uint32_t number) {
  json_t *list = json_array();
  uint32_t count = count_of(part, number);
  for (uint32_t rank = 0; rank < count; rank++) {
    lk_candidate c = released(part, number, rank);
    list = append_json(list, candidate_to_json(&c, rank + 1));
  }
  return list;
}

static void append_printed(lk_bytes *out, json_t *json, size_t cut_off) {
  char *text = lk_json_print(json, JSON_COMPACT | JSON_REAL_PRECISION(9));
  if (text == NULL)
    out->failed = true;
  else
    lk_bytes_append(out, text, strlen(text) - cut_off);
  free(text);
  json_decref(json);
}

static void append_member(const lk_reply_head *head, lk_bytes *out) {
  lk_bytes_append(out, ",\"", 2);
  lk_bytes_append(out, head->member, strlen(head->member));
  lk_bytes_append(out, "\":", 2);
  append_text(out, head->text);
}

/* A tree of all candidates would take fifty times the memory of what they are printed as; so each list is printed by
 * itself, into the reply's last member. What is told beside candidates is JSON already. */
void lk_reply_encode_json(const lk_reply_head *head, const lk_reply_part *part, const json_t *decision, lk_bytes *out) {
  bool tells = head->status == LK_OK && head->member != NULL && head->text.length > 0;
  json_t *root =
      json_pack("{s:i, s:s, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I}", "v", 1, "status",
                lk_status_name(head->status), "id", json_text(head->id), "gallery", json_text(head->gallery), "model",
                json_text(head->model), "text", json_remark(tells ? (lk_text){0} : head->text), "decision",
                decision != NULL ? json_incref((json_t *)decision) : json_null(), "epoch", (json_int_t)head->epoch,
                "searched", (json_int_t)head->searched, "total", (json_int_t)head->total, "wait_us",
                (json_int_t)head->wait_us, "compute_us", (json_int_t)head->compute_us);
  append_printed(out, root, strlen("}"));
  if (tells) append_member(head, out);
  lk_bytes_append(out, ",\"probes\":[", strlen(",\"probes\":["));
  for (uint32_t list = 0; list < head->probes; list++) {
    if (list > 0) lk_bytes_append(out, ",", 1);
    append_printed(out, candidates_to_json(part, list), 0);
  }
  lk_bytes_append(out, "]}", 2);
}

static uint32_t load_u16(const char *at) {
  uint16_t value;
  memcpy(&value, at, sizeof value);
  return value;
}

static uint32_t load_u32(const char *at) {
  uint32_t value;
  memcpy(&value, at, sizeof value);
  return value;
}

static uint64_t load_u64(const char *at) {
  uint64_t value;
  memcpy(&value, at, sizeof value);
  return value;
}

static bool take_text(const char **at, const char *end, uint32_t length, lk_text *text) {
  if ((size_t)(end - *at) < length) return false;
  *text = (lk_text){.bytes = *at, .length = length};
  *at += length;
  return true;
}

static bool take_head(const char *data, size_t length, lk_reply_reader *reader) {
  if (length < HEAD_BYTES || memcmp(data, LK_REPLY_MAGIC, 4) != 0) return false;
  const char *at = data + HEAD_BYTES, *end = data + length;
  reader->head = (lk_reply_head){.status = (lk_status)load_u16(data + 4),
                                 .probes = load_u32(data + 16),
                                 .wait_us = load_u32(data + 20),
                                 .compute_us = load_u32(data + 24),
                                 .epoch = load_u64(data + 32),
                                 .searched = load_u64(data + 40),
                                 .total = load_u64(data + 48)};
  reader->end = end;
  if (!take_text(&at, end, load_u16(data + 6), &reader->head.id) ||
      !take_text(&at, end, load_u16(data + 8), &reader->head.gallery) ||
      !take_text(&at, end, load_u16(data + 10), &reader->head.model) ||
      !take_text(&at, end, load_u32(data + 12), &reader->head.text) ||
      !take_text(&at, end, load_u32(data + 28), &reader->head.decision) || (size_t)(end - at) / 4 < reader->head.probes)
    return false;
  reader->counts = at;
  reader->candidates = at + (size_t)reader->head.probes * 4;
  return true;
}

static size_t candidate_bytes(const char *at, const char *end) {
  if (end - at < CANDIDATE_BYTES) return 0;
  size_t bytes = CANDIDATE_BYTES + load_u16(at + 12) + load_u16(at + 14) + load_u16(at + 16);
  return (size_t)(end - at) >= bytes ? bytes : 0;
}

/* Checks that all candidates lie inside the reply, so that lk_reply_next need not check. */
static bool check_candidates(const lk_reply_reader *reader) {
  const char *at = reader->candidates;
  for (uint32_t p = 0; p < reader->head.probes; p++)
    for (uint32_t left = lk_reply_count(reader, p); left > 0; left--) {
      size_t bytes = candidate_bytes(at, reader->end);
      if (bytes == 0) return false;
      at += bytes;
    }
  return at == reader->end;
}

lk_status lk_reply_decode(const char *data, size_t length, lk_reply_reader *reader, lk_error *error) {
  *reader = (lk_reply_reader){0};
  if (take_head(data, length, reader) && check_candidates(reader)) return LK_OK;
  return lk_fail(error, LK_EFORMAT, "a reply of %zu bytes is malformed", length);
}

uint32_t lk_reply_count(const lk_reply_reader *reader, uint32_t probe) {
  return load_u32(reader->counts + (size_t)probe * 4);
}

lk_candidate lk_reply_next(lk_reply_reader *reader) {
  const char *at = reader->candidates;
  lk_candidate candidate = {.found = {.number = load_u64(at)}};
  memcpy(&candidate.score, at + 8, sizeof candidate.score);
  lk_template *found = &candidate.found;
  found->key = (lk_text){.bytes = at + CANDIDATE_BYTES, .length = load_u16(at + 12)};
  found->subject = (lk_text){.bytes = found->key.bytes + found->key.length, .length = load_u16(at + 14)};
  found->metadata = (lk_text){.bytes = found->subject.bytes + found->subject.length, .length = load_u16(at + 16)};
  reader->candidates += candidate_bytes(at, reader->end);
  return candidate;
}
