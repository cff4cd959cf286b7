#include "index/storage/state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

void lk_state_name(uint32_t id, char name[LK_STATE_NAME_MAX]) {
  snprintf(name, LK_STATE_NAME_MAX, "state-%06" PRIu32 ".lkx", id);
}

static uint64_t checksum_of(const lk_state_header *header) {
  return XXH3_64bits(header, offsetof(lk_state_header, checksum));
}

static lk_status fail_entry(const char *name, uint32_t i, lk_status status, const char *fault, lk_error *error) {
  uint64_t offset = sizeof(lk_state_header) + (uint64_t)i * sizeof(lk_state_entry);
  return lk_fail(error, status, "%s: entry %u, at offset %" PRIu64 ", %s", name, i, offset, fault);
}

static bool is_before(const lk_state_entry *a, const lk_state_entry *b) {
  return a->segment != b->segment ? a->segment < b->segment : a->row < b->row;
}

/* What can be written can be read: both ask this. `refused`: the status of an error. */
static lk_status check_entries(const char *name, const lk_state_entry *entries, uint32_t count, lk_status refused,
                               lk_error *error) {
  for (uint32_t i = 0; i < count; i++) {
    if (i > 0 && !is_before(&entries[i - 1], &entries[i]))
      return fail_entry(name, i, refused, "does not come behind the one before it", error);
    if (entries[i].expires_ms == 0) return fail_entry(name, i, refused, "has the expiry 0", error);
  }
  return LK_OK;
}

lk_status lk_state_write(const lk_folder *folder, uint32_t id, const uint8_t gallery[LK_GALLERY_ID_BYTES],
                         const lk_state_entry *entries, uint32_t count, uint64_t *checksum, lk_error *error) {
  char name[LK_STATE_NAME_MAX];
  size_t bytes = (size_t)count * sizeof *entries;
  lk_new_file file;
  lk_state_name(id, name);
  lk_status status = check_entries(name, entries, count, LK_EINVAL, error);
  if (status == LK_OK) status = lk_folder_make_file(folder, name, sizeof(lk_state_header) + bytes, &file, error);
  if (status != LK_OK) return status;
  lk_state_header header = {.magic = LK_STATE_MAGIC,
                            .version = LK_STATE_VERSION,
                            .id = id,
                            .count = count,
                            .entries = XXH3_64bits(entries, bytes)};
  memcpy(header.gallery, gallery, sizeof header.gallery);
  *checksum = header.checksum = checksum_of(&header);
  memcpy(file.data, &header, sizeof header);
  if (count > 0) memcpy((char *)file.data + sizeof header, entries, bytes);
  status = lk_folder_seal_file(folder, name, &file, error);
  if (status != LK_OK) lk_folder_remove(folder, name);
  return status;
}

static lk_status check_header(const char *name, const lk_state_header *header, size_t size, const lk_manifest *manifest,
                              lk_error *error) {
  uint64_t needed = sizeof *header + (uint64_t)header->count * sizeof(lk_state_entry);
  if (memcmp(header->magic, LK_STATE_MAGIC, sizeof header->magic) != 0)
    return lk_fail(error, LK_EFORMAT, "%s: not a state file", name);
  if (header->version != LK_STATE_VERSION)
    return lk_fail(error, LK_EFORMAT, "%s: state version %u; this build reads %d", name, header->version,
                   LK_STATE_VERSION);
  if (header->checksum != checksum_of(header))
    return lk_fail(error, LK_ECORRUPT, "%s: the header, at offset 0, does not match its checksum", name);
  if (memcmp(header->gallery, manifest->id, sizeof header->gallery) != 0)
    return lk_fail(error, LK_ECORRUPT, "%s: it belongs to another gallery", name);
  if (header->id != manifest->state.id || header->checksum != manifest->state.checksum || header->reserved != 0)
    return lk_fail(error, LK_ECORRUPT, "%s: not the state that the manifest names", name);
  if (size != needed)
    return lk_fail(error, LK_ECORRUPT, "%s: %zu bytes, where a state of %u rows has %" PRIu64, name, size,
                   header->count, needed);
  return LK_OK;
}

lk_status lk_state_parse(const char *name, const void *bytes, size_t size, const lk_manifest *manifest, lk_state *state,
                         lk_error *error) {
  lk_state_header header;
  *state = (lk_state){0};
  if (size < sizeof header) return lk_fail(error, LK_EFORMAT, "%s: too short for a state file: %zu bytes", name, size);
  memcpy(&header, bytes, sizeof header);
  lk_status status = check_header(name, &header, size, manifest, error);
  if (status != LK_OK) return status;
  const lk_state_entry *entries = (const void *)((const char *)bytes + sizeof header);
  if (header.entries != XXH3_64bits(entries, size - sizeof header))
    return lk_fail(error, LK_ECORRUPT, "%s: the entries, from offset %zu on, do not match their checksum", name,
                   sizeof header);
  status = check_entries(name, entries, header.count, LK_ECORRUPT, error);
  if (status != LK_OK) return status;
  state->entries = entries;
  state->count = header.count;
  snprintf(state->path, sizeof state->path, "%s", name);
  return LK_OK;
}

/* The bytes are read into memory, where nobody changes them after they were verified. */
lk_status lk_state_read(const lk_folder *folder, const lk_manifest *manifest, lk_state *state, lk_error *error) {
  char name[LK_STATE_NAME_MAX], path[PATH_MAX];
  lk_file file;
  *state = (lk_state){0};
  lk_state_name(manifest->state.id, name);
  lk_status status = lk_file_join(path, folder->path, name, error);
  if (status == LK_OK) status = lk_folder_read(folder, name, &file, error);
  if (status != LK_OK) return status;
  status = lk_state_parse(path, file.data, file.size, manifest, state, error);
  if (status == LK_OK)
    state->file = file;
  else
    lk_file_free(&file);
  return status;
}

void lk_state_free(lk_state *state) {
  lk_file_free(&state->file);
  *state = (lk_state){0};
}

/* Rows of the segment with this id; 0: there is none. */
static uint32_t rows_of(const lk_manifest *manifest, uint32_t id) {
  for (uint32_t i = 0; i < manifest->segments_count; i++)
    if (manifest->segments[i].id == id) return manifest->segments[i].rows;
  return 0;
}

lk_status lk_state_check(const lk_state *state, const lk_manifest *manifest, lk_error *error) {
  uint32_t rows = 0;
  for (uint32_t i = 0; i < state->count; i++) {
    const lk_state_entry *entry = &state->entries[i];
    if (i == 0 || entry->segment != entry[-1].segment) rows = rows_of(manifest, entry->segment);
    if (rows == 0)
      return fail_entry(state->path, i, LK_ECORRUPT, "is of a segment that the gallery does not have", error);
    if (entry->row >= rows)
      return fail_entry(state->path, i, LK_ECORRUPT, "is of a row that its segment does not have", error);
  }
  return LK_OK;
}
