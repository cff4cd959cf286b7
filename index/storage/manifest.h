/* The manifest: which segments a gallery consists of. One JSON file, replaced in one atomic step. */
#ifndef INDEX_STORAGE_MANIFEST_H
#define INDEX_STORAGE_MANIFEST_H

#include <stddef.h>

#include <likeness/status.h>
#include <likeness/types.h>
#include "base/folder.h"

#define LK_MANIFEST_FILE "MANIFEST"
#define LK_MANIFEST_VERSION 1
#define LK_MANIFEST_VERSION_BOUND \
  2 /* of a gallery bound to a policy: a reader that only knows 1 must not ignore the policy */

typedef struct lk_manifest_segment {
  uint32_t id; /* its file is segment-<id, six digits>.lks */
  uint32_t rows;
  uint64_t checksum; /* of its header, which has the checksums of its sections */
} lk_manifest_segment;

typedef struct lk_manifest {
  lk_metric metric;
  lk_store store;
  uint32_t dim;
  char name[LK_TEXT_MAX + 1]; /* the gallery's, which its rules follow when the folder is renamed */
  char model[LK_TEXT_MAX + 1];
  uint64_t epoch;
  uint64_t next_number; /* of the next template */
  uint32_t next_segment;
  lk_manifest_segment *segments;
  uint32_t segments_count;
  lk_binding binding; /* as lk_binding_keep makes it; the manifest owns its texts */
} lk_manifest;

/* Writes the name of a folder, however its path is written: that of a new gallery in it. LK_EGALLERY: there is no such
 * folder. LK_EINVAL: no gallery may have this name. */
lk_status lk_manifest_name_of(const char *folder, char name[LK_TEXT_MAX + 1], lk_error *error);

/* A manifest of an older build has no name: reading gives it the folder's, and the next writing keeps that.
 * Out of memory may also give LK_ECORRUPT: jansson 2.14 can then drop a byte of a text and go on. */
lk_status lk_manifest_read(const lk_folder *folder, lk_manifest *manifest, lk_error *error);
lk_status lk_manifest_parse(const char *name, const void *data, size_t size, lk_manifest *manifest, lk_error *error);
lk_status lk_manifest_write(const lk_folder *folder, const lk_manifest *manifest, lk_error *error);
void lk_manifest_free(lk_manifest *manifest);

/* Writes the file name of a segment into `name`. */
#define LK_SEGMENT_NAME_MAX 32
void lk_manifest_segment_name(uint32_t id, char name[LK_SEGMENT_NAME_MAX]);

#endif
