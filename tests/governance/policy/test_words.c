/* The words of rules and requests, and the lists of a policy. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/text.h"
#include "governance/policy/rule.h"

static lk_policy *policy;
static lk_policy_request request;
static lk_policy_decision decision;

static void teardown(void) { lk_policy_close(policy); }

TestSuite(policy_words, .fini = teardown);

static lk_status parse(const char *yaml, lk_error *error) {
  lk_policy_close(policy);
  return lk_policy_parse("p.yaml", yaml, strlen(yaml), &policy, error);
}

static void good(const char *yaml) {
  lk_error error = {0};
  cr_assert_eq(parse(yaml, &error), LK_OK, "%s\n%s", error.text, yaml);
}

static void check_refused(const char *yaml, const char *wanted) {
  lk_error error = {0};
  cr_assert_eq(parse(yaml, &error), LK_EFORMAT, "%s", yaml);
  cr_assert_str_eq(error.text + strlen("p.yaml: "), wanted, "%s", yaml);
}

static lk_status decide(lk_error *error) { return lk_policy_decide(policy, &request, 0, NULL, &decision, error); }

#define KEY "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"

static lk_policy_cause cause_of(const char *purpose) {
  request = (lk_policy_request){.purpose = lk_text_of(purpose), .k = 3, .probes = 1};
  decide(NULL);
  return decision.cause;
}

#define WORDED \
  "rules:\n- {id: f, effect: forbid, text: no, purposes: Investigation}\n- {id: p, effect: permit, text: yes}\n"

Test(policy_words, a_word_is_compared_as_people_read_it) {
  static const char *const same[] = {"investigation",      "Investigation",       "INVESTIGATION ",
                                     "\tinvestigation\n",  "investi\u200bgation", "\u00a0investigation\u3000",
                                     "\uff49nvestigation", "in\u00advestigation", "\u2009investigat\u0131on"};
  good("policy: 1\nname: n\n" WORDED);
  for (int i = 0; i < 8; i++) cr_assert_eq(cause_of(same[i]), LK_CAUSE_FORBIDDEN, "'%s'", same[i]);
  cr_assert_eq(cause_of(same[8]), LK_CAUSE_NONE, "a Turkish i without its dot is another letter");
  cr_assert_eq(cause_of(" "), LK_CAUSE_FORBIDDEN, "no purpose is given");
  cr_assert_eq(cause_of("caf\xe9"), LK_CAUSE_WORD_MALFORMED);
  cr_assert_eq(decision.refused_by, -1);
  char lengthy[3 * 341 + 1] = "";
  for (int i = 0; i < 341; i++) strcat(lengthy, "\ufdfa"); /* of 18 characters each */
  cr_assert_eq(cause_of(lengthy), LK_CAUSE_WORD_MALFORMED);
  good("policy: 1\nname: n\nrules:\n- {id: p, effect: permit, text: t, purposes: '\u00c9t\u00e9 '}\n");
  cr_assert_eq(cause_of("e\u0301te\u0301"), LK_CAUSE_NONE);
  good("policy: 1\nname: n\nrules:\n- {id: p, effect: permit, text: t, require: [case, authorisation]}\n");
  request = (lk_policy_request){.case_id = lk_text_of(" \u200b"), .authorisation = lk_text_of("w")};
  cr_assert(decide(NULL) == LK_EPOLICY && decision.cause == LK_CAUSE_CASE);
  check_refused("policy: 1\nname: n\nrules:\n- {id: p, effect: permit, text: t, purposes: [' ']}\n",
                "line 4: rule 'p': purposes: is empty");
}

#define LISTED "policy: 1\nname: n\nwords:\n  purposes: [investigation, 'aid/*']\n"

/* A Cyrillic i is no i by any rule of Unicode; the policy's list is what keeps it out. */
Test(policy_words, words_that_are_not_listed) {
  lk_error error = {0};
  good("policy: 1\nname: n\n" WORDED);
  cr_assert_eq(cause_of("\u0456nvestigation"), LK_CAUSE_NONE);
  good(LISTED WORDED);
  cr_assert_eq(cause_of("\u0456nvestigation"), LK_CAUSE_WORD_UNKNOWN);
  cr_assert_eq(cause_of("Investigation "), LK_CAUSE_FORBIDDEN);
  cr_assert_eq(cause_of("aid/flood"), LK_CAUSE_NONE);
  cr_assert_eq(cause_of(""), LK_CAUSE_FORBIDDEN, "no purpose never helps");
  request.purpose = lk_text_of("research");
  cr_assert_eq(decide(&error), LK_EPOLICY);
  cr_assert_str_eq(error.text, "policy 'n' does not list the purpose 'research'; it lists investigation, aid/*");
}

Test(policy_words, rules_have_only_listed_words) {
  good(LISTED "rules:\n- {id: p, effect: permit, text: t, purposes: ['*', Aid/flood, 'inv*'], actors: any}\n");
  check_refused(LISTED "rules:\n- {id: p, effect: permit, text: t, purposes: [investigation, aids]}\n",
                "line 6: rule 'p': purposes: 'aids' is not among the words that the policy lists");
  check_refused(LISTED "rules:\n- id: p\n  effect: forbid\n  text: t\n  except: {purposes: research}\n",
                "line 9: rule 'p': purposes: 'research' is not among the words that the policy lists");
  check_refused("policy: 1\nname: n\nwords: {cases: a}\nrules: []\n",
                "line 3: cases: unknown field; the fields here are purposes, actors, jurisdictions, galleries");
  check_refused("policy: 1\nname: n\nwords: {actors: []}\nrules: []\n", "line 3: actors: is empty");
}

Test(policy_words, keys_belong_to_an_actor_as_people_read_it) {
  good("policy: 1\nname: n\ndeployment: d\nkeys:\n- {actor: Police/North, ed25519: " KEY "}\nrules: []\n");
  cr_assert_not_null(lk_policy_key(policy, lk_text_of("police/north "), 0));
  cr_assert_null(lk_policy_key(policy, lk_text_of("police/n\xff"), 0));
}
