#include <criterion/criterion.h>

#include "base/text.h"
#include "governance/cases.h"

/* Otherwise a space after its id would give a case as many probes again. */
Test(cases, a_case_is_one_however_it_is_written) {
  lk_cases cases = {0};
  static const char *const same[] = {"C-2021/77", "c-2021/77", " C-2021/77", "\uff23-2021/77\u00a0"};
  for (int i = 0; i < 4; i++) cr_assert(lk_cases_add(&cases, lk_text_of(same[i]), 10));
  for (int i = 0; i < 4; i++) cr_assert_eq(lk_cases_probes(&cases, lk_text_of(same[i])), 40);
  cr_assert_eq(lk_cases_probes(&cases, lk_text_of("C-2021/78")), 0);
  cr_assert(lk_cases_add(&cases, lk_text_of("\xff"), 3) && lk_cases_probes(&cases, lk_text_of("\xff")) == 3);
  lk_cases_free(&cases);
}
