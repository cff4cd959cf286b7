/* A gallery's change from one binding to another, as the audit logs of both record it. */
#ifndef GOVERNANCE_REBIND_H
#define GOVERNANCE_REBIND_H

#include <likeness/status.h>
#include <likeness/types.h>

typedef struct lk_rebinding {
  const char *folder, *name;   /* of the gallery */
  uint64_t epoch;              /* of the manifest that will have the new binding */
  const lk_binding *from, *to; /* absolute paths; no policy: not bound */
  bool lost;                   /* a person says that the log that it leaves, or the new one's past, is lost */
} lk_rebinding;

/* Appends `unbound` to the log that the gallery leaves and `bound` to the one that it joins or stays in, and commits
 * both: the binding may change after that. A log that moved to another path is still the same. LK_ECORRUPT, LK_EIO: a
 * log is not there, or not the one that the gallery has seen, and `lost` is not set. LK_EINVAL: `lost` without a new
 * log, which would record it. LK_EBUSY: another process writes a log. */
lk_status lk_rebind(const lk_rebinding *rebinding, lk_error *error);

#endif
