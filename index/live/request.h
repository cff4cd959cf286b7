#ifndef INDEX_LIVE_REQUEST_H
#define INDEX_LIVE_REQUEST_H

#include <likeness/owner.h>

#include "index/gallery/authorise.h"

/* A change on its way. Whoever brings it waits until it is done. */
typedef struct lk_request {
  const lk_enrollment *enrollment; /* NULL: `changes` */
  const lk_change *changes;
  uint32_t count;      /* of rows or changes */
  uint64_t expired_ms; /* deletions by key: only of what has expired at this Unix time; 0: whatever has the key */
  lk_receipt receipt;
  lk_finding finding; /* of the duplicate check, if there is one */
  lk_status status;
  lk_error error;
  bool accepted; /* the group's fate is its own */
  bool done;
  struct lk_request *next;
} lk_request;

#endif
