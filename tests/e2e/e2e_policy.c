/* policy check and policy explain, as a program or a person calls them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/e2e/e2e.h"

static process p;

static void teardown(void) {
  process_close(&p);
  files_teardown();
}

TestSuite(policy_commands, .init = files_setup, .fini = teardown);

#define EXAMPLES LIKENESS_SOURCE "/deploy/policies/"
#define MORATORIUM EXAMPLES "moratorium.yaml"

Test(policy_commands, check) {
  static const char broken[] = "policy: 1\nname: n\nrules:\n  - id: r\n    effect: maybe\n    text: why\n";
  EXPECT(&p, 0, "", "policy", "check", MORATORIUM);
  expect_out(&p, "moratorium.yaml: policy 'moratorium' is valid: rules 4, keys 0, sha256 ");
  cr_assert_eq(strchr(process_out(&p), '\n')[1], '\0', "one line");
  files_write(files_path("p.yaml"), broken, sizeof broken - 1);
  EXPECT(&p, 1, "p.yaml: line 5: rule 'r': effect: 'maybe' is neither permit nor forbid", "policy", "check",
         files_path("p.yaml"));
  cr_assert_str_eq(process_out(&p), "");
  EXPECT(&p, 1, "none.yaml", "policy", "check", files_path("none.yaml"));
}

Test(policy_commands, usage) {
  EXPECT(&p, 2, "which one? A second word is missing", "policy");
  EXPECT(&p, 2, "unknown command 'policy frob'", "policy", "frob");
  EXPECT(&p, 2, "unknown command 'polic'", "polic");
  EXPECT(&p, 2, "unknown command ''", "");
  EXPECT(&p, 2, "unknown command 'policy check'", "policy check");
  EXPECT(&p, 2, "an operand is missing", "policy", "check");
  EXPECT(&p, 2, "there is an operand too many: b", "policy", "check", "a", "b");
  EXPECT(&p, 2, "--operation is missing", "policy", "explain", MORATORIUM);
  EXPECT(&p, 2, "--operation: 'search' is not one of", "policy", "explain", MORATORIUM, "--operation", "search");
  EXPECT(&p, 2, "--at: '2021-02-29' is not a valid date", "policy", "explain", MORATORIUM, "--operation", "verify",
         "--at", "2021-02-29");
  EXPECT(&p, 2, "--pending-since: 'x'", "policy", "explain", MORATORIUM, "--operation", "verify", "--pending-since",
         "x");
  EXPECT(&p, 2, "--format", "policy", "explain", MORATORIUM, "--operation", "verify", "--format", "csv");
  EXPECT(&p, 1, "none.yaml", "policy", "explain", files_path("none.yaml"), "--operation", "verify");
}

#define MISSING "--operation", "identify", "--purpose", "missing-persons", "--actor", "police/north", "--case", "c"

/* The exit code stays 0: a warning is for people. */
Test(policy_commands, check_warns_of_permits_that_leave_fields_open) {
  static const char open[] = "policy: 1\nname: n\nrules:\n- {id: all, effect: permit, text: t}\n"
                             "- {id: not, effect: forbid, text: t}\n- id: some\n  effect: permit\n  text: t\n"
                             "  operations: identify\n  purposes: p\n  actors: '*'\n  galleries: g\n  until: null\n"
                             "- {id: said, effect: permit, text: t, operations: verify, purposes: p, actors: a,\n"
                             "   jurisdictions: j, galleries: g, until: 2030-01-01}\n";
  files_write(files_path("open.yaml"), open, strlen(open));
  EXPECT(&p, 0,
         "warning: the permit 'all' leaves fields open; it permits any operation, any purpose, any actor, any "
         "jurisdiction, any gallery, without an end\n",
         "policy", "check", files_path("open.yaml"));
  cr_assert_not_null(strstr(process_log(&p), "the permit 'some' leaves fields open; it permits any jurisdiction\n"));
  cr_assert_null(strstr(process_log(&p), "'not'"));
  cr_assert_null(strstr(process_log(&p), "'said'"));
  EXPECT(&p, 0, "", "policy", "explain", MORATORIUM, "--operation", "verify", "--purpose", " P\xe2\x80\x8b",
         "--granted");
  EXPECT(&p, 0, "", "policy", "explain", MORATORIUM, "--operation", "verify", "--purpose", "\xff");
  cr_assert_eq(strncmp(process_out(&p), "refused: the purpose is not valid UTF-8\n", 40), 0, "%s", process_out(&p));
}

Test(policy_commands, explain_as_a_table) {
  EXPECT(&p, 0, "", "policy", "explain", MORATORIUM, "--operation", "identify", "--purpose", "investigation", "--actor",
         "police/north", "--jurisdiction", "US-OR", "--gallery", "faces", "--at", "2021-06-10");
  expect_out(&p, "refused: rule 'police-moratorium' forbids it: Use by the police is halted until further notice.\n");
  expect_out(&p, "at          2021-06-10T00:00:00Z\n");
  expect_out(&p, "does not apply permit  police-before            the rule ended at 2020-06-10T00:00:00Z\n");
  cr_assert_null(strstr(process_out(&p), "threshold"));
  EXPECT(&p, 0, "", "policy", "explain", MORATORIUM, MISSING, "--authorisation", "w", "--pending-since", "2021-06-10",
         "--at", "2021-06-11T02:00:00+02:00", "-k", "7");
  cr_assert_eq(strncmp(process_out(&p), "permitted\n", 10), 0, "%s", process_out(&p));
  expect_out(&p, "threshold   0.600000024\nk           7\nretention   720 hours\n");
  expect_out(&p, "grace until 2021-06-12T00:00:00Z\n");
}

static json_t *explained(const char *at) {
  EXPECT(&p, 0, "", "policy", "explain", MORATORIUM, MISSING, "--authorisation", "w", "--pending-since", "2021-06-10",
         "--threshold", "0.75", "--at", at, "--format", "json");
  json_t *root = json_loads(process_out(&p), 0, NULL);
  cr_assert_not_null(root, "%s", process_out(&p));
  return root;
}

static const char *text_of(const json_t *object, const char *name) {
  return json_string_value(json_object_get(object, name));
}

Test(policy_commands, explain_as_json) {
  json_t *root = explained("2021-06-11T23:59:59.999Z"), *limits = json_object_get(root, "limits");
  cr_assert(json_is_true(json_object_get(root, "permitted")) && json_is_null(json_object_get(root, "refused_by")));
  cr_assert(json_real_value(json_object_get(limits, "threshold")) == 0.75);
  cr_assert(json_integer_value(json_object_get(limits, "k")) == 10);
  cr_assert_str_eq(text_of(limits, "grace_until"), "2021-06-12T00:00:00Z");
  json_t *rule = json_array_get(json_object_get(root, "rules"), 2);
  cr_assert_str_eq(text_of(rule, "id"), "missing");
  cr_assert(json_is_true(json_object_get(rule, "applies")));
  json_decref(root);
  root = explained("2021-06-12");
  cr_assert(json_is_false(json_object_get(root, "permitted")) && json_is_null(json_object_get(root, "limits")));
  cr_assert_str_eq(text_of(root, "refused_by"), "missing");
  cr_assert_not_null(strstr(text_of(root, "reason"), "longer than the grace period"));
  json_decref(root);
}

/* Without a date: now, when the moratorium holds. */
Test(policy_commands, explain_now) {
  EXPECT(&p, 0, "", "policy", "explain", MORATORIUM, "--operation", "verify", "--actor", "police/x");
  expect_out(&p, "refused: rule 'police-moratorium'");
  EXPECT(&p, 0, "", "policy", "explain", EXAMPLES "two-jurisdictions.yaml", "--operation", "identify", "--actor",
         "kapo-zh", "--signed", "--jurisdiction", "CH", "--purpose", "p", "--case", "c");
  expect_out(&p, "no calibration gives this model");
}
