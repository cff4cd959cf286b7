#include "engine/cli/render_evaluate.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/printable.h"

enum { RANKS_MAX = 6 };

/* The ranks whose identification rates are shown, ascending: rank 1, the usual ranks below the number of subjects, and
 * the evaluation's own rank. Returns their number. */
static uint32_t list_ranks(const lk_evaluation *e, uint32_t ranks[RANKS_MAX]) {
  static const uint32_t usual[] = {1, 5, 10, 20, LK_RANKS_MOST};
  uint32_t count = 0;
  bool own = false;
  for (uint32_t i = 0; i < sizeof usual / sizeof usual[0]; i++) {
    if (e->rank < usual[i] && !own) ranks[count++] = e->rank;
    own = own || e->rank <= usual[i];
    if (i == 0 || usual[i] < e->subjects || usual[i] == e->rank) ranks[count++] = usual[i];
  }
  if (!own) ranks[count++] = e->rank;
  return count;
}

/* Row -1 is all searches; rows from 0 are the groups. */
static uint32_t group_at(int64_t i) { return i < 0 ? LK_GROUP_ALL : (uint32_t)i; }

static lk_text group_name(const lk_trials *trials, int64_t i) {
  return i < 0 ? (lk_text){.bytes = "all", .length = 3} : trials->groups[i];
}

static lk_rate fpir_at(const lk_evaluation *e, int64_t i) {
  return lk_trials_fpir(e->trials, group_at(i), e->threshold);
}

static lk_rate fnir_at(const lk_evaluation *e, int64_t i) {
  return lk_trials_fnir(e->trials, group_at(i), e->threshold, e->rank);
}

typedef lk_rate rate_at(const lk_evaluation *e, int64_t i);

static lk_spread spread_over_groups(const lk_evaluation *e, rate_at *at) {
  lk_rate rates[LK_GROUPS_MAX];
  uint32_t count = e->trials->groups_count;
  for (uint32_t i = 0; i < count; i++) rates[i] = at(e, i);
  return lk_spread_of(rates, count);
}

static uint64_t count_groupless(const lk_trials *trials) {
  uint64_t count = 0;
  for (uint32_t i = 0; i < trials->count; i++) count += trials->all[i].group == LK_GROUP_NONE;
  return count;
}

static void print_number(FILE *out, int width, double value) {
  if (isnan(value))
    fprintf(out, "%*s", width, "-");
  else
    fprintf(out, "%*.4g", width, value);
}

/* Pads the interval to `width`; 0: no padding, for the last column. */
static void print_rate(FILE *out, lk_rate rate, int width) {
  char count[48], between[48];
  lk_interval interval = lk_rate_interval(rate);
  snprintf(count, sizeof count, "%" PRIu64 "/%" PRIu64, rate.count, rate.of);
  snprintf(between, sizeof between, "%9.4g .. %.4g", interval.low, interval.high);
  print_number(out, 12, lk_rate_value(rate));
  fprintf(out, " %15s  %-*s", count, width, between);
}

static void print_name(FILE *out, lk_text name) { lk_printable_put(out, name, 16); }

static void print_head(FILE *out, const lk_evaluation *e) {
  const lk_trials *trials = e->trials;
  lk_printable_line(out, "gallery    %s: %" PRIu64 " templates, %" PRIu64 " subjects, %s, model '%s'", e->gallery.name,
                    e->gallery.templates, e->subjects, lk_metric_name(e->gallery.metric), e->gallery.model);
  fprintf(out, "searches   %u: %" PRIu64 " mated, %" PRIu64 " non-mated\n", trials->count,
          lk_trials_mated(trials, LK_GROUP_ALL), lk_trials_non_mated(trials, LK_GROUP_ALL));
  fprintf(out, "threshold  %.9g", (double)e->threshold);
  if (!isnan(e->wanted_fpir)) fprintf(out, ", for an FPIR of at most %g", e->wanted_fpir);
  fprintf(out, "\nrank       %u\n", e->rank);
  if (trials->groups_count > 0 && count_groupless(trials) > 0)
    fprintf(out, "no group   %" PRIu64 " searches; they count in the row 'all' only\n", count_groupless(trials));
}

static void print_errors(FILE *out, const lk_evaluation *e) {
  fprintf(out, "\n%-16s%12s %15s  %-24s%12s %15s  %s\n", "group", "FPIR", "count", "  95 % interval", "FNIR", "count",
          "  95 % interval");
  for (int64_t i = -1; i < e->trials->groups_count; i++) {
    print_name(out, group_name(e->trials, i));
    print_rate(out, fpir_at(e, i), 24);
    print_rate(out, fnir_at(e, i), 0);
    fputc('\n', out);
  }
}

static void print_spread(FILE *out, const char *name, double fpir, double fnir) {
  fprintf(out, "%-16s", name);
  print_number(out, 12, fpir);
  fprintf(out, "%42s", "");
  print_number(out, 12, fnir);
  fputc('\n', out);
}

static void print_spreads(FILE *out, const lk_evaluation *e) {
  lk_spread fpir = spread_over_groups(e, fpir_at), fnir = spread_over_groups(e, fnir_at);
  print_spread(out, "max/min", fpir.max_min, fnir.max_min);
  print_spread(out, "max/geo. mean", fpir.max_geomean, fnir.max_geomean);
  print_spread(out, "Gini", fpir.gini, fnir.gini);
}

static void print_identified(FILE *out, const lk_evaluation *e) {
  uint32_t ranks[RANKS_MAX], count = list_ranks(e, ranks);
  fprintf(out, "\n%-16s%6s%12s %15s  %s\n", "group", "rank", "identified", "count", "  95 % interval");
  for (int64_t i = -1; i < e->trials->groups_count; i++)
    for (uint32_t r = 0; r < count; r++) {
      print_name(out, group_name(e->trials, i));
      fprintf(out, "%6u", ranks[r]);
      print_rate(out, lk_trials_identified(e->trials, group_at(i), ranks[r]), 0);
      fputc('\n', out);
    }
}

lk_status lk_render_evaluation_table(FILE *out, const lk_evaluation *e, lk_error *error) {
  print_head(out, e);
  print_errors(out, e);
  if (e->trials->groups_count > 0) print_spreads(out, e);
  print_identified(out, e);
  return ferror(out) ? lk_fail(error, LK_EIO, "cannot write the output") : LK_OK;
}

static json_t *number_or_null(double value) { return isnan(value) ? json_null() : json_real(value); }

static json_t *rate_to_json(lk_rate rate) {
  lk_interval interval = lk_rate_interval(rate);
  return json_pack("{s:o, s:I, s:I, s:f, s:f}", "rate", number_or_null(lk_rate_value(rate)), "count",
                   (json_int_t)rate.count, "of", (json_int_t)rate.of, "low", interval.low, "high", interval.high);
}

static json_t *identified_to_json(const lk_evaluation *e, int64_t i) {
  uint32_t ranks[RANKS_MAX], count = list_ranks(e, ranks);
  json_t *list = json_array();
  for (uint32_t r = 0; r < count; r++) {
    json_t *rate = rate_to_json(lk_trials_identified(e->trials, group_at(i), ranks[r]));
    json_object_set_new(rate, "rank", json_integer(ranks[r]));
    json_array_append_new(list, rate);
  }
  return list;
}

static json_t *det_to_json(const lk_evaluation *e, int64_t i) {
  lk_det det;
  if (lk_det_open(e->trials, group_at(i), e->rank, &det, NULL) != LK_OK) return NULL;
  lk_det_thin(&det);
  json_t *list = json_array();
  for (uint32_t p = 0; p < det.count; p++)
    json_array_append_new(list, json_pack("{s:f, s:o, s:o}", "threshold", (double)det.points[p].threshold, "fpir",
                                          rate_to_json(det.points[p].fpir), "fnir", rate_to_json(det.points[p].fnir)));
  lk_det_close(&det);
  return list;
}

static json_t *group_to_json(const lk_evaluation *e, int64_t i) {
  json_t *name = i < 0 ? json_null() : json_stringn(e->trials->groups[i].bytes, e->trials->groups[i].length);
  return json_pack("{s:o, s:o, s:o, s:o, s:o}", "group", name, "fpir", rate_to_json(fpir_at(e, i)), "fnir",
                   rate_to_json(fnir_at(e, i)), "identified", identified_to_json(e, i), "det", det_to_json(e, i));
}

static json_t *spread_to_json(lk_spread spread) {
  return json_pack("{s:i, s:i, s:o, s:o, s:o}", "groups", (int)spread.groups, "groups_at_zero", (int)spread.zeros,
                   "max_min", number_or_null(spread.max_min), "max_geomean", number_or_null(spread.max_geomean), "gini",
                   number_or_null(spread.gini));
}

static json_t *gallery_to_json(const lk_evaluation *e) {
  return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "name", e->gallery.name, "model", e->gallery.model, "metric",
                   lk_metric_name(e->gallery.metric), "templates", (json_int_t)e->gallery.templates, "subjects",
                   (json_int_t)e->subjects, "epoch", (json_int_t)e->gallery.epoch);
}

static json_t *evaluation_to_json(const lk_evaluation *e) {
  const lk_trials *trials = e->trials;
  json_t *groups = json_array();
  for (uint32_t i = 0; i < trials->groups_count; i++) json_array_append_new(groups, group_to_json(e, i));
  if (json_array_size(groups) != trials->groups_count) {
    json_decref(groups);
    return NULL;
  }
  return json_pack("{s:o, s:I, s:I, s:I, s:I, s:f, s:o, s:i, s:o, s:o, s:o, s:o}", "gallery", gallery_to_json(e),
                   "searches", (json_int_t)trials->count, "mated", (json_int_t)lk_trials_mated(trials, LK_GROUP_ALL),
                   "non_mated", (json_int_t)lk_trials_non_mated(trials, LK_GROUP_ALL), "without_group",
                   (json_int_t)count_groupless(trials), "threshold", (double)e->threshold, "wanted_fpir",
                   number_or_null(e->wanted_fpir), "rank", (int)e->rank, "all", group_to_json(e, -1), "groups", groups,
                   "fpir_spread", spread_to_json(spread_over_groups(e, fpir_at)), "fnir_spread",
                   spread_to_json(spread_over_groups(e, fnir_at)));
}

lk_status lk_render_evaluation_json(FILE *out, const lk_evaluation *e, lk_error *error) {
  json_t *root = evaluation_to_json(e);
  char *text = root != NULL ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
  json_decref(root);
  if (text == NULL) return lk_fail_memory(error);
  lk_printable_json(out, text, strlen(text));
  fputc('\n', out);
  free(text);
  return ferror(out) ? lk_fail(error, LK_EIO, "cannot write the output") : LK_OK;
}
