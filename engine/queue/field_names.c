#include "engine/queue/field_names.h"

#include <stddef.h>
#include <string.h>

#include "base/text.h"
#include "engine/queue/signature.h"
#include "governance/policy/claims.h"

static const char *const names[] = {
    "v",          "op",      "id",        "to",    "gallery",       "k",         "n",
    "f32",        "f16",     "threshold", "flags", "ttl",           "by",        "model",
    "tags",       "subject", "mask",      "fuse",  "pending_since", "signed_ms", LK_SIGNATURE_FIELD,
    "deployment", "keys",    "subjects",  "after", "version",       "granted"};
enum { NAMES = sizeof names / sizeof names[0], LENGTH_MOST = 16, DISTANCE_MOST = 2 };

/* The name of that number, the claims' after the others. */
static const char *name_of(int i) { return i < NAMES ? names[i] : lk_claims_name(i - NAMES); }

bool lk_field_is_known(lk_text name) {
  if (name.length >= 2 && memcmp(name.bytes, "x-", 2) == 0) return true;
  for (int i = 0; i < NAMES + LK_CLAIMS_TEXTS; i++)
    if (lk_text_equal(name, lk_text_of(name_of(i)))) return true;
  return false;
}

static char small(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Levenshtein's distance, row by row. `to` has at most LENGTH_MOST bytes. */
static size_t distance(lk_text from, const char *to) {
  size_t row[LENGTH_MOST + 1], length = strlen(to);
  for (size_t j = 0; j <= length; j++) row[j] = j;
  for (size_t i = 0; i < from.length; i++) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < length; j++) {
      size_t replaced = diagonal + (small(from.bytes[i]) != small(to[j]));
      diagonal = row[j + 1];
      row[j + 1] = least(replaced, least(row[j], diagonal) + 1);
    }
  }
  return row[length];
}

const char *lk_field_nearest(lk_text name) {
  const char *nearest = NULL;
  size_t best = DISTANCE_MOST + 1;
  if (name.length > LENGTH_MOST + DISTANCE_MOST) return NULL;
  for (int i = 0; i < NAMES + LK_CLAIMS_TEXTS; i++) {
    size_t far = distance(name, name_of(i));
    if (far >= best || far >= strlen(name_of(i))) continue; /* nothing of a short name is left */
    best = far;
    nearest = name_of(i);
  }
  return nearest;
}
