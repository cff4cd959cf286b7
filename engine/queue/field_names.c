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
enum { NAMES = sizeof names / sizeof names[0] };

/* The name of that number, the claims' after the others. */
static const char *name_of(int i) { return i < NAMES ? names[i] : lk_claims_name(i - NAMES); }

bool lk_field_is_known(lk_text name) {
  if (name.length >= 2 && memcmp(name.bytes, "x-", 2) == 0) return true;
  for (int i = 0; i < NAMES + LK_CLAIMS_TEXTS; i++)
    if (lk_text_equal(name, lk_text_of(name_of(i)))) return true;
  return false;
}

const char *lk_field_nearest(lk_text name) { return lk_text_nearest(name, name_of, NAMES + LK_CLAIMS_TEXTS); }
