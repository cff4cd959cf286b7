/* A log of random entries for a gallery, and what galleries that have applied it are. */
#ifndef TESTS_INDEX_LIVE_LOG_BOOK_H
#define TESTS_INDEX_LIVE_LOG_BOOK_H

#include "index/gallery/gallery.h"
#include "index/live/log.h"
#include "tests/support/random.h"

enum { BOOK_DIM = 8, BOOK_ENTRIES = 160, BOOK_ROWS = 4, BOOK_KEYS = 12 };

/* An entry with all that it points to. */
typedef struct book_entry {
  lk_log_entry entry; /* as it is given; copies of it are applied */
  float numbers[BOOK_ROWS * BOOK_DIM];
  lk_vectors vectors;
  lk_label labels[BOOK_ROWS];
  char texts[2 * BOOK_ROWS][16], fields[24];
  lk_enrollment enrollment;
  lk_change changes[BOOK_ROWS];
} book_entry;

typedef struct book {
  book_entry *entries; /* seq 1 is the first */
  uint32_t count;
  uint64_t number; /* of the next row */
} book;

void book_open(book *b);
void book_close(book *b);

/* An entry that changes nothing, to be filled. */
book_entry *book_add(book *b, uint64_t ms);
/* Makes it an enrollment of rows without labels; `number` goes on. */
void book_enroll(book *b, book_entry *e, random_state *random, uint32_t rows);
/* Adds a random entry of any kind, also such as are refused. */
void book_draw(book *b, random_state *random);

/* The log before the first entry, or up to an entry. */
lk_log_mark book_mark(const book *b, uint64_t seq);

/* Applies the entries from seq `first` to `last` together. `out` (may be NULL) has one for each. */
lk_status book_apply(const book *b, lk_owner *owner, uint64_t first, uint64_t last, lk_log_entry *out, lk_error *error);

/* All templates that live and had not expired at this time, each with all of its fields; the caller frees it. */
char *book_print(const lk_gallery *gallery, uint64_t now_ms);

/* For each seq from 0 on what a gallery is that has applied all up to it, and nothing else; each is to be freed.
 * `outcomes` (may be NULL): of each entry. The gallery is made at `path`, and removed. */
char **book_history(const book *b, const char *path, lk_log_entry *outcomes);
void book_history_free(const book *b, char **history);

bool book_same_outcome(const lk_log_entry *a, const lk_log_entry *b);

#endif
