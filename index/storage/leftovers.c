#include "index/storage/leftovers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "index/journal/journal.h"
#include "index/storage/state.h"

enum { NAME_ROOM = 32 };
_Static_assert(LK_SEGMENT_NAME_MAX <= NAME_ROOM, "it has room for each kind's names");
_Static_assert(LK_STATE_NAME_MAX <= NAME_ROOM, "it has room for each kind's names");
_Static_assert(LK_JOURNAL_NAME_MAX <= NAME_ROOM, "it has room for each kind's names");

static bool names_segment(const lk_manifest *manifest, uint32_t id) {
  for (uint32_t i = 0; i < manifest->segments_count; i++)
    if (manifest->segments[i].id == id) return true;
  return false;
}

static bool names_state(const lk_manifest *manifest, uint32_t id) { return id != 0 && manifest->state.id == id; }

static bool names_journal(const lk_manifest *manifest, uint32_t id) {
  for (uint32_t i = 0; i < manifest->journals_count; i++)
    if (manifest->journals[i].id == id) return true;
  return false;
}

/* The kinds of files that have an id in their name. */
typedef struct kind {
  const char *prefix;
  void (*name_of)(uint32_t id, char name[NAME_ROOM]);
  bool (*is_named)(const lk_manifest *manifest, uint32_t id);
} kind;

static const kind kinds[] = {{"segment-", lk_manifest_segment_name, names_segment},
                             {"state-", lk_state_name, names_state},
                             {"journal-", lk_journal_name, names_journal}};

/* Whether `name` is that of a file of the kind, exactly as it would be written; `id` receives its id. */
static bool is_of_kind(const kind *k, const char *name, uint32_t *id) {
  char exact[NAME_ROOM];
  size_t prefix = strlen(k->prefix);
  if (strncmp(name, k->prefix, prefix) != 0) return false;
  *id = (uint32_t)strtoul(name + prefix, NULL, 10);
  k->name_of(*id, exact);
  return strcmp(name, exact) == 0;
}

/* Cuts ".new" off, under which lk_folder_replace writes. */
static bool cut_new(const char *name, char cut[NAME_ROOM]) {
  static const char end[] = ".new";
  size_t length = strlen(name), kept = length - (sizeof end - 1);
  if (length < sizeof end || kept >= NAME_ROOM || strcmp(name + kept, end) != 0) return false;
  memcpy(cut, name, kept);
  cut[kept] = '\0';
  return true;
}

static bool is_leftover(const lk_manifest *manifest, const char *name) {
  char cut[NAME_ROOM];
  bool is_new = cut_new(name, cut);
  uint32_t id;
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if (is_of_kind(&kinds[i], is_new ? cut : name, &id)) return is_new || !kinds[i].is_named(manifest, id);
  return is_new && strcmp(cut, LK_MANIFEST_FILE) == 0;
}

static lk_status fail(const lk_folder *folder, const char *name, const char *what, lk_error *error) {
  return lk_fail(error, LK_EIO, "%s/%s: cannot %s: %s", folder->path, name, what, strerror(errno));
}

lk_status lk_leftovers_remove(const lk_folder *folder, const lk_manifest *manifest, lk_error *error) {
  DIR *entries = lk_folder_entries(folder);
  if (entries == NULL) return fail(folder, ".", "read the folder", error);
  lk_status status = LK_OK;
  struct dirent *entry;
  for (errno = 0; (entry = readdir(entries)) != NULL; errno = 0)
    if (is_leftover(manifest, entry->d_name) && !lk_folder_remove(folder, entry->d_name))
      status = fail(folder, entry->d_name, "remove a file that the manifest does not name", error);
  if (errno != 0) status = fail(folder, ".", "read the folder", error);
  closedir(entries);
  return status;
}
