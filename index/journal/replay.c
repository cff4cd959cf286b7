#include "index/journal/replay.h"

#include <inttypes.h>
#include <string.h>
#include <xxhash.h>

#include "base/fail.h"

static uint64_t checksum_of(const lk_journal_header *header) {
  return XXH3_64bits(header, offsetof(lk_journal_header, checksum));
}

lk_shape lk_journal_shape(const lk_journal_header *header) {
  return (lk_shape){.metric = (lk_metric)header->metric, .dim = header->dim, .store = (lk_store)header->store};
}

void lk_journal_seal_header(lk_journal_header *header) {
  memcpy(header->magic, LK_JOURNAL_MAGIC, sizeof header->magic);
  header->version = LK_JOURNAL_VERSION;
  header->checksum = checksum_of(header);
}

lk_journal_place lk_journal_start(const lk_journal_header *header) {
  return (lk_journal_place){.shape = lk_journal_shape(header),
                            .seed = header->checksum,
                            .offset = sizeof *header,
                            .synced = sizeof *header,
                            .sequence = header->sequence,
                            .link = header->checksum,
                            .epoch = header->epoch};
}

static const char *difference(const lk_journal_header *header, const lk_journal_header *expected) {
  if (memcmp(header->gallery, expected->gallery, sizeof header->gallery) != 0) return "it belongs to another gallery";
  if (header->metric != expected->metric || header->store != expected->store || header->dim != expected->dim)
    return "its dimension, metric or store is not the gallery's";
  if (header->id != expected->id || header->epoch != expected->epoch || header->sequence != expected->sequence ||
      header->reserved != expected->reserved)
    return "it is another journal of the gallery than the one that should be here";
  return NULL;
}

lk_status lk_journal_begin(const lk_journal_image *image, const lk_journal_header *expected, lk_journal_place *place,
                           lk_error *error) {
  lk_journal_header header;
  if (image->size < sizeof header)
    return lk_fail(error, LK_EFORMAT, "%s: too short for a journal: %zu bytes", image->name, image->size);
  memcpy(&header, image->bytes, sizeof header);
  if (memcmp(header.magic, LK_JOURNAL_MAGIC, sizeof header.magic) != 0)
    return lk_fail(error, LK_EFORMAT, "%s: not a journal", image->name);
  if (header.version != LK_JOURNAL_VERSION)
    return lk_fail(error, LK_EFORMAT, "%s: journal version %u; this build reads %d", image->name, header.version,
                   LK_JOURNAL_VERSION);
  if (header.checksum != checksum_of(&header))
    return lk_fail(error, LK_ECORRUPT, "%s: header: the checksum does not match", image->name);
  const char *other = difference(&header, expected);
  if (other != NULL) return lk_fail(error, LK_ECORRUPT, "%s: %s", image->name, other);
  *place = lk_journal_start(&header);
  return LK_OK;
}

/* Whether these are the bytes of a record's header in this journal. */
static bool is_header(const lk_record_header *header, uint64_t seed) {
  return header->magic == LK_RECORD_MAGIC &&
         header->checksum == XXH3_64bits_withSeed(header, offsetof(lk_record_header, checksum), seed);
}

/* Why the record at the place cannot be read; NULL: it can, and `header` receives its header. */
static const char *read_fault(const lk_journal_image *image, const lk_journal_place *at, lk_record_header *header) {
  size_t left = image->size - at->offset;
  if (left < sizeof *header) return "is incomplete";
  memcpy(header, image->bytes + at->offset, sizeof *header);
  if (!is_header(header, at->seed)) return "has a header that does not match its checksum";
  if (header->bytes > left - sizeof *header) return "is incomplete";
  if (header->content != XXH3_64bits(image->bytes + at->offset + sizeof *header, header->bytes))
    return "does not match its checksum";
  return NULL;
}

/* Why a record that can be read is not the one that comes next in the batch which begins at `batch`; NULL: it is.
 * `left`: records that must follow; the first of a batch says so itself. */
static const char *order_fault(const lk_journal_place *batch, const lk_journal_place *at, uint32_t left,
                               const lk_record_header *header) {
  if (header->sequence != at->sequence + 1) return "has another number";
  if (header->link != at->link) return "does not follow the record before it";
  if (header->left != left) return "does not belong to its batch";
  if (header->synced != at->synced && header->synced != batch->offset) return "is of no group";
  if (header->bytes % LK_JOURNAL_ALIGN != 0) return "has a size that is not a multiple of 8";
  if (header->kind == LK_RECORD_SEAL && (left > 0 || at->offset != batch->offset)) return "is a seal within a batch";
  return NULL;
}

/* Whether a record behind the place says that the disk had the record there. Its header vouches for itself. */
static bool was_synced(const lk_journal_image *image, const lk_journal_place *at) {
  lk_record_header header;
  for (uint64_t i = at->offset + LK_JOURNAL_ALIGN; i + sizeof header <= image->size; i += LK_JOURNAL_ALIGN) {
    memcpy(&header, image->bytes + i, sizeof header);
    if (is_header(&header, at->seed) && header.synced > at->offset && header.synced <= i) return true;
  }
  return false;
}

static lk_status refuse(const lk_journal_image *image, const lk_journal_place *at, const char *fault, lk_error *error) {
  return lk_fail(error, LK_ECORRUPT, "%s: record %" PRIu64 ", at offset %" PRIu64 ", %s", image->name, at->sequence + 1,
                 at->offset, fault);
}

static void step_over(lk_journal_place *at, const lk_record_header *header) {
  at->offset += sizeof *header + header->bytes;
  at->synced = header->synced;
  at->sequence = header->sequence;
  at->link = header->checksum;
  at->sealed = header->kind == LK_RECORD_SEAL;
}

/* Finds the place behind the batch at `place`. `whole` says whether there is one; else a tail begins here. */
static lk_status measure(const lk_journal_image *image, const lk_journal_place *place, lk_journal_place *behind,
                         bool *whole, lk_error *error) {
  lk_record_header header;
  uint32_t left = 0;
  *behind = *place;
  *whole = false;
  do {
    const char *fault = read_fault(image, behind, &header);
    if (fault != NULL) return was_synced(image, behind) ? refuse(image, behind, fault, error) : LK_OK;
    if (behind->offset == place->offset) left = header.left;
    fault = order_fault(place, behind, left, &header);
    if (fault != NULL) return refuse(image, behind, fault, error);
    step_over(behind, &header);
  } while (left-- > 0);
  behind->epoch++;
  *whole = true;
  return LK_OK;
}

/* Decodes each record of a whole batch and hands it on. A record that does not decode was not written by a journal. */
static lk_status visit_batch(const lk_journal_image *image, lk_journal_place at, uint64_t end, lk_journal_visit *visit,
                             void *context, lk_error *error) {
  lk_status status = LK_OK;
  for (lk_record_header header; status == LK_OK && at.offset < end; step_over(&at, &header)) {
    lk_record record;
    lk_error fault;
    uint64_t left = end - at.offset;
    if (left >= sizeof header) memcpy(&header, image->bytes + at.offset, sizeof header);
    if (left < sizeof header || header.bytes > left - sizeof header)
      return refuse(image, &at, "changed while it was read", error);
    const char *content = image->bytes + at.offset + sizeof header;
    if (lk_record_decode(at.shape, header.kind, content, header.bytes, &record, &fault) != LK_OK)
      return lk_fail(error, LK_ECORRUPT, "%s: record %" PRIu64 ", at offset %" PRIu64 ": %s", image->name,
                     at.sequence + 1, at.offset, fault.text);
    if (visit != NULL) status = visit(context, at.epoch + 1, header.sequence, &record, error);
  }
  return status;
}

lk_status lk_journal_replay(const lk_journal_image *image, lk_journal_place *place, lk_journal_visit *visit,
                            void *context, lk_error *error) {
  while (place->offset < image->size) {
    lk_journal_place behind;
    bool whole;
    if (place->sealed) return refuse(image, place, "is behind the seal", error);
    lk_status status = measure(image, place, &behind, &whole, error);
    if (status == LK_OK && whole) status = visit_batch(image, *place, behind.offset, visit, context, error);
    if (status != LK_OK || !whole) return status;
    *place = behind;
  }
  return LK_OK;
}
