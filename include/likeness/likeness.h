/* Likeness: exact 1:N search over galleries of embeddings. The public C API.
 *
 * A gallery is a folder. lk_gallery_create makes one, lk_gallery_enroll adds templates, lk_gallery_open maps it,
 * lk_gallery_load makes it searchable on a device, lk_gallery_identify searches.
 *
 * Errors: a function that can fail returns an lk_status and writes the reason, with file and row, into the caller's
 * lk_error (which may be NULL). No function prints or exits, and a function that fails changes nothing. Each function
 * lists its statuses below; any of them may also return LK_ENOMEM.
 *
 * Arguments: pointers must not be NULL unless a comment allows it. Strings, vectors and labels need not outlive the
 * call.
 *
 * Ownership: the caller closes what a function returns through a `**` with the matching _close. Texts (lk_text) and
 * templates point into the gallery and live until it is closed or refreshed; those of a result, until its next search.
 *
 * Policies: a gallery may be bound to a policy (lk_gallery_bind). lk_gallery_identify, _verify, _enroll and _export
 * then decide by it before any work and again before they release anything, by this machine's clock, and the audit log
 * records both. LK_EPOLICY: refused; the error names the rule, and tells nothing of the gallery. LK_EBUSY: another
 * process writes that log. A function that fails releases nothing, and leaves no candidate in its result's memory.
 *
 * Threads: different galleries and results are independent. Any threads may read one open gallery and search it into
 * different results at once; a device runs lk_device_searches searches at once. lk_gallery_load and lk_gallery_close
 * need exclusive use of the gallery, a search exclusive use of its result. An open gallery shows the templates that it
 * had when it was opened, or last refreshed (lk_gallery_refresh), while others search it.
 *
 * Mapped files: galleries and vector files are mapped. If one is cut off while it is in use, lk_gallery_identify,
 * _verify, _export and _enroll return LK_EIO, which names the file. For that, opening a file installs a handler for
 * SIGBUS in the process; it passes other faults on to the handler that was there before. */
#ifndef LIKENESS_LIKENESS_H
#define LIKENESS_LIKENESS_H

#include <stdbool.h>
#include <stdint.h>

#include <likeness/api.h>
#include <likeness/device.h>
#include <likeness/status.h>
#include <likeness/types.h>
#include <likeness/version.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lk_gallery lk_gallery;

typedef struct lk_gallery_options {
  uint32_t dim; /* 1 .. LK_DIM_MAX */
  lk_metric metric;
  lk_store store;            /* LK_STORE_F16 rounds each template to halves, which are then the template */
  const char *model;         /* name of the model that makes the embeddings; NULL or "": none */
  const lk_binding *binding; /* as for lk_gallery_bind; NULL: none */
} lk_gallery_options;

typedef struct lk_gallery_stat {
  const char *name; /* the folder's */
  const char *model;
  lk_metric metric;
  lk_store store;
  uint32_t dim;
  uint64_t templates;           /* that were not deleted */
  uint64_t positions;           /* of lk_gallery_template */
  uint64_t deleted_in_segments; /* templates that were deleted, and whose bytes the gallery's segments, */
  uint64_t deleted_in_journals; /* or its journals, have until lk_owner_compact */
  uint64_t epoch;               /* counts the gallery's changes */
  uint64_t next_number;
  uint32_t segments;
  uint64_t bytes;     /* of its files */
  lk_binding binding; /* absolute paths */
} lk_gallery_stat;

/* Creates an empty gallery in `folder`, whose parent must exist. The folder's name is the gallery's: letters, digits,
 * '.', '_' and '-'. A new folder has the mode 0700; its files have 0600, or 0640 where the folder's group may read.
 * LK_EEXIST: the folder is not empty. LK_EDIM: the dimension is out of range. LK_EINVAL: an invalid metric, store,
 * model or name. LK_EBUSY: another process creates it. LK_EIO. For the binding, errors as of lk_gallery_bind. */
LK_API lk_status lk_gallery_create(const char *folder, const lk_gallery_options *options, lk_error *error);

/* Replaces the binding of the gallery in `folder` in one step; a binding of NULLs removes it. The policy, the
 * calibration and the key must be valid. Paths inside the folder are stored relative to it, so they stay valid when it
 * is moved; other paths are stored as absolute ones. A gallery that is already open keeps its binding. Anyone who may
 * write the folder may bind it. LK_EINVAL: a path without a policy, a key without a log, or a path that cannot be
 * stored. LK_EFORMAT. LK_EIO. LK_EBUSY: another process or thread changes the gallery. LK_EGALLERY: no such folder.
 * The audit log that the gallery leaves and the one that it joins record it; then LK_EBUSY also means that a log has a
 * writer, and LK_ECORRUPT that a log is not the one that the gallery has seen, or not all of it (docs/audit.md). */
LK_API lk_status lk_gallery_bind(const char *folder, const lk_binding *binding, lk_error *error);

/* The same where the audit log was lost: the new binding's log records which log that was and how much of it the
 * gallery had seen. Cases and signed jobs of the lost log no longer count. LK_EINVAL: also for a binding without a
 * log. */
LK_API lk_status lk_gallery_bind_after_loss(const char *folder, const lk_binding *binding, lk_error *error);

/* Maps the gallery and verifies all checksums except those of the codes, which lk_gallery_load verifies, and of the
 * exact rows, which lk_gallery_check verifies. LK_EGALLERY: no such folder. LK_EINVAL: an invalid name, or the path is
 * too long. LK_EIO: also when the folder is not a gallery. LK_EFORMAT: a file has another format or version.
 * LK_ECORRUPT. */
LK_API lk_status lk_gallery_open(const char *folder, lk_gallery **gallery, lk_error *error);

/* Brings the gallery, loaded or not, up to what other processes have made of it and on the disk by now. `changed` (may
 * be NULL): whether that was anything. Two looks at files tell; segments that stay are neither read nor loaded again.
 *
 * Other threads go on searching: a search sees each batch of changes whole or not at all, and none without those before
 * it. Afterwards positions count what is there now, and templates and texts that lk_gallery_template gave before are
 * gone. So one thread refreshes at a time, while no thread is in a call that counts positions (lk_gallery_template,
 * _find, _export, _evaluate, _dedupe). Of the gallery of an lk_owner only positions change, as it is never behind.
 * A policy that the gallery is bound to is followed without this.
 *
 * Where the device has no room for what is new beside what is searched, what goes is unloaded first, and searches fail
 * with LK_EIO until this call returns.
 *
 * LK_EGALLERY: another gallery is there now. LK_ECORRUPT, LK_EFORMAT, LK_EIO: the files cannot be read. LK_ENOMEM: also
 * of the device. The gallery can be searched as before, and may have a first part of the changes; or, after the device
 * failed or had no room, searches fail with LK_EIO. The next call tries again. */
LK_API lk_status lk_gallery_refresh(lk_gallery *gallery, bool *changed, lk_error *error);

/* The device on which the gallery was loaded must still be open. NULL is allowed. */
LK_API void lk_gallery_close(lk_gallery *gallery);

/* The stat's texts live until the gallery is closed. */
LK_API void lk_gallery_stat_get(const lk_gallery *gallery, lk_gallery_stat *stat);

/* The number of distinct subjects. Reads the whole catalog. LK_ENOMEM is the only error. */
LK_API lk_status lk_gallery_subjects(const lk_gallery *gallery, uint64_t *subjects, lk_error *error);

/* The template at `position`, 0 .. templates - 1, in the order of enrollment. Beyond: zeros, so its key is empty. */
LK_API lk_template lk_gallery_template(const lk_gallery *gallery, uint64_t position);

/* Writes the vectors of `count` templates from `position` on as count x dim floats, exactly as they are stored: as
 * they came; under f16 rounded to halves and, under cosine, times a power of two where halves could not hold them; of a
 * segment of version 2 under cosine, normalised. `claims` may be NULL. LK_EPOLICY: the policy refuses the operation
 * `export`; `vectors` is unchanged. LK_EINVAL: the gallery does not have so many. LK_EIO, LK_ECORRUPT: `vectors` has
 * zeros, if it was written; LK_EIO also where the memory is behind the files, until a refresh. */
LK_API lk_status lk_gallery_export(const lk_gallery *gallery, uint64_t position, uint64_t count,
                                   const lk_claims *claims, float *vectors, lk_error *error);

/* Writes the position of the template with this key. LK_ENOTFOUND: there is no such template. */
LK_API lk_status lk_gallery_find(const lk_gallery *gallery, lk_text key, uint64_t *position, lk_error *error);

/* Verifies every byte of every file that the manifest names against its checksum, every row against its code, and that
 * keys are unique; only the end of the last journal has nothing that vouches for it (docs/live.md). The gallery may be
 * searched and changed meanwhile. LK_ECORRUPT names the file and its part or row. LK_EIO; also where the memory is
 * behind the files, until a refresh. */
LK_API lk_status lk_gallery_check(const lk_gallery *gallery, lk_error *error);

/* Called from time to time in the caller's thread with the numbers of finished rows and of all rows. */
typedef void lk_progress(void *context, uint64_t done, uint64_t total);

/* Adds all rows to the gallery in `folder`, or none; on LK_OK they survive a power cut. `labels` holds one label for
 * each row, or is NULL. `claims` and `progress` may be NULL. Galleries that are open show the new rows after
 * lk_gallery_refresh. `numbered_from` (may be NULL) receives the first row's template number; the other rows follow it.
 * LK_EBUSY: another process or thread enrolls, or the gallery's log has entries that are not acknowledged
 * (docs/live.md). LK_EDIM. LK_EBADPROBE names the invalid rows. LK_EEXIST: a key exists already, also of a template
 * that has expired. LK_EINVAL: a label's text is malformed or too long, the gallery would exceed UINT32_MAX templates,
 * or the vectors are none, as for lk_gallery_check_probes. LK_EFORMAT: there are no rows. LK_EIO: if only the last step
 * failed, the rows were added; open the gallery to find out. Else as lk_gallery_open. */
LK_API lk_status lk_gallery_enroll(const char *folder, const lk_vectors *vectors, const lk_label *labels,
                                   const lk_claims *claims, lk_progress *progress, void *context,
                                   uint64_t *numbered_from, lk_error *error);

/* Makes the gallery searchable: copies its codes into the device's memory. It leaves the device on which it was loaded
 * before. LK_ECORRUPT: the codes do not match their checksum. LK_EINVAL: the device is closed (lk_device_close). On
 * failure the gallery is not loaded. */
LK_API lk_status lk_gallery_load(lk_gallery *gallery, lk_device *device, lk_error *error);

typedef struct lk_query {
  const lk_vectors *probes; /* runs of probes; probes are numbered through all runs */
  uint32_t probes_count;    /* the number of runs */
  lk_fusion fusion;         /* LK_FUSE_NONE: a list per probe; else a list per run of 1 .. LK_FUSED_PROBES_MAX */
  uint32_t k;               /* 1 .. LK_K_MAX candidates per list, or LK_K_ALL: all at or above the threshold */
  float threshold;          /* the least score of a candidate; -INFINITY: no threshold */
  bool by_subject;          /* at most one candidate per subject, its best template; not with LK_K_ALL */
  lk_text model;            /* empty, or the gallery's; else LK_EMODEL */
  uint64_t tags, mask;      /* only templates whose tags equal `tags` in the bits of `mask` */
  /* If a list is given, that is, not NULL: only the templates with these keys or of these subjects. Unknown ones match
   * nothing, so an empty list selects no template. */
  const lk_text *keys, *subjects;
  uint32_t keys_count, subjects_count;
  const lk_claims *claims;    /* may be NULL */
  lk_search_control *control; /* watches and ends the search, and must outlive it; NULL: none */
} lk_query;

/* Checks that these probes can be searched for in this gallery. LK_EDIM. LK_EMODEL. LK_EBADPROBE names the probe.
 * LK_EINVAL: an unknown element, rows without data, or more rows than memory could hold. */
LK_API lk_status lk_gallery_check_probes(const lk_gallery *gallery, const lk_vectors *probes, lk_text model,
                                         lk_error *error);

/* Candidate lists and the memory for them. One result serves any number of searches of any galleries, one at a time.
 * The lists of a search can be read until the next search into the result or until the gallery is closed. A search that
 * fails leaves no lists. */
typedef struct lk_result lk_result;

typedef struct lk_candidate {
  lk_template found;
  float score; /* higher is better; under l2 the negative squared distance; NaN: the policy releases no scores */
} lk_candidate;

LK_API lk_status lk_result_open(lk_result **result, lk_error *error);
LK_API void lk_result_close(lk_result *result); /* NULL is allowed */

/* Searches all templates that the query selects, exactly, for each probe: the k best, or all that reach the threshold,
 * by score descending, then template number ascending. Adds the statistics of the search to `stats`, which may be NULL.
 * LK_EBADPROBE names the probe. LK_EDIM. LK_EMODEL. LK_EINVAL: k is out of range, or LK_K_ALL with by_subject; the
 * threshold is NaN; the gallery is not loaded, or its device is closed; more than INT32_MAX probes, or such as
 * lk_gallery_check_probes refuses; a run is too long or empty; a list of keys or subjects is NULL and has a count.
 * LK_ECANCELLED: lk_search_cancel ended it; `result` has no lists. A policy can only lower k and raise the threshold;
 * LK_K_ALL becomes the policy's number of candidates, if it has one. */
LK_API lk_status lk_gallery_identify(lk_gallery *gallery, const lk_query *query, lk_result *result,
                                     lk_search_stats *stats, lk_error *error);

/* `probe` counts from 0 through all runs; with fusion it is the number of the run. `rank` is below the probe's count,
 * which is 0 if there is no such probe; beyond, the template is zeros and the score -INFINITY. */
LK_API uint32_t lk_result_count(const lk_result *result, uint32_t probe);
LK_API lk_candidate lk_result_candidate(const lk_result *result, uint32_t probe, uint32_t rank);
/* Writes the template numbers and scores of a whole list into the caller's arrays of lk_result_count elements. */
LK_API void lk_result_list(const lk_result *result, uint32_t probe, uint64_t *numbers, float *scores);

/* How many templates each probe of the last search was compared with: those that its tags, keys and subjects select; in
 * a verification, the subject's. 0 if there was no search, or it failed or was refused. */
LK_API uint64_t lk_result_searched(const lk_result *result);

/* The decision on the last search into this result, whether it was permitted or refused: JSON as in replies
 * (docs/protocol.md), terminated; {"policy":"none"} for a gallery that is not bound. A search that was permitted and
 * then failed is a refusal too. Empty if there was no search, or it has no decision: an argument is out of range, or
 * the log cannot be written. */
LK_API lk_text lk_result_decision(const lk_result *result);

/* Compares each probe with the templates of one subject. Each probe's list in `result` holds the best template, or
 * nothing if its score is below the least that the policy permits. `claims` may be NULL. Needs no device. LK_ENOTFOUND:
 * the gallery has no such subject. LK_EDIM, LK_EBADPROBE, LK_EINVAL as above. */
LK_API lk_status lk_gallery_verify(const lk_gallery *gallery, const lk_vectors *probes, lk_text subject,
                                   const lk_claims *claims, lk_result *result, lk_error *error);

#ifdef __cplusplus
}
#endif

#endif
