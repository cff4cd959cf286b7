#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <likeness/vector_file.h>
#include "base/fail.h"
#include "base/printable.h"
#include "engine/cli/command.h"
#include "engine/cli/progress.h"
#include "engine/cli/render.h"
#include "engine/queue/client/client.h"
#include "engine/queue/job.h"
#include "index/formats/id_list.h"

typedef struct printing {
  FILE *out, *log;
  lk_format format;
  lk_bar bar;
  uint64_t probes, lists;
} printing;

static lk_candidate next_candidate(void *context) { return lk_reply_next(context); }

static lk_status print_reply(void *context, uint64_t first, lk_reply_reader *reply, lk_error *error) {
  printing *p = context;
  lk_bar_close(&p->bar);
  lk_status status = LK_OK;
  for (uint32_t i = 0; status == LK_OK && i < reply->head.probes; i++)
    status = lk_render_list(p->out, p->format, first + i, lk_reply_count(reply, i), next_candidate, reply,
                            reply->head.decision, error);
  if (status == LK_OK && first + reply->head.probes == p->lists)
    status = lk_render_footer(p->out, p->format, reply->head.decision, error);
  lk_bar_update(&p->bar, first + reply->head.probes, p->probes);
  return status;
}

static void print_warning(void *context, const char *text) {
  printing *p = context;
  lk_bar_close(&p->bar);
  lk_printable_line(p->log, "likeness: %s", text);
}

static lk_status check_job(const lk_options *options, lk_error *error) {
  if (options->gallery == NULL) return lk_fail(error, LK_EINVAL, "--gallery is missing: the gallery to search");
  if (options->job_probes < 1 || options->job_probes > LK_JOB_PROBES_MAX)
    return lk_fail(error, LK_EINVAL, "--job-probes: %u is outside 1 .. %d", options->job_probes, LK_JOB_PROBES_MAX);
  if ((options->sign == NULL) != (options->deployment == NULL))
    return lk_fail(error, LK_EINVAL, "--sign and --deployment, the id in the worker's policy, need each other");
  lk_status status = lk_options_check_format(options, "table csv json", error);
  return status == LK_OK ? lk_options_check_k(options, error) : status;
}

/* One run of submit: what its options name. */
typedef struct submission {
  lk_address address;
  lk_vector_file probes;
  lk_text_list keys, subjects;
  lk_claims claims;
  lk_signing_key key; /* the claims point to it */
} submission;

static lk_status read_list(const char *path, lk_text_list *list, lk_error *error) {
  if (path == NULL) return LK_OK;
  lk_id_list lines;
  lk_status status = lk_id_list_open(path, &lines, error);
  if (status != LK_OK) return status;
  status = lk_text_list_join(path, lines.texts, lines.count, list, error);
  lk_id_list_close(&lines);
  return status;
}

static lk_status open_submission(const lk_options *options, submission *s, lk_error *error) {
  lk_status status = lk_options_claims(options, &s->claims, &s->key, error);
  if (status == LK_OK) status = lk_options_address(options, &s->address, error);
  if (status == LK_OK) status = read_list(options->keys, &s->keys, error);
  if (status == LK_OK) status = read_list(options->subjects, &s->subjects, error);
  if (status == LK_OK) status = lk_vector_file_open(options->words[0], LK_ROLE_PROBES, &s->probes, error);
  if (status == LK_OK && s->probes.vectors.rows == 0)
    status = lk_fail(error, LK_EBADPROBE, "%s: the file has no rows", s->probes.vectors.name);
  return status;
}

static void close_submission(submission *s) {
  lk_vector_file_close(&s->probes);
  lk_text_list_free(&s->keys);
  lk_text_list_free(&s->subjects);
  lk_signing_key_forget(&s->key);
}

/* The most probes that a job may have. */
static uint32_t most_probes(const lk_options *options) {
  uint32_t most = LK_JOB_CANDIDATES_MAX / options->k;
  return most < LK_JOB_PROBES_MAX ? most : LK_JOB_PROBES_MAX;
}

static uint32_t job_probes(const lk_options *options) {
  uint32_t most = most_probes(options);
  return options->fusion != LK_FUSE_NONE || options->job_probes > most ? most : options->job_probes;
}

static lk_status submit(const lk_options *options, const submission *s, const lk_streams *streams, lk_error *error) {
  uint64_t rows = s->probes.vectors.rows;
  bool fused = options->fusion != LK_FUSE_NONE;
  if (fused && rows > most_probes(options))
    return lk_fail(error, LK_EINVAL, "%s: %" PRIu64 " probes; with this k, at most %u can be fused in one job",
                   s->probes.vectors.name, rows, most_probes(options));
  const lk_client_job job = {.gallery = options->gallery,
                             .model = options->model,
                             .priority = options->priority,
                             .probes = &s->probes.vectors,
                             .k = options->k,
                             .threshold = options->threshold,
                             .by_subject = options->by_subject,
                             .fusion = options->fusion,
                             .tags = options->tags,
                             .mask = options->mask,
                             .keys = s->keys,
                             .subjects = s->subjects,
                             .claims = s->claims,
                             .deployment = options->deployment,
                             .ttl_ms = options->ttl_ms,
                             .job_probes = job_probes(options),
                             .timeout_s = options->timeout_s};
  printing p = {.out = streams->out,
                .log = streams->log,
                .format = options->format,
                .bar = lk_bar_open(streams->log, "submit"),
                .probes = rows,
                .lists = fused ? 1 : rows};
  const lk_client_caller caller = {.take = print_reply, .warn = print_warning, .context = &p};
  lk_render_header(streams->out, options->format);
  const lk_client_stop stop = {streams->stop, streams->give_up};
  lk_status status = lk_client_run(&s->address, &job, &stop, &caller, error);
  lk_bar_close(&p.bar);
  return status;
}

lk_status lk_command_submit(const lk_options *options, const lk_streams *streams, lk_error *error) {
  submission s = {0};
  lk_status status = check_job(options, error);
  if (status == LK_OK) status = open_submission(options, &s, error);
  atomic_store(streams->busy, true);
  if (status == LK_OK) status = submit(options, &s, streams, error);
  close_submission(&s);
  return status;
}
