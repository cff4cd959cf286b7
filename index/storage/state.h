/* A state file: what has changed of rows in segments, which never change themselves. docs/format.md draws it.
 *
 * It is written once. The manifest names it, with its checksum. */
#ifndef INDEX_STORAGE_STATE_H
#define INDEX_STORAGE_STATE_H

#include "base/folder.h"
#include "index/storage/manifest.h"
#include "index/storage/state_layout.h"

/* An open state file. Any thread may read it. */
typedef struct lk_state {
  const lk_state_entry *entries;
  uint32_t count;
  lk_file file; /* that has them; empty after lk_state_parse */
  char path[PATH_MAX];
} lk_state;

/* Writes the file's name into `name`. */
#define LK_STATE_NAME_MAX 32
void lk_state_name(uint32_t id, char name[LK_STATE_NAME_MAX]);

/* Writes the file, in place of any that has its name: no manifest may name that yet. Its bytes are on the disk then;
 * its name, once the folder is synced. `checksum` receives what the manifest says of it. LK_EINVAL: an entry is not
 * what it can be (lk_state_parse). LK_EIO. Then there is no such file. */
lk_status lk_state_write(const lk_folder *folder, uint32_t id, const uint8_t gallery[LK_GALLERY_ID_BYTES],
                         const lk_state_entry *entries, uint32_t count, uint64_t *checksum, lk_error *error);

/* Reads the state file that a manifest names, and verifies all of it but what lk_state_check does. LK_EIO. LK_EFORMAT:
 * it is no state file, or of another version. LK_ECORRUPT: it is damaged, or another one. */
lk_status lk_state_read(const lk_folder *folder, const lk_manifest *manifest, lk_state *state, lk_error *error);

/* The same for bytes, aligned to 8, into which the state then points. An entry must come behind the one before it, and
 * its expiry must not be 0. */
lk_status lk_state_parse(const char *name, const void *bytes, size_t size, const lk_manifest *manifest, lk_state *state,
                         lk_error *error);
void lk_state_free(lk_state *state);

/* Whether each entry is of a row that the manifest's segments have. LK_ECORRUPT. */
lk_status lk_state_check(const lk_state *state, const lk_manifest *manifest, lk_error *error);

#endif
