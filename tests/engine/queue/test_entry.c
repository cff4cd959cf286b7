#include <criterion/criterion.h>
#include <string.h>

#include "engine/queue/entry.h"

Test(entry, numbers_of_64_bits) {
  static const struct {
    const char *text;
    lk_entry entry;
  } cases[] = {{"0-0", {0, 0}},
               {"1700000000000-7", {1700000000000, 7}},
               {"18446744073709551615-18446744073709551615", {UINT64_MAX, UINT64_MAX}}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    lk_entry entry;
    cr_assert(lk_entry_parse(cases[i].text, strlen(cases[i].text), &entry), "%s", cases[i].text);
    cr_assert(entry.ms == cases[i].entry.ms && entry.sequence == cases[i].entry.sequence, "%s", cases[i].text);
  }
}

Test(entry, anything_else_is_no_id) {
  static const char *const texts[] = {"",
                                      "-",
                                      "1",
                                      "1-",
                                      "-1",
                                      "1-1-1",
                                      "01-1",
                                      "1-01",
                                      "1- 1",
                                      "+1-1",
                                      "1-1x",
                                      "x1-1",
                                      "1-*",
                                      "*",
                                      "$",
                                      "18446744073709551616-0",
                                      "0-18446744073709551616",
                                      "99999999999999999999999999999999999-1"};
  lk_entry entry;
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    cr_assert_not(lk_entry_parse(texts[i], strlen(texts[i]), &entry), "%s", texts[i]);
  cr_assert(lk_entry_parse("12-345", 5, &entry) && entry.sequence == 34, "reads beyond the length");
}
