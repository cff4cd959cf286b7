#include "engine/worker/entry_fields.h"

size_t lk_entry_fields_read(const lk_redis_reply *list, lk_field fields[LK_FIELDS_MAX]) {
  size_t count = 0;
  for (size_t i = 0; i + 1 < lk_redis_reply_elements(list) && count < LK_FIELDS_MAX; i += 2) {
    size_t length;
    const char *name = lk_redis_reply_string(lk_redis_reply_element(list, i), &length);
    lk_field *field = &fields[count];
    field->name = (lk_text){.bytes = name, .length = (uint32_t)length};
    field->value = lk_redis_reply_string(lk_redis_reply_element(list, i + 1), &field->length);
    if (name != NULL && field->value != NULL) count++;
  }
  return count;
}
