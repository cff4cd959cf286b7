#include "engine/queue/keys.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/text.h"

Test(keys, of_a_gallery) {
  lk_keys keys;
  cr_assert_eq(lk_keys_make("faces", &keys, NULL), LK_OK);
  cr_assert_str_eq(keys.gallery, "faces");
  cr_assert_str_eq(keys.lanes[LK_HI][0], "lk:{faces}:q:hi");
  cr_assert_str_eq(keys.lanes[LK_LO][0], "lk:{faces}:q:lo");
  cr_assert_str_eq(keys.lanes[LK_HI][1], "lk:{faces}:q:hi:1");
  cr_assert_str_eq(keys.lanes[LK_LO][15], "lk:{faces}:q:lo:15");
  cr_assert_str_eq(keys.dead, "lk:{faces}:dead");
  cr_assert_str_eq(keys.heads, "lk:{faces}:heads");
  cr_assert_str_eq(keys.workers, "lk:{faces}:workers");
  cr_assert_str_eq(keys.running, "lk:{faces}:running");
  cr_assert_str_eq(keys.cancelled, "lk:{faces}:cancelled");
  cr_assert_str_eq(keys.replies, "lk:{faces}:r:");
  cr_assert_str_eq(keys.once, "lk:{faces}:signed:");
  cr_assert_str_eq(keys.log, "lk:{faces}:log");
  cr_assert_str_eq(keys.log_state, "lk:{faces}:log:state");
  cr_assert_str_eq(keys.log_readers, "lk:{faces}:log:readers");
  cr_assert_str_eq(keys.vectors, "lk:{faces}:v:");
}

Test(keys, the_longest_name) {
  lk_keys keys;
  char name[LK_TEXT_MAX + 16] = "";
  memset(name, 'n', LK_TEXT_MAX);
  strcat(name, "/4294967295");
  cr_assert_eq(lk_keys_make(name, &keys, NULL), LK_OK);
  cr_assert_eq(strlen(keys.once), strlen("lk:{}:signed:") + LK_TEXT_MAX + 11);
  cr_assert_eq(strlen(keys.cancelled), strlen("lk:{}:cancelled") + LK_TEXT_MAX + 11);
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
  cr_assert_str_eq(keys.lanes[LK_LO][0], "lk:{faces/1}:q:lo");
  cr_assert_str_eq(lk_keys_short(&keys, keys.lanes[LK_LO][7]), "q:lo:7");
}

/* The check value of CRC-16/XMODEM is 0x31c3, of "123456789". */
Test(keys, lanes) {
  cr_assert_eq(lk_keys_lane(lk_text_of("123456789")), 0x31c3 % LK_LANES);
  cr_assert_eq(lk_keys_lane(lk_text_of("")), 0);
  bool seen[LK_LANES] = {false};
  uint32_t lanes = 0;
  for (char name[2] = "a"; name[0] <= 'z'; name[0]++) {
    uint32_t lane = lk_keys_lane(lk_text_of(name));
    lanes += !seen[lane];
    seen[lane] = true;
  }
  cr_assert_eq(lanes, LK_LANES);
}
