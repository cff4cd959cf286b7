/* `serve`: opens galleries and their rules, loads them, and runs a worker on them. */
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/printable.h"
#include "engine/cli/command.h"
#include "engine/cli/served_galleries.h"
#include "engine/worker/serve.h"

enum { LOOKS_EVERY_US = 10000, CLOSES_US = 2000000 };

/* Loading may take minutes, and a worker that loads holds nothing: so it is done in a thread of its own, which is left
 * behind when the worker is to stop. */
typedef struct loading {
  lk_device *device;
  lk_served_galleries served;
  const lk_streams *streams;
  atomic_bool over;
  lk_status status;
  lk_error error;
} loading;

static void *load_all(void *argument) {
  loading *l = argument;
  l->status = lk_served_galleries_load(&l->served, l->device, l->streams->stop, l->streams->log, &l->error);
  atomic_store(&l->over, true);
  return NULL;
}

static lk_status load_galleries(const lk_served_galleries *served, lk_device *device, const lk_streams *streams,
                                lk_serve_left *left, lk_error *error) {
  pthread_t thread;
  loading *l = calloc(1, sizeof *l);
  if (l == NULL) return lk_fail_memory(error);
  *l = (loading){.device = device, .served = *served, .streams = streams};
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

/* Closing waits for the owners' background, which may write segments for minutes; a crash harms nothing, so a worker
 * does not wait so long. */
typedef struct closing {
  lk_served_galleries served;
  atomic_bool over;
} closing;

static void *close_all(void *argument) {
  closing *c = argument;
  lk_served_galleries_close(&c->served);
  atomic_store(&c->over, true);
  return NULL;
}

/* False: they are left as they are. */
static bool close_galleries(lk_served_galleries *served, const lk_streams *streams) {
  pthread_t thread;
  uint64_t end_us = lk_clock_us() + CLOSES_US;
  closing *c = calloc(1, sizeof *c);
  if (c == NULL) return false;
  c->served = *served;
  if (pthread_create(&thread, NULL, close_all, c) != 0) {
    free(c);
    return false;
  }
  while (!atomic_load(&c->over) && lk_clock_us() < end_us) lk_clock_sleep_us(LOOKS_EVERY_US / 10);
  if (!atomic_load(&c->over)) {
    lk_printable_line(streams->log, "likeness: stopped while the files of a gallery were written anew");
    return false;
  }
  pthread_join(thread, NULL);
  free(c);
  return true;
}

static lk_status serve_on(lk_device *device, const lk_options *options, const lk_address *address,
                          const lk_streams *streams, lk_error *error) {
  lk_served_galleries served;
  lk_governance *governance = NULL;
  lk_serve_left left = LK_LEFT_NOTHING;
  lk_status status = lk_served_galleries_open(options, address, streams->log, &served, error);
  if (status == LK_OK) status = open_governance(options, served.galleries, &governance, streams->log, error);
  if (status == LK_OK) status = load_galleries(&served, device, streams, &left, error);
  if (status == LK_OK && !atomic_load(streams->stop)) {
    lk_worker_options worker = {.address = *address,
                                .galleries = served.galleries,
                                .owners = served.owners,
                                .folders = options->words,
                                .replicas = options->replicas,
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
  if (left == LK_LEFT_NOTHING && !close_galleries(&served, streams)) *streams->hangs = true;
  return status;
}

lk_status lk_command_serve(const lk_options *options, const lk_streams *streams, lk_error *error) {
  lk_address address;
  lk_status status = lk_options_address(options, &address, error);
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
