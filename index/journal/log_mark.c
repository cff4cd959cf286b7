#include "index/journal/log_mark.h"

#include <string.h>

bool lk_log_hash_is_valid(const char *hash) {
  return strnlen(hash, LK_LOG_HASH_DIGITS + 1) == LK_LOG_HASH_DIGITS &&
         strspn(hash, "0123456789abcdef") == LK_LOG_HASH_DIGITS;
}

bool lk_log_mark_follows(const lk_log_mark *last, const lk_log_mark *mark, const char *prev) {
  return mark->seq == last->seq + 1 && mark->ms >= last->ms &&
         strcmp(prev, last->seq > 0 ? last->hash : LK_LOG_NO_HASH) == 0;
}
