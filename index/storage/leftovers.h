/* Leftovers: files of a gallery that its manifest does not name. Somebody died or failed before a manifest named them,
 * or the manifest names others in their place. */
#ifndef INDEX_STORAGE_LEFTOVERS_H
#define INDEX_STORAGE_LEFTOVERS_H

#include "index/storage/manifest.h"

/* Removes from the folder the segments, states and journals that the manifest, which is the folder's, does not name,
 * and what was to become one of them or a manifest (name.new); nothing else. Their names are gone from the disk once
 * the folder is synced. The caller holds the gallery's lock. LK_EIO: not all of them could be removed; the text names
 * one.
 */
lk_status lk_leftovers_remove(const lk_folder *folder, const lk_manifest *manifest, lk_error *error);

#endif
