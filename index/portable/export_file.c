#include "index/portable/export_file.h"

#include <string.h>

#include "index/portable/departure.h"
#include "index/portable/portable_writer.h"

typedef struct file_export {
  lk_departure departure;
  const lk_folder *folder;
  const char *name;
  lk_output output;
  lk_portable_writer writer;
} file_export;

static lk_portable_log log_of(const lk_log_mark *mark) {
  lk_portable_log log = {.ms = mark->ms, .n = mark->n, .seq = mark->seq, .term = mark->term};
  memcpy(log.hash, mark->hash, sizeof log.hash);
  return log;
}

static lk_portable_header header_of(const lk_departure *departure) {
  const lk_manifest *manifest = &departure->gallery->manifest;
  const lk_living *living = &departure->living;
  lk_portable_header header = {.metric = manifest->metric,
                               .store = manifest->store,
                               .dim = manifest->dim,
                               .templates = living->count,
                               .epoch = living->sight.epoch,
                               .next_number = living->next_number};
  strcpy(header.name, manifest->name);
  strcpy(header.model, manifest->model);
  header.log = log_of(&living->log);
  return header;
}

static lk_status add(void *context, const lk_template *template, const void *row, lk_error *error) {
  file_export *e = context;
  lk_status status = lk_departure_count(&e->departure, error);
  return status == LK_OK ? lk_portable_writer_add(&e->writer, template, row, error) : status;
}

static lk_status write_file(void *context, lk_departure *departure, lk_error *error) {
  file_export *e = context;
  lk_portable_header header = header_of(departure);
  lk_status status = lk_output_open(e->folder, e->name, &e->output, error);
  if (status == LK_OK) status = lk_portable_writer_open(&e->output, &header, &e->writer, error);
  if (status == LK_OK) status = lk_living_each(&departure->living, add, e, error);
  return status == LK_OK ? lk_portable_writer_end(&e->writer, error) : status;
}

static lk_status finish(void *context, lk_error *error) {
  return lk_output_finish(&((file_export *)context)->output, error);
}

lk_status lk_export_file_in(const lk_gallery *gallery, const lk_folder *folder, const char *name,
                            const lk_export *order, uint64_t *templates, lk_error *error) {
  file_export e = {.departure = {.order = order, .for_log = true},
                   .folder = folder,
                   .name = name,
                   .output = {.fd = -1, .folder.fd = -1}};
  lk_status status = lk_departure_run(&e.departure, gallery, write_file, finish, &e, error);
  lk_portable_writer_close(&e.writer);
  lk_output_close(&e.output);
  if (status == LK_OK && templates != NULL) *templates = e.departure.done;
  return status;
}

lk_status lk_gallery_export_file(const lk_gallery *gallery, const char *file, const lk_export *order,
                                 uint64_t *templates, lk_error *error) {
  lk_folder folder;
  const char *name;
  lk_status status = lk_output_folder(file, &folder, &name, error);
  if (status != LK_OK) return status;
  status = lk_export_file_in(gallery, &folder, name, order, templates, error);
  lk_folder_close(&folder);
  return status;
}
