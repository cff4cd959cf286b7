/* The manifest: which files a gallery consists of. One JSON file, replaced in one atomic step. */
#ifndef INDEX_STORAGE_MANIFEST_H
#define INDEX_STORAGE_MANIFEST_H

#include <stddef.h>

#include <likeness/status.h>
#include <likeness/types.h>
#include "base/folder.h"
#include "index/journal/journal_layout.h"
#include "index/journal/log_mark.h"

#define LK_MANIFEST_FILE "MANIFEST"
#define LK_MANIFEST_VERSION 3 /* what is written; 1 and 2 are read, too */
#define LK_MANIFEST_VERSION_UNBOUND 1
#define LK_MANIFEST_VERSION_BOUND 2 /* to a policy, which programs that only know version 1 must not ignore */
#define LK_MANIFEST_JOURNALS 2      /* at most; of two, the first is sealed */

typedef struct lk_manifest_segment {
  uint32_t id; /* its file is segment-<id, six digits>.lks */
  uint32_t rows;
  uint64_t checksum; /* of its header, which has the checksums of its sections */
} lk_manifest_segment;

/* What has changed of rows in segments (index/storage/state.h). */
typedef struct lk_manifest_state {
  uint32_t id; /* 0: there is no such file */
  uint64_t checksum;
} lk_manifest_state;

typedef struct lk_manifest_journal {
  uint32_t id;
  uint64_t epoch;    /* of the gallery before its first batch */
  uint64_t sequence; /* of the last record before its first */
} lk_manifest_journal;

/* How far segments and state have the gallery's log. */
typedef struct lk_manifest_log {
  lk_log_mark mark; /* the last entry before the first journal; seq 0: there is none */
  uint64_t seen;    /* of later entries, too, up to this seq, they may have changes; the journals have all of these */
} lk_manifest_log;

typedef struct lk_manifest {
  uint32_t version;                /* that was read or written last; below LK_MANIFEST_VERSION: to be upgraded */
  uint8_t id[LK_GALLERY_ID_BYTES]; /* the gallery's identity; zeros: none yet, as in older versions */
  lk_metric metric;
  lk_store store;
  uint32_t dim;
  char name[LK_TEXT_MAX + 1]; /* the gallery's, which its rules follow when the folder is renamed */
  char model[LK_TEXT_MAX + 1];
  uint64_t epoch;
  uint64_t next_number; /* of the next template */
  uint32_t next_file;   /* id of the next segment, state or journal; from 1 on */
  lk_manifest_segment *segments;
  uint32_t segments_count;
  lk_manifest_state state;
  uint64_t sequence; /* of the last record that segments and state have; thus that of the first journal */
  lk_manifest_journal journals[LK_MANIFEST_JOURNALS];
  uint32_t journals_count;
  lk_manifest_log log;
  lk_binding binding; /* as lk_binding_keep makes it; the manifest owns its texts */
} lk_manifest;

/* Writes the name of a folder, however its path is written: that of a new gallery in it. LK_EGALLERY: there is no such
 * folder. LK_EINVAL: no gallery may have this name. */
lk_status lk_manifest_name_of(const char *folder, char name[LK_TEXT_MAX + 1], lk_error *error);

/* A manifest of an older build has no name: reading gives it the folder's, and the next writing keeps that.
 * Out of memory may also give LK_ECORRUPT: jansson 2.14 can then drop a byte of a text and go on. */
lk_status lk_manifest_read(const lk_folder *folder, lk_manifest *manifest, lk_error *error);
lk_status lk_manifest_parse(const char *name, const void *data, size_t size, lk_manifest *manifest, lk_error *error);
/* Draws the gallery's identity if it has none. Writing does that, too; a journal or a state that is written before the
 * manifest needs it earlier. LK_EINTERNAL. */
lk_status lk_manifest_give_identity(lk_manifest *manifest, lk_error *error);

/* Gives the gallery its identity if it has none. LK_EFORMAT: what it says could not be read again. LK_EIO. */
lk_status lk_manifest_write(const lk_folder *folder, lk_manifest *manifest, lk_error *error);
void lk_manifest_free(lk_manifest *manifest);

/* Takes what changes while a gallery is open from another manifest of it, whose segments it then owns: all but what the
 * gallery is, and its binding. Frees the segments that it had, unless they are the same. */
void lk_manifest_follow(lk_manifest *manifest, const lk_manifest *next);

/* The header that the file of journal `i` must have, but for what lk_journal_seal_header fills in. */
lk_journal_header lk_manifest_journal_header(const lk_manifest *manifest, uint32_t i);

/* Writes the file name of a segment into `name`. */
#define LK_SEGMENT_NAME_MAX 32
void lk_manifest_segment_name(uint32_t id, char name[LK_SEGMENT_NAME_MAX]);

#endif
