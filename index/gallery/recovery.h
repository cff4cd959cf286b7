/* Brings what a gallery's state file and journals say into its memory. */
#ifndef INDEX_GALLERY_RECOVERY_H
#define INDEX_GALLERY_RECOVERY_H

#include "index/gallery/gallery.h"

/* Sets what the state file that the manifest names says of the rows of these parts, which are those of the manifest's
 * segments. LK_ECORRUPT, LK_EFORMAT, LK_EIO, LK_ENOMEM. */
lk_status lk_recovery_state(lk_gallery *gallery, lk_part *const *parts, lk_error *error);

/* A journal whose records contradict what is there is refused, even if all checksums match: a number or a living key
 * that is given again, a seal that names no next journal, an entry of the log that does not follow the one before. So
 * is one that ends before something that the state file tells of. A change of a key or subject that nobody has is no
 * contradiction: a fold writes what is already so.
 *
 * Applies what has come into the manifest's journals since `gallery->reading`, as somebody who only reads does. `pool`:
 * as of lk_apply. LK_ECORRUPT, LK_EFORMAT, LK_EIO, LK_ENOMEM: some of it may be applied. */
lk_status lk_recovery_read(lk_gallery *gallery, lk_pool *pool, lk_error *error);

/* A journal that another one follows was sealed, and vouched for, where that begins. `end`: where the manifest's
 * journal `i` ends. LK_ECORRUPT. */
lk_status lk_recovery_check_end(const lk_folder *folder, const lk_manifest *manifest, uint32_t i,
                                const lk_journal_place *end, lk_error *error);

/* What an owner finds. */
typedef struct lk_recovery {
  lk_journal *journal;      /* the last one, which goes on */
  lk_journal_report report; /* of it */
  uint32_t next_journal;    /* if it is sealed: the id of the journal that should follow; else 0 */
  uint64_t boundary;        /* the next template's number before it */
  lk_log_mark boundary_log; /* the last entry of the log before it */
  uint64_t erases;          /* the last entry in any journal that asks to erase; 0: none */
} lk_recovery;

/* The same as its owner, who then goes on with the last journal: cuts its tail off. The manifest names a journal. The
 * caller has the gallery's lock. */
lk_status lk_recovery_own(lk_gallery *gallery, lk_pool *pool, lk_recovery *recovery, lk_error *error);

#endif
