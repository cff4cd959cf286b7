#include "engine/queue/keys.h"

#include <criterion/criterion.h>
#include <string.h>

Test(keys, of_a_gallery) {
  lk_keys keys;
  cr_assert_eq(lk_keys_make("faces", &keys, NULL), LK_OK);
  cr_assert_str_eq(keys.gallery, "faces");
  cr_assert_str_eq(keys.streams[LK_HI], "lk:{faces}:q:hi");
  cr_assert_str_eq(keys.streams[LK_LO], "lk:{faces}:q:lo");
  cr_assert_str_eq(keys.dead, "lk:{faces}:dead");
  cr_assert_str_eq(keys.heads, "lk:{faces}:heads");
  cr_assert_str_eq(keys.workers, "lk:{faces}:workers");
  cr_assert_str_eq(keys.replies, "lk:{faces}:r:");
  cr_assert_str_eq(keys.once, "lk:{faces}:signed:");
}

Test(keys, the_longest_name) {
  lk_keys keys;
  char name[LK_TEXT_MAX + 16] = "";
  memset(name, 'n', LK_TEXT_MAX);
  strcat(name, "/4294967295");
  cr_assert_eq(lk_keys_make(name, &keys, NULL), LK_OK);
  cr_assert_eq(strlen(keys.once), strlen("lk:{}:signed:") + LK_TEXT_MAX + 11);
  memset(name, 'n', LK_TEXT_MAX + 1);
  name[LK_TEXT_MAX + 1] = '\0';
  cr_assert_eq(lk_keys_make(name, &keys, NULL), LK_EINVAL);
}

/* Whatever ends the braces early would lead into keys of another gallery. */
Test(keys, names_that_are_none) {
  static const char *const bad[] = {"",        "a}",    "}:q:lo",        "a b",         "a/",
                                    "/1",      "a/1/2", "a/1x",          "a/-1",        "a/b",
                                    ".hidden", "a\nb",  "a/12345678901", "na\xc3\xafve"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    lk_keys keys;
    lk_error error;
    cr_assert_eq(lk_keys_make(bad[i], &keys, &error), LK_EINVAL, "%s", bad[i]);
    cr_assert_not_null(strstr(error.text, "not a gallery's name"), "%s", error.text);
  }
}

Test(keys, a_partition) {
  lk_keys keys;
  cr_assert_eq(lk_keys_make("faces/1", &keys, NULL), LK_OK);
  cr_assert_str_eq(keys.streams[LK_LO], "lk:{faces/1}:q:lo");
}
