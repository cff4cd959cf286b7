#include "governance/policy/value.h"

#include <errno.h>
#include <fenv.h>
#include <math.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/text.h"
#include "base/timestamp.h"
#include "governance/policy/word.h"

enum { ID_MAX = 64 };

lk_status lk_value_refuse(const lk_reader *p, const lk_yaml_node *node, const char *format, ...) {
  char what[320];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(what, sizeof what, format, arguments);
  va_end(arguments);
  p->policy->refused_line = node->line;
  return lk_fail(p->error, LK_EFORMAT, "%s: line %u: %s%.*s%s%.*s%s%s", p->name, node->line,
                 p->rule.length > 0 ? "rule '" : "", (int)(p->rule.length < ID_MAX ? p->rule.length : ID_MAX),
                 p->rule.bytes, p->rule.length > 0 ? "': " : "",
                 (int)(node->key.length < ID_MAX ? node->key.length : ID_MAX), node->key.bytes,
                 node->key.length > 0 ? ": " : "", what);
}

lk_status lk_value_refuse_text(const lk_reader *p, const lk_yaml_node *node, const char *what) {
  return lk_value_refuse(p, node, "'%.*s' %s", (int)(node->text.length < 64 ? node->text.length : 64), node->text.bytes,
                         what);
}

lk_status lk_value_need(const lk_reader *p, const lk_yaml_node *node) {
  if (node->kind != LK_YAML_TEXT) return lk_value_refuse(p, node, "is not a single value");
  return lk_yaml_is_null(node) || node->text.length == 0 ? lk_value_refuse(p, node, "is empty") : LK_OK;
}

static lk_status take_text(const lk_reader *p, const lk_yaml_node *node, lk_text text, lk_text *to) {
  const char *fault = lk_text_fault(text);
  *to = text;
  return fault == NULL ? LK_OK : lk_value_refuse(p, node, "%s", fault);
}

lk_status lk_value_text(const lk_reader *p, const lk_yaml_node *node, void *to) {
  lk_status status = lk_value_need(p, node);
  return status == LK_OK ? take_text(p, node, node->text, to) : status;
}

static lk_status keep_word(const lk_reader *p, lk_text *text) {
  lk_kept_word *kept = malloc(sizeof *kept + text->length);
  if (kept == NULL) return lk_fail_memory(p->error);
  memcpy(kept->bytes, text->bytes, text->length);
  kept->older = p->policy->words;
  p->policy->words = kept;
  text->bytes = kept->bytes;
  return LK_OK;
}

lk_status lk_value_word(const lk_reader *p, const lk_yaml_node *node, void *to) {
  lk_word word;
  lk_text *text = to;
  lk_status status = lk_value_text(p, node, text);
  if (status != LK_OK) return status;
  const char *fault = lk_word_normalise(node->text, &word, text);
  if (fault == NULL && text->length == 0) fault = "is empty";
  return fault != NULL ? lk_value_refuse(p, node, "%s", fault) : keep_word(p, text);
}

lk_status lk_value_flag(const lk_reader *p, const lk_yaml_node *node, void *to) {
  *(bool *)to = lk_text_equal(node->text, lk_text_of("true"));
  lk_status status = lk_value_need(p, node);
  if (status != LK_OK || *(bool *)to || lk_text_equal(node->text, lk_text_of("false"))) return status;
  return lk_value_refuse_text(p, node, "is neither true nor false");
}

/* A folded YAML block ends with a line feed, which is dropped. */
lk_status lk_value_prose(const lk_reader *p, const lk_yaml_node *node, void *to) {
  lk_status status = lk_value_need(p, node);
  lk_text text = node->text;
  while (text.length > 0 && text.bytes[text.length - 1] == '\n') text.length--;
  return status == LK_OK ? take_text(p, node, text, to) : status;
}

lk_status lk_value_id(const lk_reader *p, const lk_yaml_node *node, void *to) {
  static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  lk_status status = lk_value_text(p, node, to);
  if (status != LK_OK) return status;
  if (node->text.length > ID_MAX) return lk_value_refuse(p, node, "is longer than %d bytes", ID_MAX);
  if (strspn(node->text.bytes, allowed) == node->text.length) return LK_OK;
  return lk_value_refuse_text(p, node, "may contain only letters, digits, '.', '_' and '-'");
}

lk_status lk_value_timestamp(const lk_reader *p, const lk_yaml_node *node, void *to) {
  lk_status status = lk_value_need(p, node);
  if (status != LK_OK) return status;
  const char *fault = lk_timestamp_parse(node->text, to);
  return fault == NULL ? LK_OK : lk_value_refuse_text(p, node, fault);
}

lk_status lk_value_until(const lk_reader *p, const lk_yaml_node *node, void *to) {
  return lk_yaml_is_null(node) ? LK_OK : lk_value_timestamp(p, node, to);
}

/* Accepts decimal numbers only; strtod would also accept hexadecimal, nan and leading spaces. */
static lk_status need_number(const lk_reader *p, const lk_yaml_node *node) {
  char *end;
  lk_status status = lk_value_need(p, node);
  if (status != LK_OK) return status;
  strtod_l(node->text.bytes, &end, p->locale);
  bool decimal = strspn(node->text.bytes, "0123456789+-.eE") == node->text.length;
  return decimal && *end == '\0' ? LK_OK : lk_value_refuse_text(p, node, "is not a number");
}

/* The least float at or above the decimal: the nearest float may lie below it, and would let through a score that the
 * rule's words exclude. Sets errno to ERANGE where there is none, and where it is too small for a normal number. */
static float least_float(const lk_reader *p, const char *decimal) {
  int rounding = fegetround();
  fesetround(FE_UPWARD);
  errno = 0;
  float score = strtof_l(decimal, NULL, p->locale);
  fesetround(rounding);
  return score;
}

lk_status lk_value_score(const lk_reader *p, const lk_yaml_node *node, void *to) {
  lk_status status = need_number(p, node);
  if (status != LK_OK) return status;
  float score = *(float *)to = least_float(p, node->text.bytes);
  bool in_range = isfinite(score) && (errno != ERANGE || fabsf(score) < 1);
  return in_range ? LK_OK : lk_value_refuse_text(p, node, "is out of range for a score");
}

lk_status lk_value_rate(const lk_reader *p, const lk_yaml_node *node, void *to) {
  lk_status status = need_number(p, node);
  if (status != LK_OK) return status;
  double rate = *(double *)to = strtod_l(node->text.bytes, NULL, p->locale);
  return rate > 0 && rate < 1 ? LK_OK : lk_value_refuse_text(p, node, "is not between 0 and 1");
}

lk_status lk_value_whole(const lk_reader *p, const lk_yaml_node *node, uint32_t least, uint32_t most, uint32_t *to) {
  lk_status status = lk_value_need(p, node);
  if (status != LK_OK) return status;
  errno = 0;
  unsigned long long number = strtoull(node->text.bytes, NULL, 10);
  bool digits = strspn(node->text.bytes, "0123456789") == node->text.length;
  *to = (uint32_t)number;
  if (digits && errno == 0 && number >= least && number <= most) return LK_OK;
  return lk_value_refuse(p, node, "'%.*s' is not a whole number from %u to %u",
                         (int)(node->text.length < 64 ? node->text.length : 64), node->text.bytes, least, most);
}

lk_status lk_value_key(const lk_reader *p, const lk_yaml_node *node, void *to) {
  size_t length;
  lk_status status = lk_value_need(p, node);
  if (status != LK_OK) return status;
  if (node->text.length != 2 * LK_POLICY_KEY_SIZE ||
      sodium_hex2bin(to, LK_POLICY_KEY_SIZE, node->text.bytes, node->text.length, NULL, &length, NULL) != 0 ||
      length != LK_POLICY_KEY_SIZE)
    return lk_value_refuse_text(p, node, "is not 64 hexadecimal digits");
  return crypto_core_ed25519_is_valid_point(to) ? LK_OK : lk_value_refuse_text(p, node, "is not an Ed25519 public key");
}
