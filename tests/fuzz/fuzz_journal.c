#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "index/journal/replay.h"

/* Sets right what a fuzzer does not guess: the file's header, and of each record that can be reached its number, its
 * link and its checksums. */
static void reseal(char *image, size_t size, const lk_journal_header *expected) {
  lk_journal_header file = *expected;
  lk_record_header header;
  if (size < sizeof file) return;
  lk_journal_seal_header(&file);
  memcpy(image, &file, sizeof file);
  uint64_t link = file.checksum, sequence = file.sequence;
  for (size_t at = sizeof file; at <= size && size - at >= sizeof header; at += sizeof header + header.bytes) {
    memcpy(&header, image + at, sizeof header);
    if (header.bytes > size - at - sizeof header) return;
    header.magic = LK_RECORD_MAGIC;
    header.sequence = ++sequence;
    header.link = link;
    header.content = XXH3_64bits(image + at + sizeof header, header.bytes);
    header.checksum = XXH3_64bits_withSeed(&header, offsetof(lk_record_header, checksum), file.checksum);
    memcpy(image + at, &header, sizeof header);
    link = header.checksum;
  }
}

/* What is read can be written, and read again as the same. */
static lk_status visit(void *context, uint64_t epoch, uint64_t sequence, const lk_record *record, lk_error *error) {
  (void)epoch, (void)sequence, (void)error;
  const lk_shape *shape = context;
  lk_record again;
  uint32_t size = lk_record_bytes(*shape, record);
  uint64_t *once = malloc(size), *twice = malloc(size);
  if (once == NULL || twice == NULL) abort();
  lk_record_encode(*shape, record, once);
  if (lk_record_decode(*shape, record->kind, once, size, &again, NULL) != LK_OK) abort();
  lk_record_encode(*shape, &again, twice);
  if (memcmp(once, twice, size) != 0) abort();
  free(once);
  free(twice);
  return LK_OK;
}

static lk_status read_all(const lk_journal_image *image, const lk_journal_header *header, lk_journal_place *place) {
  lk_shape shape = lk_journal_shape(header);
  lk_status status = lk_journal_begin(image, header, place, NULL);
  if (status == LK_OK) status = lk_journal_replay(image, place, visit, &shape, NULL);
  if (status == LK_OK && (place->offset > image->size || place->synced > place->offset)) abort();
  return status;
}

/* A bit that changes before the last group is found. */
static void damage(char *bytes, const lk_journal_header *header, const lk_journal_place *whole) {
  size_t size = whole->offset, begin = sizeof *header, end = whole->synced;
  lk_journal_image image = {.name = "fuzz", .bytes = bytes, .size = size};
  lk_journal_place place;
  if (end == begin) return;
  uint64_t random = XXH3_64bits(bytes, size);
  bytes[begin + random / 8 % (end - begin)] ^= (char)(1 << random % 8);
  if (read_all(&image, header, &place) != LK_ECORRUPT) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const lk_journal_header header = {.metric = LK_COSINE, .store = LK_STORE_F16, .dim = 2, .id = 1, .epoch = 5};
  char *bytes = NULL;
  if (posix_memalign((void **)&bytes, 64, size > 0 ? size : 1) != 0) return 0;
  if (size > 0) memcpy(bytes, data, size);
  lk_journal_image image = {.name = "fuzz", .bytes = bytes, .size = size};
  lk_journal_place place;
  read_all(&image, &header, &place);
  reseal(bytes, size, &header);
  if (read_all(&image, &header, &place) == LK_OK) damage(bytes, &header, &place);
  free(bytes);
  return 0;
}
