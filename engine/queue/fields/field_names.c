#include "engine/queue/fields/field_names.h"

#include <stddef.h>
#include <string.h>

#include "base/text.h"
#include "governance/policy/claims.h"

/* Sets of operations. */
enum {
  ALL = (1 << LK_OPS) - 1,
  IDENTIFY = 1 << LK_OP_IDENTIFY,
  VERIFY = 1 << LK_OP_VERIFY,
  SEARCHES = IDENTIFY | VERIFY,
  ENROLLS = 1 << LK_OP_ENROLL | 1 << LK_OP_REPLACE,
  DELETE = 1 << LK_OP_DELETE,
  TAG = 1 << LK_OP_TAG,
  EXPIRE = 1 << LK_OP_EXPIRE,
  LIST = 1 << LK_OP_LIST
};

static const struct {
  const char *name;
  uint32_t ops;
} fields[] = {{"v", ALL},
              {"op", ALL},
              {"id", ALL},
              {"to", ALL},
              {"gallery", ALL},
              {"flags", ALL},
              {"ttl", ALL},
              {"granted", ALL},
              {"pending_since", ALL},
              {LK_SIGNATURE_FIELD, ALL},
              {"signed_ms", ALL},
              {"deployment", ALL},
              {"n", SEARCHES | ENROLLS},
              {"f32", SEARCHES | ENROLLS},
              {"f16", SEARCHES | ENROLLS},
              {"model", SEARCHES | ENROLLS},
              {"k", SEARCHES},
              {"threshold", SEARCHES},
              {"after", SEARCHES},
              {"by", IDENTIFY},
              {"fuse", IDENTIFY},
              {"subject", VERIFY},
              {"tags", SEARCHES | TAG},
              {"mask", SEARCHES | TAG},
              {"keys", IDENTIFY | DELETE | TAG | EXPIRE},
              {"subjects", IDENTIFY | DELETE},
              {"version", ENROLLS | DELETE | TAG | EXPIRE},
              {"labels", ENROLLS},
              {"unless_match", ENROLLS},
              {"expires", EXPIRE},
              {"cursor", LIST},
              {"count", LIST}};
enum { NAMES = sizeof fields / sizeof fields[0] };

/* The name of that number, the claims' after the others. */
static const char *name_of(int i) { return i < NAMES ? fields[i].name : lk_claims_name(i - NAMES); }

static bool is_the_client_s(lk_text name) { return name.length >= 2 && memcmp(name.bytes, "x-", 2) == 0; }

bool lk_field_is_known(lk_text name) {
  if (is_the_client_s(name)) return true;
  for (int i = 0; i < NAMES + LK_CLAIMS_TEXTS; i++)
    if (lk_text_equal(name, lk_text_of(name_of(i)))) return true;
  return false;
}

bool lk_field_belongs(lk_text name, lk_op op) {
  for (int i = 0; i < NAMES; i++)
    if (lk_text_equal(name, lk_text_of(fields[i].name))) return (fields[i].ops >> op & 1) != 0;
  return true;
}

const char *lk_field_nearest(lk_text name) { return lk_text_nearest(name, name_of, NAMES + LK_CLAIMS_TEXTS); }
