/* What is logged of refusals that come again and again. */
#include "engine/worker/refusal_log.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static char *text;
static size_t text_size;
static lk_refusal_log refusals;

static void setup(void) { refusals = (lk_refusal_log){.stage = "stage", .log = open_memstream(&text, &text_size)}; }

static void teardown(void) {
  fclose(refusals.log);
  free(text);
}

TestSuite(refusal_log, .init = setup, .fini = teardown);

static void expect_log(const char *expected) {
  fflush(refusals.log);
  cr_assert_str_eq(text, expected);
}

Test(refusal_log, a_cause_is_logged_once) {
  for (int round = 0; round < 3; round++) {
    lk_refusal_log_say(&refusals, "lk_lease_5", "NOPERM a");
    lk_refusal_log_end_round(&refusals);
  }
  expect_log("likeness: stage: redis refused lk_lease_5: NOPERM a\n");
}

Test(refusal_log, another_cause_is_logged) {
  lk_refusal_log_say(&refusals, "A", "NOPERM");
  lk_refusal_log_end_round(&refusals);
  lk_refusal_log_say(&refusals, "A", "OOM");
  lk_refusal_log_end_round(&refusals);
  expect_log("likeness: stage: redis refused A: NOPERM\nlikeness: stage: redis refused A: OOM\n");
}

Test(refusal_log, a_cause_that_comes_back_is_logged_again) {
  lk_refusal_log_say(&refusals, "A", "NOPERM");
  lk_refusal_log_end_round(&refusals);
  lk_refusal_log_end_round(&refusals);
  lk_refusal_log_say(&refusals, "A", "NOPERM");
  expect_log("likeness: stage: redis refused A: NOPERM\nlikeness: stage: redis refused A: NOPERM\n");
}
