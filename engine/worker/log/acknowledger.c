#include "engine/worker/log/acknowledger.h"

#include <stdio.h>

#include "base/fail.h"
#include "base/printable.h"
#include "base/text.h"
#include "engine/queue/fields.h"
#include "engine/queue/functions.h"
#include "engine/queue/reply.h"
#include "engine/queue/reply_text.h"
#include "engine/worker/log/log_fields.h"
#include "governance/decision_record.h"

#define REPLIES_BYTES ((size_t)4 << 20)

void lk_acknowledger_free(lk_acknowledger *a) {
  lk_bytes_free(&a->replies);
  lk_bytes_free(&a->lists);
  lk_command_free(&a->command);
}

static lk_text text_of(const lk_log_fields *fields, const char *name) {
  const lk_field *field = lk_log_fields_find(fields, name);
  return field != NULL ? lk_field_text(field) : (lk_text){.bytes = ""};
}

/* The number (from 1) of the client's list among the keys; adds a new list. 0: out of memory. */
static uint32_t list_of(lk_acknowledger *a, lk_text to) {
  size_t prefix = strlen(a->keys->replies);
  const char *key = a->lists.data;
  for (uint32_t number = 0; number < a->lists_count; key += strlen(key) + 1, number++)
    if (lk_text_equal(lk_text_of(key + prefix), to)) return number + 1;
  lk_bytes_append(&a->lists, a->keys->replies, prefix);
  lk_bytes_append(&a->lists, to.bytes, to.length);
  lk_bytes_append(&a->lists, "", 1);
  return a->lists.failed ? 0 : ++a->lists_count;
}

/* Of a change, the statuses of the library that a reply has not. */
static lk_status replied(lk_status status) {
  if (status == LK_EINVAL || status == LK_EFORMAT) return LK_EBADJOB;
  return status < LK_EINVAL ? status : LK_EINTERNAL;
}

/* What cannot be read has decided nothing. */
static json_t *decision_of(const lk_outcome *o, lk_text decision) {
  if (o->refusal != NULL) return json_incref(o->refusal);
  json_t *record = json_loadb(decision.bytes, decision.length, 0, NULL);
  if (json_is_object(record)) return record;
  json_decref(record);
  return lk_decision_record(NULL, NULL, (lk_text){.bytes = ""}, &(lk_release){0});
}

/* What was logged is a list, or was made one by nobody that this worker trusts. */
static lk_text_list list_in(const lk_log_fields *fields, const char *name) {
  lk_text value = text_of(fields, name);
  lk_text_list list = {0};
  bool valid = value.length > 0 && lk_text_list_read(value.bytes, value.length, &list) == NULL;
  return valid ? list : (lk_text_list){0};
}

static void print_receipt(lk_op op, const lk_log_fields *fields, const lk_outcome *o, lk_bytes *text) {
  bool deletes = op == LK_OP_DELETE || op == LK_OP_ERASE || o->receipt->replaced > 0;
  lk_reply_receipt receipt = {.op = op,
                              .done = *o->receipt,
                              .log = {.ms = o->mark->ms, .sequence = o->mark->n},
                              .replicated = o->replicated,
                              .keys = list_in(fields, "keys"),
                              .subjects = list_in(fields, "subjects"),
                              .in_journal = deletes,
                              .in_segments = deletes && o->in_segments,
                              .in_redis = deletes};
  lk_reply_receipt_print(&receipt, text);
}

static void append_reply(lk_acknowledger *a, const lk_log_fields *fields, const lk_outcome *o) {
  lk_bytes text = {0};
  lk_op op = lk_op_find(text_of(fields, "op"));
  lk_reply_head head = {.status = replied(o->status),
                        .id = text_of(fields, "id"),
                        .gallery = lk_text_of(a->keys->gallery),
                        .member = lk_reply_member(op)};
  if (o->status == LK_OK) {
    print_receipt(op, fields, o, &text);
    head.epoch = o->receipt->epoch;
    head.text = (lk_text){.bytes = text.data, .length = (uint32_t)text.length};
  } else {
    head.text = lk_text_of(o->text);
  }
  json_t *decision = decision_of(o, text_of(fields, "decision"));
  lk_field_reader reader = {.fields = fields->all, .count = fields->count};
  lk_reply_part part = {0};
  (lk_field_has_flag(&reader, "json") ? lk_reply_encode_json : lk_reply_encode)(&head, &part, decision, &a->replies);
  a->replies.failed |= text.failed || decision == NULL;
  json_decref(decision);
  lk_bytes_free(&text);
}

bool lk_acknowledger_add(lk_acknowledger *a, const lk_outcome *o) {
  if (a->count == LK_ACKNOWLEDGED_MOST || a->replies.length >= REPLIES_BYTES) return false;
  lk_log_fields fields;
  if (!lk_log_fields_unpack(o->fields, o->fields_bytes, &fields)) a->replies.failed = true;
  if (a->replies.failed) return true;
  lk_acknowledgement *added = &a->all[a->count++];
  lk_text id = text_of(&fields, "id");
  append_reply(a, &fields, o);
  snprintf(added->seq, sizeof added->seq, "%llu", (unsigned long long)o->mark->seq);
  snprintf(added->list, sizeof added->list, "%u", list_of(a, text_of(&fields, "to")));
  snprintf(added->id, sizeof added->id, "%.*s", (int)id.length, id.bytes);
  added->end = a->replies.length;
  a->last = o->mark->seq;
  return true;
}

static void build(lk_acknowledger *a, const char *nonce, const char *term, const char *keys_count) {
  lk_functions_begin(&a->command, LK_ACKNOWLEDGE, keys_count);
  lk_command_add_string(&a->command, a->keys->log_state);
  const char *key = a->lists.data;
  for (uint32_t i = 0; i < a->lists_count; i++, key += strlen(key) + 1) lk_command_add_string(&a->command, key);
  lk_command_add_string(&a->command, nonce);
  lk_command_add_string(&a->command, term);
  size_t begin = 0;
  for (size_t i = 0; i < a->count; begin = a->all[i++].end) {
    lk_command_add_string(&a->command, a->all[i].seq);
    lk_command_add_string(&a->command, a->all[i].list);
    lk_command_add_string(&a->command, a->all[i].id);
    lk_command_add(&a->command, a->replies.data + begin, a->all[i].end - begin);
  }
}

static lk_status judge(const lk_acknowledger *a, const lk_redis_reply *reply, uint64_t *acked, bool *lost, FILE *log,
                       lk_error *error) {
  size_t length;
  const char *word = lk_redis_reply_string(lk_redis_reply_element(reply, 0), &length);
  *lost = word != NULL && strcmp(word, "LOST") == 0;
  if (*lost) return LK_OK;
  if (word == NULL || strcmp(word, "ACKNOWLEDGED") != 0) return lk_redis_reply_unexpected(reply, LK_ACKNOWLEDGE, error);
  int64_t undelivered = lk_redis_reply_integer(lk_redis_reply_element(reply, 2));
  *acked = (uint64_t)lk_redis_reply_integer(lk_redis_reply_element(reply, 3));
  if (undelivered > 0)
    lk_printable_line(log, "likeness: log: %lld replies could not be delivered; see %s", (long long)undelivered,
                      a->keys->dead);
  return LK_OK;
}

static void empty(lk_acknowledger *a) {
  a->count = 0;
  a->lists_count = 0;
  lk_bytes_free(&a->lists);
  if (a->replies.failed || a->replies.capacity > 2 * REPLIES_BYTES) lk_bytes_free(&a->replies);
  a->replies.length = 0;
}

lk_status lk_acknowledger_send(lk_acknowledger *a, lk_redis *redis, const char *nonce, uint64_t term, uint64_t *acked,
                               bool *lost, FILE *log, lk_error *error) {
  char keys_count[12], term_text[24];
  lk_redis_reply *reply = NULL;
  lk_status status = LK_OK;
  *lost = false;
  if (a->replies.failed || a->lists.failed) status = lk_fail_memory(error);
  if (status == LK_OK && a->count > 0) {
    snprintf(keys_count, sizeof keys_count, "%u", 1 + a->lists_count);
    snprintf(term_text, sizeof term_text, "%llu", (unsigned long long)term);
    build(a, nonce, term_text, keys_count);
    status = lk_functions_call(redis, &a->command, &reply, error);
    if (status == LK_OK) status = judge(a, reply, acked, lost, log, error);
  }
  lk_redis_reply_free(reply);
  empty(a);
  return status;
}
