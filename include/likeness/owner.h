/* Changes a gallery while it is searched. A gallery has one owner at a time: the process that holds its lock. Whatever
 * a call here has returned LK_OK for survives the death of the process and a power cut, and every search that starts
 * afterwards sees it.
 *
 * Threads: any threads may change and search at once. Changes that come together share one fsync. A change is
 * put in place when the searches that came before it have ended; those that come after it wait for it.
 *
 * After LK_EIO from a change nobody knows whether it is on the disk. The owner then takes no more changes; close it and
 * open it again, and the gallery shows what is there. */
#ifndef LIKENESS_OWNER_H
#define LIKENESS_OWNER_H

#include <likeness/likeness.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lk_owner lk_owner;

/* Opens the gallery and becomes its owner. Cuts off what a process that died was writing and had told nobody of;
 * lk_owner_cut_bytes says how much. Upgrades a gallery of an older version. LK_EBUSY: it has an owner. Else as
 * lk_gallery_open. */
LK_API lk_status lk_owner_open(const char *folder, lk_owner **owner, lk_error *error);

/* Waits for the background. No thread may use the owner or its gallery. NULL is allowed. */
LK_API void lk_owner_close(lk_owner *owner);

/* The gallery, to be searched; it lives until the owner is closed, who closes it. Its positions are those of the
 * opening, or of the last lk_owner_compact. */
LK_API lk_gallery *lk_owner_gallery(const lk_owner *owner);

/* lk_gallery_load, for the gallery of an owner. */
LK_API lk_status lk_owner_load(lk_owner *owner, lk_device *device, lk_error *error);

/* Of the journal, when the owner was opened. */
LK_API uint64_t lk_owner_cut_bytes(const lk_owner *owner);

/* What was done. */
typedef struct lk_receipt {
  uint64_t epoch;         /* of the gallery, from which on searches see it */
  uint64_t numbered_from; /* enroll: the number of the first new template; the others follow */
  uint64_t templates;     /* that were added, deleted or changed */
  uint64_t replaced;      /* enroll: templates that gave way to new ones, which counts as deleting them */
  uint64_t unchanged; /* enroll: rows that were there in this version already; else keys or subjects that nobody has */
} lk_receipt;

typedef struct lk_enrollment {
  const lk_vectors *vectors;
  const lk_label *labels; /* one for each row; NULL: none has a label */
  bool replace;      /* a row whose key is in the gallery takes the place of that template, which needs the operation
                      * `delete` beside `enroll`, whether there is one or not; else LK_EEXIST */
  bool unless_match; /* LK_EEXIST, and no row is added, if a row matches a template of another subject, which lives and
                      * has not expired, or an earlier row: its score with the row as a probe is at least
                      * match_threshold. The text names the best one. What the rows replace does not count. The gallery
                      * must be loaded. Tells whom a row is like, so needs the operation `identify`, too */
  float match_threshold;
} lk_enrollment;

/* Adds all rows, or none. A template with a row's key that has expired gives way, and is not counted. A row whose key
 * and version, which is not 0, a template has already is no change. LK_EDIM, LK_EBADPROBE, LK_EEXIST, LK_EINVAL,
 * LK_EFORMAT as of lk_gallery_enroll; LK_EINVAL also: more than LK_ENROLLMENT_BYTES of vectors, for which
 * lk_gallery_enroll is better; a threshold that is NaN; a gallery that is not loaded. LK_EPOLICY; also: the policy
 * permits only a threshold above match_threshold. LK_EIO. `claims` and `receipt` may be NULL, as below. */
#define LK_ENROLLMENT_BYTES (UINT64_C(32) << 20)
/* So many rows are no more than that, with their labels. */
#define LK_ENROLLMENT_ROWS(dim) (LK_ENROLLMENT_BYTES / (8 * (uint64_t)(dim) + 1024))
LK_API lk_status lk_owner_enroll(lk_owner *owner, const lk_enrollment *enrollment, const lk_claims *claims,
                                 lk_receipt *receipt, lk_error *error);

typedef enum lk_change_kind {
  LK_CHANGE_DELETE_KEY = 2,     /* key */
  LK_CHANGE_DELETE_SUBJECT = 3, /* subject: all of its templates */
  LK_CHANGE_TAG = 4,            /* key, tags, mask: sets those of the tags that are in the mask */
  LK_CHANGE_EXPIRE = 5          /* key, expires_ms: Unix time, or LK_NEVER */
} lk_change_kind;

typedef struct lk_change {
  lk_change_kind kind;
  uint64_t version; /* the client's; 0: none */
  lk_text key, subject;
  uint64_t tags, mask;
  uint64_t expires_ms;
} lk_change;

/* Makes all changes, or none, in their order; they are of one kind, which is what the policy permits: the operation
 * `delete`, `tag` or `expire`. What nobody has is counted, and is no error.
 * LK_EINVAL: a field is not what it can be; the text names the change. LK_EPOLICY. LK_EIO. */
LK_API lk_status lk_owner_change(lk_owner *owner, const lk_change *changes, uint32_t count, const lk_claims *claims,
                                 lk_receipt *receipt, lk_error *error);

/* Writes all that lives into segments, and removes every file that has anything else: afterwards no file of the gallery
 * has a byte of a template that was deleted or has expired. Changes and searches go on meanwhile. `erased` (may be
 * NULL) receives how many templates that were. In a gallery that is driven by a log (docs/live.md), what had expired at
 * the time of the log's last entry. LK_EBUSY: that log has entries here that are not acknowledged. LK_EPOLICY: the
 * policy refuses the operation `erase`. LK_EIO. */
LK_API lk_status lk_owner_compact(lk_owner *owner, const lk_claims *claims, uint64_t *erased, lk_error *error);

#ifdef __cplusplus
}
#endif

#endif
