/* An anchor: what a keeper, such as a gallery, has seen of the log that governs it. It is a head of the log
 * (docs/audit.md) in a file of the keeper's, outside the log's folder, so that a log that was cut, rewritten, deleted
 * or begun anew is found when it is opened. Anchors of several keepers form a list. One thread at a time. */
#ifndef GOVERNANCE_AUDIT_ANCHOR_H
#define GOVERNANCE_AUDIT_ANCHOR_H

#include <limits.h>

#include "governance/audit/chain.h"
#include "governance/audit/head.h"

typedef struct lk_anchor {
  struct lk_anchor *next;
  char path[PATH_MAX];
  char keeper[LK_TEXT_MAX + 1]; /* the name of who keeps it */
  lk_audit_mark seen;           /* sequence 0: nothing was seen yet */
  bool met;                     /* the log has the record that was seen */
  int fd;                       /* -1: not held yet */
  uint64_t synced_us;
} lk_anchor;

/* Reads the anchor at `path`; no file: nothing was seen. LK_EFORMAT: it is not an anchor. LK_EIO. */
lk_status lk_anchor_open(const char *path, const char *keeper, lk_anchor **anchor, lk_error *error);
void lk_anchor_close(lk_anchor *list); /* and makes the files durable */

/* Whether anything was seen of the log. */
bool lk_anchor_has_seen(const lk_anchor *list);

/* Compares with the log's last record; sequence 0: there is none. LK_ECORRUPT: the log `folder` is empty, another one,
 * or ends before what was seen. */
lk_status lk_anchor_check_end(const lk_anchor *list, const char *folder, const lk_audit_chain *end, lk_error *error);

/* Notes which anchors have seen this record of the log. After all records, the anchors that are not `met` saw a log
 * that is not this one. */
void lk_anchor_meet(lk_anchor *list, const lk_audit_chain *chain);

/* LK_ECORRUPT: it was not met. */
lk_status lk_anchor_check_met(const lk_anchor *anchor, const char *folder, lk_error *error);

/* Replaces the file durably, whatever it holds, and keeps it open for lk_anchor_move. LK_EIO. */
lk_status lk_anchor_hold(lk_anchor *anchor, const lk_audit_mark *end, lk_error *error);

/* Moves the anchors on to `end`, whose records are on the disk: one write each, and a sync once a second. LK_EIO. */
lk_status lk_anchor_move(lk_anchor *list, const lk_audit_mark *end, lk_error *error);

#endif
