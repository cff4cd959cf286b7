#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "index/storage/state.h"

static lk_manifest_segment segments[] = {{.id = 1, .rows = 4}, {.id = 2, .rows = UINT32_MAX}};
static lk_manifest manifest = {.next_file = 8, .segments = segments, .segments_count = 2, .state = {.id = 7}};

/* What is read is in order, and can be looked up in the manifest's segments. */
static void parse(const char *bytes, size_t size) {
  lk_state state;
  if (lk_state_parse("fuzz", bytes, size, &manifest, &state, NULL) != LK_OK) return;
  bool known = lk_state_check(&state, &manifest, NULL) == LK_OK;
  for (uint32_t i = 0; i < state.count; i++) {
    const lk_state_entry *entry = &state.entries[i];
    if ((const char *)(entry + 1) > bytes + size || entry->expires_ms == 0) abort();
    if (i > 0 &&
        (entry->segment < entry[-1].segment || (entry->segment == entry[-1].segment && entry->row <= entry[-1].row)))
      abort();
    if (known && (entry->segment < 1 || entry->segment > 2 || entry->row >= segments[entry->segment - 1].rows)) abort();
  }
  lk_state_free(&state);
}

/* Sets right what a fuzzer does not guess: what makes it the state that the manifest names, and the checksums. */
static void reseal(char *bytes, size_t size) {
  lk_state_header header;
  if (size < sizeof header) return;
  memcpy(&header, bytes, sizeof header);
  memcpy(header.magic, LK_STATE_MAGIC, sizeof header.magic);
  header.version = LK_STATE_VERSION;
  header.id = manifest.state.id;
  memcpy(header.gallery, manifest.id, sizeof header.gallery);
  header.entries = XXH3_64bits(bytes + sizeof header, size - sizeof header);
  header.checksum = XXH3_64bits(&header, offsetof(lk_state_header, checksum));
  memcpy(bytes, &header, sizeof header);
  manifest.state.checksum = header.checksum;
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
