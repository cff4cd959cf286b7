#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "index/storage/manifest.h"

/* Gives the manifest the checksum that it should have: a fuzzer does not guess one. */
static char *reseal(const uint8_t *data, size_t size) {
  json_t *root = json_loadb((const char *)data, size, 0, NULL);
  if (!json_is_object(root)) {
    json_decref(root);
    return NULL;
  }
  json_object_del(root, "checksum");
  char *text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS), hex[17];
  snprintf(hex, sizeof hex, "%016" PRIx64, (uint64_t)XXH3_64bits(text, strlen(text)));
  json_object_set_new(root, "checksum", json_string(hex));
  free(text);
  text = json_dumps(root, 0);
  json_decref(root);
  return text;
}

/* Only the newest version has an identity and what needs one. */
static void check_changes(const lk_manifest *manifest) {
  static const uint8_t none[LK_GALLERY_ID_BYTES];
  bool is_older = memcmp(manifest->id, none, sizeof none) == 0;
  if (is_older != (manifest->version < LK_MANIFEST_VERSION) || manifest->journals_count > LK_MANIFEST_JOURNALS) abort();
  if (is_older && (manifest->journals_count > 0 || manifest->state.id > 0 || manifest->sequence > 0)) abort();
  uint64_t sequence = manifest->sequence;
  uint32_t id = 0;
  for (uint32_t i = 0; i < manifest->journals_count; i++) {
    lk_journal_header header = lk_manifest_journal_header(manifest, i);
    if (header.id <= id || header.id >= manifest->next_file || header.sequence < sequence) abort();
    id = header.id;
    sequence = header.sequence;
  }
}

static void parse(const void *data, size_t size) {
  lk_manifest manifest;
  if (lk_manifest_parse("fuzz", data, size, &manifest, NULL) != LK_OK) return;
  if (manifest.dim < 1 || manifest.dim > LK_DIM_MAX || manifest.metric > LK_L2) abort();
  for (uint32_t i = 0; i < manifest.segments_count; i++)
    if (manifest.segments[i].rows < 1 || manifest.segments[i].id >= manifest.next_file) abort();
  check_changes(&manifest);
  if ((manifest.binding.policy == NULL && manifest.binding.audit != NULL) ||
      (manifest.binding.audit == NULL && manifest.binding.audit_key != NULL))
    abort();
  lk_manifest_free(&manifest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  parse(data, size);
  char *sealed = reseal(data, size);
  if (sealed != NULL) parse(sealed, strlen(sealed));
  free(sealed);
  return 0;
}
