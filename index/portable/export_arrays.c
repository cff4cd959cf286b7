/* Vectors as a NumPy array and labels as a csv, for other programs and for `likeness enroll --labels`. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "index/portable/departure.h"
#include "index/portable/output.h"

typedef struct arrays_export {
  lk_departure departure;
  lk_folder npy_folder, csv_folder;
  const char *npy_name, *csv_name;
  lk_output npy, csv;
  size_t row_bytes;
} arrays_export;

/* Version 1.0 of NumPy's format: the rows begin at a multiple of 64 bytes. */
static lk_status put_npy_header(arrays_export *e, const lk_manifest *manifest, lk_error *error) {
  enum { HEADER = 128, PREFIX = 10 };
  char header[HEADER + 1];
  memcpy(header, "\x93NUMPY\x01\x00", 8);
  header[8] = HEADER - PREFIX;
  header[9] = 0;
  int used =
      PREFIX + snprintf(header + PREFIX, HEADER - PREFIX,
                        "{'descr': '%s', 'fortran_order': False, 'shape': (%" PRIu64 ", %u), }",
                        manifest->store == LK_STORE_F16 ? "<f2" : "<f4", e->departure.living.count, manifest->dim);
  memset(header + used, ' ', (size_t)(HEADER - used));
  header[HEADER - 1] = '\n';
  return lk_output_put(&e->npy, header, HEADER, error);
}

static lk_status put_text(arrays_export *e, const char *text, lk_error *error) {
  return lk_output_put(&e->csv, text, strlen(text), error);
}

/* Quoted by RFC 4180, and where spaces at its ends might be taken for none. */
static lk_status put_field(arrays_export *e, lk_text text, lk_error *error) {
  bool quoted = text.length > 0 && (text.bytes[0] == ' ' || text.bytes[text.length - 1] == ' ');
  for (uint32_t i = 0; i < text.length && !quoted; i++) quoted = strchr(",;\t\"\r\n", text.bytes[i]) != NULL;
  if (!quoted) return lk_output_put(&e->csv, text.bytes, text.length, error);
  lk_status status = put_text(e, "\"", error);
  for (uint32_t i = 0; status == LK_OK && i < text.length; i++) {
    if (text.bytes[i] == '"') status = put_text(e, "\"", error);
    if (status == LK_OK) status = lk_output_put(&e->csv, &text.bytes[i], 1, error);
  }
  return status == LK_OK ? put_text(e, "\"", error) : status;
}

/* UTF-8 without control characters but tabs and line ends. */
static bool is_text(lk_text text) {
  const unsigned char *at = (const unsigned char *)text.bytes;
  for (uint32_t i = 0, length; i < text.length; i += length) {
    length = lk_text_sequence(at + i, text.length - i);
    if (length == 0 || at[i] == 0x7f || (at[i] < ' ' && strchr("\t\r\n", at[i]) == NULL) || at[i] == '\0') return false;
  }
  return true;
}

static lk_status put_label(arrays_export *e, const lk_template *t, lk_error *error) {
  char numbers[64], expiry[24] = "";
  lk_status status = put_field(e, t->key, error);
  if (status == LK_OK) status = put_text(e, ",", error);
  if (status == LK_OK) status = put_field(e, t->subject, error);
  if (status == LK_OK) status = put_text(e, ",", error);
  if (status == LK_OK) status = put_field(e, t->group, error);
  if (t->expires_ms != LK_NEVER) snprintf(expiry, sizeof expiry, "%" PRIu64, t->expires_ms);
  snprintf(numbers, sizeof numbers, ",%" PRIu64 ",%s,", t->tags, expiry);
  if (status == LK_OK) status = put_text(e, numbers, error);
  if (status == LK_OK) status = put_field(e, t->metadata, error);
  return status == LK_OK ? put_text(e, "\n", error) : status;
}

static lk_status add(void *context, const lk_template *template, const void *row, lk_error *error) {
  arrays_export *e = context;
  if (!is_text(template->metadata))
    return lk_fail(error, LK_EFORMAT,
                   "row %" PRIu64
                   ", key '%.*s': its metadata is not text, which a csv cannot keep; a portable file can",
                   e->departure.done, lk_text_shown(template->key), template->key.bytes);
  lk_status status = lk_departure_count(&e->departure, error);
  if (status == LK_OK) status = lk_output_put(&e->npy, row, e->row_bytes, error);
  return status == LK_OK ? put_label(e, template, error) : status;
}

static lk_status write_files(void *context, lk_departure *departure, lk_error *error) {
  arrays_export *e = context;
  const lk_manifest *manifest = &departure->gallery->manifest;
  e->row_bytes = (size_t)manifest->dim * lk_store_bytes(manifest->store);
  lk_status status = lk_output_open(&e->npy_folder, e->npy_name, &e->npy, error);
  if (status == LK_OK) status = lk_output_open(&e->csv_folder, e->csv_name, &e->csv, error);
  if (status == LK_OK) status = put_npy_header(e, manifest, error);
  if (status == LK_OK) status = put_text(e, "key,subject,group,tags,expires,metadata\n", error);
  return status == LK_OK ? lk_living_each(&departure->living, add, e, error) : status;
}

/* Both or neither, unless the process dies in between. */
static lk_status finish(void *context, lk_error *error) {
  arrays_export *e = context;
  lk_status status = lk_output_finish(&e->csv, error);
  if (status == LK_OK) status = lk_output_finish(&e->npy, error);
  if (status != LK_OK) {
    lk_output_withdraw(&e->csv);
    lk_output_withdraw(&e->npy);
  }
  return status;
}

lk_status lk_gallery_export_arrays(const lk_gallery *gallery, const char *npy, const char *csv, const lk_export *order,
                                   uint64_t *templates, lk_error *error) {
  arrays_export e = {.departure = {.order = order},
                     .csv_folder.fd = -1,
                     .npy = {.fd = -1, .folder.fd = -1},
                     .csv = {.fd = -1, .folder.fd = -1}};
  lk_status status = lk_output_folder(npy, &e.npy_folder, &e.npy_name, error);
  if (status == LK_OK) status = lk_output_folder(csv, &e.csv_folder, &e.csv_name, error);
  if (status == LK_OK) status = lk_departure_run(&e.departure, gallery, write_files, finish, &e, error);
  lk_output_close(&e.npy);
  lk_output_close(&e.csv);
  lk_folder_close(&e.npy_folder);
  lk_folder_close(&e.csv_folder);
  if (status == LK_OK && templates != NULL) *templates = e.departure.done;
  return status;
}
