#include "governance/policy/word.h"

#include <utf8proc.h>

/* UTF8PROC_STABLE and COMPOSE with COMPAT are NFKC. */
static const utf8proc_option_t nfkc_casefold =
    UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE;

/* Most words are lower-case ASCII, and such a word is its own normal form. */
static bool is_plain(lk_text text) {
  for (uint32_t i = 0; i < text.length; i++) {
    unsigned char c = (unsigned char)text.bytes[i];
    if (c <= ' ' || c >= 0x7f || (c >= 'A' && c <= 'Z')) return false;
  }
  return true;
}

static bool is_space(int32_t point) {
  utf8proc_category_t category = utf8proc_category(point);
  return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP ||
         category == UTF8PROC_CATEGORY_CC;
}

const char *lk_word_normalise(lk_text text, lk_word *word, lk_text *normalised) {
  *normalised = text;
  if (is_plain(text)) return NULL;
  int32_t *points = word->points;
  *normalised = (lk_text){.bytes = (const char *)points};
  utf8proc_ssize_t count =
      utf8proc_decompose((const uint8_t *)text.bytes, text.length, points, LK_WORD_MAX, nfkc_casefold);
  if (count < 0) return "is not valid UTF-8";
  if (count > LK_WORD_MAX) return "is too long";
  while (count > 0 && is_space(points[count - 1])) count--;
  while (count > 0 && is_space(points[0])) {
    points++;
    count--;
  }
  count = utf8proc_reencode(points, count, nfkc_casefold);
  if (count < 0) return "is not valid UTF-8";
  *normalised = (lk_text){.bytes = (const char *)points, .length = (uint32_t)count};
  return NULL;
}
