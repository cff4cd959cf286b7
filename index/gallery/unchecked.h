/* A gallery's operations, without its policy; the caller must be authorised. Probes that were prepared once need not be
 * checked and converted again. */
#ifndef INDEX_GALLERY_UNCHECKED_H
#define INDEX_GALLERY_UNCHECKED_H

#include <likeness/likeness.h>
#include "index/journal/log_mark.h"

/* The last entry of its log that is in the gallery's memory, and so in every search that begins now. */
lk_log_mark lk_gallery_log_mark(const lk_gallery *gallery);

/* lk_gallery_stat_get, of what never changes: name, model, metric, store and dimension; the rest is zeros. It waits for
 * nobody, where the other may wait for a search that a change waits for. */
void lk_gallery_stat_get_constant(const lk_gallery *gallery, lk_gallery_stat *stat);

/* How many of its templates have expired and were not deleted. Reads all that can expire. */
uint64_t lk_gallery_count_expired(const lk_gallery *gallery);

/* What the gallery was when the result's search began: its epoch, and its templates that were not deleted. */
uint64_t lk_result_epoch(const lk_result *result);
uint64_t lk_result_templates(const lk_result *result);
/* Whether its last search was refused because the gallery's memory was behind its files, which are not damaged:
 * lk_gallery_refresh may mend it. */
bool lk_result_is_behind(const lk_result *result);
/* Empties the result and lets go what it holds of its gallery: files and rows that the gallery has no more. */
void lk_result_let_go(lk_result *result);

/* A run of probes as a search takes them. */
typedef struct lk_prepared_run {
  const float *probes; /* count x dim, as lk_gallery_prepare wrote them */
  uint32_t count;
  float threshold; /* only scores at or above it; -INFINITY for none */
} lk_prepared_run;

/* Checks the probes and converts them into rows x dim floats. LK_EDIM, LK_EMODEL, or
 * LK_EBADPROBE, which names the probe. */
lk_status lk_gallery_prepare(const lk_gallery *gallery, const lk_vectors *probes, lk_text model, float *prepared,
                             lk_error *error);

/* lk_gallery_identify; the query's claims are not read. */
lk_status lk_gallery_identify_unchecked(lk_gallery *gallery, const lk_query *query, lk_result *result,
                                        lk_search_stats *stats, lk_error *error);

/* The same for prepared runs, each with a threshold of its own; the query's probes, model and threshold are not read.
 * The runs must outlive the call. */
lk_status lk_gallery_identify_prepared(lk_gallery *gallery, const lk_query *query, const lk_prepared_run *runs,
                                       uint32_t runs_count, lk_result *result, lk_search_stats *stats, lk_error *error);

/* The same as if the templates with these numbers, whether there are such or not, were not there, at this Unix time in
 * milliseconds. The query is neither
 * fused nor does it list templates. */
lk_status lk_gallery_identify_without(lk_gallery *gallery, const lk_query *query, const lk_prepared_run *runs,
                                      uint32_t runs_count, const uint64_t *numbers, uint32_t count, uint64_t now_ms,
                                      lk_result *result, lk_error *error);

/* lk_gallery_verify, of a prepared run; its threshold is not read. Of the query only tags and mask are read, which the
 * subject's templates must fit to be compared, and the control. A subject that has templates, but none that fits, has
 * empty lists. */
lk_status lk_gallery_verify_prepared(const lk_gallery *gallery, const lk_query *query, const lk_prepared_run *run,
                                     lk_text subject, lk_result *result, lk_error *error);

/* For a caller that has rules of its own, taken from the galleries' bindings when it started. LK_EPOLICY: this gallery
 * was bound anew since it was opened, or its manifest cannot be read, so that nobody knows its rules. */
lk_status lk_gallery_check_binding(const lk_gallery *gallery, lk_error *error);

/* lk_gallery_export, of one. LK_ECORRUPT. */
lk_status lk_gallery_export_unchecked(const lk_gallery *gallery, uint64_t position, float *vector, lk_error *error);

#endif
