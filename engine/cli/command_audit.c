#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <likeness/signing_key.h>
#include "base/file.h"
#include "base/json.h"
#include "base/printable.h"
#include "engine/cli/command.h"
#include "governance/audit/verify.h"

enum { TIME_SIZE = 40 };

/* As 2026-01-31T23:59:59.999Z; as a plain number if the date cannot be formatted. Returns `text`. */
static const char *render_time(uint64_t ms, char text[TIME_SIZE]) {
  struct tm parts;
  time_t seconds = (time_t)(ms / 1000);
  char day[TIME_SIZE / 2 + 1];
  if (gmtime_r(&seconds, &parts) == NULL || strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &parts) == 0)
    snprintf(text, TIME_SIZE, "%" PRIu64, ms);
  else
    snprintf(text, TIME_SIZE, "%s.%03uZ", day, (unsigned)(ms % 1000));
  return text;
}

/* Reads a whole file as a string; the caller frees it. */
static lk_status read_text(const char *path, char **text, lk_error *error) {
  lk_file file;
  lk_status status = lk_file_read(path, &file, error);
  if (status != LK_OK) return status;
  *text = calloc(1, file.size + 1);
  if (*text != NULL && file.size > 0) memcpy(*text, file.data, file.size);
  lk_file_free(&file);
  return *text != NULL ? LK_OK : lk_fail_memory(error);
}

static void print_report(FILE *out, const lk_options *options, const lk_audit_report *r) {
  char time[TIME_SIZE];
  lk_printable_line(out, "%s: records %" PRIu64 " to %" PRIu64 " in %" PRIu32 " file%s: the chain is whole",
                    options->words[0], r->first, r->last, r->files, r->files == 1 ? "" : "s");
  fprintf(out, "log         %s\nhash        %s\nlast record %s%s\n", r->log, r->hash,
          render_time(r->last_time_ms, time), r->closed ? "; closed" : "");
  if (r->cuts > 0)
    fprintf(out, "torn        %" PRIu64 " times an incomplete last record was removed when the log was opened\n",
            r->cuts);
  if (r->key[0] == '\0')
    fprintf(out, "heads       none: the log has no key\n");
  else
    fprintf(out, "heads       %" PRIu64 ", signed by %s%s, up to record %" PRIu64 "\n", r->heads, r->key,
            options->key != NULL ? "" : " (the key is the log's own claim: no --key was given)", r->signed_to);
  fprintf(out, "cut         %s\n",
          options->head != NULL ? "no: the log has the head's record" : "not checked: no --head was given");
}

lk_status lk_command_audit_verify(const lk_options *options, const lk_streams *streams, lk_error *error) {
  lk_audit_report report;
  char *head = NULL;
  lk_status status = options->head != NULL ? read_text(options->head, &head, error) : LK_OK;
  if (status == LK_OK) status = lk_audit_verify(options->words[0], head, options->key, &report, error);
  if (status == LK_OK) print_report(streams->out, options, &report);
  free(head);
  return status;
}

/* Members that show_row prints in columns of their own, or not at all. */
static bool has_own_column(const char *name) {
  static const char *const names[] = {"_hash", "previous", "sequence", "time", "type"};
  for (int i = 0; i < 5; i++)
    if (strcmp(name, names[i]) == 0) return true;
  return false;
}

static lk_status show_row(void *context, const lk_audit_chain *chain, const char *line, size_t length,
                          lk_error *error) {
  const lk_streams *streams = context;
  char time[TIME_SIZE];
  json_t *root = json_loadb(line, length, 0, NULL), *value;
  const char *name;
  bool whole = true;
  if (root == NULL) return lk_fail_memory(error); /* the line was verified, so it is JSON */
  fprintf(streams->out, "%8" PRIu64 "  %s  %-14s", chain->sequence, render_time(chain->time_ms, time),
          lk_audit_type_name(chain->type));
  json_object_foreach(root, name, value) {
    if (has_own_column(name)) continue;
    char *text = lk_json_print(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(9));
    whole = whole && text != NULL;
    fprintf(streams->out, " %s=", name);
    if (text != NULL) lk_printable_json(streams->out, text, strlen(text));
    free(text);
  }
  fputc('\n', streams->out);
  json_decref(root);
  if (!whole) return lk_fail_memory(error);
  return ferror(streams->out) ? lk_fail(error, LK_EIO, "cannot write the output") : LK_OK;
}

/* The line's own bytes, which its hash covers; but a terminal must not act on them. */
static lk_status show_line(void *context, const lk_audit_chain *chain, const char *line, size_t length,
                           lk_error *error) {
  (void)chain;
  const lk_streams *streams = context;
  if (isatty(fileno(streams->out)) == 1)
    lk_printable_json(streams->out, line, length);
  else
    fwrite(line, 1, length, streams->out);
  fputc('\n', streams->out);
  return ferror(streams->out) ? lk_fail(error, LK_EIO, "cannot write the output") : LK_OK;
}

/* Shows the records up to the first one that does not verify, and returns its error. */
lk_status lk_command_audit_show(const lk_options *options, const lk_streams *streams, lk_error *error) {
  if (options->format == LK_CSV) return lk_fail(error, LK_EINVAL, "--format: audit show writes table or json");
  lk_audit_report report;
  return lk_audit_read(options->words[0], NULL, NULL, options->format == LK_JSON ? show_line : show_row,
                       (void *)streams, &report, error);
}

lk_status lk_command_audit_head(const lk_options *options, const lk_streams *streams, lk_error *error) {
  char head[LK_AUDIT_HEAD_MAX];
  lk_status status = lk_audit_head_of(options->words[0], options->key, head, error);
  if (status == LK_OK) fprintf(streams->out, "%s\n", head);
  return status;
}
