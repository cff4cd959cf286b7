#include "engine/cli/render.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"

void lk_render_header(FILE *out, lk_format format) {
  if (format == LK_CSV) fputs("probe,rank,key,subject,score\n", out);
  if (format == LK_TABLE) fprintf(out, "%8s %5s  %-28s %-28s %s\n", "probe", "rank", "key", "subject", "score");
}

void lk_render_csv_text(FILE *out, lk_text text) {
  bool plain = text.length > 0 && text.bytes[0] != ' ' && text.bytes[text.length - 1] != ' ';
  for (uint32_t i = 0; i < text.length; i++) plain = plain && strchr(",\"\r\n", text.bytes[i]) == NULL;
  if (plain || text.length == 0) {
    fwrite(text.bytes, 1, text.length, out);
    return;
  }
  fputc('"', out);
  for (uint32_t i = 0; i < text.length; i++) {
    if (text.bytes[i] == '"') fputc('"', out);
    fputc(text.bytes[i], out);
  }
  fputc('"', out);
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
  fprintf(out, "%8" PRIu64 " %5u  %-28.*s %-28.*s %s\n", probe, rank, (int)c->found.key.length, c->found.key.bytes,
          (int)c->found.subject.length, c->found.subject.bytes, lk_render_score(c->score, "-").text);
}

lk_status lk_render_json_line(FILE *out, json_t *root, lk_text decision, lk_error *error) {
  char *text = lk_json_print(root, JSON_COMPACT | JSON_REAL_PRECISION(9));
  json_decref(root);
  if (text == NULL) return lk_fail_memory(error);
  size_t open = strlen(text) - 1; /* without the closing brace */
  fprintf(out, "%.*s,\"decision\":%.*s}\n", (int)open, text, (int)decision.length, decision.bytes);
  free(text);
  return LK_OK;
}

static lk_status render_json(FILE *out, uint64_t probe, uint32_t count, lk_next_candidate *next, void *context,
                             lk_text decision, lk_error *error) {
  json_t *list = json_array();
  for (uint32_t rank = 1; rank <= count; rank++) {
    lk_candidate c = next(context);
    json_array_append_new(list, json_pack("{s:i, s:s%, s:s%, s:o}", "rank", (int)rank, "key", c.found.key.bytes,
                                          (size_t)c.found.key.length, "subject", c.found.subject.bytes,
                                          (size_t)c.found.subject.length, "score", lk_render_score_json(c.score)));
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
  fprintf(out, "policy: %.*s", HASH_SHOWN, policy);
  json_array_foreach(json_object_get(root, "rules"), i, rule) {
    fprintf(out, "%s%s", i > 0 ? ", " : "; rules: ", json_string_value(rule));
  }
  fputc('\n', out);
  json_decref(root);
  return LK_OK;
}
