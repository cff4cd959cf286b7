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

static void parse(const void *data, size_t size) {
  lk_manifest manifest;
  if (lk_manifest_parse("fuzz", data, size, &manifest, NULL) != LK_OK) return;
  if (manifest.dim < 1 || manifest.dim > LK_DIM_MAX || manifest.metric > LK_L2) abort();
  for (uint32_t i = 0; i < manifest.segments_count; i++)
    if (manifest.segments[i].rows < 1 || manifest.segments[i].id >= manifest.next_segment) abort();
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
