#include "governance/decision_record.h"

#include <math.h>

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

char *lk_decision_record_print(const json_t *record) {
  return lk_json_print(record, JSON_COMPACT | JSON_REAL_PRECISION(9));
}
