#include "index/storage/manifest.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/json.h"
#include "base/text.h"
#include "governance/binding.h"

void lk_manifest_segment_name(uint32_t id, char name[LK_SEGMENT_NAME_MAX]) {
  snprintf(name, LK_SEGMENT_NAME_MAX, "segment-%06" PRIu32 ".lks", id);
}

lk_status lk_manifest_name_of(const char *folder, char name[LK_TEXT_MAX + 1], lk_error *error) {
  char resolved[PATH_MAX];
  if (realpath(folder, resolved) == NULL)
    return lk_fail(error, LK_EGALLERY, "%s: no such gallery: %s", folder, strerror(errno));
  const char *base = strrchr(resolved, '/') + 1;
  if (!lk_text_is_name(lk_text_of(base)))
    return lk_fail(error, LK_EINVAL, "%s: invalid name: a gallery's name may have letters, digits, '.', '_' and '-'",
                   folder);
  strcpy(name, base);
  return LK_OK;
}

/* The checksum of a manifest without its own checksum, in compact form with sorted keys. False: out of memory. */
static bool checksum_of(const json_t *bare, char hex[17]) {
  char *text = lk_json_print(bare, JSON_COMPACT | JSON_SORT_KEYS);
  if (text != NULL) snprintf(hex, 17, "%016" PRIx64, (uint64_t)XXH3_64bits(text, strlen(text)));
  free(text);
  return text != NULL;
}

static json_t *segment_to_json(const lk_manifest_segment *segment) {
  char checksum[17];
  snprintf(checksum, sizeof checksum, "%016" PRIx64, segment->checksum);
  return json_pack("{s:I, s:I, s:s}", "id", (json_int_t)segment->id, "rows", (json_int_t)segment->rows, "checksum",
                   checksum);
}

/* NULL: out of memory. A list that lacks a segment would lose its templates. */
static json_t *segments_to_json(const lk_manifest *manifest) {
  json_t *list = json_array();
  for (uint32_t i = 0; i < manifest->segments_count; i++)
    if (json_array_append_new(list, segment_to_json(&manifest->segments[i])) != 0) {
      json_decref(list);
      return NULL;
    }
  return list;
}

static json_t *to_json(const lk_manifest *manifest) {
  bool bound = manifest->binding.policy != NULL;
  json_t *root = json_pack("{s:i, s:s, s:I, s:s, s:s, s:s, s:I, s:I, s:I, s:o}", "version",
                           bound ? LK_MANIFEST_VERSION_BOUND : LK_MANIFEST_VERSION, "metric",
                           lk_metric_name(manifest->metric), "dim", (json_int_t)manifest->dim, "store",
                           lk_store_name(manifest->store), "name", manifest->name, "model", manifest->model, "epoch",
                           (json_int_t)manifest->epoch, "next_number", (json_int_t)manifest->next_number,
                           "next_segment", (json_int_t)manifest->next_segment, "segments", segments_to_json(manifest));
  char checksum[17];
  bool whole = !bound || json_object_set_new(root, "governance", lk_binding_to_json(&manifest->binding)) == 0;
  if (whole && checksum_of(root, checksum) && json_object_set_new(root, "checksum", json_string(checksum)) == 0)
    return root;
  json_decref(root);
  return NULL;
}

lk_status lk_manifest_write(const lk_folder *folder, const lk_manifest *manifest, lk_error *error) {
  json_t *root = to_json(manifest);
  char *text = lk_json_print(root, JSON_INDENT(2));
  json_decref(root);
  if (text == NULL) return lk_fail_memory(error);
  lk_status status = lk_folder_replace(folder, LK_MANIFEST_FILE, text, strlen(text), error);
  free(text);
  return status;
}

static bool read_segment(json_t *entry, uint32_t next_segment, lk_manifest_segment *segment) {
  json_int_t id, rows;
  const char *checksum;
  if (json_unpack(entry, "{s:I, s:I, s:s}", "id", &id, "rows", &rows, "checksum", &checksum) != 0) return false;
  char *end;
  segment->checksum = strtoull(checksum, &end, 16);
  if (*end != '\0' || strlen(checksum) != 16 || id < 0 || id >= next_segment || rows < 1 || rows > UINT32_MAX)
    return false;
  segment->id = (uint32_t)id;
  segment->rows = (uint32_t)rows;
  return true;
}

static lk_status read_segments(const char *name, json_t *list, lk_manifest *manifest, lk_error *error) {
  size_t count = json_array_size(list);
  manifest->segments = calloc(count + 1, sizeof *manifest->segments);
  if (manifest->segments == NULL) return lk_fail_memory(error);
  for (size_t i = 0; i < count; i++)
    if (!read_segment(json_array_get(list, i), manifest->next_segment, &manifest->segments[i]))
      return lk_fail(error, LK_EFORMAT, "%s: segment %zu is malformed", name, i);
  manifest->segments_count = (uint32_t)count;
  return LK_OK;
}

/* Removes the checksum from `root`. */
static lk_status verify_checksum(const char *name, json_t *root, const char *checksum, lk_error *error) {
  char stored[18], computed[17]; /* one character more, so that a longer text does not match */
  snprintf(stored, sizeof stored, "%s", checksum);
  json_object_del(root, "checksum");
  if (!checksum_of(root, computed)) return lk_fail_memory(error);
  if (strcmp(stored, computed) == 0) return LK_OK;
  return lk_fail(error, LK_ECORRUPT, "%s: the checksum does not match", name);
}

static lk_status from_json(const char *name, json_t *root, lk_manifest *manifest, lk_error *error) {
  json_int_t version, dim, epoch, next_number, next_segment;
  const char *metric, *store, *model, *checksum, *gallery = "";
  json_t *segments;
  json_error_t at;
  if (json_unpack_ex(root, &at, 0, "{s:I, s:s}", "version", &version, "checksum", &checksum) != 0)
    return lk_fail(error, LK_EFORMAT, "%s: %s", name, at.text);
  if (version != LK_MANIFEST_VERSION && version != LK_MANIFEST_VERSION_BOUND)
    return lk_fail(error, LK_EFORMAT, "%s: manifest version %lld; this build reads %d and %d", name, (long long)version,
                   LK_MANIFEST_VERSION, LK_MANIFEST_VERSION_BOUND);
  lk_status status = verify_checksum(name, root, checksum, error);
  if (status != LK_OK) return status;
  if (json_unpack_ex(root, &at, 0, "{s:s, s:I, s:s, s?s, s:s, s:I, s:I, s:I, s:o}", "metric", &metric, "dim", &dim,
                     "store", &store, "name", &gallery, "model", &model, "epoch", &epoch, "next_number", &next_number,
                     "next_segment", &next_segment, "segments", &segments) != 0)
    return lk_fail(error, LK_EFORMAT, "%s: %s", name, at.text);
  status = lk_metric_parse(metric, &manifest->metric, NULL);
  if (status == LK_OK) status = lk_store_parse(store, &manifest->store, NULL);
  if (status != LK_OK || dim < 1 || dim > LK_DIM_MAX || strlen(model) > LK_TEXT_MAX ||
      (gallery[0] != '\0' && !lk_text_is_name(lk_text_of(gallery))) || epoch < 0 || next_number < 0 ||
      next_segment < 0 || next_segment > UINT32_MAX || !json_is_array(segments))
    return lk_fail(error, LK_EFORMAT, "%s: a field is out of range", name);
  manifest->dim = (uint32_t)dim;
  strcpy(manifest->name, gallery);
  strcpy(manifest->model, model);
  manifest->epoch = (uint64_t)epoch;
  manifest->next_number = (uint64_t)next_number;
  manifest->next_segment = (uint32_t)next_segment;
  json_t *governance = json_object_get(root, "governance");
  if ((governance != NULL) != (version == LK_MANIFEST_VERSION_BOUND))
    return lk_fail(error, LK_EFORMAT, "%s: only a manifest of version %d may and must name a policy", name,
                   LK_MANIFEST_VERSION_BOUND);
  if (governance != NULL) status = lk_binding_from_json(name, governance, &manifest->binding, error);
  return status == LK_OK ? read_segments(name, segments, manifest, error) : status;
}

lk_status lk_manifest_parse(const char *name, const void *data, size_t size, lk_manifest *manifest, lk_error *error) {
  *manifest = (lk_manifest){0};
  json_error_t at;
  errno = 0;
  json_t *root = json_loadb(data, size, JSON_REJECT_DUPLICATES, &at);
  lk_status status = root != NULL ? from_json(name, root, manifest, error)
                                  : lk_fail(error, LK_EFORMAT, "%s: line %d: %s", name, at.line, at.text);
  /* When jansson is out of memory, it mostly reports a malformed text. */
  if (status != LK_OK && errno == ENOMEM) status = lk_fail_memory(error);
  json_decref(root);
  if (status != LK_OK) lk_manifest_free(manifest);
  return status;
}

lk_status lk_manifest_read(const lk_folder *folder, lk_manifest *manifest, lk_error *error) {
  char path[PATH_MAX];
  lk_file file;
  lk_status status = lk_file_join(path, folder->path, LK_MANIFEST_FILE, error);
  if (status == LK_OK) status = lk_folder_read(folder, LK_MANIFEST_FILE, &file, error);
  if (status != LK_OK) return status;
  status = lk_manifest_parse(path, file.data, file.size, manifest, error);
  lk_file_free(&file);
  if (status == LK_OK && manifest->name[0] == '\0') {
    status = lk_manifest_name_of(folder->path, manifest->name, error);
    if (status != LK_OK) lk_manifest_free(manifest);
  }
  return status;
}

void lk_manifest_free(lk_manifest *manifest) {
  free(manifest->segments);
  lk_binding_free(&manifest->binding);
  *manifest = (lk_manifest){0};
}
