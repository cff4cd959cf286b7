#include "index/evaluation/trials.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/fail.h"
#include "base/text.h"
#include "index/formats/vector.h"
#include "index/gallery/gallery.h"
#include "index/gallery/unchecked.h"

enum { BATCH_PROBES = 1024 };

static int compare_texts(const void *a, const void *b) {
  const lk_text *x = a, *y = b;
  int order = memcmp(x->bytes, y->bytes, x->length < y->length ? x->length : y->length);
  return order != 0 ? order : (x->length > y->length) - (x->length < y->length);
}

static uint32_t group_of(const lk_trials *trials, lk_text name) {
  if (name.length == 0) return LK_GROUP_NONE;
  const lk_text *found = bsearch(&name, trials->groups, trials->groups_count, sizeof name, compare_texts);
  return found != NULL ? (uint32_t)(found - trials->groups) : LK_GROUP_NONE;
}

/* Inserts each name in order, so that the list never has duplicates. */
static lk_status list_groups(const char *name, const lk_label_file *labels, lk_trials *trials, lk_error *error) {
  trials->groups = malloc(LK_GROUPS_MAX * sizeof *trials->groups);
  if (trials->groups == NULL) return lk_fail_memory(error);
  for (uint64_t row = 0; row < labels->rows; row++) {
    lk_text group = labels->of_row[row].group;
    if (group.length == 0 || group_of(trials, group) != LK_GROUP_NONE) continue;
    if (trials->groups_count == LK_GROUPS_MAX)
      return lk_fail(error, LK_EFORMAT, "%s: row %" PRIu64 ": more than %d groups", name, row, LK_GROUPS_MAX);
    trials->groups[trials->groups_count++] = group;
    qsort(trials->groups, trials->groups_count, sizeof group, compare_texts);
  }
  return LK_OK;
}

static lk_status check_labels(const char *name, const lk_label_file *labels, lk_error *error) {
  if (labels->rows > INT32_MAX) return lk_fail(error, LK_EFORMAT, "%s: more than %d probes", name, INT32_MAX);
  for (uint64_t row = 0; row < labels->rows; row++)
    if (labels->of_row[row].subject.length == 0)
      return lk_fail(error, LK_EFORMAT, "%s: row %" PRIu64 " has no subject; each probe needs one", name, row);
  return LK_OK;
}

lk_status lk_trials_open(const char *name, const lk_label_file *labels, lk_trials *trials, lk_error *error) {
  *trials = (lk_trials){0};
  lk_status status = check_labels(name, labels, error);
  if (status == LK_OK) status = list_groups(name, labels, trials, error);
  if (status == LK_OK && (trials->all = calloc(labels->rows + 1, sizeof *trials->all)) == NULL)
    status = lk_fail_memory(error);
  if (status != LK_OK) {
    lk_trials_close(trials);
    return status;
  }
  trials->count = (uint32_t)labels->rows;
  for (uint32_t i = 0; i < trials->count; i++) trials->all[i].group = group_of(trials, labels->of_row[i].group);
  return LK_OK;
}

void lk_trials_close(lk_trials *trials) {
  free(trials->all);
  free(trials->groups);
  *trials = (lk_trials){0};
}

static void find_any(void *context, uint32_t part, uint32_t row) {
  (void)part, (void)row;
  *(bool *)context = true;
}

static bool is_enrolled(const lk_gallery *gallery, lk_text subject) {
  bool any = false;
  lk_catalog *shown = lk_gallery_shown(gallery);
  lk_catalog_each_of_subject(shown, subject, find_any, &any);
  lk_catalog_release(shown);
  return any;
}

/* Reads a search's list into its trial. */
static void take_list(const lk_result *result, uint32_t probe, lk_text subject, lk_trial *trial) {
  uint32_t count = lk_result_count(result, probe);
  trial->top_score = count > 0 ? lk_result_candidate(result, probe, 0).score : -INFINITY;
  trial->mate_rank = 0;
  for (uint32_t rank = 0; trial->mated && rank < count; rank++) {
    lk_candidate candidate = lk_result_candidate(result, probe, rank);
    if (!lk_text_equal(candidate.found.subject, subject)) continue;
    trial->mate_rank = rank + 1;
    trial->mate_score = candidate.score;
    break;
  }
}

static lk_status check_kinds(const lk_gallery *gallery, const lk_trials *trials, lk_error *error) {
  if (lk_trials_mated(trials, LK_GROUP_ALL) == 0)
    return lk_fail(error, LK_EFORMAT, "no probe has its subject in the gallery %s; FNIR needs mated searches",
                   gallery->manifest.name);
  if (lk_trials_non_mated(trials, LK_GROUP_ALL) == 0)
    return lk_fail(error, LK_EFORMAT, "every probe has its subject in the gallery %s; FPIR needs non-mated searches",
                   gallery->manifest.name);
  return LK_OK;
}

static void take_batch(const lk_gallery *gallery, const lk_result *result, const lk_label *labels, uint64_t count,
                       lk_trial *trials) {
  for (uint32_t p = 0; p < count; p++) {
    trials[p].mated = is_enrolled(gallery, labels[p].subject);
    take_list(result, p, labels[p].subject, &trials[p]);
  }
}

static lk_status search_into(lk_result *result, lk_gallery *gallery, const lk_vectors *probes,
                             const lk_label_file *labels, uint32_t k, lk_search_control *control, lk_progress *progress,
                             void *context, lk_trials *trials, lk_error *error) {
  lk_query query = {.probes_count = 1, .k = k, .threshold = -INFINITY, .by_subject = true, .control = control};
  for (uint64_t first = 0; first < probes->rows;) {
    lk_vectors part = lk_vector_part(probes, first, BATCH_PROBES);
    query.probes = &part;
    lk_status status = lk_gallery_identify_unchecked(gallery, &query, result, NULL, error);
    if (status != LK_OK) return status;
    take_batch(gallery, result, labels->of_row + first, part.rows, trials->all + first);
    first += part.rows;
    if (progress != NULL) progress(context, first, probes->rows);
  }
  return LK_OK;
}

lk_status lk_trials_search(lk_gallery *gallery, const lk_vectors *probes, const lk_label_file *labels, uint32_t k,
                           lk_search_control *control, lk_progress *progress, void *context, lk_trials *trials,
                           lk_error *error) {
  lk_result *result;
  lk_status status = lk_result_open(&result, error);
  if (status != LK_OK) return status;
  status = search_into(result, gallery, probes, labels, k, control, progress, context, trials, error);
  lk_result_close(result);
  return status == LK_OK ? check_kinds(gallery, trials, error) : status;
}
