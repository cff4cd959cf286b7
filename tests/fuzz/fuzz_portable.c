#include <stdlib.h>
#include <string.h>

#include "index/portable/portable_reader.h"

static bool lies_within(const void *at, size_t length, const char *bytes, size_t size) {
  return length == 0 || ((const char *)at >= bytes && (const char *)at + length <= bytes + size);
}

/* What is read lies in the file, in ascending order, and there is as much of it as the header says. */
static void parse(const char *bytes, size_t size) {
  lk_portable_reader reader;
  lk_record record;
  uint64_t templates = 0, at_least = 0;
  bool over = false;
  lk_status status = lk_portable_reader_open("fuzz", bytes, size, &reader, NULL);
  while (status == LK_OK && (status = lk_portable_reader_next(&reader, &record, &over, NULL)) == LK_OK && !over) {
    if (record.number < at_least || record.number >= reader.header.next_number || record.expires_ms == 0) abort();
    if (!lies_within(record.vector, reader.shape.dim * lk_store_bytes(reader.shape.store), bytes, size)) abort();
    if (!lies_within(record.key.bytes, record.key.length, bytes, size) || record.key.length == 0) abort();
    if (!lies_within(record.metadata, record.metadata_bytes, bytes, size)) abort();
    at_least = record.number + 1;
    templates++;
  }
  if (status == LK_OK && templates != reader.header.templates) abort();
  lk_portable_reader_close(&reader);
}

/* Sets right what a fuzzer does not guess: the checksums of the header and of one chunk after another. */
static void reseal(char *bytes, size_t size) {
  lk_portable_header header;
  lk_portable_chunk chunk;
  if (size < sizeof header) return;
  memcpy(&header, bytes, sizeof header);
  memcpy(header.magic, LK_PORTABLE_MAGIC, sizeof header.magic);
  header.version = LK_PORTABLE_VERSION;
  header.checksum = XXH3_64bits(&header, offsetof(lk_portable_header, checksum));
  memcpy(bytes, &header, sizeof header);
  uint64_t link = header.checksum;
  for (size_t at = sizeof header; at + sizeof chunk <= size; at += sizeof chunk + chunk.bytes) {
    size_t left = size - at - sizeof chunk;
    memcpy(&chunk, bytes + at, sizeof chunk);
    chunk.magic = LK_PORTABLE_CHUNK_MAGIC;
    bool ends = chunk.templates == 0;
    if (ends) chunk.bytes = 0;
    if (chunk.bytes > left) chunk.bytes = left;
    chunk.content = ends ? XXH3_64bits(bytes, at) : XXH3_64bits(bytes + at + sizeof chunk, chunk.bytes);
    chunk.checksum = link = XXH3_64bits_withSeed(&chunk, offsetof(lk_portable_chunk, checksum), link);
    memcpy(bytes + at, &chunk, sizeof chunk);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *bytes = NULL;
  if (posix_memalign((void **)&bytes, 64, size > 0 ? size : 1) != 0) return 0;
  if (size > 0) memcpy(bytes, data, size);
  parse(bytes, size);
  reseal(bytes, size);
  parse(bytes, size);
  free(bytes);
  return 0;
}
