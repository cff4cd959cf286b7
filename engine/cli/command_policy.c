/* policy check reads a policy file; policy explain shows how a policy decides a request, rule by rule. */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <likeness/policy.h>
#include "base/clock.h"
#include "base/fail.h"
#include "base/printable.h"
#include "base/text.h"
#include "base/timestamp.h"
#include "engine/cli/command.h"

enum { HASH_TEXT = 2 * LK_POLICY_HASH_SIZE + 1, WHY = 512 };

static void hash_text(const uint8_t hash[LK_POLICY_HASH_SIZE], char text[HASH_TEXT]) {
  for (int i = 0; i < LK_POLICY_HASH_SIZE; i++) snprintf(text + 2 * i, 3, "%02x", hash[i]);
}

/* A permit should say what it permits: what it leaves out, it permits for good. */
static void warn_of_open_fields(const char *file, const lk_policy *policy, FILE *log) {
  lk_policy_stat stat;
  char open[WHY];
  lk_policy_stat_get(policy, &stat);
  for (uint32_t i = 0; i < stat.rules; i++) {
    lk_text id = lk_policy_rule_get(policy, i).id;
    if (lk_policy_open_fields(policy, i, open, sizeof open))
      lk_printable_line(log, "%s: warning: the permit '%.*s' leaves fields open; it permits %s", file, (int)id.length,
                        id.bytes, open);
  }
}

lk_status lk_command_policy_check(const lk_options *options, const lk_streams *streams, lk_error *error) {
  lk_policy *policy;
  lk_status status = lk_policy_open(options->words[0], &policy, error);
  if (status != LK_OK) return status;
  lk_policy_stat stat;
  char hash[HASH_TEXT];
  lk_policy_stat_get(policy, &stat);
  hash_text(stat.hash, hash);
  lk_printable_line(streams->out, "%s: policy '%.*s' is valid: rules %u, keys %u, sha256 %s", options->words[0],
                    (int)stat.name.length, stat.name.bytes, stat.rules, stat.keys, hash);
  warn_of_open_fields(options->words[0], policy, streams->log);
  lk_policy_close(policy);
  return LK_OK;
}

/* The policy, the request and the decision. */
typedef struct explained {
  const lk_policy *policy;
  lk_policy_stat stat;
  lk_policy_request request;
  int64_t now_ms;
  lk_policy_decision decision;
  lk_error refusal;
} explained;

static lk_text text_or_none(const char *string) { return string != NULL ? lk_text_of(string) : (lk_text){0}; }

static lk_status read_request(const lk_options *options, explained *e, lk_error *error) {
  e->now_ms = (int64_t)lk_clock_unix_ms();
  e->request = (lk_policy_request){.purpose = text_or_none(options->purpose),
                                   .actor = text_or_none(options->actor),
                                   .jurisdiction = text_or_none(options->jurisdiction),
                                   .gallery = text_or_none(options->gallery),
                                   .model = text_or_none(options->model),
                                   .actor_signed = options->is_signed,
                                   .case_id = text_or_none(options->case_id),
                                   .authorisation = text_or_none(options->authorisation),
                                   .authorisation_granted = options->granted,
                                   .metric = options->metric,
                                   .k = options->k,
                                   .threshold = options->threshold,
                                   .probes = options->probes,
                                   .case_probes = options->case_probes};
  if (options->operation == NULL) return lk_fail(error, LK_EINVAL, "--operation is missing");
  lk_status status = lk_operation_parse(lk_text_of(options->operation), &e->request.operation, error);
  if (status != LK_OK) return lk_fail(error, status, "--operation: %s", error != NULL ? error->text : "");
  if (options->at != NULL) status = lk_options_timestamp("--at", options->at, &e->now_ms, error);
  if (status == LK_OK && options->pending_since != NULL)
    status = lk_options_timestamp("--pending-since", options->pending_since, &e->request.pending_since_ms, error);
  return status;
}

static const char *effect_name(lk_effect effect) { return effect == LK_PERMIT ? "permit" : "forbid"; }

static void print_rules(FILE *out, const explained *e) {
  char why[WHY];
  for (uint32_t i = 0; i < e->stat.rules; i++) {
    lk_policy_rule rule = lk_policy_rule_get(e->policy, i);
    bool applies = lk_policy_explain(e->policy, i, &e->request, e->now_ms, why, sizeof why);
    fprintf(out, "%-14s %s  ", applies ? "applies" : "does not apply", effect_name(rule.effect));
    lk_printable_put(out, rule.id, 24);
    lk_printable_line(out, " %s", why);
  }
}

static void print_limits(FILE *out, const lk_policy_decision *d) {
  char timestamp[LK_TIMESTAMP_SIZE];
  if (isfinite(d->threshold)) fprintf(out, "threshold   %.9g\n", (double)d->threshold);
  if (d->k != LK_K_ALL) fprintf(out, "k           %u\n", d->k);
  if (d->detail.hidden) fputs("scores      none, only the decision\n", out);
  if (d->detail.rounded && !d->detail.hidden)
    fprintf(out, "scores      rounded down to %u decimals\n", d->detail.decimals);
  if (d->retention_hours != LK_POLICY_NO_LIMIT) fprintf(out, "retention   %u hours\n", d->retention_hours);
  if (d->grace_until_ms == INT64_MAX) return;
  lk_timestamp_format(d->grace_until_ms, timestamp);
  fprintf(out, "grace until %s\n", timestamp);
}

static lk_status print_table(FILE *out, const explained *e, lk_error *error) {
  char at[LK_TIMESTAMP_SIZE], hash[HASH_TEXT];
  (void)error;
  lk_timestamp_format(e->now_ms, at);
  hash_text(e->stat.hash, hash);
  lk_printable_line(out, "%s%s", e->decision.permitted ? "permitted" : "refused: ", e->refusal.text);
  lk_printable_line(out, "policy      %.*s, sha256 %s", (int)e->stat.name.length, e->stat.name.bytes, hash);
  fprintf(out, "at          %s\n", at);
  if (e->decision.permitted) print_limits(out, &e->decision);
  fputc('\n', out);
  print_rules(out, e);
  return LK_OK;
}

static json_t *json_text(lk_text text) { return json_stringn(text.bytes, text.length); }

/* null: no limit. (JSON has no number for an infinite threshold.) */
static json_t *json_limit(bool given, double value) { return given ? json_real(value) : json_null(); }
static json_t *json_count(bool given, json_int_t value) { return given ? json_integer(value) : json_null(); }

static json_t *json_rules(const explained *e) {
  char why[WHY];
  json_t *rules = json_array();
  for (uint32_t i = 0; i < e->stat.rules; i++) {
    lk_policy_rule rule = lk_policy_rule_get(e->policy, i);
    bool applies = lk_policy_explain(e->policy, i, &e->request, e->now_ms, why, sizeof why);
    json_array_append_new(
        rules, json_pack("{s:o, s:s, s:b, s:s, s:o}", "id", json_text(rule.id), "effect", effect_name(rule.effect),
                         "applies", applies, "why", why, "text", json_text(rule.text)));
  }
  return rules;
}

static json_t *json_limits(const lk_policy_decision *d) {
  char timestamp[LK_TIMESTAMP_SIZE];
  bool grace = d->grace_until_ms != INT64_MAX;
  lk_timestamp_format(d->grace_until_ms, timestamp);
  return json_pack("{s:o, s:o, s:o, s:b, s:o, s:o}", "threshold",
                   json_limit(isfinite(d->threshold), (double)d->threshold), "k", json_count(d->k != LK_K_ALL, d->k),
                   "score_decimals", json_count(d->detail.rounded, d->detail.decimals), "decision_only",
                   d->detail.hidden, "retention_hours",
                   json_count(d->retention_hours != LK_POLICY_NO_LIMIT, d->retention_hours), "grace_until",
                   grace ? json_string(timestamp) : json_null());
}

static lk_status print_json(FILE *out, const explained *e, lk_error *error) {
  const lk_policy_decision *d = &e->decision;
  char at[LK_TIMESTAMP_SIZE], hash[HASH_TEXT];
  lk_timestamp_format(e->now_ms, at);
  hash_text(e->stat.hash, hash);
  json_t *by = d->refused_by < 0 ? json_null() : json_text(lk_policy_rule_get(e->policy, (uint32_t)d->refused_by).id);
  json_t *root = json_pack("{s:b, s:o, s:s, s:o, s:s, s:s, s:o, s:o}", "permitted", d->permitted, "refused_by", by,
                           "reason", e->refusal.text, "policy", json_text(e->stat.name), "sha256", hash, "at", at,
                           "limits", d->permitted ? json_limits(d) : json_null(), "rules", json_rules(e));
  char *text = root != NULL ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
  json_decref(root);
  if (text == NULL) return lk_fail_memory(error);
  lk_printable_json(out, text, strlen(text));
  fputc('\n', out);
  free(text);
  return LK_OK;
}

lk_status lk_command_policy_explain(const lk_options *options, const lk_streams *streams, lk_error *error) {
  explained e = {0};
  lk_policy *policy;
  if (options->format == LK_CSV) return lk_fail(error, LK_EINVAL, "--format: policy explain writes table or json");
  lk_status status = read_request(options, &e, error);
  if (status == LK_OK) status = lk_policy_open(options->words[0], &policy, error);
  if (status != LK_OK) return status;
  e.policy = policy;
  lk_policy_stat_get(policy, &e.stat);
  lk_policy_decide(policy, &e.request, e.now_ms, NULL, &e.decision, &e.refusal);
  status = (options->format == LK_JSON ? print_json : print_table)(streams->out, &e, error);
  lk_policy_close(policy);
  return status;
}
