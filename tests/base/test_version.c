#include <criterion/criterion.h>
#include <likeness/version.h>
#include <stdio.h>

/* The text and the numbers are written side by side; the build takes the text. */
Test(version, says_its_numbers) {
  char numbers[32];
  snprintf(numbers, sizeof numbers, "%d.%d.%d", LK_VERSION_MAJOR, LK_VERSION_MINOR, LK_VERSION_PATCH);
  cr_assert_str_eq(LK_VERSION, numbers);
  cr_assert_str_eq(lk_version(), numbers);
  cr_assert_str_eq(LIKENESS_PROJECT_VERSION, numbers);
}
