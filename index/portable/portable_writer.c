#include "index/portable/portable_writer.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

lk_status lk_portable_writer_open(lk_output *output, lk_portable_header *header, lk_portable_writer *writer,
                                  lk_error *error) {
  memcpy(header->magic, LK_PORTABLE_MAGIC, sizeof header->magic);
  header->version = LK_PORTABLE_VERSION;
  header->checksum = XXH3_64bits(header, offsetof(lk_portable_header, checksum));
  *writer = (lk_portable_writer){
      .output = output,
      .shape = {.metric = (lk_metric)header->metric, .store = (lk_store)header->store, .dim = header->dim},
      .chunk = malloc(LK_PORTABLE_CHUNK_BYTES),
      .link = header->checksum};
  if (writer->chunk == NULL) return lk_fail_memory(error);
  return lk_output_put(output, header, sizeof *header, error);
}

void lk_portable_writer_close(lk_portable_writer *writer) { free(writer->chunk); }

static lk_status put_head(lk_portable_writer *w, lk_error *error) {
  w->head.magic = LK_PORTABLE_CHUNK_MAGIC;
  w->head.checksum = XXH3_64bits_withSeed(&w->head, offsetof(lk_portable_chunk, checksum), w->link);
  w->link = w->head.checksum;
  return lk_output_put(w->output, &w->head, sizeof w->head, error);
}

static lk_status put_chunk(lk_portable_writer *w, lk_error *error) {
  if (w->head.templates == 0) return LK_OK;
  w->head.content = XXH3_64bits(w->chunk, w->head.bytes);
  lk_status status = put_head(w, error);
  if (status == LK_OK) status = lk_output_put(w->output, w->chunk, w->head.bytes, error);
  w->head = (lk_portable_chunk){.templates = 0};
  return status;
}

static lk_record record_of(lk_shape shape, const lk_template *t, const void *row) {
  return (lk_record){.kind = LK_RECORD_ENROLL,
                     .version = t->version,
                     .number = t->number,
                     .tags = t->tags,
                     .expires_ms = t->expires_ms,
                     .key = t->key,
                     .subject = t->subject,
                     .group = t->group,
                     .metadata = t->metadata.bytes,
                     .metadata_bytes = t->metadata.length,
                     .element = shape.store == LK_STORE_F16 ? LK_F16 : LK_F32,
                     .vector = row};
}

lk_status lk_portable_writer_add(lk_portable_writer *writer, const lk_template *template, const void *row,
                                 lk_error *error) {
  lk_record record = record_of(writer->shape, template, row);
  lk_error fault;
  if (lk_record_check(writer->shape, &record, &fault) != LK_OK)
    return lk_fail(error, LK_ECORRUPT, "template %" PRIu64 " cannot be exported: %s", template->number, fault.text);
  uint64_t bytes = lk_record_bytes(writer->shape, &record);
  lk_status status = LK_OK;
  if (writer->head.bytes + sizeof bytes + bytes > LK_PORTABLE_CHUNK_BYTES) status = put_chunk(writer, error);
  if (status != LK_OK) return status;
  char *at = writer->chunk + writer->head.bytes;
  memcpy(at, &bytes, sizeof bytes);
  lk_record_encode(writer->shape, &record, at + sizeof bytes);
  writer->head.bytes += sizeof bytes + bytes;
  writer->head.templates++;
  return LK_OK;
}

lk_status lk_portable_writer_end(lk_portable_writer *writer, lk_error *error) {
  lk_status status = put_chunk(writer, error);
  if (status != LK_OK) return status;
  writer->head = (lk_portable_chunk){.content = lk_output_checksum(writer->output)};
  return put_head(writer, error);
}
