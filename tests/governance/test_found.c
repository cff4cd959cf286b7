#include <criterion/criterion.h>
#include <stdio.h>

#include "base/text.h"
#include "governance/found.h"

static const uint64_t hour_ms = LK_FOUND_HOUR_MS;

static uint64_t add(lk_found *found, const char *gallery, const char *subject, uint64_t now_ms) {
  return lk_found_add(found, lk_text_of(gallery), lk_text_of(subject), now_ms);
}

Test(found, probes_that_found_a_subject_within_an_hour) {
  lk_found found = {0};
  lk_found_begin(&found);
  cr_assert_eq(add(&found, "g", "s", 7), 1);
  cr_assert_eq(add(&found, "g", "s", 7), 1, "another template of it in the same list");
  cr_assert_eq(add(&found, "h", "s", 7), 1);
  cr_assert_eq(add(&found, "g", "t", 7), 1);
  for (uint64_t i = 2; i < 100; i++) {
    lk_found_begin(&found);
    cr_assert_eq(add(&found, "g", "s", 7 + i), i);
  }
  lk_found_begin(&found);
  cr_assert_eq(add(&found, "g", "s", 6), 100, "a clock may be set back");
  lk_found_begin(&found);
  cr_assert_eq(add(&found, "g", "s", 7 + hour_ms - 1), 101);
  cr_assert_eq(add(&found, "g", "s", 7 + hour_ms), 1, "its next hour");
  lk_found_free(&found);
}

/* Memory is bounded: too many subjects within an hour are too many. */
Test(found, the_table_grows_and_forgets) {
  lk_found found = {0};
  char subject[16];
  for (uint32_t i = 0; i < LK_FOUND_MOST; i++) {
    snprintf(subject, sizeof subject, "%u", i);
    lk_found_begin(&found);
    cr_assert_eq(add(&found, "g", subject, 1000), 1);
  }
  cr_assert_eq(add(&found, "g", "0", 1000), 2);
  uint32_t more = 0;
  while (more < 8 * LK_FOUND_MOST) {
    snprintf(subject, sizeof subject, "more %u", more++);
    if (add(&found, "g", subject, 1000) == UINT64_MAX) break;
  }
  cr_assert_lt(more, 2 * LK_FOUND_MOST);
  cr_assert_eq(add(&found, "g", "0", 1000 + hour_ms), 1);
  cr_assert_eq(add(&found, "g", "new", 1000 + hour_ms), 1, "the others are over");
  cr_assert_leq(found.capacity, 1024);
  lk_found_free(&found);
}
