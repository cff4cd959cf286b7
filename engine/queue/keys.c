#include "engine/queue/keys.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/text.h"

enum { PARTITION_DIGITS = 10 };

static bool is_tag(const char *name) {
  size_t length = strcspn(name, "/"), digits = strspn(name + length + (name[length] == '/'), "0123456789");
  if (length > LK_TEXT_MAX || !lk_text_is_name((lk_text){.bytes = name, .length = (uint32_t)length})) return false;
  if (name[length] == '\0') return true;
  return digits >= 1 && digits <= PARTITION_DIGITS && name[length + 1 + digits] == '\0';
}

static void make(char key[LK_KEY_SIZE], const char *gallery, const char *name) {
  snprintf(key, LK_KEY_SIZE, "lk:{%s}:%s", gallery, name);
}

lk_status lk_keys_make(const char *gallery, lk_keys *keys, lk_error *error) {
  if (!is_tag(gallery))
    return lk_fail(error, LK_EINVAL, "'%.*s' is not a gallery's name: it may have letters, digits, '.', '_' and '-'",
                   lk_text_shown(lk_text_of(gallery)), gallery);
  strcpy(keys->gallery, gallery);
  make(keys->streams[LK_HI], gallery, "q:hi");
  make(keys->streams[LK_LO], gallery, "q:lo");
  make(keys->dead, gallery, "dead");
  make(keys->heads, gallery, "heads");
  make(keys->workers, gallery, "workers");
  make(keys->replies, gallery, "r:");
  make(keys->once, gallery, "signed:");
  return LK_OK;
}
