#include "engine/worker/log/log_fields.h"

#include <criterion/criterion.h>

#include "base/text.h"

static lk_log_fields fields, again;

static lk_bytes packed_of(const lk_log_fields *of) {
  lk_bytes packed = {0};
  lk_log_fields_pack(of, &packed);
  cr_assert(!packed.failed);
  return packed;
}

Test(log_fields, what_is_packed_is_unpacked) {
  static const char zeros[] = {'a', 0, 'b', 0};
  fields.count = 0;
  cr_assert(lk_log_fields_add_text(&fields, "op", "delete"));
  cr_assert(lk_log_fields_add_text(&fields, "", ""));
  cr_assert(lk_log_fields_add(&fields, lk_text_of("keys"), zeros, sizeof zeros));
  lk_bytes packed = packed_of(&fields);
  cr_assert(lk_log_fields_unpack(packed.data, packed.length, &again));
  cr_assert_eq(again.count, 3);
  for (size_t i = 0; i < 3; i++) {
    cr_assert(lk_text_equal(again.all[i].name, fields.all[i].name));
    cr_assert_eq(again.all[i].length, fields.all[i].length);
    cr_assert_arr_eq(again.all[i].value, fields.all[i].value, fields.all[i].length);
  }
  lk_bytes_free(&packed);
}

Test(log_fields, bytes_that_are_cut_are_none) {
  fields.count = 0;
  lk_log_fields_add_text(&fields, "op", "delete");
  lk_log_fields_add_text(&fields, "keys", "somebody");
  lk_bytes packed = packed_of(&fields);
  size_t one = 4 + 2 + 4 + 6;
  for (size_t length = 0; length < packed.length; length++) {
    char *cut = malloc(length + 1); /* so that a sanitizer sees what is read behind it */
    memcpy(cut, packed.data, length);
    cr_assert_eq(lk_log_fields_unpack(cut, length, &again), length == 0 || length == one, "%zu", length);
    free(cut);
  }
  packed.data[3] = (char)0xff; /* a length of nearly 4 GiB */
  cr_assert(!lk_log_fields_unpack(packed.data, packed.length, &again));
  lk_bytes_free(&packed);
}

Test(log_fields, the_last_of_a_name_counts) {
  fields.count = 0;
  lk_log_fields_add_text(&fields, "tags", "1");
  lk_log_fields_add_text(&fields, "tags", "2");
  cr_assert_eq(lk_log_fields_find(&fields, "tags")->value[0], '2');
  cr_assert_null(lk_log_fields_find(&fields, "tag"));
}

Test(log_fields, there_is_room_for_so_many) {
  fields.count = 0;
  uint32_t count = 0;
  while (lk_log_fields_add_text(&fields, "x", "")) count++;
  cr_assert_geq(count, LK_FIELDS_MAX);
  cr_assert_eq(fields.count, count);
}
