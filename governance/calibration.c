#include "governance/calibration.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/folder.h"
#include "base/text.h"

static json_t *to_json(const lk_calibration *c) {
  json_t *levels = json_array();
  for (uint32_t i = 0; i < c->levels_count; i++)
    json_array_append_new(levels, json_pack("[f, I]", (double)c->levels[i].score, (json_int_t)c->levels[i].count));
  if (json_array_size(levels) != c->levels_count) {
    json_decref(levels);
    return NULL;
  }
  return json_pack("{s:s, s:i, s:s, s:s, s:I, s:I, s:I, s:I, s:o}", "file", "likeness calibration", "version",
                   LK_CALIBRATION_VERSION, "model", c->model, "metric", lk_metric_name(c->metric), "dim",
                   (json_int_t)c->dim, "templates", (json_int_t)c->templates, "probes", (json_int_t)c->probes,
                   "comparisons", (json_int_t)c->comparisons, "levels", levels);
}

lk_status lk_calibration_write(const char *path, const lk_calibration *calibration, lk_error *error) {
  json_t *root = to_json(calibration);
  char *text = root != NULL ? json_dumps(root, JSON_REAL_PRECISION(9)) : NULL;
  json_decref(root);
  if (text == NULL) return lk_fail_memory(error);
  lk_status status = lk_folder_replace_path(path, text, strlen(text), error);
  free(text);
  return status;
}

static bool read_level(json_t *entry, lk_calibration_level *level) {
  json_t *score = json_array_get(entry, 0), *count = json_array_get(entry, 1);
  if (json_array_size(entry) != 2 || !json_is_number(score) || !json_is_integer(count)) return false;
  level->score = (float)json_number_value(score);
  level->count = (uint64_t)json_integer_value(count);
  return isfinite(level->score) && json_integer_value(count) >= 0;
}

static lk_status read_levels(const char *name, json_t *list, lk_calibration *c, lk_error *error) {
  c->levels_count = (uint32_t)json_array_size(list);
  c->levels = calloc(c->levels_count + (size_t)1, sizeof *c->levels);
  if (c->levels == NULL) return lk_fail_memory(error);
  for (uint32_t i = 0; i < c->levels_count; i++) {
    if (!read_level(json_array_get(list, i), &c->levels[i]))
      return lk_fail(error, LK_EFORMAT, "%s: level %u is not a pair of a score and a count", name, i);
    if (i > 0 && !(c->levels[i].score < c->levels[i - 1].score && c->levels[i].count > c->levels[i - 1].count))
      return lk_fail(error, LK_EFORMAT, "%s: level %u: scores must fall, and counts rise", name, i);
  }
  if (c->levels_count < 2 || c->levels[0].count != 0 || c->levels[c->levels_count - 1].count != c->comparisons)
    return lk_fail(error, LK_EFORMAT, "%s: the levels' counts must begin with 0 and end with the number of comparisons",
                   name);
  return LK_OK;
}

static lk_status from_json(const char *name, json_t *root, lk_calibration *c, lk_error *error) {
  const char *file, *model, *metric;
  json_int_t version, dim, templates, probes, comparisons;
  json_t *levels;
  json_error_t at;
  if (json_unpack_ex(root, &at, 0, "{s:s, s:I}", "file", &file, "version", &version) != 0)
    return lk_fail(error, LK_EFORMAT, "%s: not a calibration: %s", name, at.text);
  if (strcmp(file, "likeness calibration") != 0)
    return lk_fail(error, LK_EFORMAT, "%s: not a calibration: the file says '%.64s'", name, file);
  if (version != LK_CALIBRATION_VERSION)
    return lk_fail(error, LK_EFORMAT, "%s: calibration version %lld; this build reads %d", name, (long long)version,
                   LK_CALIBRATION_VERSION);
  if (json_unpack_ex(root, &at, 0, "{s:s, s:s, s:I, s:I, s:I, s:I, s:o}", "model", &model, "metric", &metric, "dim",
                     &dim, "templates", &templates, "probes", &probes, "comparisons", &comparisons, "levels",
                     &levels) != 0)
    return lk_fail(error, LK_EFORMAT, "%s: %s", name, at.text);
  if (lk_metric_parse(metric, &c->metric, NULL) != LK_OK || lk_text_fault(lk_text_of(model)) != NULL || dim < 1 ||
      dim > LK_DIM_MAX || templates < 1 || probes < 1 || comparisons < 1 || (comparisons - 1) / probes >= templates ||
      !json_is_array(levels))
    return lk_fail(error, LK_EFORMAT, "%s: a field is out of range", name);
  strcpy(c->model, model);
  c->dim = (uint32_t)dim;
  c->templates = (uint64_t)templates;
  c->probes = (uint64_t)probes;
  c->comparisons = (uint64_t)comparisons;
  return read_levels(name, levels, c, error);
}

lk_status lk_calibration_parse(const char *name, const void *data, size_t size, lk_calibration *calibration,
                               uint32_t *line, lk_error *error) {
  *calibration = (lk_calibration){0};
  json_error_t at;
  json_t *root = json_loadb(data, size, JSON_REJECT_DUPLICATES, &at);
  if (line != NULL) *line = root == NULL && at.line > 0 ? (uint32_t)at.line : 0;
  if (root == NULL) return lk_fail(error, LK_EFORMAT, "%s: line %d: %s", name, at.line, at.text);
  lk_status status = from_json(name, root, calibration, error);
  json_decref(root);
  if (status != LK_OK) lk_calibration_close(calibration);
  return status;
}

lk_status lk_calibration_open(const char *path, lk_calibration *calibration, uint32_t *line, lk_error *error) {
  if (line != NULL) *line = 0;
  lk_file file;
  *calibration = (lk_calibration){0};
  lk_status status = lk_file_read(path, &file, error);
  if (status != LK_OK) return status;
  status = lk_calibration_parse(path, file.data, file.size, calibration, line, error);
  lk_file_free(&file);
  return status;
}

void lk_calibration_close(lk_calibration *calibration) {
  free(calibration->levels);
  *calibration = (lk_calibration){0};
}

static double fmr_of(const lk_calibration *c, uint64_t count) { return (double)count / (double)c->comparisons; }

lk_status lk_calibration_score(const lk_calibration *calibration, double fmr, float *score, lk_error *error) {
  if (!(fmr >= 0 && fmr <= 1)) return lk_fail(error, LK_EINVAL, "an FMR of %g is not within 0 .. 1", fmr);
  double least = fmr_of(calibration, LK_CALIBRATION_LEAST_MATCHES);
  if (fmr < least)
    return lk_fail(
        error, LK_EINVAL,
        "an FMR of %g cannot be established: the calibration of model '%s' has %llu comparisons, so its least "
        "FMR is %d in as many, %g",
        fmr, calibration->model, (unsigned long long)calibration->comparisons, LK_CALIBRATION_LEAST_MATCHES, least);
  uint32_t last = 0;
  while (last + 1 < calibration->levels_count && fmr_of(calibration, calibration->levels[last + 1].count) <= fmr)
    last++;
  *score = calibration->levels[last].score;
  return LK_OK;
}

bool lk_calibration_fits(const lk_calibration *calibration, lk_text model, lk_metric metric) {
  return lk_text_equal(model, lk_text_of(calibration->model)) && metric == calibration->metric;
}

bool lk_calibration_threshold(const void *calibration, lk_text model, double max_fmr, float *threshold) {
  const lk_calibration *c = calibration;
  return lk_text_equal(model, lk_text_of(c->model)) && lk_calibration_score(c, max_fmr, threshold, NULL) == LK_OK;
}

double lk_calibration_fmr(const lk_calibration *calibration, float score) {
  for (uint32_t i = 0; i < calibration->levels_count; i++)
    if (calibration->levels[i].score <= score) return fmr_of(calibration, calibration->levels[i].count);
  return 1;
}
