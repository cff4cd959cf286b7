/* Parses a policy file by tables of fields. Each entry names a field, the function that reads its value and the offset
 * where the value goes. */
#include <errno.h>
#include <fenv.h>
#include <locale.h>
#include <math.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/text.h"
#include "base/timestamp.h"
#include "governance/policy/rule.h"

enum { ID_MAX = 64, PATTERNS_MAX = 1024, HOURS_MAX = 1000000, KEYS_MAX = 4096 };
enum { SIGNATURE_MINUTES = 10, SIGNATURE_MINUTES_MAX = 60 };

typedef struct parse {
  const char *name; /* the file's */
  lk_text rule;     /* id of the rule being read, for messages */
  lk_policy *policy;
  locale_t locale; /* "C": a decimal point in every caller's locale */
  lk_error *error;
} parse;

typedef lk_status read_value(const parse *p, const lk_yaml_node *node, void *to);

typedef enum use { OPTIONAL, NEEDED, OF_PERMIT } use;

typedef struct field {
  const char *name;
  read_value *read;
  size_t offset;
  use use;
} field;

__attribute__((format(printf, 3, 4))) static lk_status refuse(const parse *p, const lk_yaml_node *node,
                                                              const char *format, ...) {
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

static lk_status refuse_value(const parse *p, const lk_yaml_node *node, const char *what) {
  return refuse(p, node, "'%.*s' %s", (int)(node->text.length < 64 ? node->text.length : 64), node->text.bytes, what);
}

/* Single values */

static lk_status need_text(const parse *p, const lk_yaml_node *node) {
  if (node->kind != LK_YAML_TEXT) return refuse(p, node, "is not a single value");
  return lk_yaml_is_null(node) || node->text.length == 0 ? refuse(p, node, "is empty") : LK_OK;
}

static lk_status take_text(const parse *p, const lk_yaml_node *node, lk_text text, lk_text *to) {
  const char *fault = lk_text_fault(text);
  *to = text;
  return fault == NULL ? LK_OK : refuse(p, node, "%s", fault);
}

static lk_status read_text(const parse *p, const lk_yaml_node *node, void *to) {
  lk_status status = need_text(p, node);
  return status == LK_OK ? take_text(p, node, node->text, to) : status;
}

/* A folded YAML block ends with a line feed, which is dropped. */
static lk_status read_prose(const parse *p, const lk_yaml_node *node, void *to) {
  lk_status status = need_text(p, node);
  lk_text text = node->text;
  while (text.length > 0 && text.bytes[text.length - 1] == '\n') text.length--;
  return status == LK_OK ? take_text(p, node, text, to) : status;
}

static lk_status read_id(const parse *p, const lk_yaml_node *node, void *to) {
  static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  lk_status status = read_text(p, node, to);
  if (status != LK_OK) return status;
  if (node->text.length > ID_MAX) return refuse(p, node, "is longer than %d bytes", ID_MAX);
  if (strspn(node->text.bytes, allowed) == node->text.length) return LK_OK;
  return refuse_value(p, node, "may contain only letters, digits, '.', '_' and '-'");
}

static lk_status read_effect(const parse *p, const lk_yaml_node *node, void *to) {
  bool forbid = lk_text_equal(node->text, lk_text_of("forbid"));
  lk_status status = need_text(p, node);
  *(lk_effect *)to = forbid ? LK_FORBID : LK_PERMIT;
  if (status != LK_OK || forbid || lk_text_equal(node->text, lk_text_of("permit"))) return status;
  return refuse_value(p, node, "is neither permit nor forbid");
}

static lk_status read_timestamp(const parse *p, const lk_yaml_node *node, void *to) {
  lk_status status = need_text(p, node);
  if (status != LK_OK) return status;
  const char *fault = lk_timestamp_parse(node->text, to);
  return fault == NULL ? LK_OK : refuse_value(p, node, fault);
}

static lk_status read_until(const parse *p, const lk_yaml_node *node, void *to) {
  return lk_yaml_is_null(node) ? LK_OK : read_timestamp(p, node, to);
}

/* Accepts decimal numbers only; strtod would also accept hexadecimal, nan and leading spaces. */
static lk_status need_number(const parse *p, const lk_yaml_node *node) {
  char *end;
  lk_status status = need_text(p, node);
  if (status != LK_OK) return status;
  strtod_l(node->text.bytes, &end, p->locale);
  bool decimal = strspn(node->text.bytes, "0123456789+-.eE") == node->text.length;
  return decimal && *end == '\0' ? LK_OK : refuse_value(p, node, "is not a number");
}

/* The least float at or above the decimal: the nearest float may lie below it, and would let through a score that the
 * rule's words exclude. Sets errno to ERANGE where there is none, and where it is too small for a normal number. */
static float least_float(const parse *p, const char *decimal) {
  int rounding = fegetround();
  fesetround(FE_UPWARD);
  errno = 0;
  float score = strtof_l(decimal, NULL, p->locale);
  fesetround(rounding);
  return score;
}

static lk_status read_score(const parse *p, const lk_yaml_node *node, void *to) {
  lk_status status = need_number(p, node);
  if (status != LK_OK) return status;
  float score = *(float *)to = least_float(p, node->text.bytes);
  bool in_range = isfinite(score) && (errno != ERANGE || fabsf(score) < 1);
  return in_range ? LK_OK : refuse_value(p, node, "is out of range for a score");
}

static lk_status read_rate(const parse *p, const lk_yaml_node *node, void *to) {
  lk_status status = need_number(p, node);
  if (status != LK_OK) return status;
  double rate = *(double *)to = strtod_l(node->text.bytes, NULL, p->locale);
  return rate > 0 && rate < 1 ? LK_OK : refuse_value(p, node, "is not between 0 and 1");
}

static lk_status read_whole(const parse *p, const lk_yaml_node *node, uint32_t least, uint32_t most, uint32_t *to) {
  lk_status status = need_text(p, node);
  if (status != LK_OK) return status;
  errno = 0;
  unsigned long long number = strtoull(node->text.bytes, NULL, 10);
  bool digits = strspn(node->text.bytes, "0123456789") == node->text.length;
  *to = (uint32_t)number;
  if (digits && errno == 0 && number >= least && number <= most) return LK_OK;
  return refuse(p, node, "'%.*s' is not a whole number from %u to %u",
                (int)(node->text.length < 64 ? node->text.length : 64), node->text.bytes, least, most);
}

static lk_status read_version(const parse *p, const lk_yaml_node *node, void *to) {
  (void)to;
  lk_status status = need_text(p, node);
  if (status != LK_OK || lk_text_equal(node->text, lk_text_of("1"))) return status;
  return refuse_value(p, node, "is not a supported version; use 1");
}

static lk_status read_candidates(const parse *p, const lk_yaml_node *node, void *to) {
  return read_whole(p, node, 1, LK_K_MAX, to);
}
static lk_status read_probes(const parse *p, const lk_yaml_node *node, void *to) {
  return read_whole(p, node, 1, LK_POLICY_NO_LIMIT - 1, to);
}
static lk_status read_hours(const parse *p, const lk_yaml_node *node, void *to) {
  return read_whole(p, node, 0, HOURS_MAX, to);
}

static lk_status read_signature_minutes(const parse *p, const lk_yaml_node *node, void *to) {
  return read_whole(p, node, 1, SIGNATURE_MINUTES_MAX, to);
}

static lk_status read_on_refusal(const parse *p, const lk_yaml_node *node, void *to) {
  *(bool *)to = lk_text_equal(node->text, lk_text_of("purge"));
  lk_status status = need_text(p, node);
  if (status != LK_OK || *(bool *)to || lk_text_equal(node->text, lk_text_of("keep"))) return status;
  return refuse_value(p, node, "is neither purge nor keep");
}

static lk_status read_key(const parse *p, const lk_yaml_node *node, void *to) {
  size_t length;
  lk_status status = need_text(p, node);
  if (status != LK_OK) return status;
  if (node->text.length != 2 * LK_POLICY_KEY_SIZE ||
      sodium_hex2bin(to, LK_POLICY_KEY_SIZE, node->text.bytes, node->text.length, NULL, &length, NULL) != 0 ||
      length != LK_POLICY_KEY_SIZE)
    return refuse_value(p, node, "is not 64 hexadecimal digits");
  return crypto_core_ed25519_is_valid_point(to) ? LK_OK : refuse_value(p, node, "is not an Ed25519 public key");
}

/* Lists. A single value is a list of one item. */

static const lk_yaml_node *first_item(const lk_yaml_node *node) {
  return node->kind == LK_YAML_TEXT ? node : node->first;
}
static const lk_yaml_node *next_item(const lk_yaml_node *list, const lk_yaml_node *item) {
  return list->kind == LK_YAML_TEXT ? NULL : item->next;
}

static lk_status count_items(const parse *p, const lk_yaml_node *node, uint32_t most, uint32_t *count) {
  *count = 0;
  if (node->kind == LK_YAML_FIELDS) return refuse(p, node, "is not a list");
  for (const lk_yaml_node *item = first_item(node); item != NULL; item = next_item(node, item)) ++*count;
  return *count <= most ? LK_OK : refuse(p, node, "lists more than %u items", most);
}

static lk_status count_some(const parse *p, const lk_yaml_node *node, uint32_t *count) {
  lk_status status = count_items(p, node, PATTERNS_MAX, count);
  return status == LK_OK && *count == 0 ? refuse(p, node, "is empty") : status;
}

static lk_status read_patterns(const parse *p, const lk_yaml_node *node, void *to) {
  lk_patterns *patterns = to;
  uint32_t count;
  lk_status status = count_some(p, node, &count);
  if (status != LK_OK) return status;
  patterns->of = calloc(count, sizeof *patterns->of);
  if (patterns->of == NULL) return lk_fail_memory(p->error);
  for (const lk_yaml_node *item = first_item(node); status == LK_OK && item != NULL; item = next_item(node, item))
    status = read_text(p, item, &patterns->of[patterns->count++]);
  return status;
}

static lk_status read_operations(const parse *p, const lk_yaml_node *node, void *to) {
  uint32_t count;
  lk_status status = count_some(p, node, &count);
  for (const lk_yaml_node *item = first_item(node); status == LK_OK && item != NULL; item = next_item(node, item)) {
    lk_operation operation;
    lk_error fault;
    status = need_text(p, item);
    if (status != LK_OK) return status;
    if (lk_operation_parse(item->text, &operation, &fault) != LK_OK) return refuse(p, item, "%s", fault.text);
    *(uint32_t *)to |= 1U << operation;
  }
  return status;
}

static lk_status read_require(const parse *p, const lk_yaml_node *node, void *to) {
  static const char *const names[] = {"purpose", "actor", "signature", "jurisdiction", "case", "authorisation"};
  uint32_t count, bits = 0;
  lk_status status = count_some(p, node, &count);
  for (const lk_yaml_node *item = first_item(node); status == LK_OK && item != NULL; item = next_item(node, item)) {
    int i = 5;
    while (i >= 0 && !lk_text_equal(item->text, lk_text_of(names[i]))) i--;
    status = need_text(p, item);
    if (status == LK_OK && i < 0)
      return refuse_value(p, item, "is not one of purpose, actor, signature, jurisdiction, case, authorisation");
    bits |= 1U << (i & 7);
  }
  *(uint32_t *)to |= bits;
  return status;
}

/* Fields */

static lk_status refuse_unknown(const parse *p, const lk_yaml_node *node, const field *fields) {
  char known[256] = "";
  for (size_t used = 0; fields->name != NULL; fields++)
    used = lk_text_append(known, sizeof known, used, "%s%s", used > 0 ? ", " : "", fields->name);
  return refuse(p, node, "unknown field; the fields here are %s", known);
}

static lk_status read_fields(const parse *p, const lk_yaml_node *node, const field *fields, void *to) {
  if (node->kind != LK_YAML_FIELDS) return refuse(p, node, "is not a mapping of fields");
  for (const lk_yaml_node *child = node->first; child != NULL; child = child->next) {
    const field *f = fields;
    while (f->name != NULL && !lk_text_equal(child->key, lk_text_of(f->name))) f++;
    if (f->name == NULL) return refuse_unknown(p, child, fields);
    lk_status status = f->read(p, child, (char *)to + f->offset);
    if (status != LK_OK) return status;
  }
  for (const field *f = fields; f->name != NULL; f++)
    if (f->use == NEEDED && lk_yaml_field(node, lk_text_of(f->name)) == NULL)
      return refuse(p, node, "%s is missing", f->name);
  return LK_OK;
}

/* Messages about an item with fields name its fields, not the list. */
static lk_yaml_node without_key(const lk_yaml_node *item) {
  lk_yaml_node node = *item;
  if (node.kind == LK_YAML_FIELDS) node.key = (lk_text){0};
  return node;
}

static const field authorisation_fields[] = {
    {"grace_hours", read_hours, offsetof(lk_rule, grace_hours), OPTIONAL},
    {"on_refusal", read_on_refusal, offsetof(lk_rule, purge_on_refusal), OPTIONAL},
    {0}};

static lk_status read_authorisation(const parse *p, const lk_yaml_node *node, void *to) {
  ((lk_rule *)to)->require |= LK_REQUIRE_AUTHORISATION;
  return read_fields(p, node, authorisation_fields, to);
}

#define CLAIM(claim) offsetof(lk_scope, claims) + (claim) * sizeof(lk_patterns)
#define SCOPE_FIELDS(at)                                                                 \
  {"operations", read_operations, (at) + offsetof(lk_scope, operations), OPTIONAL},      \
      {"purposes", read_patterns, (at) + CLAIM(LK_CLAIM_PURPOSE), OPTIONAL},             \
      {"actors", read_patterns, (at) + CLAIM(LK_CLAIM_ACTOR), OPTIONAL},                 \
      {"jurisdictions", read_patterns, (at) + CLAIM(LK_CLAIM_JURISDICTION), OPTIONAL}, { \
    "galleries", read_patterns, (at) + CLAIM(LK_CLAIM_GALLERY), OPTIONAL                 \
  }

static const field except_fields[] = {SCOPE_FIELDS(offsetof(lk_rule, except)), {0}};

static lk_status read_except(const parse *p, const lk_yaml_node *node, void *to) {
  ((lk_rule *)to)->has_except = true;
  if (node->kind == LK_YAML_FIELDS && node->first == NULL) return refuse(p, node, "is empty");
  return read_fields(p, node, except_fields, to);
}

static const field rule_fields[] = {{"id", read_id, offsetof(lk_rule, shown.id), NEEDED},
                                    {"effect", read_effect, offsetof(lk_rule, shown.effect), NEEDED},
                                    {"text", read_prose, offsetof(lk_rule, shown.text), NEEDED},
                                    SCOPE_FIELDS(offsetof(lk_rule, scope)),
                                    {"except", read_except, 0, OPTIONAL},
                                    {"from", read_timestamp, offsetof(lk_rule, from_ms), OPTIONAL},
                                    {"until", read_until, offsetof(lk_rule, until_ms), OPTIONAL},
                                    {"require", read_require, offsetof(lk_rule, require), OF_PERMIT},
                                    {"authorisation", read_authorisation, 0, OF_PERMIT},
                                    {"min_score", read_score, offsetof(lk_rule, min_score), OF_PERMIT},
                                    {"max_fmr", read_rate, offsetof(lk_rule, max_fmr), OF_PERMIT},
                                    {"max_candidates", read_candidates, offsetof(lk_rule, max_candidates), OF_PERMIT},
                                    {"probes_per_case", read_probes, offsetof(lk_rule, probes_per_case), OF_PERMIT},
                                    {"retention_hours", read_hours, offsetof(lk_rule, retention_hours), OF_PERMIT},
                                    {0}};

static lk_status check_rule(const parse *p, const lk_yaml_node *node, const lk_rule *rule) {
  for (const lk_rule *before = p->policy->rules; before < rule; before++)
    if (lk_text_equal(before->shown.id, rule->shown.id)) return refuse(p, node, "another rule has this id");
  if (rule->until_ms <= rule->from_ms)
    return refuse(p, lk_yaml_field(node, lk_text_of("until")), "is not later than from");
  for (const field *f = rule_fields; f->name != NULL && rule->shown.effect == LK_FORBID; f++) {
    const lk_yaml_node *given = lk_yaml_field(node, lk_text_of(f->name));
    if (f->use == OF_PERMIT && given != NULL) return refuse(p, given, "only a permit may have this field");
  }
  return LK_OK;
}

static lk_status read_rule(parse *p, const lk_yaml_node *item, lk_rule *rule) {
  const lk_yaml_node unnamed = without_key(item), *node = &unnamed;
  *rule = (lk_rule){.from_ms = INT64_MIN,
                    .until_ms = INT64_MAX,
                    .min_score = -INFINITY,
                    .max_candidates = LK_POLICY_NO_LIMIT,
                    .probes_per_case = LK_POLICY_NO_LIMIT,
                    .retention_hours = LK_POLICY_NO_LIMIT};
  const lk_yaml_node *id = lk_yaml_field(node, lk_text_of("id"));
  p->rule = id != NULL ? id->text : (lk_text){0};
  lk_status status = read_fields(p, node, rule_fields, rule);
  if (status == LK_OK) status = check_rule(p, node, rule);
  p->rule = (lk_text){0};
  return status;
}

static lk_status read_rules(const parse *p, const lk_yaml_node *node, void *to) {
  lk_policy *policy = to;
  parse of_rules = *p;
  uint32_t count;
  if (node->kind != LK_YAML_LIST) return refuse(p, node, "is not a list");
  lk_status status = count_items(p, node, LK_POLICY_RULES_MAX, &count);
  if (status != LK_OK) return status;
  policy->rules = calloc(count + 1, sizeof *policy->rules);
  if (policy->rules == NULL) return lk_fail_memory(p->error);
  for (const lk_yaml_node *item = node->first; status == LK_OK && item != NULL; item = item->next)
    status = read_rule(&of_rules, item, &policy->rules[policy->rules_count++]);
  return status;
}

static const field key_fields[] = {{"actor", read_text, offsetof(lk_policy_actor_key, actor), NEEDED},
                                   {"ed25519", read_key, offsetof(lk_policy_actor_key, key), NEEDED},
                                   {0}};

static lk_status read_keys(const parse *p, const lk_yaml_node *node, void *to) {
  lk_policy *policy = to;
  uint32_t count;
  if (node->kind != LK_YAML_LIST) return refuse(p, node, "is not a list");
  lk_status status = count_items(p, node, KEYS_MAX, &count);
  if (status != LK_OK) return status;
  policy->keys = calloc(count + 1, sizeof *policy->keys);
  if (policy->keys == NULL) return lk_fail_memory(p->error);
  for (const lk_yaml_node *item = node->first; status == LK_OK && item != NULL; item = item->next) {
    lk_policy_actor_key *key = &policy->keys[policy->keys_count];
    lk_yaml_node unnamed = without_key(item);
    status = read_fields(p, &unnamed, key_fields, key);
    for (uint32_t i = 0; status == LK_OK && i < policy->keys_count; i++)
      if (memcmp(policy->keys[i].key, key->key, sizeof key->key) == 0)
        status = refuse(p, &unnamed, "this key is listed twice"); /* a signature must name one actor */
    policy->keys_count++;
  }
  return status;
}

static const field policy_fields[] = {
    {"policy", read_version, 0, NEEDED},
    {"name", read_text, offsetof(lk_policy, name), NEEDED},
    {"deployment", read_id, offsetof(lk_policy, deployment), OPTIONAL},
    {"signature_minutes", read_signature_minutes, offsetof(lk_policy, signature_minutes), OPTIONAL},
    {"keys", read_keys, 0, OPTIONAL},
    {"rules", read_rules, 0, NEEDED},
    {0}};

/* Without an id a job that was signed for one deployment could be played at another with the same keys. */
static lk_status check_keys(const parse *p) {
  if (p->policy->keys_count == 0 || p->policy->deployment.length > 0) return LK_OK;
  return refuse(p, lk_yaml_field(p->policy->tree.root, lk_text_of("keys")),
                "need the field deployment: the id that signed jobs name");
}

lk_status lk_policy_read(const char *name, lk_policy *policy, lk_error *error) {
  parse p = {.name = name, .policy = policy, .locale = newlocale(LC_ALL_MASK, "C", NULL), .error = error};
  if (p.locale == (locale_t)0) return lk_fail_memory(error);
  policy->signature_minutes = SIGNATURE_MINUTES;
  lk_status status = read_fields(&p, policy->tree.root, policy_fields, policy);
  if (status == LK_OK) status = check_keys(&p);
  freelocale(p.locale);
  return status;
}
