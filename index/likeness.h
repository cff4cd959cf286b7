/* Likeness: exact 1:N search over galleries of embeddings. The public C API.
 *
 * A gallery is a folder. lk_gallery_create makes one, lk_gallery_enroll adds templates, lk_gallery_open maps it,
 * lk_gallery_load makes it searchable on a device, lk_gallery_identify searches.
 *
 * Errors: every function that can fail returns an lk_status and writes what went wrong, by file, row and reason, into
 * the caller's lk_error (which may be NULL). Nothing is printed, nothing exits, nothing is half done.
 * Ownership: what a function hands out with a `**` is closed by its _close. Texts (lk_text) and templates point into
 * the gallery and live until it is closed.
 * Threads: different galleries and results are independent. One open gallery may be read, and searched into different
 * results, from any threads at once; searches on one device take turns. lk_gallery_load and lk_gallery_close need
 * the gallery to themselves. An open gallery shows the templates it had when it was opened. */
#ifndef INDEX_LIKENESS_H
#define INDEX_LIKENESS_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/score.h"  /* lk_metric */
#include "kernels/search.h" /* lk_device, lk_search_stats */
#include "kernels/status.h"

#define LK_TEXT_MAX 255 /* bytes of a key, subject, group or model */

/* A run of UTF-8 bytes, not terminated. */
typedef struct lk_text {
  const char *bytes;
  uint32_t length;
} lk_text;

typedef enum lk_element { LK_F32, LK_F64, LK_F16, LK_U8 } lk_element;

/* Vectors as they come in: rows x dim elements, little-endian, unaligned allowed. A row's elements lie together. */
typedef struct lk_vectors {
  const char *name; /* for messages: a file's path, "job 17", ... */
  const void *data;
  uint64_t rows;
  uint32_t dim;
  lk_element element;
  uint64_t stride_bytes; /* from one row's first byte to the next's; 0: nothing lies between rows */
} lk_vectors;

/* What goes with a vector on enrollment. Empty texts are defaults: the key is then the template number in decimal,
 * the subject is the key, the group none. */
typedef struct lk_label {
  lk_text key; /* unique in the gallery */
  lk_text subject;
  lk_text group;
  uint64_t tags;
} lk_label;

typedef struct lk_template {
  uint64_t number; /* given on enrollment, from 0, never given again */
  lk_text key;
  lk_text subject;
  lk_text group;
  uint64_t tags;
} lk_template;

typedef struct lk_gallery lk_gallery;

typedef struct lk_gallery_options {
  uint32_t dim; /* 1 .. LK_DIM_MAX */
  lk_metric metric;
  const char *model; /* name of the model that makes the embeddings; NULL or "" for none */
} lk_gallery_options;

typedef struct lk_gallery_stat {
  const char *name; /* the folder's */
  const char *model;
  lk_metric metric;
  uint32_t dim;
  uint64_t templates;
  uint64_t epoch; /* counts the gallery's changes */
  uint64_t next_number;
  uint32_t segments;
  uint64_t bytes; /* of its files */
} lk_gallery_stat;

const char *lk_metric_name(lk_metric metric);
lk_status lk_metric_parse(const char *name, lk_metric *metric, lk_error *error);

/* Makes `folder` (its parent must exist) an empty gallery. The folder's name is the gallery's: letters, digits, '.',
 * '_' and '-'. LK_EEXIST where it holds anything already. */
lk_status lk_gallery_create(const char *folder, const lk_gallery_options *options, lk_error *error);

/* Maps the gallery and verifies the checksums of all but its bulk: codes are verified by lk_gallery_load, exact rows
 * by lk_gallery_check. */
lk_status lk_gallery_open(const char *folder, lk_gallery **gallery, lk_error *error);
void lk_gallery_close(lk_gallery *gallery);

/* The stat's texts live until the gallery is closed. */
void lk_gallery_stat_get(const lk_gallery *gallery, lk_gallery_stat *stat);

/* Distinct subjects. Reads the whole catalog. */
lk_status lk_gallery_subjects(const lk_gallery *gallery, uint64_t *subjects, lk_error *error);

/* Template at `position`, 0 .. templates - 1, in the order that list shows. */
lk_template lk_gallery_template(const lk_gallery *gallery, uint64_t position);

/* Verifies every byte of every file against its checksum, and that keys are unique. LK_ECORRUPT names file and part. */
lk_status lk_gallery_check(const lk_gallery *gallery, lk_error *error);

/* Called now and then with how much of the work is done. */
typedef void lk_progress(void *context, uint64_t done, uint64_t total);

/* Adds all rows to the gallery in `folder`, or none; on LK_OK they would survive a power cut. `labels` holds one for
 * each row, or is NULL. Open galleries do not see the new rows until they are opened again. LK_EBUSY while another
 * process enrolls. `numbered_from` (may be NULL) receives the first row's template number; the others follow. */
lk_status lk_gallery_enroll(const char *folder, const lk_vectors *vectors, const lk_label *labels,
                            lk_progress *progress, void *context, uint64_t *numbered_from, lk_error *error);

/* Makes the gallery searchable: its codes move into the device's memory. The device must outlive the gallery. */
lk_status lk_gallery_load(lk_gallery *gallery, lk_device *device, lk_error *error);

typedef struct lk_query {
  const lk_vectors *probes; /* runs of probes that are searched for together, counted through all of them */
  uint32_t probes_count;    /* how many runs */
  uint32_t k;               /* 1 .. LK_K_MAX candidates a probe, or LK_K_ALL: all at or above the threshold */
  float threshold;          /* only scores at or above it; -INFINITY for none */
  bool by_subject;          /* at most one candidate a subject, its best template; not with LK_K_ALL */
  lk_text model;            /* empty, or must be the gallery's: LK_EMODEL */
  uint64_t tags, mask;      /* only templates whose tags are as `tags` where `mask` has ones */
  /* Where any are given, only the templates with these keys and those of these subjects. Unknown ones match nothing. */
  const lk_text *keys, *subjects;
  uint32_t keys_count, subjects_count;
} lk_query;

/* Whether these probes can be searched for in this gallery: LK_EDIM, LK_EMODEL, or LK_EBADPROBE, which names the probe.
 */
lk_status lk_gallery_check_probes(const lk_gallery *gallery, const lk_vectors *probes, lk_text model, lk_error *error);

/* Candidate lists, and the memory for them: make one, use it for any number of searches of any gallery. */
typedef struct lk_result lk_result;

typedef struct lk_candidate {
  lk_template found;
  float score; /* higher is better; under l2 the negative squared distance */
} lk_candidate;

lk_status lk_result_open(lk_result **result, lk_error *error);
void lk_result_close(lk_result *result);

/* Searches all templates that the query lets pass for each probe, exactly: the k best, or all that reach the threshold;
 * score descending, then template number ascending. LK_EBADPROBE names the probe. `stats` may be NULL. */
lk_status lk_gallery_identify(lk_gallery *gallery, const lk_query *query, lk_result *result, lk_search_stats *stats,
                              lk_error *error);
uint32_t lk_result_count(const lk_result *result, uint32_t probe);
lk_candidate lk_result_candidate(const lk_result *result, uint32_t probe, uint32_t rank); /* rank from 0 */

/* Compares each probe with the templates of one subject: into `result` goes each probe's best one, as a list of one.
 * LK_ENOTFOUND where the gallery has no such subject. Needs no device. */
lk_status lk_gallery_verify(const lk_gallery *gallery, const lk_vectors *probes, lk_text subject, lk_result *result,
                            lk_error *error);

#endif
