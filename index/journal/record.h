/* A record: one change of a gallery, as the journal keeps it. docs/format.md draws its bytes.
 *
 * A record can be encoded if and only if it can be decoded: both ask lk_record_check. So whatever a journal has taken
 * can be read back, and made a row of the gallery. */
#ifndef INDEX_JOURNAL_RECORD_H
#define INDEX_JOURNAL_RECORD_H

#include <stddef.h>

#include <likeness/types.h>
#include "kernels/backend.h"

/* A number never gets another meaning. */
typedef enum lk_record_kind {
  LK_RECORD_ENROLL = 1,
  LK_RECORD_DELETE_KEY = 2,
  LK_RECORD_DELETE_SUBJECT = 3,
  LK_RECORD_TAG = 4,
  LK_RECORD_EXPIRE = 5,
  LK_RECORD_SEAL = 6,
  LK_RECORD_LOG = 7
} lk_record_kind;

/* Members that its kind does not have are zeros. It owns nothing that it points to. */
typedef struct lk_record {
  lk_record_kind kind;
  uint64_t version;    /* that the client gave the change; 0: none */
  uint64_t number;     /* enroll: the template's, up to INT64_MAX; seal: the id of the journal that goes on */
  uint64_t tags;       /* enroll, tag: new values, for tag of those in `mask` */
  uint64_t mask;       /* tag: which tags change, one at least */
  uint64_t expires_ms; /* enroll, expire: Unix time, 1 or more, or LK_NEVER */
  lk_text key;         /* enroll, delete key, tag, expire; not empty */
  lk_text subject;     /* enroll, delete subject; not empty */
  lk_text group;       /* enroll */
  const void *metadata;
  uint32_t metadata_bytes; /* enroll: up to LK_METADATA_MAX, of any kind */
  lk_element element;      /* enroll: of the vector */
  const void *vector;      /* enroll: as it was given, little-endian; as many elements as the gallery's dimension */
  const void *note;        /* log: an lk_log_note, encoded */
  uint32_t note_bytes;
} lk_record;

/* The most bytes of one that is encoded, and is no LOG. */
#define LK_RECORD_BYTES_MAX (48 + 8 * LK_DIM_MAX + 3 * LK_TEXT_MAX + LK_METADATA_MAX + 7)

/* LK_EINVAL: the text says which field is not what it can be; of a vector, why it can be no row of such a gallery. */
lk_status lk_record_check(lk_shape shape, const lk_record *record, lk_error *error);

/* The size of a record that was checked, a multiple of 8. */
uint32_t lk_record_bytes(lk_shape shape, const lk_record *record);
/* Writes so many bytes. */
void lk_record_encode(lk_shape shape, const lk_record *record, void *bytes);

/* Reads exactly `size` bytes, aligned to 8; the record points into them. The bytes may change meanwhile: then it is
 * wrong, but nothing beyond them is read. LK_EINVAL. */
lk_status lk_record_decode(lk_shape shape, uint32_t kind, const void *bytes, size_t size, lk_record *record,
                           lk_error *error);

#endif
