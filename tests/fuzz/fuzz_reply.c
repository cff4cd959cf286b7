#include <stdlib.h>

#include "engine/queue/reply.h"

static uint64_t sum(lk_text text) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < text.length; i++) sum += (unsigned char)text.bytes[i];
  return sum;
}

volatile uint64_t fuzz_kept; /* so that the reads are not optimised away */

/* A reply that decodes can be read to its end and no further. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  lk_reply_reader reader;
  if (lk_reply_decode((const char *)data, size, &reader, NULL) != LK_OK) return 0;
  fuzz_kept = sum(reader.head.id) + sum(reader.head.gallery) + sum(reader.head.model) + sum(reader.head.text);
  for (uint32_t p = 0; p < reader.head.probes; p++)
    for (uint32_t left = lk_reply_count(&reader, p); left > 0; left--) {
      lk_candidate candidate = lk_reply_next(&reader);
      fuzz_kept += sum(candidate.found.key) + sum(candidate.found.subject) + sum(candidate.found.metadata);
    }
  if (reader.candidates != (const char *)data + size) abort();
  return 0;
}
