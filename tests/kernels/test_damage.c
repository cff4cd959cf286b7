/* Every instruction set holds the scores of a search against the rows' codes. */
#include <criterion/criterion.h>

#include "tests/support/damage.h"

static void check(const char *name) {
  lk_device *device;
  if (lk_device_open(name, 2, &device, NULL) != LK_OK) return;
  damage_check(device);
  lk_device_close(device);
}

Test(damage, a_row_that_was_written_over_is_named) {
  check("cpu:portable");
  check("cpu:avx2");
  check("cpu:avx512vnni");
  check("cpu:amx");
  check("cpu,cpu");
}
