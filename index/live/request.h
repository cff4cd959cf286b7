#ifndef INDEX_LIVE_REQUEST_H
#define INDEX_LIVE_REQUEST_H

#include <likeness/owner.h>

#include "index/gallery/authorise.h"
#include "index/live/log_entry.h"

/* A change on its way. Whoever brings it waits until it is done. */
typedef struct lk_request {
  const lk_enrollment *enrollment; /* NULL: `changes` */
  const lk_change *changes;
  uint32_t count;      /* of rows or changes */
  uint64_t expired_ms; /* deletions by key: only of what has expired at this Unix time; 0: whatever has the key */
  uint64_t now_ms;     /* what has expired at this Unix time is not there; 0: all is */
  lk_log_entry *log;   /* that it is; NULL: of none. Its status is LK_OK, or why it is no change */
  bool *stopped;       /* of the log: whether an entry before it in its run was not noted */
  lk_receipt receipt;
  lk_finding finding; /* of the duplicate check, if there is one */
  lk_status status;
  lk_error error;
  bool accepted; /* the group's fate is its own */
  bool done;
  struct lk_request *next;
} lk_request;

/* Whether the search for matches was made, if the request asks for one. */
static inline bool lk_request_has_matched(const lk_request *r) {
  return r->enrollment != NULL && r->enrollment->unless_match && (r->status == LK_OK || r->finding.found);
}

/* Whether a status is of this process or machine, not of the request: an entry of the log may go well later. */
static inline bool lk_log_is_passing(lk_status status) {
  return status == LK_EIO || status == LK_ENOMEM || status == LK_EBUSY || status == LK_ECORRUPT;
}

#endif
