#include "governance/decision_record.h"

#include <math.h>
#include <stdio.h>

#include "base/json.h"

static json_t *rules_of(const lk_verdict *verdict) {
  json_t *rules = json_array();
  for (uint32_t i = 0; i < verdict->rules_count; i++)
    if (json_array_append_new(rules, json_string(verdict->rules[i])) != 0) {
      json_decref(rules);
      return NULL;
    }
  return rules;
}

static json_t *finite_or_null(float score) { return isfinite(score) ? json_real(score) : json_null(); }

static json_t *expected_or_null(lk_governance *governance, const lk_verdict *verdict, lk_text model,
                                uint64_t searched) {
  double expected;
  bool known = lk_governance_expected_false(governance, verdict, model, searched, &expected);
  return known ? json_real(expected) : json_null();
}

static json_t *retention_of(const lk_verdict *verdict) {
  bool limited = verdict->retention_hours != LK_POLICY_NO_LIMIT;
  return limited ? json_integer(verdict->retention_hours) : json_null();
}

typedef struct member {
  const char *name;
  json_t *value;
} member;

/* Makes an object of these members, in this order, and takes ownership of all values. NULL if one of them is NULL. */
static json_t *object_of(const member *members, size_t count) {
  json_t *object = json_object();
  bool whole = object != NULL;
  for (size_t i = 0; i < count; i++)
    whole = json_object_set_new(object, members[i].name, members[i].value) == 0 && whole;
  if (whole) return object;
  json_decref(object);
  return NULL;
}

/* It says which rule refused, and nothing of the gallery: whoever may not search it may not learn its size either. */
static json_t *refusal_of(const lk_verdict *verdict) {
  const member members[] = {{"decision", json_string("refuse")},
                            {"id", json_string(verdict->id)},
                            {"policy", json_string(verdict->policy)},
                            {"rules", rules_of(verdict)},
                            {"audit", json_integer((json_int_t)verdict->sequence)}};
  return object_of(members, sizeof members / sizeof members[0]);
}

json_t *lk_decision_record(lk_governance *governance, const lk_verdict *verdict, lk_text model,
                           const lk_release *release) {
  if (verdict == NULL) return object_of((member[]){{"policy", json_string("none")}}, 1);
  if (!verdict->permitted) return refusal_of(verdict);
  const member members[] = {
      {"decision", json_string("permit")},
      {"id", json_string(verdict->id)},
      {"policy", json_string(verdict->policy)},
      {"rules", rules_of(verdict)},
      {"audit", json_integer((json_int_t)verdict->sequence)},
      {"epoch", json_integer((json_int_t)release->epoch)},
      {"searched", json_integer((json_int_t)release->searched)},
      {"total", json_integer((json_int_t)release->total)},
      {"threshold", finite_or_null(verdict->threshold)},
      {"model", json_stringn(model.length > 0 ? model.bytes : "", model.length)},
      {"expected_false_candidates", expected_or_null(governance, verdict, model, release->searched)},
      {"retention_hours", retention_of(verdict)},
      {"k", json_integer(verdict->k)},
      {"score_decimals", verdict->detail.rounded ? json_integer(verdict->detail.decimals) : json_null()},
      {"decision_only", json_boolean(verdict->detail.hidden)}};
  return object_of(members, sizeof members / sizeof members[0]);
}

/* As far as a number of JSON reaches; null: no limit. */
static json_t *number_or_null(uint64_t number, uint64_t none) {
  return number != none && number <= INT64_MAX ? json_integer((json_int_t)number) : json_null();
}

static uint64_t read_number(const json_t *record, const char *name, uint64_t none) {
  const json_t *number = json_object_get(record, name);
  return json_is_null(number) ? none : (uint64_t)json_integer_value(number);
}

static json_t *ids_of(const lk_verdict *const *verdicts, uint32_t count) {
  json_t *ids = json_array();
  for (uint32_t i = 0; i < count; i++)
    if (json_array_append_new(ids, json_string(verdicts[i]->id)) != 0) {
      json_decref(ids);
      return NULL;
    }
  return ids;
}

json_t *lk_change_record(const lk_verdict *const *verdicts, uint32_t count) {
  if (count == 0) return object_of((member[]){{"policy", json_string("none")}}, 1);
  const lk_verdict *first = verdicts[0], *last = verdicts[count - 1];
  const member members[] = {
      {"decision", json_string("permit")},
      {"id", json_string(first->id)},
      {"ids", ids_of(verdicts, count)},
      {"policy", json_string(first->policy)},
      {"rules", rules_of(first)},
      {"audit", json_integer((json_int_t)first->sequence)},
      {"score_decimals", last->detail.rounded ? json_integer(last->detail.decimals) : json_null()},
      {"decision_only", json_boolean(last->detail.hidden)},
      {"subject_probes_per_hour", number_or_null(last->subject_probes_per_hour, LK_POLICY_NO_LIMIT)},
      {"since", json_integer((json_int_t)last->since_ms)},
      {"until", number_or_null(last->until_ms, UINT64_MAX)}};
  return object_of(members, sizeof members / sizeof members[0]);
}

/* False: it is no text, or does not fit. */
static bool take_text(const json_t *text, char *to, size_t size) {
  const char *value = json_string_value(text);
  return value != NULL && (size_t)snprintf(to, size, "%s", value) < size;
}

bool lk_change_record_verdict(const json_t *record, uint32_t n, lk_verdict *verdict) {
  const json_t *rules = json_object_get(record, "rules"), *decimals = json_object_get(record, "score_decimals");
  *verdict = (lk_verdict){
      .permitted = true,
      .subject_probes_per_hour = (uint32_t)read_number(record, "subject_probes_per_hour", LK_POLICY_NO_LIMIT),
      .since_ms = read_number(record, "since", 0),
      .until_ms = read_number(record, "until", UINT64_MAX),
      .detail = {.hidden = json_is_true(json_object_get(record, "decision_only")),
                 .rounded = json_is_integer(decimals),
                 .decimals = (uint32_t)json_integer_value(decimals)}};
  bool has = take_text(json_array_get(json_object_get(record, "ids"), n), verdict->id, LK_VERDICT_ID) &&
             take_text(json_object_get(record, "policy"), verdict->policy, LK_VERDICT_POLICY);
  for (size_t i = 0; has && i < json_array_size(rules) && i < LK_VERDICT_RULES; i++)
    has = take_text(json_array_get(rules, i), verdict->rules[verdict->rules_count++], LK_VERDICT_RULE);
  return has;
}

char *lk_decision_record_print(const json_t *record) {
  return lk_json_print(record, JSON_COMPACT | JSON_REAL_PRECISION(9));
}
