#include <inttypes.h>
#include <string.h>

#include "base/fail.h"
#include "base/printable.h"
#include "base/text.h"
#include "base/timestamp.h"
#include "engine/cli/command.h"
#include "engine/cli/render.h"
#include "index/gallery/gallery.h"

static lk_binding binding_of(const lk_options *options) {
  return (lk_binding){.policy = options->policy,
                      .calibration = options->calibration,
                      .audit = options->audit,
                      .audit_key = options->audit_key};
}

lk_status lk_command_create(const lk_options *options, const lk_streams *streams, lk_error *error) {
  if (options->dim == 0) return lk_fail(error, LK_EINVAL, "--dim is missing: the dimension of the embeddings");
  if (options->dim > LK_DIM_MAX)
    return lk_fail(error, LK_EINVAL, "--dim: %u is outside 1 .. %d", options->dim, LK_DIM_MAX);
  lk_binding binding = binding_of(options);
  lk_gallery_options made = {.dim = options->dim,
                             .metric = options->metric,
                             .store = options->store,
                             .model = options->model,
                             .binding = &binding};
  atomic_store(streams->busy, true);
  return lk_gallery_create(options->words[0], &made, error);
}

lk_status lk_command_bind(const lk_options *options, const lk_streams *streams, lk_error *error) {
  if (options->policy == NULL) return lk_fail(error, LK_EINVAL, "--policy is missing: give a file, or none");
  lk_binding binding = binding_of(options);
  if (strcmp(options->policy, "none") == 0) binding.policy = NULL;
  atomic_store(streams->busy, true);
  return (options->lost_audit_log ? lk_gallery_bind_after_loss : lk_gallery_bind)(options->words[0], &binding, error);
}

/* Years beyond 9999 have no timestamp. */
static void write_expiry(uint64_t expires_ms, const char *never, char text[LK_TIMESTAMP_SIZE]) {
  static const uint64_t year_10000_ms = UINT64_C(253402300800000);
  if (expires_ms == LK_NEVER)
    snprintf(text, LK_TIMESTAMP_SIZE, "%s", never);
  else if (expires_ms >= year_10000_ms)
    snprintf(text, LK_TIMESTAMP_SIZE, "%" PRIu64, expires_ms);
  else
    lk_timestamp_format((int64_t)expires_ms, text);
}

/* LK_EFORMAT: its metadata is no text. */
static lk_status list_csv(FILE *out, const lk_template *t, lk_error *error) {
  char expiry[LK_TIMESTAMP_SIZE];
  if (!lk_render_is_csv_text(t->metadata))
    return lk_fail(error, LK_EFORMAT, "key '%.*s': its metadata is not text, which a csv cannot keep; json can",
                   lk_text_shown(t->key), t->key.bytes);
  write_expiry(t->expires_ms, "", expiry);
  lk_render_csv_text(out, t->key);
  fputc(',', out);
  lk_render_csv_text(out, t->subject);
  fprintf(out, ",%" PRIu64 ",", t->tags);
  lk_render_csv_text(out, t->group);
  fprintf(out, ",%s,", expiry);
  lk_render_csv_text(out, t->metadata);
  fputc('\n', out);
  return LK_OK;
}

/* Metadata that is no text is printed in hex, as another member. */
static lk_status put_metadata(FILE *out, lk_text metadata, lk_error *error) {
  if (lk_render_is_csv_text(metadata)) {
    fputs(",\"metadata\":", out);
    return lk_render_json_text(out, metadata, error);
  }
  fputs(",\"metadata_hex\":\"", out);
  for (uint32_t i = 0; i < metadata.length; i++) fprintf(out, "%02x", (unsigned char)metadata.bytes[i]);
  fputc('"', out);
  return LK_OK;
}

/* The tags are text: many readers of JSON have no numbers of 64 bits. */
static lk_status list_json(FILE *out, const lk_template *t, lk_error *error) {
  char expiry[LK_TIMESTAMP_SIZE];
  const char *quote = t->expires_ms != LK_NEVER ? "\"" : "";
  write_expiry(t->expires_ms, "null", expiry);
  fputs("{\"key\":", out);
  lk_status status = lk_render_json_text(out, t->key, error);
  fputs(",\"subject\":", out);
  if (status == LK_OK) status = lk_render_json_text(out, t->subject, error);
  fprintf(out, ",\"number\":%" PRIu64 ",\"tags\":\"0x%" PRIx64 "\",\"group\":", t->number, t->tags);
  if (status == LK_OK) status = lk_render_json_text(out, t->group, error);
  fprintf(out, ",\"expiry\":%s%s%s,\"version\":%" PRIu64, quote, expiry, quote, t->version);
  if (status == LK_OK) status = put_metadata(out, t->metadata, error);
  fputs("}\n", out);
  return status;
}

static lk_status list_row(FILE *out, const lk_template *t, lk_error *error) {
  (void)error;
  char expiry[LK_TIMESTAMP_SIZE];
  write_expiry(t->expires_ms, "-", expiry);
  lk_printable_put(out, t->key, 28);
  fputc(' ', out);
  lk_printable_put(out, t->subject, 28);
  fprintf(out, " %18" PRIx64 "  ", t->tags);
  lk_printable_put(out, t->group, 12);
  fprintf(out, " %-24s %7" PRIu64 "  ", expiry, t->version);
  lk_printable_put(out, t->metadata, 0);
  fputc('\n', out);
  return LK_OK;
}

static void print_list_header(FILE *out, lk_format format) {
  if (format == LK_CSV) fputs("key,subject,tags,group,expiry,metadata\n", out);
  if (format == LK_TABLE)
    fprintf(out, "%-28s %-28s %18s  %-12s %-24s %7s  %s\n", "key", "subject", "tags (hex)", "group", "expiry",
            "version", "metadata");
}

lk_status lk_command_list(const lk_options *options, const lk_streams *streams, lk_error *error) {
  typedef lk_status list_template(FILE *, const lk_template *, lk_error *);
  static list_template *const lists[] = {[LK_TABLE] = list_row, [LK_CSV] = list_csv, [LK_JSON] = list_json};
  lk_gallery *gallery;
  lk_status status = lk_options_check_format(options, "table csv json", error);
  if (status == LK_OK) status = lk_gallery_open(options->words[0], &gallery, error);
  if (status != LK_OK) return status;
  lk_gallery_stat stat;
  lk_gallery_stat_get(gallery, &stat);
  print_list_header(streams->out, options->format);
  for (uint64_t i = 0; status == LK_OK && i < stat.positions && !ferror(streams->out); i++) {
    lk_template t = lk_gallery_template(gallery, i);
    if (t.key.length == 0) continue; /* it was deleted */
    status = lists[options->format](streams->out, &t, error);
  }
  lk_gallery_close(gallery);
  return status;
}

static void print_stat(FILE *out, const lk_gallery_stat *stat, uint64_t subjects, uint64_t journal_bytes) {
  lk_printable_line(out, "name        %s", stat->name);
  lk_printable_line(out, "model       %s", stat->model[0] != '\0' ? stat->model : "-");
  fprintf(out,
          "metric      %s\nstore       %s\ndim         %u\ntemplates   %" PRIu64 "\nsubjects    %" PRIu64
          "\ndeleted     %" PRIu64 "\nsegments    %u\nbytes       %" PRIu64 "\njournal     %" PRIu64
          "\nepoch       %" PRIu64 "\nnext number %" PRIu64 "\n",
          lk_metric_name(stat->metric), lk_store_name(stat->store), stat->dim, stat->templates, subjects,
          stat->deleted_in_segments + stat->deleted_in_journals, stat->segments, stat->bytes, journal_bytes,
          stat->epoch, stat->next_number);
  lk_printable_line(out, "policy      %s", stat->binding.policy != NULL ? stat->binding.policy : "none");
}

/* The path of its policy is text from outside, and may be any bytes. */
static lk_status print_stat_json(FILE *out, const lk_gallery_stat *stat, uint64_t subjects, uint64_t journal_bytes,
                                 lk_error *error) {
  const char *policy = stat->binding.policy;
  fprintf(out, "{\"name\":\"%s\",\"model\":", stat->name);
  lk_status status = lk_render_json_text(out, lk_text_of(stat->model), error);
  fprintf(out,
          ",\"metric\":\"%s\",\"store\":\"%s\",\"dim\":%u,\"templates\":%" PRIu64 ",\"subjects\":%" PRIu64
          ",\"deleted\":%" PRIu64 ",\"segments\":%u,\"bytes\":%" PRIu64 ",\"journal_bytes\":%" PRIu64
          ",\"epoch\":%" PRIu64 ",\"next_number\":%" PRIu64 ",\"policy\":",
          lk_metric_name(stat->metric), lk_store_name(stat->store), stat->dim, stat->templates, subjects,
          stat->deleted_in_segments + stat->deleted_in_journals, stat->segments, stat->bytes, journal_bytes,
          stat->epoch, stat->next_number);
  if (policy == NULL)
    fputs("null", out);
  else if (status == LK_OK)
    status = lk_render_json_text(out, lk_text_of(policy), error);
  fputs("}\n", out);
  return status;
}

lk_status lk_command_stat(const lk_options *options, const lk_streams *streams, lk_error *error) {
  lk_gallery *gallery;
  lk_status status = lk_options_check_format(options, "table json", error);
  if (status == LK_OK) status = lk_gallery_open(options->words[0], &gallery, error);
  if (status != LK_OK) return status;
  lk_gallery_stat stat;
  uint64_t subjects, journal_bytes = lk_gallery_journal_bytes(gallery);
  lk_gallery_stat_get(gallery, &stat);
  status = lk_gallery_subjects(gallery, &subjects, error);
  if (status == LK_OK && options->format == LK_JSON)
    status = print_stat_json(streams->out, &stat, subjects, journal_bytes, error);
  else if (status == LK_OK)
    print_stat(streams->out, &stat, subjects, journal_bytes);
  lk_gallery_close(gallery);
  return status;
}

lk_status lk_command_check(const lk_options *options, const lk_streams *streams, lk_error *error) {
  lk_gallery *gallery;
  lk_status status = lk_options_check_format(options, "table json", error);
  if (status == LK_OK) status = lk_gallery_open(options->words[0], &gallery, error);
  if (status != LK_OK) return status;
  lk_gallery_stat stat;
  lk_gallery_stat_get(gallery, &stat);
  status = lk_gallery_check(gallery, error);
  if (status == LK_OK)
    fprintf(streams->out,
            options->format == LK_JSON ? "{\"name\":\"%s\",\"templates\":%" PRIu64 ",\"segments\":%u,\"bytes\":%" PRIu64
                                         ",\"whole\":true}\n"
                                       : "%s: templates %" PRIu64 ", segments %u, bytes %" PRIu64
                                         ": all checksums match, and every row its code\n",
            stat.name, stat.templates, stat.segments, stat.bytes);
  lk_gallery_close(gallery);
  return status;
}
