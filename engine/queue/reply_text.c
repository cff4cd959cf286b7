#include "engine/queue/reply_text.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"

const char *lk_reply_member(lk_op op) {
  if (lk_op_kind_of(op) == LK_OP_SEARCHES) return NULL;
  if (lk_op_kind_of(op) == LK_OP_CHANGES) return "receipt";
  return op == LK_OP_LIST ? "list" : "stat";
}

/* Takes the object over. */
static void print(json_t *object, lk_bytes *out) {
  char *text = lk_json_print(object, JSON_COMPACT);
  if (text != NULL)
    lk_bytes_append(out, text, strlen(text));
  else
    out->failed = true;
  free(text);
  json_decref(object);
}

static json_t *number(uint64_t value) { return json_integer((json_int_t)value); }

static json_t *decimal(uint64_t value) {
  char digits[24];
  snprintf(digits, sizeof digits, "%" PRIu64, value);
  return json_string(digits);
}

static json_t *entry_or_null(lk_entry entry) {
  char id[LK_ENTRY_TEXT];
  if (entry.ms == 0 && entry.sequence == 0) return json_null();
  snprintf(id, sizeof id, "%" PRIu64 "-%" PRIu64, entry.ms, entry.sequence);
  return json_string(id);
}

/* NULL: out of memory. */
static json_t *add_name(json_t *names, bool is_there, const char *name) {
  if (!is_there || json_array_append_new(names, json_string(name)) == 0) return names;
  json_decref(names);
  return NULL;
}

static json_t *places_of(const lk_reply_receipt *receipt) {
  json_t *places = add_name(json_array(), receipt->in_journal, "journal");
  places = add_name(places, receipt->in_segments, "segments");
  return add_name(places, receipt->in_redis, "redis");
}

/* False: out of memory. */
static bool set_names(json_t *object, const char *member, const lk_text_list *list) {
  if (list->count == 0) return true;
  lk_text *texts = malloc(list->count * sizeof *texts);
  json_t *names = json_array();
  bool complete = texts != NULL && names != NULL;
  if (complete) lk_text_list_split(list, texts);
  for (uint32_t i = 0; complete && i < list->count; i++)
    complete = json_array_append_new(names, json_stringn(texts[i].bytes, texts[i].length)) == 0;
  free(texts);
  return json_object_set_new(object, member, names) == 0 && complete;
}

/* json_pack takes over what it is given, on failure too. */
void lk_reply_receipt_print(const lk_reply_receipt *receipt, lk_bytes *out) {
  const lk_receipt *done = &receipt->done;
  json_t *json = json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o}", "operation", lk_op_name(receipt->op),
                           "epoch", number(done->epoch), "templates", number(done->templates), "replaced",
                           number(done->replaced), "unchanged", number(done->unchanged), "numbered_from",
                           lk_op_enrolls(receipt->op) ? number(done->numbered_from) : json_null(), "log",
                           entry_or_null(receipt->log), "promise", receipt->replicated ? "replicated" : "owner-durable",
                           "remains", places_of(receipt));
  if (!set_names(json, "keys", &receipt->keys) || !set_names(json, "subjects", &receipt->subjects)) out->failed = true;
  print(json, out);
}

static json_t *text(lk_text text) { return json_stringn(text.length > 0 ? text.bytes : "", text.length); }

static json_t *template_of(const lk_template *t) {
  json_t *object =
      json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "number", number(t->number), "key", text(t->key), "subject",
                text(t->subject), "group", text(t->group), "tags", decimal(t->tags), "version", decimal(t->version),
                "expires", t->expires_ms == LK_NEVER ? json_null() : decimal(t->expires_ms));
  if (lk_json_set_bytes(object, "metadata", t->metadata)) return object;
  json_decref(object);
  return NULL;
}

/* A tree of all templates would take much more memory than what they are printed as; so each is printed by itself. */
void lk_reply_list_print(const lk_reply_list *list, lk_bytes *out) {
  char next[32] = "null", head[128];
  if (list->more) snprintf(next, sizeof next, "\"%" PRIu64 "\"", list->next);
  int length = snprintf(head, sizeof head, "{\"epoch\":%" PRIu64 ",\"next\":%s,\"templates\":[", list->epoch, next);
  lk_bytes_append(out, head, (size_t)length);
  for (uint32_t i = 0; i < list->count; i++) {
    if (i > 0) lk_bytes_append(out, ",", 1);
    print(template_of(&list->templates[i]), out);
  }
  lk_bytes_append(out, "]}", 2);
}

void lk_reply_stat_print(const lk_reply_stat *stat, lk_bytes *out) {
  const lk_gallery_stat *g = stat->gallery;
  json_t *remains =
      json_pack("{s:o, s:o}", "journal", number(g->deleted_in_journals), "segments", number(g->deleted_in_segments));
  print(json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name", g->name, "model", g->model,
                  "metric", lk_metric_name(g->metric), "store", lk_store_name(g->store), "dim", number(g->dim),
                  "templates", number(g->templates), "expired", number(stat->expired), "epoch", number(g->epoch),
                  "next_number", number(g->next_number), "remains", remains, "log", entry_or_null(stat->log)),
        out);
}
