#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <likeness/vector_file.h>
#include "base/clock.h"
#include "base/fail.h"
#include "base/printable.h"
#include "engine/cli/command.h"
#include "engine/cli/progress.h"
#include "engine/cli/render.h"
#include "engine/queue/client/client.h"
#include "engine/queue/job.h"
#include "engine/worker/serve.h"
#include "index/formats/id_list.h"

enum { LOOKS_EVERY_US = 10000 };

static lk_status read_address(const lk_options *options, lk_address *address, lk_error *error) {
  if (options->redis == NULL) return lk_fail(error, LK_EINVAL, "--redis is missing: the address of the queue");
  lk_status status = lk_address_parse(options->redis, address, error);
  if (status == LK_OK && options->password_file != NULL)
    status = lk_address_read_password(options->password_file, address, error);
  return status;
}

/* Streams are named after the gallery's name in its manifest, which a copy of its folder has too: jobs for one would be
 * searched in the other. */
static lk_status check_name(const lk_options *options, lk_gallery *const *galleries, int number, lk_error *error) {
  lk_gallery_stat stat, other;
  lk_gallery_stat_get(galleries[number], &stat);
  for (int i = 0; i < number; i++) {
    lk_gallery_stat_get(galleries[i], &other);
    if (strcmp(stat.name, other.name) == 0)
      return lk_fail(error, LK_EINVAL, "the galleries in %s and %s have one name: %s", options->words[i],
                     options->words[number], stat.name);
  }
  return LK_OK;
}

static lk_status open_galleries(const lk_options *options, lk_gallery **galleries, lk_error *error) {
  lk_status status = LK_OK;
  for (int i = 0; status == LK_OK && i < options->words_count; i++) {
    status = lk_gallery_open(options->words[i], &galleries[i], error);
    if (status == LK_OK) status = check_name(options, galleries, i, error);
  }
  return status;
}

/* Loading may take minutes, and a worker that loads holds nothing: so it is done in a thread of its own, which is left
 * behind when the worker is to stop. */
typedef struct loading {
  lk_device *device;
  lk_gallery *galleries[LK_WORDS_MOST];
  int count;
  const lk_streams *streams;
  atomic_bool over;
  lk_status status;
  lk_error error;
} loading;

static void *load_all(void *argument) {
  loading *l = argument;
  for (int i = 0; i < l->count && l->status == LK_OK && !atomic_load(l->streams->stop); i++) {
    l->status = lk_gallery_load(l->galleries[i], l->device, &l->error);
    if (l->status != LK_OK || atomic_load(l->streams->stop)) break;
    lk_gallery_stat stat;
    lk_gallery_stat_get(l->galleries[i], &stat);
    lk_printable_line(l->streams->log, "likeness: serving %s: %" PRIu64 " templates of dimension %u, %s, on %s",
                      stat.name, stat.templates, stat.dim, lk_metric_name(stat.metric), lk_device_name(l->device));
  }
  atomic_store(&l->over, true);
  return NULL;
}

static lk_status load_galleries(const lk_options *options, lk_device *device, lk_gallery *const *galleries,
                                const lk_streams *streams, lk_serve_left *left, lk_error *error) {
  pthread_t thread;
  loading *l = calloc(1, sizeof *l);
  if (l == NULL) return lk_fail_memory(error);
  *l = (loading){.device = device, .count = options->words_count, .streams = streams};
  memcpy(l->galleries, galleries, (size_t)l->count * sizeof galleries[0]);
  if (pthread_create(&thread, NULL, load_all, l) != 0) {
    free(l);
    return lk_fail(error, LK_ENOMEM, "cannot start a thread");
  }
  while (!atomic_load(&l->over) && !atomic_load(streams->stop)) lk_clock_sleep_us(LOOKS_EVERY_US);
  if (!atomic_load(&l->over)) {
    *left = LK_LEFT_GALLERIES;
    lk_printable_line(streams->log, "likeness: stopped while the galleries were loaded");
    return LK_OK;
  }
  pthread_join(thread, NULL);
  lk_status status = l->status;
  *error = l->error;
  free(l);
  return status;
}

static bool is_same_file(const char *a, const char *b) {
  char real_a[PATH_MAX], real_b[PATH_MAX];
  if (a == NULL || b == NULL) return a == b;
  return realpath(a, real_a) != NULL && realpath(b, real_b) != NULL && strcmp(real_a, real_b) == 0;
}

/* A worker has one policy: the command line and all bound galleries must name the same one. Adds the gallery's binding
 * to `rules`, or refuses one that differs. `rules` point into the gallery. The log may be `asked` for, by --audit; else
 * it is that of all bound galleries that have one. */
static lk_status take_binding(const lk_gallery *gallery, const char *asked, lk_governance_options *rules,
                              lk_error *error) {
  lk_gallery_stat stat;
  lk_gallery_stat_get(gallery, &stat);
  const lk_binding *bound = &stat.binding;
  if (bound->policy == NULL) return LK_OK;
  if (rules->policy == NULL) rules->policy = bound->policy;
  if (rules->calibration == NULL) rules->calibration = bound->calibration;
  if (rules->audit == NULL) {
    rules->audit = bound->audit;
    rules->audit_key = bound->audit_key;
  }
  if (!is_same_file(rules->policy, bound->policy))
    return lk_fail(error, LK_EINVAL, "the gallery %s is bound to the policy %s, but this worker has %s", stat.name,
                   bound->policy, rules->policy);
  if (bound->audit != NULL && rules->audit != asked && strcmp(rules->audit, bound->audit) != 0)
    return lk_fail(error, LK_EINVAL, "the gallery %s is bound to the audit log %s, but this worker has %s", stat.name,
                   bound->audit, rules->audit);
  if (bound->calibration != NULL && !is_same_file(rules->calibration, bound->calibration))
    return lk_fail(error, LK_EINVAL, "the gallery %s is bound to the calibration %s, but this worker has %s", stat.name,
                   bound->calibration, rules->calibration);
  return LK_OK;
}

static lk_status find_rules(const lk_options *options, lk_gallery *const *galleries, lk_governance_options *rules,
                            lk_error *error) {
  *rules = (lk_governance_options){.policy = options->policy,
                                   .calibration = options->calibration,
                                   .audit = options->audit,
                                   .audit_key = options->audit_key,
                                   .keepers = options->words,
                                   .keepers_count = (uint32_t)options->words_count,
                                   .lost_log = options->lost_audit_log};
  lk_status status = LK_OK;
  for (int i = 0; status == LK_OK && i < options->words_count; i++)
    status = take_binding(galleries[i], options->audit, rules, error);
  if (status == LK_OK && rules->policy == NULL && rules->calibration != NULL)
    return lk_fail(error, LK_EINVAL, "--calibration needs a --policy");
  if (status == LK_OK && rules->audit == NULL && rules->lost_log)
    return lk_fail(error, LK_EINVAL, "--lost-audit-log needs --audit");
  if (status == LK_OK && rules->audit == NULL && rules->audit_key != NULL)
    return lk_fail(error, LK_EINVAL, "--audit-key needs --audit");
  return status;
}

/* Opens the governance that the options and the galleries' bindings name; NULL if none do. The galleries must outlive
 * it. */
static lk_status open_governance(const lk_options *options, lk_gallery *const *galleries, lk_governance **governance,
                                 FILE *log, lk_error *error) {
  lk_governance_options rules;
  lk_status status = find_rules(options, galleries, &rules, error);
  if (status != LK_OK || (rules.policy == NULL && rules.audit == NULL)) return status;
  status = lk_governance_open(&rules, governance, error);
  if (status == LK_OK)
    lk_printable_line(log, "likeness: policy %s, audit log %s", rules.policy != NULL ? rules.policy : "none",
                      rules.audit != NULL ? rules.audit : "none");
  return status;
}

static lk_status serve_on(lk_device *device, const lk_options *options, const lk_address *address,
                          const lk_streams *streams, lk_error *error) {
  lk_gallery *galleries[LK_WORDS_MOST] = {0};
  lk_governance *governance = NULL;
  lk_serve_left left = LK_LEFT_NOTHING;
  lk_status status = open_galleries(options, galleries, error);
  if (status == LK_OK) status = open_governance(options, galleries, &governance, streams->log, error);
  if (status == LK_OK) status = load_galleries(options, device, galleries, streams, &left, error);
  if (status == LK_OK && !atomic_load(streams->stop)) {
    lk_worker_options worker = {.address = *address,
                                .galleries = galleries,
                                .galleries_count = (uint32_t)options->words_count,
                                .searches = lk_device_searches(device),
                                .batch_probes = options->batch,
                                .max_delay_us = options->max_queue_delay_us,
                                .governance = governance,
                                .reload = streams->reload,
                                .stop = streams->stop,
                                .log = streams->log};
    status = lk_serve(&worker, &left, error);
  }
  *streams->hangs = left != LK_LEFT_NOTHING;
  if (left == LK_LEFT_ALL) return status;
  lk_status closed = lk_governance_close(governance, status == LK_OK ? error : NULL);
  if (status == LK_OK) status = closed;
  for (int i = 0; left == LK_LEFT_NOTHING && i < options->words_count; i++) lk_gallery_close(galleries[i]);
  return status;
}

lk_status lk_command_serve(const lk_options *options, const lk_streams *streams, lk_error *error) {
  lk_address address;
  lk_status status = read_address(options, &address, error);
  if (status == LK_OK && (options->batch < 1 || options->batch > 65536))
    status = lk_fail(error, LK_EINVAL, "--batch: %u is outside 1 .. 65536", options->batch);
  if (status != LK_OK) return status;
  lk_device *device;
  status = lk_device_open(options->device, options->threads, &device, error);
  if (status != LK_OK) return status;
  status = serve_on(device, options, &address, streams, error);
  if (!*streams->hangs) lk_device_close(device);
  return status;
}

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
  if (status == LK_OK) status = read_address(options, &s->address, error);
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
  if (status == LK_OK) status = submit(options, &s, streams, error);
  close_submission(&s);
  return status;
}
