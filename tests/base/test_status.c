#include <criterion/criterion.h>
#include <string.h>

#include "base/fail.h"

Test(status, names_and_words) {
  cr_assert_str_eq(lk_status_name(LK_OK), "OK");
  cr_assert_str_eq(lk_status_name(LK_ENODEVICE), "ENODEVICE");
  cr_assert_str_eq(lk_status_words(LK_EPOLICY), "refused by policy");
  cr_assert_str_eq(lk_status_name((lk_status)31), "?");
  cr_assert_str_eq(lk_status_words((lk_status)31), "?");
}

/* They travel in replies. */
Test(status, numbers_never_change) {
  static const struct {
    lk_status status;
    int number;
  } known[] = {{LK_OK, 0},          {LK_PARTIAL, 1},  {LK_EDEADLINE, 2},  {LK_EBUSY, 3},     {LK_EDIM, 4},
               {LK_EVERSION, 5},    {LK_EMODEL, 6},   {LK_EGALLERY, 7},   {LK_EBADPROBE, 8}, {LK_EPOLICY, 9},
               {LK_ECANCELLED, 10}, {LK_EPOISON, 11}, {LK_EINTERNAL, 12}, {LK_EBADJOB, 13},  {LK_EEXIST, 14}};
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) cr_assert_eq((int)known[i].status, known[i].number);
}

Test(status, fail_formats_and_returns) {
  lk_error error;
  cr_assert_eq(lk_fail(&error, LK_EDIM, "dimension %d, not %d", 3, 4), LK_EDIM);
  cr_assert_str_eq(error.text, "dimension 3, not 4");
  cr_assert_eq(lk_fail(NULL, LK_EIO, "nobody asks"), LK_EIO);
  cr_assert_eq(lk_fail_memory(&error), LK_ENOMEM);
}

Test(status, error_may_be_its_own_argument) {
  lk_error error = {"disk full"};
  lk_fail(&error, LK_EIO, "a.seg: %s", error.text);
  cr_assert_str_eq(error.text, "a.seg: disk full");
}

Test(status, long_text_is_cut) {
  char word[2000];
  lk_error error;
  memset(word, 'a', sizeof word - 1);
  word[sizeof word - 1] = '\0';
  lk_fail(&error, LK_EIO, "%s", word);
  cr_assert_eq(strlen(error.text), sizeof error.text - 1);
}
