#include "engine/cli/render.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/json.h"
#include "base/printable.h"
#include "base/text.h"

void lk_render_header(FILE *out, lk_format format) {
  if (format == LK_CSV) fputs("probe,rank,key,subject,score\n", out);
  if (format == LK_TABLE) fprintf(out, "%8s %5s  %-28s %-28s %s\n", "probe", "rank", "key", "subject", "score");
}

static bool needs_quotes(lk_text text) {
  if (text.length == 0) return false;
  bool quotes = text.bytes[0] == ' ' || text.bytes[text.length - 1] == ' ';
  for (uint32_t i = 0; i < text.length; i++) quotes = quotes || strchr(",;\t\"\r\n", text.bytes[i]) != NULL;
  return quotes;
}

/* Programs get the text as it is, but a terminal must not act on it. */
void lk_render_csv_text(FILE *out, lk_text text) {
  bool for_terminal = !lk_printable_is_plain(text) && isatty(fileno(out)) == 1, quotes = needs_quotes(text);
  if (quotes) fputc('"', out);
  for (uint32_t begin = 0, end; begin < text.length; begin = end + 1) {
    end = begin;
    while (end < text.length && text.bytes[end] != '"') end++;
    if (for_terminal)
      lk_printable_put(out, (lk_text){.bytes = text.bytes + begin, .length = end - begin}, 0);
    else
      fwrite(text.bytes + begin, 1, end - begin, out);
    if (end < text.length) fputs("\"\"", out);
  }
  if (quotes) fputc('"', out);
}

bool lk_render_is_csv_text(lk_text text) {
  const unsigned char *at = (const unsigned char *)text.bytes;
  for (uint32_t i = 0, length; i < text.length; i += length) {
    length = lk_text_sequence(at + i, text.length - i);
    if (length == 0 || at[i] == 0x7f || (at[i] < ' ' && strchr("\t\r\n", at[i]) == NULL) || at[i] == '\0') return false;
  }
  return true;
}

lk_status lk_render_json_text(FILE *out, lk_text text, lk_error *error) {
  json_t *string = json_stringn(text.bytes != NULL ? text.bytes : "", text.length);
  if (string == NULL) return lk_fail(error, LK_EFORMAT, "a text is not UTF-8");
  char *quoted = lk_json_print(string, JSON_ENCODE_ANY);
  json_decref(string);
  if (quoted == NULL) return lk_fail_memory(error);
  lk_printable_json(out, quoted, strlen(quoted));
  free(quoted);
  return LK_OK;
}

lk_score_text lk_render_score(float score, const char *hidden) {
  lk_score_text shown;
  snprintf(shown.text, sizeof shown.text, "%.9g", (double)score);
  if (isnan(score)) snprintf(shown.text, sizeof shown.text, "%s", hidden);
  return shown;
}

json_t *lk_render_score_json(float score) { return isnan(score) ? json_null() : json_real((double)score); }

static void render_csv(FILE *out, uint64_t probe, uint32_t rank, const lk_candidate *c) {
  fprintf(out, "%" PRIu64 ",%u,", probe, rank);
  lk_render_csv_text(out, c->found.key);
  fputc(',', out);
  lk_render_csv_text(out, c->found.subject);
  fprintf(out, ",%s\n", lk_render_score(c->score, "").text);
}

static void render_row(FILE *out, uint64_t probe, uint32_t rank, const lk_candidate *c) {
  fprintf(out, "%8" PRIu64 " %5u  ", probe, rank);
  lk_printable_put(out, c->found.key, 28);
  fputc(' ', out);
  lk_printable_put(out, c->found.subject, 28);
  fprintf(out, " %s\n", lk_render_score(c->score, "-").text);
}

lk_status lk_render_json_line(FILE *out, json_t *root, lk_text decision, lk_error *error) {
  char *text = lk_json_print(root, JSON_COMPACT | JSON_REAL_PRECISION(9));
  json_decref(root);
  if (text == NULL) return lk_fail_memory(error);
  size_t open = strlen(text) - 1; /* without the closing brace */
  lk_printable_json(out, text, open);
  fputs(",\"decision\":", out);
  lk_printable_json(out, decision.bytes, decision.length);
  fputs("}\n", out);
  free(text);
  return LK_OK;
}

static json_t *json_of(uint32_t rank, const lk_candidate *c) {
  json_t *json = json_pack("{s:i, s:s%, s:s%, s:o}", "rank", (int)rank, "key", c->found.key.bytes,
                           (size_t)c->found.key.length, "subject", c->found.subject.bytes,
                           (size_t)c->found.subject.length, "score", lk_render_score_json(c->score));
  if (c->found.metadata.length == 0 || lk_json_set_bytes(json, "metadata", c->found.metadata)) return json;
  json_decref(json);
  return NULL;
}

static lk_status render_json(FILE *out, uint64_t probe, uint32_t count, lk_next_candidate *next, void *context,
                             lk_text decision, lk_error *error) {
  json_t *list = json_array();
  for (uint32_t rank = 1; rank <= count; rank++) {
    lk_candidate c = next(context);
    json_array_append_new(list, json_of(rank, &c));
  }
  bool complete = json_array_size(list) == count;
  json_t *root = json_pack("{s:I, s:o}", "probe", (json_int_t)probe, "candidates", list);
  if (complete) return lk_render_json_line(out, root, decision, error);
  json_decref(root);
  return lk_fail_memory(error);
}

lk_status lk_render_list(FILE *out, lk_format format, uint64_t probe, uint32_t count, lk_next_candidate *next,
                         void *context, lk_text decision, lk_error *error) {
  lk_status status = LK_OK;
  if (format == LK_JSON)
    status = render_json(out, probe, count, next, context, decision, error);
  else
    for (uint32_t rank = 1; rank <= count; rank++) {
      lk_candidate c = next(context);
      (format == LK_CSV ? render_csv : render_row)(out, probe, rank, &c);
    }
  if (status == LK_OK && ferror(out)) status = lk_fail(error, LK_EIO, "cannot write the output: %s", strerror(errno));
  return status;
}

lk_status lk_render_footer(FILE *out, lk_format format, lk_text decision, lk_error *error) {
  enum { HASH_SHOWN = 12 };
  if (format != LK_TABLE || decision.length == 0) return LK_OK;
  json_t *root = json_loadb(decision.bytes, decision.length, 0, NULL), *rule;
  const char *policy = json_string_value(json_object_get(root, "policy"));
  size_t i;
  if (policy == NULL) {
    json_decref(root);
    return lk_fail_memory(error); /* the engine wrote it, so it is JSON */
  }
  fputs("policy: ", out);
  lk_printable_put(out, (lk_text){.bytes = policy, .length = (uint32_t)strnlen(policy, HASH_SHOWN)}, 0);
  json_array_foreach(json_object_get(root, "rules"), i, rule) {
    const char *id = json_string_value(rule);
    fputs(i > 0 ? ", " : "; rules: ", out);
    lk_printable_put(out, lk_text_of(id != NULL ? id : "?"), 0);
  }
  fputc('\n', out);
  json_decref(root);
  return LK_OK;
}
