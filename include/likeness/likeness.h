/* Likeness: exact 1:N search over galleries of embeddings. The public C API.
 *
 * A gallery is a folder. lk_gallery_create makes one, lk_gallery_enroll adds templates, lk_gallery_open maps it,
 * lk_gallery_load makes it searchable on a device, lk_gallery_identify searches.
 *
 * Errors: every function that can fail returns an lk_status and writes what went wrong, by file, row and reason, into
 * the caller's lk_error (which may be NULL). Nothing is printed, nothing exits, nothing is half done. Each function
 * names its statuses below; LK_ENOMEM goes without saying.
 * Arguments: no pointer is NULL but where it says so. Strings, vectors and labels need not outlive the call.
 * Ownership: what a function hands out with a `**` is closed by its _close. Texts (lk_text) and templates point into
 * the gallery and live until it is closed.
 * Policies: a gallery may be bound to one (lk_gallery_bind). Then lk_gallery_identify, _verify, _enroll and _export ask
 * it before any work and again before anything is handed out, by this machine's clock, and the audit log keeps both:
 * LK_EPOLICY, with the rule. LK_EBUSY: another process writes that log. Whatever fails here hands out nothing.
 * Threads: different galleries and results are independent. One open gallery may be read, and searched into different
 * results, from any threads at once; a device runs as many searches as lk_device_searches says at a time.
 * lk_gallery_load and lk_gallery_close need the gallery to themselves, a search its result. An open gallery shows the
 * templates it had when it was opened. */
#ifndef LIKENESS_LIKENESS_H
#define LIKENESS_LIKENESS_H

#include <stdbool.h>
#include <stdint.h>

#include <likeness/api.h>
#include <likeness/device.h>
#include <likeness/status.h>
#include <likeness/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lk_gallery lk_gallery;

typedef struct lk_gallery_options {
  uint32_t dim; /* 1 .. LK_DIM_MAX */
  lk_metric metric;
  lk_store store;    /* LK_STORE_F32, or LK_STORE_F16: each template is rounded to halves, and that is the template */
  const char *model; /* name of the model that makes the embeddings; NULL or "" for none */
  const lk_binding *binding; /* as lk_gallery_bind has it; NULL for none */
} lk_gallery_options;

typedef struct lk_gallery_stat {
  const char *name; /* the folder's */
  const char *model;
  lk_metric metric;
  lk_store store;
  uint32_t dim;
  uint64_t templates;
  uint64_t epoch; /* counts the gallery's changes */
  uint64_t next_number;
  uint32_t segments;
  uint64_t bytes;     /* of its files */
  lk_binding binding; /* absolute paths */
} lk_gallery_stat;

/* Makes `folder` (its parent must exist) an empty gallery. The folder's name is the gallery's: letters, digits, '.',
 * '_' and '-'. LK_EEXIST where it holds anything already. LK_EDIM, LK_EINVAL: the dimension is out of range; the
 * metric, the store, the model or the name is none. LK_EIO. Of the binding: as lk_gallery_bind. */
LK_API lk_status lk_gallery_create(const char *folder, const lk_gallery_options *options, lk_error *error);

/* Binds the gallery in `folder` in one step, in place of what it was bound to; all NULL: to nothing. Policy and
 * calibration must be good, and the key one. What lies in the folder stays with it when it is moved; other paths are
 * kept as absolute ones. Galleries that are open stay under what they were opened under. Whoever may write the folder
 * may bind it. LK_EINVAL: a path without a policy, a key without a log, a path that cannot be kept. LK_EFORMAT, LK_EIO.
 * LK_EBUSY: the gallery is being changed. LK_EGALLERY. */
LK_API lk_status lk_gallery_bind(const char *folder, const lk_binding *binding, lk_error *error);

/* Maps the gallery and verifies the checksums of all but its bulk: codes are verified by lk_gallery_load, exact rows
 * by lk_gallery_check. LK_EGALLERY: no such folder. LK_EINVAL: its name is none, or its path too long. LK_EIO: also
 * where it is not a gallery's. LK_EFORMAT: a file is not what it should be, or of another version. LK_ECORRUPT. */
LK_API lk_status lk_gallery_open(const char *folder, lk_gallery **gallery, lk_error *error);

/* Its device, where it was loaded on one, is still open. NULL closes nothing. */
LK_API void lk_gallery_close(lk_gallery *gallery);

/* The stat's texts live until the gallery is closed. */
LK_API void lk_gallery_stat_get(const lk_gallery *gallery, lk_gallery_stat *stat);

/* Distinct subjects. Reads the whole catalog. Fails only for want of memory. */
LK_API lk_status lk_gallery_subjects(const lk_gallery *gallery, uint64_t *subjects, lk_error *error);

/* Template at `position`, 0 .. templates - 1, in the order of enrollment. */
LK_API lk_template lk_gallery_template(const lk_gallery *gallery, uint64_t position);

/* The vectors of the `count` templates from `position` on, exactly as they are stored (under cosine normalised, under
 * f16 rounded), in count x dim floats. `claims` may be NULL. LK_EPOLICY: the operation is `export`; `vectors` is left
 * alone. */
LK_API lk_status lk_gallery_export(const lk_gallery *gallery, uint64_t position, uint64_t count,
                                   const lk_claims *claims, float *vectors, lk_error *error);

/* The position of the template with this key. LK_ENOTFOUND where there is none. */
LK_API lk_status lk_gallery_find(const lk_gallery *gallery, lk_text key, uint64_t *position, lk_error *error);

/* Verifies every byte of every file against its checksum, and that keys are unique. LK_ECORRUPT names file and part. */
LK_API lk_status lk_gallery_check(const lk_gallery *gallery, lk_error *error);

/* Called now and then, in the caller's thread, with how many rows of all are done. */
typedef void lk_progress(void *context, uint64_t done, uint64_t total);

/* Adds all rows to the gallery in `folder`, or none; on LK_OK they would survive a power cut. `labels` holds one for
 * each row, or is NULL. `claims` may be NULL. Open galleries do not see the new rows until they are opened again.
 * `progress` may be NULL. `numbered_from` (may be NULL) receives the first row's template number; the others follow.
 * LK_EBUSY: another process, or another thread, enrolls. LK_EDIM. LK_EBADPROBE names the rows that are not good.
 * LK_EEXIST: a key is taken. LK_EINVAL: a label's text is malformed or too long, or there would be more than UINT32_MAX
 * templates. LK_EFORMAT: no rows. LK_EIO: where the very last step failed, the rows are in; open it to see. Else as
 * lk_gallery_open. */
LK_API lk_status lk_gallery_enroll(const char *folder, const lk_vectors *vectors, const lk_label *labels,
                                   const lk_claims *claims, lk_progress *progress, void *context,
                                   uint64_t *numbered_from, lk_error *error);

/* Makes the gallery searchable: its codes move into the device's memory. The device must outlive the gallery.
 * LK_ECORRUPT: the codes do not check out. Where it fails the gallery is loaded nowhere. */
LK_API lk_status lk_gallery_load(lk_gallery *gallery, lk_device *device, lk_error *error);

typedef struct lk_query {
  const lk_vectors *probes; /* runs of probes that are searched for together, counted through all of them */
  uint32_t probes_count;    /* how many runs */
  lk_fusion fusion;         /* LK_FUSE_NONE: a list a probe; else a list a run of 1 .. LK_FUSED_PROBES_MAX */
  uint32_t k;               /* 1 .. LK_K_MAX candidates a probe, or LK_K_ALL: all at or above the threshold */
  float threshold;          /* only scores at or above it; -INFINITY for none */
  bool by_subject;          /* at most one candidate a subject, its best template; not with LK_K_ALL */
  lk_text model;            /* empty, or must be the gallery's: LK_EMODEL */
  uint64_t tags, mask;      /* only templates whose tags are as `tags` where `mask` has ones */
  /* Where any are given, only the templates with these keys and those of these subjects. Unknown ones match nothing. */
  const lk_text *keys, *subjects;
  uint32_t keys_count, subjects_count;
  const lk_claims *claims; /* may be NULL */
} lk_query;

/* Whether these probes can be searched for in this gallery: LK_EDIM, LK_EMODEL, or LK_EBADPROBE, which names the probe.
 */
LK_API lk_status lk_gallery_check_probes(const lk_gallery *gallery, const lk_vectors *probes, lk_text model,
                                         lk_error *error);

/* Candidate lists, and the memory for them: make one, use it for any number of searches of any gallery. What a search
 * put into it can be read until the next one or until the gallery is closed; one that failed left nothing. */
typedef struct lk_result lk_result;

typedef struct lk_candidate {
  lk_template found;
  float score; /* higher is better; under l2 the negative squared distance */
} lk_candidate;

LK_API lk_status lk_result_open(lk_result **result, lk_error *error);
LK_API void lk_result_close(lk_result *result); /* NULL closes nothing */

/* Searches all templates that the query lets pass for each probe, exactly: the k best, or all that reach the threshold;
 * score descending, then template number ascending. What it did is added to `stats`, which may be NULL. LK_EBADPROBE
 * names the probe. LK_EDIM, LK_EMODEL. LK_EINVAL: k is out of range, or all by subject; the threshold is NaN; the
 * gallery is not loaded; more than INT32_MAX probes; a run that cannot be fused. A policy may make k smaller and the
 * threshold higher, never the other way; LK_K_ALL becomes the policy's number of candidates, if it has one. */
LK_API lk_status lk_gallery_identify(lk_gallery *gallery, const lk_query *query, lk_result *result,
                                     lk_search_stats *stats, lk_error *error);

/* Probes are counted from 0 through all runs, where they are fused the runs; ranks from 0 to the probe's count, which
 * is 0 where there is no such probe. */
LK_API uint32_t lk_result_count(const lk_result *result, uint32_t probe);
LK_API lk_candidate lk_result_candidate(const lk_result *result, uint32_t probe, uint32_t rank);
/* The template numbers and scores of a whole list, into the caller's arrays. */
LK_API void lk_result_list(const lk_result *result, uint32_t probe, uint64_t *numbers, float *scores);

/* What governed the last search into this result, or refused it: JSON, as in replies (docs/protocol.md), terminated;
 * {"policy":"none"} for a gallery that is not bound. Empty where there was no search, or one that failed otherwise. */
LK_API lk_text lk_result_decision(const lk_result *result);

/* Compares each probe with the templates of one subject: into `result` goes each probe's best one, as a list of one; of
 * none where it is below the least score that the policy permits. `claims` may be NULL. LK_ENOTFOUND where the gallery
 * has no such subject. LK_EDIM, LK_EBADPROBE, LK_EINVAL as above. Needs no device. */
LK_API lk_status lk_gallery_verify(const lk_gallery *gallery, const lk_vectors *probes, lk_text subject,
                                   const lk_claims *claims, lk_result *result, lk_error *error);

#ifdef __cplusplus
}
#endif

#endif
