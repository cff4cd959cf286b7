#include <criterion/criterion.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "governance/policy/rule.h"
#include "tests/support/files.h"

static lk_policy *policy;

static void teardown(void) {
  lk_policy_close(policy);
  files_teardown();
}

TestSuite(policy, .init = files_setup, .fini = teardown);

static lk_status parse(const char *yaml, lk_error *error) {
  size_t size = strlen(yaml);
  char *copy = malloc(size + 1);
  memcpy(copy, yaml, size);
  lk_policy_close(policy);
  lk_status status = lk_policy_parse("p.yaml", copy, size, &policy, error);
  free(copy);
  return status;
}

static void good(const char *yaml) {
  lk_error error = {0};
  cr_assert_eq(parse(yaml, &error), LK_OK, "%s\n%s", error.text, yaml);
}

/* `wanted` is all of the message but the file's name. */
static void check_refused(const char *yaml, const char *wanted) {
  lk_error error = {0};
  cr_assert_eq(parse(yaml, &error), LK_EFORMAT, "%s", yaml);
  cr_assert_null(policy);
  cr_assert_eq(strncmp(error.text, "p.yaml: ", 8), 0, "%s", error.text);
  cr_assert_str_eq(error.text + 8, wanted, "%s", yaml);
}

#define HEAD "policy: 1\nname: n\nrules:\n"
#define RULE HEAD "  - id: r\n    effect: permit\n    text: why\n"

/* A rule with one more line, the seventh. */
static void check_field_refused(const char *line, const char *wanted) {
  char yaml[2048], message[512];
  snprintf(yaml, sizeof yaml, RULE "    %s\n", line);
  snprintf(message, sizeof message, "line 7: rule 'r': %s", wanted);
  check_refused(yaml, message);
}

static const lk_rule *rule_with(const char *line) {
  char yaml[2048];
  snprintf(yaml, sizeof yaml, RULE "    %s\n", line);
  good(yaml);
  return &policy->rules[0];
}

Test(policy, what_is_open) {
  good("policy: 1\nname: x y\nkeys: []\nrules:\n- {id: a-1, effect: permit, text: first}\n"
       "- id: b\n  effect: forbid\n  text: >\n    second\n    line\n\n");
  lk_policy_stat stat;
  lk_policy_stat_get(policy, &stat);
  cr_assert(lk_text_equal(stat.name, lk_text_of("x y")) && stat.rules == 2 && stat.keys == 0);
  lk_policy_rule rule = lk_policy_rule_get(policy, 0);
  cr_assert(lk_text_equal(rule.id, lk_text_of("a-1")) && rule.effect == LK_PERMIT);
  rule = lk_policy_rule_get(policy, 1);
  cr_assert(lk_text_equal(rule.text, lk_text_of("second line")));
  cr_assert_eq(rule.effect, LK_FORBID);
}

Test(policy, hash_is_sha256_of_the_bytes) {
  static const char yaml[] = "policy: 1\nname: abc\nrules: []\n";
  /* printf 'policy: 1\nname: abc\nrules: []\n' | sha256sum */
  static const uint8_t wanted[] = {0xc2, 0x0e, 0x11, 0x1a, 0x0f, 0xc8, 0xe0, 0xca, 0x4c, 0x51, 0x49,
                                   0xa5, 0xec, 0xa4, 0x03, 0x02, 0x1d, 0xb1, 0x75, 0xca, 0xf4, 0xe2,
                                   0xe1, 0xd3, 0x33, 0xe1, 0x64, 0xc0, 0xa2, 0x2f, 0x98, 0xae};
  good(yaml);
  lk_policy_stat stat;
  lk_policy_stat_get(policy, &stat);
  cr_assert_arr_eq(stat.hash, wanted, 32);
}

Test(policy, from_a_file) {
  lk_policy *opened;
  lk_error error = {0};
  files_write(files_path("p.yaml"), RULE, strlen(RULE));
  cr_assert_eq(lk_policy_open(files_path("p.yaml"), &opened, &error), LK_OK, "%s", error.text);
  lk_policy_close(opened);
  files_write(files_path("p.yaml"), RULE "    effect: permit\n", strlen(RULE) + 19);
  cr_assert_eq(lk_policy_open(files_path("p.yaml"), &opened, &error), LK_EFORMAT);
  cr_assert_null(opened);
  cr_assert_not_null(strstr(error.text, files_path("p.yaml")), "%s", error.text);
  cr_assert_not_null(strstr(error.text, "p.yaml: line 7: field effect appears twice"), "%s", error.text);
  files_write(files_path("p.yaml"), "", 0);
  cr_assert_eq(lk_policy_open(files_path("p.yaml"), &opened, &error), LK_EFORMAT);
  cr_assert_eq(lk_policy_open(files_path("none.yaml"), &opened, &error), LK_EIO);
  cr_assert_null(opened);
}

Test(policy, files_that_are_refused) {
  check_refused("", "line 1: the file is empty");
  check_refused("just text\n", "line 1: is not a mapping of fields");
  check_refused("- a\n", "line 1: is not a mapping of fields");
  check_refused("name: n\nrules: []\n", "line 1: policy is missing");
  check_refused("policy: 1\nrules: []\n", "line 1: name is missing");
  check_refused("policy: 1\nname: n\n", "line 1: rules is missing");
  check_refused("policy: 2\nname: n\nrules: []\n", "line 1: policy: '2' is not a supported version; use 1");
  check_refused("policy: 1.0\nname: n\nrules: []\n", "line 1: policy: '1.0' is not a supported version; use 1");
  check_refused("policy: 1\nname:\nrules: []\n", "line 2: name: is empty");
  check_refused("policy: 1\nname: [n]\nrules: []\n", "line 2: name: is not a single value");
  check_refused("policy: 1\nname: \"a\\tb\"\nrules: []\n", "line 2: name: has a control character");
  check_refused("policy: 1\nname: n\nrule: []\n", "line 3: rule: unknown field; the fields here are policy, name, "
                                                  "deployment, signature_minutes, keys, words, rules");
  check_refused("policy: 1\nname: n\nrules:\n", "line 3: rules: is not a list");
  check_refused("policy: 1\nname: n\nrules: r\n", "line 3: rules: is not a list");
  check_refused("policy: 1\nname: n\nrules:\n  r: {}\n", "line 4: rules: is not a list");
  check_refused(HEAD "  - r\n", "line 4: rules: is not a mapping of fields");
  check_refused(HEAD "  - id: r\n   effect: permit\n", "line 5: did not find expected '-' indicator");
}

Test(policy, rules_that_are_refused) {
  check_refused(HEAD "  - effect: permit\n    text: why\n", "line 4: id is missing");
  check_refused(HEAD "  - id: r\n    text: why\n", "line 4: rule 'r': effect is missing");
  check_refused(HEAD "  - id: r\n    effect: permit\n", "line 4: rule 'r': text is missing");
  check_refused(HEAD "  - id: r\n    effect: allow\n    text: why\n",
                "line 5: rule 'r': effect: 'allow' is neither permit nor forbid");
  check_refused(HEAD "  - id: r\n    effect: permit\n    text: \"\"\n", "line 6: rule 'r': text: is empty");
  check_refused(HEAD "  - id: r\n    effect: permit\n    text: |\n      a\n      b\n",
                "line 6: rule 'r': text: has a control character");
  check_refused(HEAD "  - id: a b\n    effect: permit\n    text: why\n",
                "line 4: rule 'a b': id: 'a b' may contain only letters, digits, '.', '_' and '-'");
  check_refused(RULE "  - id: s\n    effect: permit\n    text: t\n  - id: r\n    effect: forbid\n    text: t\n",
                "line 10: rule 'r': another rule has this id");
  char yaml[512], wanted[128];
  for (int length = 64; length <= 65; length++) {
    snprintf(yaml, sizeof yaml, HEAD "  - id: %.*d\n    effect: permit\n    text: why\n", length, 7);
    if (length == 64) good(yaml);
  }
  snprintf(wanted, sizeof wanted, "line 4: rule '%.64d': id: is longer than 64 bytes", 0);
  check_refused(yaml, wanted);
}

Test(policy, at_most_256_rules) {
  char yaml[16384] = HEAD;
  for (int i = 0; i < 256; i++) sprintf(yaml + strlen(yaml), "  - {id: r%d, effect: permit, text: t}\n", i);
  good(yaml);
  cr_assert_eq(policy->rules_count, 256);
  strcat(yaml, "  - {id: more, effect: permit, text: t}\n");
  check_refused(yaml, "line 4: rules: lists more than 256 items");
}

Test(policy, fields_that_are_refused) {
  check_field_refused(
      "colour: red",
      "colour: unknown field; the fields here are id, effect, text, operations, purposes, actors, jurisdictions, "
      "galleries, except, from, until, require, authorisation, min_score, max_fmr, score_decimals, "
      "decision_only, max_candidates, probes_per_case, subject_probes_per_hour, retention_hours");
  check_field_refused(
      "operations: [identify, search]",
      "operations: 'search' is not one of identify, verify, enroll, delete, export, evaluate, tag, expire, "
      "erase");
  check_field_refused("operations: []", "operations: is empty");
  check_field_refused("operations:", "operations: is empty");
  check_field_refused("operations: {identify: yes}", "operations: is not a list");
  check_field_refused("operations: [[identify]]", "operations: is not a single value");
  check_field_refused("purposes: []", "purposes: is empty");
  check_field_refused("purposes: null", "purposes: is empty");
  check_field_refused("actors: [a, '']", "actors: is empty");
  check_field_refused("jurisdictions: [a, ~]", "jurisdictions: is empty");
  check_field_refused("galleries: [{a: b}]", "galleries: is not a single value");
}

Test(policy, limits_that_are_refused) {
  check_field_refused("min_score: high", "min_score: 'high' is not a number");
  check_field_refused("min_score: nan", "min_score: 'nan' is not a number");
  check_field_refused("min_score: inf", "min_score: 'inf' is not a number");
  check_field_refused("min_score: 0x1", "min_score: '0x1' is not a number");
  check_field_refused("min_score: 0,5", "min_score: '0,5' is not a number");
  check_field_refused("min_score: 0.5 0.6", "min_score: '0.5 0.6' is not a number");
  check_field_refused("min_score: 0.5.6", "min_score: '0.5.6' is not a number");
  check_field_refused("min_score: 1e39", "min_score: '1e39' is out of range for a score");
  check_field_refused("min_score:", "min_score: is empty");
  check_field_refused("min_score: [0.5]", "min_score: is not a single value");
  check_field_refused("max_fmr: 0", "max_fmr: '0' is not between 0 and 1");
  check_field_refused("max_fmr: 1", "max_fmr: '1' is not between 0 and 1");
  check_field_refused("max_fmr: -0.1", "max_fmr: '-0.1' is not between 0 and 1");
  check_field_refused("max_fmr: 1%", "max_fmr: '1%' is not a number");
  check_field_refused("score_decimals: 7", "score_decimals: '7' is not a whole number from 0 to 6");
  check_field_refused("subject_probes_per_hour: 0",
                      "subject_probes_per_hour: '0' is not a whole number from 1 to 4294967294");
  check_field_refused("decision_only: maybe", "decision_only: 'maybe' is neither true nor false");
  check_field_refused("decision_only: true", "decision_only: needs min_score or max_fmr, by which to decide");
  check_field_refused("max_candidates: 0", "max_candidates: '0' is not a whole number from 1 to 4096");
  check_field_refused("max_candidates: 4097", "max_candidates: '4097' is not a whole number from 1 to 4096");
  check_field_refused("max_candidates: ten", "max_candidates: 'ten' is not a whole number from 1 to 4096");
  check_field_refused("max_candidates: -1", "max_candidates: '-1' is not a whole number from 1 to 4096");
  check_field_refused("probes_per_case: 0", "probes_per_case: '0' is not a whole number from 1 to 4294967294");
  check_field_refused("probes_per_case: 99999999999999999999",
                      "probes_per_case: '99999999999999999999' is not a whole number from 1 to 4294967294");
  check_field_refused("retention_hours: 1.5", "retention_hours: '1.5' is not a whole number from 0 to 1000000");
  check_field_refused("retention_hours: 1000001", "retention_hours: '1000001' is not a whole number from 0 to 1000000");
  check_field_refused("require: [case, name]",
                      "require: 'name' is not one of purpose, actor, signature, jurisdiction, case, authorisation");
  check_field_refused("require:", "require: is empty");
  check_field_refused("require: [[case]]", "require: is not a single value");
  check_field_refused("authorisation: yes", "authorisation: is not a mapping of fields");
  check_field_refused("authorisation: {grace: 1}", "grace: unknown field; the fields here are grace_hours, on_refusal");
  check_field_refused("authorisation: {grace_hours: -1}", "grace_hours: '-1' is not a whole number from 0 to 1000000");
  check_field_refused("authorisation: {on_refusal: purge}",
                      "on_refusal: 'purge' is not offered; the only value is keep");
}

Test(policy, instants_that_are_refused) {
  check_field_refused("from: yesterday",
                      "from: 'yesterday' is neither a timestamp such as 2021-06-10T09:00:00+02:00 nor "
                      "a date such as 2021-06-10");
  check_field_refused(
      "from: 2021-06-10T09:00:00",
      "from: '2021-06-10T09:00:00' has no time zone: a timestamp ends with Z or an offset such as +02:00");
  check_field_refused("from: null", "from: is empty");
  check_field_refused("from: [2021-06-10]", "from: is not a single value");
  check_field_refused("until: 2021-02-29", "until: '2021-02-29' is not a valid date");
  check_field_refused("until: ''", "until: is empty");
}

Test(policy, a_window_ends_after_it_begins) {
  check_refused(RULE "    until: 2021-06-10\n    from: 2021-06-10\n",
                "line 7: rule 'r': until: is not later than from");
  check_refused(RULE "    from: 2021-06-10\n    until: 2021-06-10T01:00:00+01:00\n",
                "line 8: rule 'r': until: is not later than from");
  check_refused(RULE "    from: 2021-06-10\n    until: 2021-06-09\n",
                "line 8: rule 'r': until: is not later than from");
  good(RULE "    from: 2021-06-10\n    until: 2021-06-10T00:00:00.001Z\n");
  good(RULE "    from: 2021-06-10\n    until: null\n");
  cr_assert(policy->rules[0].from_ms == 1623283200000 && policy->rules[0].until_ms == INT64_MAX);
}

Test(policy, exceptions_that_are_refused) {
  check_field_refused("except: {}", "except: is empty");
  check_field_refused("except: police", "except: is not a mapping of fields");
  check_field_refused(
      "except: {from: 2021-06-10}",
      "from: unknown field; the fields here are operations, purposes, actors, jurisdictions, galleries");
  check_field_refused("except: {actors: []}", "actors: is empty");
}

Test(policy, a_forbid_has_no_limits) {
  static const char *const lines[] = {"require: case",      "authorisation: {}",    "min_score: 0.5",
                                      "score_decimals: 2",  "decision_only: false", "max_fmr: 0.5",
                                      "max_candidates: 10", "probes_per_case: 10",  "retention_hours: 1"};
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    char yaml[512], wanted[128];
    snprintf(yaml, sizeof yaml, HEAD "  - id: r\n    effect: forbid\n    text: why\n    %s\n", lines[i]);
    snprintf(wanted, sizeof wanted, "line 7: rule 'r': %.*s: only a permit may have this field",
             (int)strcspn(lines[i], ":"), lines[i]);
    check_refused(yaml, wanted);
  }
}

#define KEY "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"

Test(policy, keys_that_are_refused) {
  check_refused("policy: 1\nname: n\nkeys: a\nrules: []\n", "line 3: keys: is not a list");
  check_refused("policy: 1\nname: n\nkeys: [a]\nrules: []\n", "line 3: keys: is not a mapping of fields");
  check_refused("policy: 1\nname: n\nkeys:\n- actor: a\nrules: []\n", "line 4: ed25519 is missing");
  check_refused("policy: 1\nname: n\nkeys:\n- ed25519: " KEY "\nrules: []\n", "line 4: actor is missing");
  check_refused("policy: 1\nname: n\nkeys:\n- {actor: a, ed25519: 3d40}\nrules: []\n",
                "line 4: ed25519: '3d40' is not 64 hexadecimal digits");
  check_refused(
      "policy: 1\nname: n\nkeys:\n- {actor: a, ed25519: x" KEY "}\nrules: []\n",
      "line 4: ed25519: 'x3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660' is not 64 hexadecimal "
      "digits");
  check_refused("policy: 1\nname: n\nkeys:\n- actor: a\n  ed25519: "
                "'0000000000000000000000000000000000000000000000000000000000000000'\nrules: []\n",
                "line 5: ed25519: '0000000000000000000000000000000000000000000000000000000000000000' is not an Ed25519 "
                "public key");
  check_refused("policy: 1\nname: n\nkeys:\n- {actor: a, ed25519: " KEY "}\n- {actor: b, ed25519: " KEY
                "}\nrules: []\n",
                "line 5: this key is listed twice");
}

#define KEYS "keys:\n- {actor: a, ed25519: " KEY "}\nrules: []\n"

Test(policy, keys_need_a_deployment) {
  check_refused("policy: 1\nname: n\n" KEYS, "line 4: keys: need the field deployment: the id that signed jobs name");
  check_refused("policy: 1\nname: n\ndeployment: ''\n" KEYS, "line 3: deployment: is empty");
  check_refused("policy: 1\nname: n\ndeployment: [a]\n" KEYS, "line 3: deployment: is not a single value");
  check_refused("policy: 1\nname: n\ndeployment: a b\n" KEYS,
                "line 3: deployment: 'a b' may contain only letters, digits, '.', '_' and '-'");
  check_refused("policy: 1\nname: n\ndeployment: "
                "12345678901234567890123456789012345678901234567890123456789012345\n" KEYS,
                "line 3: deployment: is longer than 64 bytes");
  lk_policy_stat stat;
  good("policy: 1\nname: n\ndeployment: ch.1\n" KEYS);
  lk_policy_stat_get(policy, &stat);
  cr_assert(lk_text_equal(stat.deployment, lk_text_of("ch.1")) && stat.signature_minutes == 10 && stat.keys == 1);
}

Test(policy, signatures_have_an_age) {
  lk_policy_stat stat;
  check_refused("policy: 1\nname: n\nsignature_minutes: 0\nrules: []\n",
                "line 3: signature_minutes: '0' is not a whole number from 1 to 60");
  check_refused("policy: 1\nname: n\nsignature_minutes: 61\nrules: []\n",
                "line 3: signature_minutes: '61' is not a whole number from 1 to 60");
  check_refused("policy: 1\nname: n\nsignature_minutes: 1.5\nrules: []\n",
                "line 3: signature_minutes: '1.5' is not a whole number from 1 to 60");
  good("policy: 1\nname: n\nsignature_minutes: 60\nrules: []\n");
  lk_policy_stat_get(policy, &stat);
  cr_assert(stat.signature_minutes == 60 && stat.deployment.length == 0);
}

Test(policy, what_a_field_gives) {
  cr_assert_eq(rule_with("operations: verify")->scope.operations, 1U << LK_OPERATION_VERIFY);
  cr_assert_eq(rule_with("operations: [enroll, delete, enroll]")->scope.operations,
               1U << LK_OPERATION_ENROLL | 1U << LK_OPERATION_DELETE);
  cr_assert_eq(rule_with("require: signature")->require, LK_REQUIRE_SIGNATURE);
  cr_assert_eq(rule_with("require: [purpose, actor, signature, jurisdiction, case, authorisation]")->require, 63);
  const lk_rule *rule = rule_with("authorisation: {}");
  cr_assert(rule->require == LK_REQUIRE_AUTHORISATION && rule->grace_hours == 0);
  rule = rule_with("authorisation: {on_refusal: keep, grace_hours: 5}");
  cr_assert(rule->grace_hours == 5);
  cr_assert_eq(rule_with("min_score: -.5")->min_score, -0.5F);
  cr_assert_eq(rule_with("min_score: 1.0e-3")->min_score, 1e-3F);
  cr_assert_eq(rule_with("max_fmr: 1e-6")->max_fmr, 1e-6);
  rule = rule_with("purposes: ['a*', b]");
  cr_assert(rule->scope.claims[LK_CLAIM_PURPOSE].count == 2 && rule->max_fmr == 0 && rule->min_score == -INFINITY);
  cr_assert(lk_text_equal(rule->scope.claims[LK_CLAIM_PURPOSE].of[1], lk_text_of("b")));
  cr_assert_eq(rule_with("galleries: a*")->scope.claims[LK_CLAIM_GALLERY].count, 1);
  rule = rule_with("except: {jurisdictions: CH}");
  cr_assert(rule->has_except && rule->except.claims[LK_CLAIM_JURISDICTION].count == 1);
}

/* A limit of 0.7 must not release 0.699999988, the float that is nearest to it. */
Test(policy, a_limit_is_the_least_float_at_or_above_its_decimal) {
  cr_assert_eq(rule_with("min_score: 0.7")->min_score, 0x1.666668p-1F);
  cr_assert_eq(rule_with("min_score: -0.7")->min_score, -0x1.666666p-1F);
  cr_assert_eq(rule_with("min_score: 0.5")->min_score, 0.5F);
  /* The nearest double is 0.5 itself. */
  cr_assert_eq(rule_with("min_score: 0.50000000000000000000000000000001")->min_score, 0x1.000002p-1F);
  cr_assert_eq(rule_with("min_score: 1e-60")->min_score, 0x1p-149F);
  check_field_refused("min_score: -1e39", "min_score: '-1e39' is out of range for a score");
}

/* Numbers have a point, whatever the caller's locale has. */
Test(policy, numbers_in_another_locale) {
  if (setlocale(LC_ALL, "de_DE.UTF-8") == NULL) cr_skip_test("there is no locale de_DE.UTF-8 here");
  cr_assert_eq(rule_with("min_score: 0.5")->min_score, 0.5F);
}

static bool matches(const char *pattern, const char *text) {
  return lk_pattern_matches(lk_text_of(pattern), lk_text_of(text));
}

Test(policy, patterns) {
  cr_assert(matches("a", "a") && !matches("a", "A") && !matches("a", "ab") && !matches("ab", "a"));
  cr_assert(matches("*", "") && matches("*", "a") && matches("**", "") && matches("", "") && !matches("", "a"));
  cr_assert(matches("police/*", "police/") && matches("police/*", "police/north") && !matches("police/*", "police"));
  cr_assert(matches("*b", "ab") && matches("*b", "abb") && !matches("*b", "aba"));
  cr_assert(matches("a*b*c", "abc") && matches("a*b*c", "axbxbxc") && !matches("a*b*c", "axcxb"));
  cr_assert(matches("*ab*", "aab") && matches("*aab", "aaab") && !matches("a*a", "a"));
  cr_assert(matches("a*", "a*") && !matches("?", "a") && !matches("[a]", "a"));
  char text[256], pattern[256] = "";
  memset(text, 'a', 255);
  text[255] = '\0';
  for (int i = 0; i < 60; i++) strcat(pattern, "*a");
  cr_assert(matches(pattern, text));
  strcat(pattern, "*b"); /* would take for ever where every star is tried again */
  cr_assert(!matches(pattern, text));
}

static lk_policy_request request;
static lk_policy_decision decision;

static lk_status decide(const lk_policy_calibration *calibration, lk_error *error) {
  return lk_policy_decide(policy, &request, 0, calibration, &decision, error);
}

static bool nan_score(const void *context, lk_text model, double max_fmr, float *threshold) {
  (void)model, (void)max_fmr;
  *threshold = NAN;
  return context != NULL;
}

Test(policy, no_calibration_no_permit) {
  rule_with("max_fmr: 0.001");
  lk_policy_calibration broken = {.threshold = nan_score}, none = broken;
  broken.context = "";
  request = (lk_policy_request){.operation = LK_OPERATION_IDENTIFY, .threshold = 0.9F, .k = 3, .probes = 1};
  cr_assert_eq(decide(NULL, NULL), LK_EPOLICY);
  cr_assert_eq(decide(&none, NULL), LK_EPOLICY);
  cr_assert_eq(decide(&broken, NULL), LK_EPOLICY);
  cr_assert_eq(decision.cause, LK_CAUSE_CALIBRATION);
  request.operation = LK_OPERATION_ENROLL;
  cr_assert_eq(decide(NULL, NULL), LK_OK, "enroll compares nothing");
}

/* 0 is no time of an application: whoever says nothing about a grant does not have it. */
Test(policy, an_authorisation_is_pending_until_it_is_said_to_be_granted) {
  rule_with("authorisation: {grace_hours: 1}");
  request = (lk_policy_request){.authorisation = lk_text_of("w")};
  cr_assert(decide(NULL, NULL) == LK_EPOLICY && decision.cause == LK_CAUSE_PENDING_UNSAID);
  request.authorisation_granted = true;
  cr_assert_eq(decide(NULL, NULL), LK_OK);
  request.pending_since_ms = -3600000;
  cr_assert(decide(NULL, NULL) == LK_EPOLICY && decision.cause == LK_CAUSE_GRACE_OVER, "it is said to be pending, too");
}

Test(policy, an_empty_policy_permits_nothing) {
  good("policy: 1\nname: closed\nrules: []\n");
  lk_error error = {0};
  request = (lk_policy_request){0};
  cr_assert_eq(decide(NULL, &error), LK_EPOLICY);
  cr_assert_str_eq(error.text, "no rule of policy 'closed' permits it");
  cr_assert(decision.refused_by == -1 && decision.rules_count == 0);
  cr_assert_arr_eq(decision.policy_hash, policy->hash, 32);
}

Test(policy, times_at_the_ends_of_the_scale) {
  rule_with("authorisation: {grace_hours: 1}");
  request = (lk_policy_request){.authorisation = lk_text_of("w")};
  request.pending_since_ms = INT64_MIN;
  cr_assert_eq(lk_policy_decide(policy, &request, INT64_MAX - 1, NULL, &decision, NULL), LK_EPOLICY);
  cr_assert_eq(decision.cause, LK_CAUSE_GRACE_OVER);
  request.pending_since_ms = INT64_MAX - 1;
  cr_assert_eq(lk_policy_decide(policy, &request, INT64_MAX - 1, NULL, &decision, NULL), LK_OK);
  cr_assert_eq(decision.grace_until_ms, INT64_MAX);
}

static void check_why(const char *line, bool applies, const char *wanted) {
  char why[256];
  rule_with(line);
  cr_assert_eq(lk_policy_explain(policy, 0, &request, 0, why, sizeof why), applies, "%s", line);
  cr_assert_str_eq(why, wanted, "%s", line);
}

Test(policy, explain) {
  request = (lk_policy_request){.purpose = lk_text_of("p"), .gallery = lk_text_of("g")};
  check_why("purposes: p", true, "every selector matches");
  check_why("purposes: [q, r]", false, "the rule does not cover the purpose 'p'");
  check_why("operations: verify", false, "the rule does not cover the operation identify");
  check_why("actors: a", false, "the rule selects by actor, and the request gives none");
  check_why("from: 1970-01-02", false, "the rule begins at 1970-01-02T00:00:00Z");
  check_why("until: 1970-01-01", false, "the rule ended at 1970-01-01T00:00:00Z");
  check_why("except: {galleries: g}", false, "the rule's exception covers the request");
  check_why("except: {actors: a}", false, "the rule has an exception by actor, and the request gives none");
  check_why("purposes: q\n    galleries: h", false, "the rule does not cover the purpose 'p'");
  check_why("actors: a\n    jurisdictions: j", false, "the rule selects by actor, and the request gives none");
  check_why("actors: a\n    galleries: h", false, "the rule does not cover the gallery 'g'");
  check_why("except: {galleries: h}", true, "every selector matches");
}

Test(policy, operations_by_name) {
  lk_operation operation = LK_OPERATIONS;
  for (lk_operation i = 0; i < LK_OPERATIONS; i++)
    cr_assert(lk_operation_parse(lk_text_of(lk_operation_name(i)), &operation, NULL) == LK_OK && operation == i);
  cr_assert_eq(lk_operation_parse(lk_text_of("Identify"), &operation, NULL), LK_EINVAL);
  cr_assert_str_eq(lk_operation_name(LK_OPERATIONS), "?");
}

/* 32 + i is i to a shift of 32 bits. */
Test(policy, unknown_operations_are_refused) {
  static const char *const lines[] = {"operations: [identify, verify]", "purposes: p", "except: {operations: verify}"};
  for (size_t i = 0; i < 3; i++) {
    rule_with(lines[i]);
    for (int operation = LK_OPERATIONS; operation < 70; operation++) {
      request = (lk_policy_request){.operation = (lk_operation)operation, .purpose = lk_text_of("p")};
      cr_assert_eq(lk_policy_decide(policy, &request, 0, NULL, &decision, NULL), LK_EPOLICY, "%d", operation);
    }
    request.operation = (lk_operation)-1;
    cr_assert_eq(lk_policy_decide(policy, &request, 0, NULL, &decision, NULL), LK_EPOLICY);
  }
}

Test(policy, rules_beyond_the_last) {
  char why[64];
  rule_with("purposes: p");
  cr_assert_eq(lk_policy_rule_get(policy, 0).effect, LK_PERMIT);
  for (uint32_t rule = 1; rule != 0; rule *= 2) {
    lk_policy_rule beyond = lk_policy_rule_get(policy, rule);
    cr_assert(beyond.effect == LK_FORBID && beyond.id.length == 0 && beyond.text.length == 0);
    cr_assert_not(lk_policy_explain(policy, rule, &request, 0, why, sizeof why));
    cr_assert_str_eq(why, "the policy has no such rule");
  }
}
