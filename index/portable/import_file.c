/* The file is mapped, and read once from its beginning to its end: a segment of its rows at a time. What it says counts
 * when the manifest is written, after the end of the file has vouched for all of it. */
#include "index/portable/import_file.h"

#include <stdlib.h>
#include <string.h>

#include "governance/kept_log.h"
#include "index/catalog/gathering.h"
#include "index/catalog/namesakes.h"
#include "index/gallery/gallery.h"
#include "index/portable/portable_reader.h"

typedef struct file_import {
  const lk_import_source *source;
  const lk_folder *folder;
  lk_portable_reader reader;
  lk_gathering gathering; /* of the next segment */
  lk_manifest manifest;
  lk_part **parts; /* the segments that are written, opened again */
  uint32_t room;
  lk_pool *pool;
} file_import;

static void report(const file_import *i) {
  const lk_import *order = i->source->order;
  if (order->progress != NULL) order->progress(order->context, i->reader.met, i->reader.header.templates);
}

static lk_status begin(file_import *i, lk_error *error) {
  const lk_portable_header *header = &i->reader.header;
  uint64_t most = header->templates < LK_SEGMENT_ROWS ? header->templates : LK_SEGMENT_ROWS;
  i->manifest = (lk_manifest){.metric = i->reader.shape.metric,
                              .store = i->reader.shape.store,
                              .dim = header->dim,
                              .epoch = header->epoch,
                              .next_number = header->next_number,
                              .next_file = 1,
                              .log = {.mark = lk_portable_reader_log(&i->reader), .seen = header->log.seq}};
  strcpy(i->manifest.name, header->name);
  strcpy(i->manifest.model, header->model);
  i->room = (uint32_t)((header->templates + LK_SEGMENT_ROWS - 1) / LK_SEGMENT_ROWS);
  i->parts = calloc(i->room + 1, sizeof(lk_part *));
  i->manifest.segments = calloc(i->room + 1, sizeof *i->manifest.segments);
  if (i->parts == NULL || i->manifest.segments == NULL) return lk_fail_memory(error);
  lk_status status = lk_gathering_open(&i->gathering, most, error);
  return status == LK_OK ? lk_pool_open(0, &i->pool, error) : status;
}

static lk_status write_segment(file_import *i, lk_manifest_segment *entry, const char *name, lk_error *error) {
  lk_segment_content content =
      lk_gathering_content(&i->gathering, i->reader.shape, 0, i->gathering.count, i->source->name);
  content.control = i->source->order->control;
  lk_status status = lk_segment_write(i->folder, name, &content, i->pool, &entry->checksum, error);
  lk_status readable = lk_file_check(i->source->file, i->source->name, error);
  if (readable != LK_OK) return readable;
  if (status != LK_EBADPROBE) return status;
  return lk_fail(error, LK_ECORRUPT, "%s: the file changed while it was read", i->source->name);
}

/* Writes what was gathered, and opens it again as whoever opens the gallery will. */
static lk_status end_segment(file_import *i, lk_error *error) {
  lk_manifest *manifest = &i->manifest;
  if (i->gathering.count == 0) return LK_OK;
  lk_manifest_segment *entry = &manifest->segments[manifest->segments_count];
  char name[LK_SEGMENT_NAME_MAX];
  lk_segment segment;
  *entry = (lk_manifest_segment){.id = manifest->next_file++, .rows = i->gathering.count};
  lk_manifest_segment_name(entry->id, name);
  lk_status status = write_segment(i, entry, name, error);
  if (status != LK_OK) return status;
  status = lk_segment_open_written(i->folder, name, entry->checksum, &segment, error);
  if (status != LK_OK) return status;
  status = lk_part_open(&segment, entry->id, &i->parts[manifest->segments_count], error);
  if (status != LK_OK) {
    lk_segment_close(&segment);
    return status;
  }
  manifest->segments_count++;
  i->gathering.count = 0;
  report(i);
  return LK_OK;
}

static lk_template template_of(const lk_record *record) {
  return (lk_template){.number = record->number,
                       .key = record->key,
                       .subject = record->subject,
                       .group = record->group,
                       .tags = record->tags,
                       .version = record->version,
                       .expires_ms = record->expires_ms,
                       .metadata = {.bytes = record->metadata, .length = record->metadata_bytes}};
}

static lk_status take_templates(file_import *i, lk_error *error) {
  lk_record record;
  for (bool over = false;;) {
    lk_status status = lk_portable_reader_next(&i->reader, &record, &over, error);
    if (status == LK_OK && (over || i->gathering.count == i->gathering.room)) status = end_segment(i, error);
    if (status != LK_OK || over) return status;
    lk_template template = template_of(&record);
    lk_gathering_add(&i->gathering, &template, record.vector);
  }
}

static lk_status check_keys(const file_import *i, lk_error *error) {
  lk_catalog *catalog;
  lk_status status = lk_catalog_make(i->parts, i->manifest.segments_count, &catalog, error);
  if (status != LK_OK) return status;
  lk_error fault;
  status = lk_namesakes_check(catalog, &fault);
  if (status == LK_ECORRUPT)
    lk_fail(error, status, "%s: %s", i->source->name, fault.text);
  else if (status != LK_OK && error != NULL)
    *error = fault;
  lk_catalog_release(catalog);
  return status;
}

static lk_status publish(file_import *i, lk_error *error) {
  const lk_binding *binding = i->source->order->binding;
  lk_status status = LK_OK;
  if (binding != NULL) status = lk_gallery_rebind(i->folder->path, &i->manifest, binding, false, error);
  if (status == LK_OK) status = lk_folder_sync(i->folder, error);
  return status == LK_OK ? lk_manifest_write(i->folder, &i->manifest, error) : status;
}

static void remove_all(const file_import *i) {
  const lk_binding *binding = i->source->order->binding;
  if (binding != NULL && binding->audit != NULL) lk_kept_log_forget(i->folder->path, binding->audit);
  lk_folder_remove(i->folder, LK_MANIFEST_FILE);
  for (uint32_t id = 1; id < i->manifest.next_file; id++) {
    char name[LK_SEGMENT_NAME_MAX];
    lk_manifest_segment_name(id, name);
    lk_folder_remove(i->folder, name);
  }
}

lk_status lk_import_into(void *source, const lk_folder *folder, lk_error *error) {
  file_import i = {.source = source, .folder = folder};
  const lk_file *file = i.source->file;
  lk_status status = lk_portable_reader_open(i.source->name, file->data, file->size, &i.reader, error);
  if (status == LK_OK) status = begin(&i, error);
  if (status == LK_OK) report(&i);
  if (status == LK_OK) status = take_templates(&i, error);
  if (status == LK_OK) status = check_keys(&i, error);
  if (status == LK_OK) status = publish(&i, error);
  if (status != LK_OK) remove_all(&i);
  for (uint32_t p = 0; p < i.manifest.segments_count; p++) lk_part_release(i.parts[p]);
  free(i.parts);
  lk_manifest_free(&i.manifest);
  lk_gathering_free(&i.gathering);
  lk_pool_close(i.pool);
  lk_portable_reader_close(&i.reader);
  return status;
}

lk_status lk_gallery_import_file(const char *folder, const char *file, const lk_import *order, lk_error *error) {
  lk_file mapped;
  lk_status status = lk_file_map(file, &mapped, error);
  if (status != LK_OK) return status;
  lk_import_source source = {.file = &mapped, .name = file, .order = order};
  status = lk_gallery_make(folder, lk_import_into, &source, error);
  lk_file_unmap(&mapped);
  return status;
}
