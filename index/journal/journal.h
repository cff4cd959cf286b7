/* The journal: the changes of a gallery since its segments, on the disk before anybody is told that they are made.
 *
 * Changes come in batches; each is there whole or not at all. Threads add batches and then wait for the disk: one of
 * them writes all that was added meanwhile, with one fsync for the group. When a write or fsync fails, nobody knows
 * what the disk has: the journal takes no more changes and tries nothing again. Whoever opens it anew finds out.
 *
 * Any thread may add and commit. The caller of everything that writes holds the gallery's lock. */
#ifndef INDEX_JOURNAL_JOURNAL_H
#define INDEX_JOURNAL_JOURNAL_H

#include "base/folder.h"
#include "index/journal/replay.h"

#define LK_JOURNAL_NAME_MAX 32
#define LK_JOURNAL_BATCH_BYTES (UINT32_C(64) << 20) /* most of a batch */

typedef struct lk_journal lk_journal;

/* What reading found. */
typedef struct lk_journal_report {
  uint64_t records; /* in whole batches */
  uint64_t batches;
  uint64_t whole_bytes; /* of the file: up to the end of the last whole batch */
  uint64_t tail_bytes;  /* behind them: the tail, of no whole batch */
  bool sealed;
} lk_journal_report;

/* Writes the file's name into `name`. */
void lk_journal_name(uint32_t id, char name[LK_JOURNAL_NAME_MAX]);

/* Cuts the file of a journal that nobody has open back to so many bytes, which end a batch. LK_EIO. */
lk_status lk_journal_cut(const lk_folder *folder, uint32_t id, uint64_t bytes, lk_error *error);

/* Makes an empty journal, in place of any that has its name: no manifest may name that yet. The journal is on the disk
 * then, with its name. `header` says what the gallery is and what came before; the rest of it is filled in. LK_EIO. */
lk_status lk_journal_create(const lk_folder *folder, lk_journal_header *header, lk_error *error);

/* Reads a journal as somebody who only reads does: a tail is reported, and stays. Errors as of lk_journal_begin and
 * lk_journal_replay; LK_EIO. */
lk_status lk_journal_read(const lk_folder *folder, const lk_journal_header *header, lk_journal_visit *visit,
                          void *context, lk_journal_report *report, lk_error *error);

/* The same from `place` on, which an earlier reading left behind the last whole batch, and which is then behind those
 * that have come since; zeros: from the beginning. The report counts what it has read now. */
lk_status lk_journal_follow(const lk_folder *folder, const lk_journal_header *header, lk_journal_place *place,
                            lk_journal_visit *visit, void *context, lk_journal_report *report, lk_error *error);

/* As lk_journal_read, and then goes on with it: cuts the tail off, and puts the last group and the file's name on the
 * disk, as nobody knows whether they are there. After that, all that was visited is durable. */
lk_status lk_journal_open(const lk_folder *folder, const lk_journal_header *header, lk_journal_visit *visit,
                          void *context, lk_journal_report *report, lk_journal **journal, lk_error *error);

/* Drops what was added and not committed. No thread may be using it. NULL is allowed. */
void lk_journal_close(lk_journal *journal);

/* Adds a batch of `count` (1 or more) records, in memory so far. A seal is a batch of its own, and the last.
 * `sequence` receives the number of its last record, for lk_journal_commit, `epoch` the gallery's with the batch; each
 * may be NULL. LK_EINVAL: a record is not what it can be (the text names it and its field), the batch is too large, or
 * the journal is sealed. LK_EIO: the journal has failed. LK_ENOMEM. Then nothing was added. */
lk_status lk_journal_add(lk_journal *journal, const lk_record *records, uint32_t count, uint64_t *sequence,
                         uint64_t *epoch, lk_error *error);

/* What lk_journal_add says of such a batch, but for the state of the journal. */
lk_status lk_journal_check(const lk_journal *journal, const lk_record *records, uint32_t count, lk_error *error);

/* The number of the last record that was added. */
uint64_t lk_journal_sequence(lk_journal *journal);

/* Waits until all records up to this number, which was added, are on the disk. LK_EIO: the journal has failed before
 * they were, or its file was deleted or replaced; they may be there or not when it is opened again. */
lk_status lk_journal_commit(lk_journal *journal, uint64_t sequence, lk_error *error);

#endif
