#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include <likeness/vector_file.h>
#include "base/printable.h"
#include "base/text.h"
#include "engine/cli/command.h"
#include "engine/cli/progress.h"
#include "engine/cli/render.h"
#include "engine/cli/stats.h"
#include "index/formats/id_list.h"
#include "index/formats/vector.h"
#include "index/gallery/authorise.h"
#include "index/gallery/list.h"

enum { BATCH_PROBES = 1024, FIRST_RANGE_PROBES = 16, RANGE_CANDIDATES = 1 << 22 };

typedef struct cursor {
  const lk_result *result;
  uint32_t probe, rank;
} cursor;

static lk_candidate next_candidate(void *context) {
  cursor *at = context;
  return lk_result_candidate(at->result, at->probe, at->rank++);
}

/* One run of identify or verify: its input files, the open gallery and the result. */
typedef struct run {
  const lk_options *options;
  const lk_streams *streams;
  lk_vector_file probes;
  lk_id_list keys, subjects; /* empty: not given */
  lk_device *device;
  lk_gallery *gallery;
  lk_result *result;
  lk_claims claims;
  lk_signing_key key; /* the claims point to it */
} run;

static lk_status print_lists(const run *r, uint64_t first, uint64_t count, lk_error *error) {
  lk_status status = LK_OK;
  for (uint32_t p = 0; status == LK_OK && p < count; p++) {
    cursor at = {.result = r->result, .probe = p};
    status = lk_render_list(r->streams->out, r->options->format, first + p, lk_result_count(r->result, p),
                            next_candidate, &at, lk_result_decision(r->result), error);
  }
  return status;
}

static lk_query query_of(const run *r) {
  const lk_options *options = r->options;
  return (lk_query){.probes_count = 1,
                    .fusion = options->fusion,
                    .k = options->k,
                    .threshold = options->threshold,
                    .by_subject = options->by_subject,
                    .tags = options->tags,
                    .mask = options->mask,
                    .model = lk_text_of(options->model != NULL ? options->model : ""),
                    .keys = r->keys.texts,
                    .keys_count = r->keys.count,
                    .subjects = r->subjects.texts,
                    .subjects_count = r->subjects.count,
                    .claims = &r->claims,
                    .control = r->streams->search};
}

/* The size of the next batch of a range search. A list may be as long as the gallery, so the batch is as large as would
 * find about RANGE_CANDIDATES candidates at the last batch's rate. This bounds the memory of the result. */
static uint64_t next_range_batch(const lk_result *result, uint64_t probes) {
  uint64_t found = 0;
  for (uint32_t p = 0; p < probes; p++) found += lk_result_count(result, p);
  uint64_t next = RANGE_CANDIDATES / (found / probes + 1);
  return next < 1 ? 1 : next < BATCH_PROBES ? next : BATCH_PROBES;
}

static lk_status identify_all(const run *r, lk_error *error) {
  const lk_vectors *probes = &r->probes.vectors;
  lk_bar bar = lk_bar_open(r->streams->log, "identify");
  lk_query query = query_of(r);
  lk_search_stats stats = {0};
  bool fused = query.fusion != LK_FUSE_NONE; /* all probes are then one run with one list */
  uint64_t at_once = fused ? probes->rows : query.k == LK_K_ALL ? FIRST_RANGE_PROBES : BATCH_PROBES;
  lk_status status = LK_OK;
  for (uint64_t first = 0; status == LK_OK && first < probes->rows;) {
    lk_vectors part = lk_vector_part(probes, first, at_once);
    query.probes = &part;
    status = lk_gallery_identify(r->gallery, &query, r->result, &stats, error);
    lk_bar_close(&bar);
    if (status != LK_OK) break;
    if (first == 0) lk_render_header(r->streams->out, r->options->format);
    status = print_lists(r, first, fused ? 1 : part.rows, error);
    if (query.k == LK_K_ALL && !fused) at_once = next_range_batch(r->result, part.rows);
    first += part.rows;
    lk_bar_update(&bar, first, probes->rows);
  }
  lk_bar_close(&bar);
  if (status == LK_OK)
    status = lk_render_footer(r->streams->out, r->options->format, lk_result_decision(r->result), error);
  if (status == LK_OK && r->options->stats)
    lk_stats_render(r->streams->log, lk_device_name(r->device), probes->rows, &stats);
  return status;
}

static lk_status check_rows(const lk_vectors *probes, lk_error *error) {
  return probes->rows > 0 ? LK_OK : lk_fail(error, LK_EBADPROBE, "%s: the file has no rows", probes->name);
}

/* Checks all probes before the first list is printed, so that a bad probe gives an error and no partial output. The
 * policy is asked before the caller is told of it. */
static lk_status check_probes(const run *r, lk_error *error) {
  const lk_vectors *probes = &r->probes.vectors;
  lk_query query = query_of(r);
  lk_status fault = lk_gallery_check_probes(r->gallery, probes, query.model, error);
  if (fault == LK_OK) return LK_OK;
  lk_gallery_authorisation authorisation;
  lk_policy_request request = {.operation = LK_OPERATION_IDENTIFY,
                               .k = query.k,
                               .threshold = query.threshold,
                               .probes = lk_policy_probes(probes, 1)};
  lk_evidence evidence = lk_query_evidence(&query, fault);
  lk_status status = lk_gallery_authorise(&authorisation, r->gallery, &request, &evidence, query.claims, error);
  lk_gallery_authorise_end(&authorisation);
  return status;
}

static lk_status check_k(const lk_options *options, lk_error *error) {
  if (options->k != LK_K_ALL) return lk_options_check_k(options, error);
  if (options->by_subject) return lk_fail(error, LK_EINVAL, "-k all cannot be combined with --by subject");
  if (options->threshold == -INFINITY) return lk_fail(error, LK_EINVAL, "-k all needs a --threshold");
  return LK_OK;
}

static lk_status read_files(run *r, lk_error *error) {
  const lk_options *options = r->options;
  lk_status status = lk_options_claims(options, &r->claims, &r->key, error);
  if (status == LK_OK) status = lk_vector_file_open(options->words[1], LK_ROLE_PROBES, &r->probes, error);
  if (status == LK_OK && options->keys != NULL) status = lk_id_list_open(options->keys, &r->keys, error);
  if (status == LK_OK && options->subjects != NULL) status = lk_id_list_open(options->subjects, &r->subjects, error);
  return status;
}

static lk_status load_gallery(run *r, lk_error *error) {
  const lk_options *options = r->options;
  lk_status status = check_rows(&r->probes.vectors, error);
  if (status == LK_OK) status = lk_device_open(options->device, options->threads, &r->device, error);
  if (status == LK_OK) status = lk_gallery_open(options->words[0], &r->gallery, error);
  if (status == LK_OK) status = check_probes(r, error);
  if (status == LK_OK) status = lk_gallery_load(r->gallery, r->device, error);
  return status;
}

typedef bool has_text(const lk_gallery *gallery, lk_text text);

static void warn_of_unknown(const run *r, const char *path, const lk_id_list *list, has_text *has) {
  uint32_t unknown = 0, first = 0;
  for (uint32_t i = 0; i < list->count; i++)
    if (!has(r->gallery, list->texts[i]) && unknown++ == 0) first = i;
  if (unknown > 0)
    lk_printable_line(r->streams->log,
                      "likeness identify: warning: %s: %u of %u are not in the gallery, such as '%.*s'", path, unknown,
                      list->count, lk_text_shown(list->texts[first]), list->texts[first].bytes);
}

/* Who must ask a policy is not told whom the gallery has. */
static void warn(const run *r) {
  lk_gallery_stat stat;
  lk_gallery_stat_get(r->gallery, &stat);
  if (stat.binding.policy != NULL) return;
  warn_of_unknown(r, r->options->keys, &r->keys, lk_gallery_has_key);
  warn_of_unknown(r, r->options->subjects, &r->subjects, lk_gallery_has_subject);
}

static void close_run(run *r) {
  lk_result_close(r->result);
  lk_gallery_close(r->gallery);
  lk_device_close(r->device);
  lk_id_list_close(&r->subjects);
  lk_id_list_close(&r->keys);
  lk_vector_file_close(&r->probes);
  lk_signing_key_forget(&r->key);
}

lk_status lk_command_identify(const lk_options *options, const lk_streams *streams, lk_error *error) {
  run r = {.options = options, .streams = streams};
  lk_status status = lk_options_check_format(options, "table csv json", error);
  if (status == LK_OK) status = check_k(options, error);
  if (status == LK_OK) status = read_files(&r, error);
  if (status == LK_OK) status = load_gallery(&r, error);
  if (status == LK_OK) status = lk_result_open(&r.result, error);
  if (status == LK_OK) warn(&r);
  atomic_store(streams->busy, true);
  if (status == LK_OK) status = identify_all(&r, error);
  close_run(&r);
  return status;
}

/* `c` is NULL if the policy's threshold suppressed the candidate. */
static lk_status render_verified_json(FILE *out, uint64_t probe, const lk_candidate *c, const char *match,
                                      lk_text decision, lk_error *error) {
  json_t *root =
      c == NULL
          ? json_pack("{s:I, s:n, s:n, s:n, s:b}", "probe", (json_int_t)probe, "key", "subject", "score", "match", 0)
          : json_pack("{s:I, s:s%, s:s%, s:o, s:o}", "probe", (json_int_t)probe, "key", c->found.key.bytes,
                      (size_t)c->found.key.length, "subject", c->found.subject.bytes, (size_t)c->found.subject.length,
                      "score", lk_render_score_json(c->score), "match",
                      match[0] == '\0' ? json_null() : json_boolean(match[0] == 'y'));
  return lk_render_json_line(out, root, decision, error);
}

static void render_verified_row(FILE *out, uint64_t probe, const lk_candidate *c, const char *match) {
  fprintf(out, "%8" PRIu64 "  ", probe);
  lk_printable_put(out, c != NULL ? c->found.key : lk_text_of("-"), 28);
  fprintf(out, " %-14s %s\n", c != NULL ? lk_render_score(c->score, "-").text : "-", match);
}

static void render_verified_csv(FILE *out, uint64_t probe, const lk_candidate *c, const char *match) {
  fprintf(out, "%" PRIu64 ",", probe);
  if (c != NULL) lk_render_csv_text(out, c->found.key);
  fputc(',', out);
  if (c != NULL) lk_render_csv_text(out, c->found.subject);
  fputc(',', out);
  if (c != NULL) fputs(lk_render_score(c->score, "").text, out);
  fprintf(out, ",%s\n", match);
}

static lk_status render_verified(FILE *out, const lk_options *options, const lk_result *result, uint32_t probe,
                                 lk_error *error) {
  bool found = lk_result_count(result, probe) > 0;
  lk_candidate candidate = found ? lk_result_candidate(result, probe, 0) : (lk_candidate){0};
  const lk_candidate *c = found ? &candidate : NULL;
  bool hidden = found && isnan(candidate.score);
  if (hidden && options->threshold > -INFINITY)
    return lk_fail(error, LK_EPOLICY, "--threshold: the policy releases no scores, only whether its limit is reached");
  const char *match = !found                            ? "no"
                      : hidden                          ? "yes"
                      : options->threshold == -INFINITY ? ""
                      : c->score >= options->threshold  ? "yes"
                                                        : "no";
  if (options->format == LK_JSON) return render_verified_json(out, probe, c, match, lk_result_decision(result), error);
  (options->format == LK_TABLE ? render_verified_row : render_verified_csv)(out, probe, c, match);
  return LK_OK;
}

static lk_status print_verified(FILE *out, const lk_options *options, const lk_result *result, uint64_t probes,
                                lk_error *error) {
  if (options->format == LK_CSV) fputs("probe,key,subject,score,match\n", out);
  if (options->format == LK_TABLE) fprintf(out, "%8s  %-28s %-14s %s\n", "probe", "key", "score", "match");
  lk_status status = LK_OK;
  for (uint32_t p = 0; status == LK_OK && p < probes; p++) status = render_verified(out, options, result, p, error);
  return status == LK_OK ? lk_render_footer(out, options->format, lk_result_decision(result), error) : status;
}

static lk_status verify(run *r, lk_error *error) {
  const lk_options *options = r->options;
  const lk_vectors *probes = &r->probes.vectors;
  lk_status status = lk_gallery_open(options->words[0], &r->gallery, error);
  if (status == LK_OK) status = check_rows(probes, error);
  if (status == LK_OK) status = lk_result_open(&r->result, error);
  if (status == LK_OK)
    status = lk_gallery_verify(r->gallery, probes, lk_text_of(options->subject), &r->claims, r->result, error);
  return status == LK_OK ? print_verified(r->streams->out, options, r->result, probes->rows, error) : status;
}

lk_status lk_command_verify(const lk_options *options, const lk_streams *streams, lk_error *error) {
  run r = {.options = options, .streams = streams};
  if (options->subject == NULL) return lk_fail(error, LK_EINVAL, "--subject is missing: the subject to compare with");
  lk_status status = lk_options_check_format(options, "table csv json", error);
  if (status == LK_OK) status = read_files(&r, error);
  atomic_store(streams->busy, true);
  if (status == LK_OK) status = verify(&r, error);
  close_run(&r);
  return status;
}
