/* Keys that all have one hash, as who writes a file for an import may choose them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "index/catalog/gathering.h"
#include "index/catalog/namesakes.h"

enum { ROWS = 60000, DIM = 1 };

static lk_error error;
static char keys[ROWS][8];
static float rows[ROWS];

uint64_t __wrap_lk_text_hash(lk_text text);

uint64_t __wrap_lk_text_hash(lk_text text) {
  (void)text;
  return 7;
}

static lk_part *part_of(uint32_t first, uint32_t count, const char *name) {
  lk_gathering gathering = {.count = 0};
  lk_shape shape = {.metric = LK_L2, .store = LK_STORE_F32, .dim = DIM};
  lk_part *part;
  cr_assert_eq(lk_gathering_open(&gathering, count, &error), LK_OK);
  for (uint32_t r = first; r < first + count; r++) {
    lk_template t = {
        .number = r, .key = lk_text_of(keys[r]), .subject = lk_text_of("s"), .version = 1, .expires_ms = LK_NEVER};
    lk_gathering_add(&gathering, &t, &rows[r]);
  }
  cr_assert_eq(lk_gathering_make(&gathering, 0, gathering.count, shape, name, NULL, &part, &error), LK_OK, "%s",
               error.text);
  lk_gathering_free(&gathering);
  return part;
}

static lk_status check(void) {
  lk_catalog *catalog;
  lk_part *parts[] = {part_of(0, ROWS / 2, "first"), part_of(ROWS / 2, ROWS / 2, "second")};
  cr_assert_eq(lk_catalog_make(parts, 2, &catalog, &error), LK_OK);
  lk_status status = lk_namesakes_check(catalog, &error);
  lk_catalog_release(catalog);
  lk_part_release(parts[0]);
  lk_part_release(parts[1]);
  return status;
}

static void setup(void) {
  for (uint32_t r = 0; r < ROWS; r++) {
    snprintf(keys[r], sizeof keys[r], "%u", r);
    rows[r] = (float)r;
  }
}

/* Each against each takes minutes. */
TestSuite(namesakes, .init = setup, .timeout = 20);

Test(namesakes, keys_with_one_hash) { cr_assert_eq(check(), LK_OK, "%s", error.text); }

Test(namesakes, two_of_many_are_the_same) {
  strcpy(keys[ROWS - 1], "17");
  cr_assert_eq(check(), LK_ECORRUPT);
  cr_assert_not_null(strstr(error.text, "second: row 29999: the gallery has another template with key '17'"), "%s",
                     error.text);
}
