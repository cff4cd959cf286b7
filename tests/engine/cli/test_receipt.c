#include "engine/cli/receipt.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static lk_error error;

/* Expects that the receipt gives this status and these bytes. */
static void expect(const lk_done *done, lk_format format, lk_status wanted, const char *bytes) {
  char *text;
  size_t length;
  FILE *out = open_memstream(&text, &length);
  error.text[0] = '\0';
  cr_assert_eq(lk_receipt_print(out, format, done, &error), wanted, "%s", error.text);
  fclose(out);
  cr_assert_str_eq(text, bytes);
  free(text);
}

Test(receipt, of_deletions) {
  lk_done done = {.operation = LK_OPERATION_DELETE, .folder = "g", .epoch = 12, .templates = 3, .missing = 1};
  expect(&done, LK_TABLE, LK_OK,
         "3 templates deleted, 1 key was not there; epoch 12; their bytes stay in g until `likeness compact g`\n");
  done.in_journal = done.in_segments = true;
  expect(&done, LK_JSON, LK_OK,
         "{\"operation\":\"delete\",\"epoch\":12,\"templates\":3,\"missing\":1,\"erased\":false,"
         "\"remains\":[\"journal\",\"segments\"]}\n");
  const lk_change asked[] = {{.key = {"a", 1}, .subject = {"s\"1", 3}}, {.key = {"b", 1}}};
  done.asked = asked;
  done.asked_count = 2;
  expect(&done, LK_JSON, LK_OK,
         "{\"operation\":\"delete\",\"keys\":[\"a\",\"b\"],\"epoch\":12,\"templates\":3,\"missing\":1,\"erased\":false,"
         "\"remains\":[\"journal\",\"segments\"]}\n");
  done.by_subject = true;
  done.asked_count = 1;
  expect(
      &done, LK_JSON, LK_OK,
      "{\"operation\":\"delete\",\"subjects\":[\"s\\\"1\"],\"epoch\":12,\"templates\":3,\"missing\":1,\"erased\":false,"
      "\"remains\":[\"journal\",\"segments\"]}\n");
  done.asked = NULL;
  done.by_subject = false;
  done.in_journal = false;
  done.folder = "\x1b[2J";
  done.templates = 1;
  done.missing = 2;
  expect(&done, LK_TABLE, LK_OK,
         "1 template deleted, 2 keys were not there; epoch 12; its bytes stay in \\u{1b}[2J until "
         "`likeness compact \\u{1b}[2J`\n");
  expect(&done, LK_JSON, LK_OK,
         "{\"operation\":\"delete\",\"epoch\":12,\"templates\":1,\"missing\":2,\"erased\":false,"
         "\"remains\":[\"segments\"]}\n");
}

Test(receipt, of_tags_and_expiry) {
  lk_done done = {.operation = LK_OPERATION_TAG, .folder = "g", .epoch = 2, .templates = 2};
  expect(&done, LK_TABLE, LK_OK, "2 templates tagged; epoch 2\n");
  done.operation = LK_OPERATION_EXPIRE;
  done.expires_ms = 1893456000000;
  expect(&done, LK_TABLE, LK_OK, "2 templates will expire at 2030-01-01T00:00:00Z; epoch 2\n");
  done.expires_ms = LK_NEVER;
  expect(&done, LK_TABLE, LK_OK, "2 templates will not expire; epoch 2\n");
  expect(&done, LK_JSON, LK_OK,
         "{\"operation\":\"expire\",\"epoch\":2,\"templates\":2,\"missing\":0,\"erased\":false,\"remains\":[]}\n");
}

Test(receipt, of_erasure) {
  lk_done done = {.operation = LK_OPERATION_ERASE, .folder = "g", .epoch = 4};
  expect(&done, LK_TABLE, LK_OK,
         "0 templates erased; epoch 4; no file in g has bytes of deleted or expired templates; backups and copies "
         "may\n");
  expect(&done, LK_JSON, LK_OK,
         "{\"operation\":\"erase\",\"epoch\":4,\"templates\":0,\"missing\":0,\"erased\":true,\"remains\":[]}\n");
}

Test(receipt, of_nothing) {
  lk_done done = {.operation = LK_OPERATION_DELETE, .folder = "g", .epoch = 4, .missing = 1, .in_segments = true};
  expect(&done, LK_TABLE, LK_ENOTFOUND, "");
  cr_assert_str_eq(error.text, "nothing was changed: nobody has the key");
  done.by_subject = true;
  expect(&done, LK_TABLE, LK_ENOTFOUND, "");
  cr_assert_str_eq(error.text, "nothing was changed: nobody has the subject");
  done.by_subject = false;
  done.missing = 3;
  expect(&done, LK_JSON, LK_ENOTFOUND,
         "{\"operation\":\"delete\",\"epoch\":4,\"templates\":0,\"missing\":3,\"erased\":false,"
         "\"remains\":[\"segments\"]}\n");
  cr_assert_str_eq(error.text, "nothing was changed: nobody has any of the 3 keys");
}
