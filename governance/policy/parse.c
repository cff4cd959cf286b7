/* Parses a policy file by tables of fields. Each entry names a field, the function that reads its value and the offset
 * where the value goes. */
#include <locale.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/text.h"
#include "governance/policy/detail.h"
#include "governance/policy/value.h"

enum { PATTERNS_MAX = 1024, HOURS_MAX = 1000000, KEYS_MAX = 4096 };
enum { SIGNATURE_MINUTES = 10, SIGNATURE_MINUTES_MAX = 60 };

typedef lk_status read_value(const lk_reader *p, const lk_yaml_node *node, void *to);

typedef enum use { OPTIONAL, NEEDED, OF_PERMIT } use;

typedef struct field {
  const char *name;
  read_value *read;
  size_t offset;
  use use;
} field;

static lk_status read_effect(const lk_reader *p, const lk_yaml_node *node, void *to) {
  bool forbid = lk_text_equal(node->text, lk_text_of("forbid"));
  lk_status status = lk_value_need(p, node);
  *(lk_effect *)to = forbid ? LK_FORBID : LK_PERMIT;
  if (status != LK_OK || forbid || lk_text_equal(node->text, lk_text_of("permit"))) return status;
  return lk_value_refuse_text(p, node, "is neither permit nor forbid");
}

static lk_status read_version(const lk_reader *p, const lk_yaml_node *node, void *to) {
  (void)to;
  lk_status status = lk_value_need(p, node);
  if (status != LK_OK || lk_text_equal(node->text, lk_text_of("1"))) return status;
  return lk_value_refuse_text(p, node, "is not a supported version; use 1");
}

static lk_status read_candidates(const lk_reader *p, const lk_yaml_node *node, void *to) {
  return lk_value_whole(p, node, 1, LK_K_MAX, to);
}
static lk_status read_probes(const lk_reader *p, const lk_yaml_node *node, void *to) {
  return lk_value_whole(p, node, 1, LK_POLICY_NO_LIMIT - 1, to);
}
static lk_status read_hours(const lk_reader *p, const lk_yaml_node *node, void *to) {
  return lk_value_whole(p, node, 0, HOURS_MAX, to);
}

static lk_status read_signature_minutes(const lk_reader *p, const lk_yaml_node *node, void *to) {
  return lk_value_whole(p, node, 1, SIGNATURE_MINUTES_MAX, to);
}

/* There are no results that the engine keeps and could purge, so it promises none: whoever gets a result keeps it. */
static lk_status read_on_refusal(const lk_reader *p, const lk_yaml_node *node, void *to) {
  (void)to;
  lk_status status = lk_value_need(p, node);
  if (status != LK_OK || lk_text_equal(node->text, lk_text_of("keep"))) return status;
  return lk_value_refuse_text(p, node, "is not offered; the only value is keep");
}

/* Lists. A single value is a list of one item. */

static const lk_yaml_node *first_item(const lk_yaml_node *node) {
  return node->kind == LK_YAML_TEXT ? node : node->first;
}
static const lk_yaml_node *next_item(const lk_yaml_node *list, const lk_yaml_node *item) {
  return list->kind == LK_YAML_TEXT ? NULL : item->next;
}

static lk_status count_items(const lk_reader *p, const lk_yaml_node *node, uint32_t most, uint32_t *count) {
  *count = 0;
  if (node->kind == LK_YAML_FIELDS) return lk_value_refuse(p, node, "is not a list");
  for (const lk_yaml_node *item = first_item(node); item != NULL; item = next_item(node, item)) ++*count;
  return *count <= most ? LK_OK : lk_value_refuse(p, node, "lists more than %u items", most);
}

static lk_status count_some(const lk_reader *p, const lk_yaml_node *node, uint32_t *count) {
  lk_status status = count_items(p, node, PATTERNS_MAX, count);
  return status == LK_OK && *count == 0 ? lk_value_refuse(p, node, "is empty") : status;
}

static lk_status read_patterns(const lk_reader *p, const lk_yaml_node *node, void *to) {
  lk_patterns *patterns = to;
  uint32_t count;
  lk_status status = count_some(p, node, &count);
  if (status != LK_OK) return status;
  patterns->of = calloc(count, sizeof *patterns->of);
  if (patterns->of == NULL) return lk_fail_memory(p->error);
  for (const lk_yaml_node *item = first_item(node); status == LK_OK && item != NULL; item = next_item(node, item))
    status = lk_value_word(p, item, &patterns->of[patterns->count++]);
  return status;
}

static lk_status read_operations(const lk_reader *p, const lk_yaml_node *node, void *to) {
  uint32_t count;
  lk_status status = count_some(p, node, &count);
  for (const lk_yaml_node *item = first_item(node); status == LK_OK && item != NULL; item = next_item(node, item)) {
    lk_operation operation;
    lk_error fault;
    status = lk_value_need(p, item);
    if (status != LK_OK) return status;
    if (lk_operation_parse(item->text, &operation, &fault) != LK_OK) return lk_value_refuse(p, item, "%s", fault.text);
    *(uint32_t *)to |= 1U << operation;
  }
  return status;
}

static lk_status read_require(const lk_reader *p, const lk_yaml_node *node, void *to) {
  static const char *const names[] = {"purpose", "actor", "signature", "jurisdiction", "case", "authorisation"};
  uint32_t count, bits = 0;
  lk_status status = count_some(p, node, &count);
  for (const lk_yaml_node *item = first_item(node); status == LK_OK && item != NULL; item = next_item(node, item)) {
    int i = 5;
    while (i >= 0 && !lk_text_equal(item->text, lk_text_of(names[i]))) i--;
    status = lk_value_need(p, item);
    if (status == LK_OK && i < 0)
      return lk_value_refuse_text(p, item,
                                  "is not one of purpose, actor, signature, jurisdiction, case, authorisation");
    bits |= 1U << (i & 7);
  }
  *(uint32_t *)to |= bits;
  return status;
}

/* Fields */

static lk_status refuse_unknown(const lk_reader *p, const lk_yaml_node *node, const field *fields) {
  char known[256] = "";
  for (size_t used = 0; fields->name != NULL; fields++)
    used = lk_text_append(known, sizeof known, used, "%s%s", used > 0 ? ", " : "", fields->name);
  return lk_value_refuse(p, node, "unknown field; the fields here are %s", known);
}

static lk_status read_fields(const lk_reader *p, const lk_yaml_node *node, const field *fields, void *to) {
  if (node->kind != LK_YAML_FIELDS) return lk_value_refuse(p, node, "is not a mapping of fields");
  for (const lk_yaml_node *child = node->first; child != NULL; child = child->next) {
    const field *f = fields;
    while (f->name != NULL && !lk_text_equal(child->key, lk_text_of(f->name))) f++;
    if (f->name == NULL) return refuse_unknown(p, child, fields);
    lk_status status = f->read(p, child, (char *)to + f->offset);
    if (status != LK_OK) return status;
  }
  for (const field *f = fields; f->name != NULL; f++)
    if (f->use == NEEDED && lk_yaml_field(node, lk_text_of(f->name)) == NULL)
      return lk_value_refuse(p, node, "%s is missing", f->name);
  return LK_OK;
}

/* Messages about an item with fields name its fields, not the list. */
static lk_yaml_node without_key(const lk_yaml_node *item) {
  lk_yaml_node node = *item;
  if (node.kind == LK_YAML_FIELDS) node.key = (lk_text){0};
  return node;
}

static const field authorisation_fields[] = {{"grace_hours", read_hours, offsetof(lk_rule, grace_hours), OPTIONAL},
                                             {"on_refusal", read_on_refusal, 0, OPTIONAL},
                                             {0}};

static lk_status read_authorisation(const lk_reader *p, const lk_yaml_node *node, void *to) {
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

static lk_status read_except(const lk_reader *p, const lk_yaml_node *node, void *to) {
  ((lk_rule *)to)->has_except = true;
  if (node->kind == LK_YAML_FIELDS && node->first == NULL) return lk_value_refuse(p, node, "is empty");
  return read_fields(p, node, except_fields, to);
}

static lk_status read_decimals(const lk_reader *p, const lk_yaml_node *node, void *to) {
  lk_score_detail *detail = to;
  detail->rounded = true;
  return lk_value_whole(p, node, 0, LK_DECIMALS_MAX, &detail->decimals);
}

static const field rule_fields[] = {
    {"id", lk_value_id, offsetof(lk_rule, shown.id), NEEDED},
    {"effect", read_effect, offsetof(lk_rule, shown.effect), NEEDED},
    {"text", lk_value_prose, offsetof(lk_rule, shown.text), NEEDED},
    SCOPE_FIELDS(offsetof(lk_rule, scope)),
    {"except", read_except, 0, OPTIONAL},
    {"from", lk_value_timestamp, offsetof(lk_rule, from_ms), OPTIONAL},
    {"until", lk_value_until, offsetof(lk_rule, until_ms), OPTIONAL},
    {"require", read_require, offsetof(lk_rule, require), OF_PERMIT},
    {"authorisation", read_authorisation, 0, OF_PERMIT},
    {"min_score", lk_value_score, offsetof(lk_rule, min_score), OF_PERMIT},
    {"max_fmr", lk_value_rate, offsetof(lk_rule, max_fmr), OF_PERMIT},
    {"score_decimals", read_decimals, offsetof(lk_rule, detail), OF_PERMIT},
    {"decision_only", lk_value_flag, offsetof(lk_rule, detail.hidden), OF_PERMIT},
    {"max_candidates", read_candidates, offsetof(lk_rule, max_candidates), OF_PERMIT},
    {"probes_per_case", read_probes, offsetof(lk_rule, probes_per_case), OF_PERMIT},
    {"subject_probes_per_hour", read_probes, offsetof(lk_rule, subject_probes_per_hour), OF_PERMIT},
    {"retention_hours", read_hours, offsetof(lk_rule, retention_hours), OF_PERMIT},
    {0}};

static lk_status check_rule(const lk_reader *p, const lk_yaml_node *node, const lk_rule *rule) {
  for (const lk_rule *before = p->policy->rules; before < rule; before++)
    if (lk_text_equal(before->shown.id, rule->shown.id)) return lk_value_refuse(p, node, "another rule has this id");
  if (rule->until_ms <= rule->from_ms)
    return lk_value_refuse(p, lk_yaml_field(node, lk_text_of("until")), "is not later than from");
  if (rule->detail.hidden && rule->min_score == -INFINITY && rule->max_fmr == 0)
    return lk_value_refuse(p, lk_yaml_field(node, lk_text_of("decision_only")),
                           "needs min_score or max_fmr, by which to decide");
  for (const field *f = rule_fields; f->name != NULL && rule->shown.effect == LK_FORBID; f++) {
    const lk_yaml_node *given = lk_yaml_field(node, lk_text_of(f->name));
    if (f->use == OF_PERMIT && given != NULL) return lk_value_refuse(p, given, "only a permit may have this field");
  }
  return LK_OK;
}

static lk_status read_rule(lk_reader *p, const lk_yaml_node *item, lk_rule *rule) {
  const lk_yaml_node unnamed = without_key(item), *node = &unnamed;
  *rule = (lk_rule){.from_ms = INT64_MIN,
                    .until_ms = INT64_MAX,
                    .min_score = -INFINITY,
                    .max_candidates = LK_POLICY_NO_LIMIT,
                    .probes_per_case = LK_POLICY_NO_LIMIT,
                    .subject_probes_per_hour = LK_POLICY_NO_LIMIT,
                    .retention_hours = LK_POLICY_NO_LIMIT};
  const lk_yaml_node *id = lk_yaml_field(node, lk_text_of("id"));
  p->rule = id != NULL ? id->text : (lk_text){0};
  lk_status status = read_fields(p, node, rule_fields, rule);
  rule->says_until = lk_yaml_field(node, lk_text_of("until")) != NULL;
  if (status == LK_OK) status = check_rule(p, node, rule);
  p->rule = (lk_text){0};
  return status;
}

static lk_status read_rules(const lk_reader *p, const lk_yaml_node *node, void *to) {
  lk_policy *policy = to;
  lk_reader of_rules = *p;
  uint32_t count;
  if (node->kind != LK_YAML_LIST) return lk_value_refuse(p, node, "is not a list");
  lk_status status = count_items(p, node, LK_POLICY_RULES_MAX, &count);
  if (status != LK_OK) return status;
  policy->rules = calloc(count + 1, sizeof *policy->rules);
  if (policy->rules == NULL) return lk_fail_memory(p->error);
  for (const lk_yaml_node *item = node->first; status == LK_OK && item != NULL; item = item->next)
    status = read_rule(&of_rules, item, &policy->rules[policy->rules_count++]);
  return status;
}

static const field key_fields[] = {{"actor", lk_value_word, offsetof(lk_policy_actor_key, actor), NEEDED},
                                   {"ed25519", lk_value_key, offsetof(lk_policy_actor_key, key), NEEDED},
                                   {0}};

static lk_status read_keys(const lk_reader *p, const lk_yaml_node *node, void *to) {
  lk_policy *policy = to;
  uint32_t count;
  if (node->kind != LK_YAML_LIST) return lk_value_refuse(p, node, "is not a list");
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
        status = lk_value_refuse(p, &unnamed, "this key is listed twice"); /* a signature must name one actor */
    policy->keys_count++;
  }
  return status;
}

/* The fields that list words, in the order of lk_claim. */
static const char *const word_fields[LK_CLAIMS] = {"purposes", "actors", "jurisdictions", "galleries"};

#define KNOWN(claim) offsetof(lk_policy, known) + (claim) * sizeof(lk_patterns)
static const field words_fields[] = {{"purposes", read_patterns, KNOWN(LK_CLAIM_PURPOSE), OPTIONAL},
                                     {"actors", read_patterns, KNOWN(LK_CLAIM_ACTOR), OPTIONAL},
                                     {"jurisdictions", read_patterns, KNOWN(LK_CLAIM_JURISDICTION), OPTIONAL},
                                     {"galleries", read_patterns, KNOWN(LK_CLAIM_GALLERY), OPTIONAL},
                                     {0}};

static lk_status read_words(const lk_reader *p, const lk_yaml_node *node, void *to) {
  return read_fields(p, node, words_fields, to);
}

/* A rule's pattern is known if it is a word of the list, or stands for one. */
static bool is_known(const lk_patterns *known, lk_text pattern) {
  bool found = known->count == 0;
  for (uint32_t i = 0; !found && i < known->count; i++)
    found = lk_pattern_matches(known->of[i], pattern) || lk_pattern_matches(pattern, known->of[i]);
  return found;
}

static lk_status check_scope(const lk_reader *p, const lk_yaml_node *fields, const lk_patterns patterns[LK_CLAIMS]) {
  for (lk_claim claim = 0; claim < LK_CLAIMS; claim++) {
    const lk_yaml_node *list = lk_yaml_field(fields, lk_text_of(word_fields[claim]));
    const lk_yaml_node *item = list != NULL ? first_item(list) : NULL;
    for (uint32_t i = 0; item != NULL && i < patterns[claim].count; i++, item = next_item(list, item))
      if (!is_known(&p->policy->known[claim], patterns[claim].of[i]))
        return lk_value_refuse_text(p, item, "is not among the words that the policy lists");
  }
  return LK_OK;
}

/* A word that no request may use would make a forbid that forbids nothing. */
static lk_status check_words(const lk_reader *p) {
  lk_reader of_rule = *p;
  const lk_yaml_node *item = lk_yaml_field(p->policy->tree.root, lk_text_of("rules"))->first;
  lk_status status = LK_OK;
  for (uint32_t i = 0; status == LK_OK && i < p->policy->rules_count; i++, item = item->next) {
    const lk_rule *rule = &p->policy->rules[i];
    of_rule.rule = rule->shown.id;
    status = check_scope(&of_rule, item, rule->scope.claims);
    if (status == LK_OK && rule->has_except)
      status = check_scope(&of_rule, lk_yaml_field(item, lk_text_of("except")), rule->except.claims);
  }
  return status;
}

static const field policy_fields[] = {
    {"policy", read_version, 0, NEEDED},
    {"name", lk_value_text, offsetof(lk_policy, name), NEEDED},
    {"deployment", lk_value_id, offsetof(lk_policy, deployment), OPTIONAL},
    {"signature_minutes", read_signature_minutes, offsetof(lk_policy, signature_minutes), OPTIONAL},
    {"keys", read_keys, 0, OPTIONAL},
    {"words", read_words, 0, OPTIONAL},
    {"rules", read_rules, 0, NEEDED},
    {0}};

/* Without an id a job that was signed for one deployment could be played at another with the same keys. */
static lk_status check_keys(const lk_reader *p) {
  if (p->policy->keys_count == 0 || p->policy->deployment.length > 0) return LK_OK;
  return lk_value_refuse(p, lk_yaml_field(p->policy->tree.root, lk_text_of("keys")),
                         "need the field deployment: the id that signed jobs name");
}

lk_status lk_policy_read(const char *name, lk_policy *policy, lk_error *error) {
  lk_reader p = {.name = name, .policy = policy, .locale = newlocale(LC_ALL_MASK, "C", NULL), .error = error};
  if (p.locale == (locale_t)0) return lk_fail_memory(error);
  policy->signature_minutes = SIGNATURE_MINUTES;
  lk_status status = read_fields(&p, policy->tree.root, policy_fields, policy);
  if (status == LK_OK) status = check_keys(&p);
  if (status == LK_OK) status = check_words(&p);
  freelocale(p.locale);
  return status;
}
