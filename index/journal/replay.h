/* Reads a journal: finds which batches are whole, and whether what follows them is a tail that was being written when
 * the power went, or damage.
 *
 * A writer writes a group of batches only when all before it is on the disk, and each record says how far that was. So
 * a record that cannot be read belongs to the last group, which nobody may have been promised, unless a later record
 * says that it was on the disk: then it is damage.
 *
 * The bytes may change while they are read, as those of a mapped file can: then the result is wrong, but nothing beyond
 * them is read. The caller asks lk_file_check afterwards. */
#ifndef INDEX_JOURNAL_REPLAY_H
#define INDEX_JOURNAL_REPLAY_H

#include <stdbool.h>
#include <stddef.h>

#include "index/journal/journal_layout.h"
#include "index/journal/record.h"

typedef struct lk_journal_image {
  const char *name;  /* for messages: the file's path */
  const char *bytes; /* aligned to 8 */
  size_t size;
} lk_journal_image;

/* A place between two batches, from which reading can go on when the file has grown, or writing can. */
typedef struct lk_journal_place {
  lk_shape shape;
  uint64_t seed;     /* of the checksums */
  uint64_t offset;   /* behind the batch */
  uint64_t synced;   /* where its group begins: so many bytes are on the disk for certain */
  uint64_t sequence; /* of the last record; of the header before the first */
  uint64_t link;     /* its checksum */
  uint64_t epoch;    /* of the gallery: each batch raises it by one */
  bool sealed;       /* the last record is a seal: nothing follows */
} lk_journal_place;

/* Called for each record of a whole batch, in order. `epoch` is the batch's. An error ends the reading and is returned.
 */
typedef lk_status lk_journal_visit(void *context, uint64_t epoch, uint64_t sequence, const lk_record *record,
                                   lk_error *error);

lk_shape lk_journal_shape(const lk_journal_header *header);

/* Gives the header what says that it is one: magic, version, checksum. */
void lk_journal_seal_header(lk_journal_header *header);

/* The place before the first batch of a journal with this header. */
lk_journal_place lk_journal_start(const lk_journal_header *header);

/* Verifies that the image is the journal `expected` (whose magic, version and checksum are not looked at), and finds
 * its first place. LK_EFORMAT: it is no journal, or of another version. LK_ECORRUPT: it is damaged, or another journal.
 */
lk_status lk_journal_begin(const lk_journal_image *image, const lk_journal_header *expected, lk_journal_place *place,
                           lk_error *error);

/* Visits all whole batches from `place` on, which then is behind them; `visit` may be NULL. What follows is a tail that
 * is not whole. LK_ECORRUPT: there is damage before it; the text names record and offset, and the place is before the
 * batch. */
lk_status lk_journal_replay(const lk_journal_image *image, lk_journal_place *place, lk_journal_visit *visit,
                            void *context, lk_error *error);

#endif
