#include <inttypes.h>
#include <math.h>
#include <string.h>

#include <likeness/vector_file.h>
#include "base/fail.h"
#include "base/printable.h"
#include "base/text.h"
#include "engine/cli/command.h"
#include "engine/cli/progress.h"
#include "engine/cli/render_evaluate.h"
#include "governance/calibration.h"
#include "index/evaluation/impostor_scores.h"
#include "index/evaluation/trials.h"
#include "index/gallery/authorise.h"

static const double usual_fpir = 0.01;

/* One run of evaluate: its input files, its results and the open gallery. */
typedef struct run {
  const lk_options *options;
  const lk_streams *streams;
  lk_vector_file probes;
  lk_label_file labels;
  lk_trials trials;
  lk_device *device;
  lk_gallery *gallery;
  lk_gallery_authorisation authorisation;
  lk_claims claims;
  lk_signing_key key; /* the claims point to it */
} run;

static lk_status check(const lk_options *o, lk_error *error) {
  if (o->labels == NULL) return lk_fail(error, LK_EINVAL, "--labels is missing: the csv with the probes' subjects");
  if (!isnan(o->fpir) && o->threshold != -INFINITY)
    return lk_fail(error, LK_EINVAL, "give --fpir or --threshold, not both");
  if (o->fpir < 0 || o->fpir > 1) return lk_fail(error, LK_EINVAL, "--fpir: %g is outside 0 .. 1", o->fpir);
  if (o->rank < 1 || o->rank > LK_K_MAX)
    return lk_fail(error, LK_EINVAL, "--rank: %u is outside 1 .. %d", o->rank, LK_K_MAX);
  return lk_options_check_format(o, "table json svg", error);
}

static lk_status read_files(run *r, lk_error *error) {
  const lk_options *o = r->options;
  lk_status status = lk_vector_file_open(o->words[1], LK_ROLE_PROBES, &r->probes, error);
  if (status == LK_OK && r->probes.vectors.rows == 0)
    status = lk_fail(error, LK_EBADPROBE, "%s: the file has no rows", o->words[1]);
  if (status == LK_OK) status = lk_label_file_open(o->labels, o->key_column, r->probes.vectors.rows, &r->labels, error);
  if (status == LK_OK) status = lk_trials_open(o->labels, &r->labels, &r->trials, error);
  return status;
}

/* The policy decides the evaluation as a whole: here, before its searches and before the caller is told that the probes
 * do not fit; and in release, before anything is written. */
static lk_status authorise(run *r, lk_error *error) {
  const lk_vectors *probes = &r->probes.vectors;
  lk_text model = lk_text_of(r->options->model != NULL ? r->options->model : "");
  lk_policy_request request = {
      .operation = LK_OPERATION_EVALUATE, .k = 1, .threshold = -INFINITY, .probes = lk_policy_probes(probes, 1)};
  lk_status status = lk_options_claims(r->options, &r->claims, &r->key, error);
  if (status != LK_OK) return status;
  lk_evidence evidence = {.fault = lk_gallery_check_probes(r->gallery, probes, model, error)};
  return lk_gallery_authorise(&r->authorisation, r->gallery, &request, &evidence, &r->claims, error);
}

static lk_status load_gallery(run *r, lk_error *error) {
  const lk_options *o = r->options;
  lk_status status = lk_device_open(o->device, o->threads, &r->device, error);
  if (status == LK_OK) status = lk_gallery_open(o->words[0], &r->gallery, error);
  if (status == LK_OK) status = authorise(r, error);
  if (status == LK_OK) status = lk_gallery_load(r->gallery, r->device, error);
  return status;
}

static lk_status search(run *r, lk_error *error) {
  uint32_t k = r->options->rank > LK_RANKS_MOST ? r->options->rank : LK_RANKS_MOST;
  lk_bar bar = lk_bar_open(r->streams->log, "evaluate");
  lk_status status = lk_trials_search(r->gallery, &r->probes.vectors, &r->labels, k, r->streams->search, lk_bar_update,
                                      &bar, &r->trials, error);
  lk_bar_close(&bar);
  return status;
}

static lk_status evaluate(const run *r, lk_evaluation *evaluation, lk_error *error) {
  const lk_options *o = r->options;
  *evaluation =
      (lk_evaluation){.trials = &r->trials, .threshold = o->threshold, .wanted_fpir = o->fpir, .rank = o->rank};
  lk_gallery_stat_get(r->gallery, &evaluation->gallery);
  lk_status status = lk_gallery_subjects(r->gallery, &evaluation->subjects, error);
  if (status != LK_OK || o->threshold != -INFINITY) return status;
  if (isnan(o->fpir)) evaluation->wanted_fpir = usual_fpir;
  return lk_trials_threshold(&r->trials, evaluation->wanted_fpir, &evaluation->threshold, error);
}

static lk_status write_tally(const run *r, const lk_tally *tally, lk_error *error) {
  lk_gallery_stat stat;
  lk_gallery_stat_get(r->gallery, &stat);
  lk_calibration calibration = {.metric = stat.metric,
                                .dim = stat.dim,
                                .templates = stat.templates,
                                .probes = r->probes.vectors.rows,
                                .comparisons = tally->total};
  strcpy(calibration.model, stat.model);
  if (tally->total == 0) return lk_fail(error, LK_EFORMAT, "no probe was compared with another subject's template");
  lk_status status = lk_tally_levels(tally, &calibration.levels, &calibration.levels_count, error);
  if (status == LK_OK) status = lk_calibration_write(r->options->calibration, &calibration, error);
  lk_calibration_close(&calibration);
  return status;
}

/* With --calibration: compares every probe with every template. */
static lk_status compare(const run *r, lk_tally *tally, lk_error *error) {
  if (r->options->calibration == NULL) return LK_OK;
  lk_status status = lk_tally_open(tally, error);
  if (status != LK_OK) return status;
  lk_bar bar = lk_bar_open(r->streams->log, "calibrate");
  status = lk_impostor_scores_tally(r->gallery, &r->probes.vectors, &r->labels, r->options->threads, r->streams->search,
                                    lk_bar_update, &bar, tally, error);
  lk_bar_close(&bar);
  return status;
}

static lk_status calibrate(const run *r, const lk_tally *tally, lk_error *error) {
  if (r->options->calibration == NULL) return LK_OK;
  lk_status status = write_tally(r, tally, error);
  if (status == LK_OK)
    lk_printable_line(r->streams->log, "calibration: %" PRIu64 " comparisons of different subjects, written to %s",
                      tally->total, r->options->calibration);
  return status;
}

static lk_status render(const run *r, const lk_evaluation *evaluation, lk_error *error) {
  FILE *out = r->streams->out;
  if (r->options->format == LK_JSON) return lk_render_evaluation_json(out, evaluation, error);
  if (r->options->format == LK_SVG) return lk_render_evaluation_svg(out, evaluation, error);
  return lk_render_evaluation_table(out, evaluation, error);
}

static lk_status release(run *r, lk_error *error) {
  lk_gallery_stat stat;
  lk_gallery_stat_get(r->gallery, &stat);
  return lk_gallery_release(&r->authorisation, stat.templates, stat.epoch, error);
}

static void close_run(run *r) {
  lk_gallery_authorise_end(&r->authorisation);
  lk_gallery_close(r->gallery);
  lk_device_close(r->device);
  lk_trials_close(&r->trials);
  lk_label_file_close(&r->labels);
  lk_vector_file_close(&r->probes);
  lk_signing_key_forget(&r->key);
}

lk_status lk_command_evaluate(const lk_options *options, const lk_streams *streams, lk_error *error) {
  run r = {.options = options, .streams = streams};
  lk_evaluation evaluation;
  lk_tally tally = {0};
  lk_status status = check(options, error);
  if (status == LK_OK) status = read_files(&r, error);
  if (status == LK_OK) status = load_gallery(&r, error);
  atomic_store(streams->busy, true);
  if (status == LK_OK) status = search(&r, error);
  if (status == LK_OK) status = evaluate(&r, &evaluation, error);
  if (status == LK_OK) status = compare(&r, &tally, error);
  if (status == LK_OK) status = release(&r, error);
  if (status == LK_OK) status = calibrate(&r, &tally, error);
  if (status == LK_OK) status = render(&r, &evaluation, error);
  lk_tally_close(&tally);
  close_run(&r);
  return status;
}
