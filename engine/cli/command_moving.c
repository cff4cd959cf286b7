#include <inttypes.h>

#include <likeness/portable.h>
#include "base/fail.h"
#include "engine/cli/command.h"
#include "engine/cli/progress.h"

/* A whole gallery as one file, or its vectors and labels. */
static lk_status check_files(const lk_options *options, lk_error *error) {
  bool has_file = options->words_count == 2, has_arrays = options->npy != NULL || options->labels != NULL;
  if (has_file && has_arrays) return lk_fail(error, LK_EINVAL, "give FILE.lkg, or --npy and --labels, not both");
  if (!has_file && !has_arrays) return lk_fail(error, LK_EINVAL, "FILE.lkg is missing, or --npy and --labels");
  if (has_arrays && (options->npy == NULL || options->labels == NULL))
    return lk_fail(error, LK_EINVAL, "%s is missing: --npy and --labels go together",
                   options->npy == NULL ? "--npy" : "--labels");
  return LK_OK;
}

static lk_status export_gallery(const lk_options *options, const lk_streams *streams, const lk_claims *claims,
                                lk_error *error) {
  lk_gallery *gallery;
  uint64_t templates = 0;
  lk_status status = lk_gallery_open(options->words[0], &gallery, error);
  if (status != LK_OK) return status;
  lk_bar bar = lk_bar_open(streams->log, "export");
  lk_export order = {.claims = claims, .progress = lk_bar_update, .context = &bar, .control = streams->search};
  atomic_store(streams->busy, true);
  if (options->npy != NULL)
    status = lk_gallery_export_arrays(gallery, options->npy, options->labels, &order, &templates, error);
  else
    status = lk_gallery_export_file(gallery, options->words[1], &order, &templates, error);
  lk_bar_close(&bar);
  lk_gallery_close(gallery);
  if (status == LK_OK) fprintf(streams->log, "exported %" PRIu64 " templates\n", templates);
  return status;
}

lk_status lk_command_export(const lk_options *options, const lk_streams *streams, lk_error *error) {
  lk_claims claims;
  lk_signing_key key;
  lk_status status = check_files(options, error);
  if (status != LK_OK) return status;
  status = lk_options_claims(options, &claims, &key, error);
  if (status == LK_OK) status = export_gallery(options, streams, &claims, error);
  lk_signing_key_forget(&key);
  return status;
}

/* The progress of an import, and how far it came. */
typedef struct arrival {
  lk_bar bar;
  uint64_t templates;
} arrival;

static void count_arrived(void *context, uint64_t done, uint64_t total) {
  arrival *a = context;
  a->templates = done;
  lk_bar_update(&a->bar, done, total);
}

lk_status lk_command_import(const lk_options *options, const lk_streams *streams, lk_error *error) {
  lk_binding binding = {.policy = options->policy,
                        .calibration = options->calibration,
                        .audit = options->audit,
                        .audit_key = options->audit_key};
  arrival a = {.bar = lk_bar_open(streams->log, "import")};
  lk_import order = {.binding = &binding, .progress = count_arrived, .context = &a, .control = streams->search};
  atomic_store(streams->busy, true);
  lk_status status = lk_gallery_import_file(options->words[0], options->words[1], &order, error);
  lk_bar_close(&a.bar);
  if (status == LK_OK) fprintf(streams->log, "imported %" PRIu64 " templates\n", a.templates);
  return status;
}

lk_status lk_command_alias(const lk_options *options, const lk_streams *streams, lk_error *error) {
  lk_alias_change change;
  atomic_store(streams->busy, true);
  lk_status status = lk_gallery_alias(options->words[0], options->words[1], &change, error);
  if (status == LK_OK && change.dim_before != 0 && change.dim_before != change.dim)
    fprintf(streams->log,
            "the dimension is %" PRIu32 " now, and was %" PRIu32 ": probes must come from another model\n", change.dim,
            change.dim_before);
  return status;
}
