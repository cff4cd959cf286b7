#include "base/fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *lk_status_name(lk_status status) {
  switch (status) {
#define LK_STATUS_CASE(number, name, words) \
  case LK_##name:                           \
    return #name;
    LK_STATUS_MAP(LK_STATUS_CASE)
#undef LK_STATUS_CASE
  }
  return "?";
}

const char *lk_status_words(lk_status status) {
  switch (status) {
#define LK_STATUS_CASE(number, name, words) \
  case LK_##name:                           \
    return words;
    LK_STATUS_MAP(LK_STATUS_CASE)
#undef LK_STATUS_CASE
  }
  return "?";
}

lk_status lk_fail(lk_error *error, lk_status status, const char *format, ...) {
  if (error == NULL) return status;
  lk_error text;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text.text, sizeof text.text, format, arguments);
  va_end(arguments);
  memcpy(error, &text, sizeof text);
  return status;
}

lk_status lk_fail_memory(lk_error *error) { return lk_fail(error, LK_ENOMEM, "out of memory"); }
