/* The log's part of an owner: applies entries of the gallery's log, which others have put in order, and keeps with each
 * change which entry it was. docs/live.md tells the whole.
 *
 * What an entry does depends on the entries before it, on its own time and on nothing else: where galleries have
 * applied the same entries, and were changed in no other way, each entry has the same outcome and searches find the
 * same. So a template that has expired at an entry's time is not there for that entry, whether it was erased or not.
 *
 * Entries are applied by one thread; all else may be called from any. lk_gallery_log_mark (index/gallery/unchecked.h)
 * says which entry a gallery has that only follows. */
#ifndef INDEX_LIVE_LOG_H
#define INDEX_LIVE_LOG_H

#include "index/live/log_entry.h"

/* Applies entries in order, together, with one fsync where they are no more than one group. All of them are durable
 * then, and searches see them. An entry that is refused (LK_EEXIST, LK_EDIM, LK_EBADPROBE, LK_EINVAL, LK_EFORMAT; or
 * LK_EINTERNAL: its number was given already, so that the gallery was changed in another way) changes nothing and is
 * noted, too. No policy is asked: whoever logged it did. The time is that of each entry's id.
 *
 * Not LK_OK: the call failed at an entry. Those before it may be applied (lk_owner_log_mark says which, and they have
 * their outcomes), it and those behind it are not. LK_EINVAL: it is not the one after the last (seq, prev), or is none
 * (hash, fields). LK_EBUSY: try again; the gallery is not loaded and the entry needs a search, a fold takes long, or
 * the gallery has too many rows and must be compacted, or a device or a file failed, which `error` says. LK_ENOMEM,
 * LK_ECORRUPT. LK_EIO: the owner takes no more changes, since it cannot tell what the disk has. */
lk_status lk_owner_log_apply(lk_owner *owner, lk_log_entry *entries, uint32_t count, lk_error *error);

/* The last entry that was applied. It is durable. */
lk_log_mark lk_owner_log_mark(lk_owner *owner);

/* The last entry that was folded: the one before the first that the journals have. seq 0: none was. */
lk_log_mark lk_owner_log_folded(lk_owner *owner);

/* An entry that the journals still have. */
typedef struct lk_log_kept {
  lk_log_mark mark;
  char prev[LK_LOG_HASH_DIGITS + 1];
  uint64_t number;
  const void *fields;
  size_t fields_bytes;
  lk_status status;
  lk_error error;
  lk_receipt receipt;
  bool matched; /* as in lk_log_entry */
  lk_finding finding;
  uint64_t rows;         /* of its enrollment; 0: it has none */
  const float *vectors;  /* of its rows that became templates, in order; halves became floats, which loses nothing */
  uint64_t vectors_rows; /* fewer than `rows` where it was refused, or rows were there in their version already */
} lk_log_kept;

/* All that it points to lives until the call returns. Not LK_OK ends the visit, which returns it. It may not change the
 * gallery. */
typedef lk_status lk_log_visit(void *context, const lk_log_kept *kept, lk_error *error);

/* Visits the entries after `after_seq` that the journals still have, in order. They are read from the files again, and
 * changes wait meanwhile. A fold drops entries, and only such as are acknowledged. LK_EIO, LK_ECORRUPT, LK_ENOMEM. */
lk_status lk_owner_log_visit(lk_owner *owner, uint64_t after_seq, lk_log_visit *visit, void *context, lk_error *error);

/* Tells that all entries up to `seq` are acknowledged. Before that they are not folded, so that they can be appended
 * again to a log that has lost them. When the owner is opened, all that was folded is acknowledged, and nothing else.
 */
void lk_owner_log_acknowledged(lk_owner *owner, uint64_t seq);

/* The last entry that asks to erase, and for which that was not done yet; 0: none. The journals keep that: what is
 * folded of such an entry, is erased. */
uint64_t lk_owner_log_erases(lk_owner *owner);

/* lk_owner_compact, for an entry that asks for it: no policy is asked. */
lk_status lk_owner_log_erase(lk_owner *owner, uint64_t *erased, lk_error *error);

/* Cuts off, of a gallery that has no owner, all entries after `common` (its seq and hash; seq 0: all), and what came
 * behind the first of them; `dropped` (may be NULL) receives how many entries that were. It takes the gallery's lock
 * for that. A crash leaves whole entries; what remains to be cut is cut by another call. LK_EBUSY: the gallery has an
 * owner. LK_EINVAL: the journals do not have the entry, or a fold may have put what follows it into segments: start
 * again from an export. Else as lk_owner_open. */
lk_status lk_log_cut(const char *folder, const lk_log_mark *common, uint64_t *dropped, lk_error *error);

#endif
