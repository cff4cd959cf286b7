/* enroll adds a file's rows: by itself, of any number, or with --replace or --unless-match as the gallery's owner, in
 * one change. */
#include <inttypes.h>
#include <math.h>

#include <likeness/label_file.h>
#include <likeness/owner.h>
#include <likeness/vector_file.h>
#include "base/fail.h"
#include "base/printable.h"
#include "engine/cli/command.h"
#include "engine/cli/progress.h"
#include "index/live/enroll.h"

static lk_status add(const lk_options *options, const lk_streams *streams, const lk_vectors *vectors,
                     const lk_label_file *labels, const lk_claims *claims, lk_error *error) {
  uint64_t first, before;
  lk_bar bar = lk_bar_open(streams->log, "enroll");
  atomic_store(streams->busy, true);
  lk_status status = lk_gallery_enroll_under(streams->search, options->words[0], vectors, labels->of_row, claims,
                                             lk_bar_update, &bar, &first, &before, error);
  lk_bar_close(&bar);
  if (status == LK_OK)
    fprintf(streams->log, "enrolled %" PRIu64 " templates; the first has number %" PRIu64 "\n", vectors->rows, first);
  if (status == LK_OK && before != LK_NEW_ROWS)
    lk_printable_line(streams->log,
                      "likeness enroll: warning: all rows of %s were in the gallery already, from number %" PRIu64
                      " to %" PRIu64 ": they are there twice now",
                      vectors->name, before, before + vectors->rows - 1);
  return status;
}

static lk_status check_rows(const lk_options *options, const lk_vectors *vectors, lk_error *error) {
  if (vectors->rows <= LK_ENROLLMENT_ROWS(vectors->dim)) return LK_OK;
  return lk_fail(error, LK_EINVAL,
                 "%s: %s has %" PRIu64 " rows; of dimension %u it takes up to %" PRIu64 " at once: %s",
                 options->replace ? "--replace" : "--unless-match", vectors->name, vectors->rows, vectors->dim,
                 LK_ENROLLMENT_ROWS(vectors->dim),
                 options->replace ? "split the file, or delete the templates first and enroll without --replace"
                                  : "split the file");
}

/* Only the search for matches needs the gallery on a device. */
static lk_status load(const lk_options *options, lk_owner *owner, lk_device **device, lk_error *error) {
  if (isnan(options->match_threshold)) return LK_OK;
  lk_status status = lk_device_open(options->device, options->threads, device, error);
  return status == LK_OK ? lk_owner_load(owner, *device, error) : status;
}

static lk_status change(const lk_options *options, const lk_streams *streams, const lk_vectors *vectors,
                        const lk_label_file *labels, const lk_claims *claims, lk_error *error) {
  const char *folder = options->words[0];
  lk_enrollment enrollment = {.vectors = vectors,
                              .labels = labels->of_row,
                              .replace = options->replace,
                              .unless_match = !isnan(options->match_threshold),
                              .match_threshold = options->match_threshold};
  lk_owner *owner = NULL;
  lk_device *device = NULL;
  lk_receipt receipt;
  lk_status status = check_rows(options, vectors, error);
  if (status == LK_OK) status = lk_owner_open(folder, &owner, error);
  if (status == LK_OK) status = load(options, owner, &device, error);
  if (status == LK_OK) status = lk_owner_enroll(owner, &enrollment, claims, &receipt, error);
  lk_owner_close(owner);
  lk_device_close(device);
  if (status != LK_OK) return status;
  fprintf(streams->log, "enrolled %" PRIu64 " templates; the first has number %" PRIu64, receipt.templates,
          receipt.numbered_from);
  if (!options->replace)
    fputc('\n', streams->log);
  else if (receipt.replaced == 0)
    fputs("; none was replaced\n", streams->log);
  else
    lk_printable_line(streams->log, "; replaced: %" PRIu64 ", whose bytes stay in %s until `likeness compact %s`",
                      receipt.replaced, folder, folder);
  return LK_OK;
}

lk_status lk_command_enroll(const lk_options *options, const lk_streams *streams, lk_error *error) {
  lk_vector_file file;
  lk_status status = lk_vector_file_open(options->words[1], LK_ROLE_TEMPLATES, &file, error);
  if (status != LK_OK) return status;
  lk_label_file labels = {0};
  lk_claims claims;
  lk_signing_key key;
  status = lk_options_claims(options, &claims, &key, error);
  if (status == LK_OK && options->labels != NULL)
    status = lk_label_file_open(options->labels, options->key_column, file.vectors.rows, &labels, error);
  if (status == LK_OK)
    status = (options->replace || !isnan(options->match_threshold) ? change : add)(options, streams, &file.vectors,
                                                                                   &labels, &claims, error);
  lk_signing_key_forget(&key);
  lk_label_file_close(&labels);
  lk_vector_file_close(&file);
  return status;
}
