#include "index/portable/portable_reader.h"

#include <inttypes.h>
#include <string.h>

#include "base/fail.h"
#include "base/text.h"

static lk_status refuse(const lk_portable_reader *reader, const char *fault, lk_error *error) {
  return lk_fail(error, LK_ECORRUPT, "%s: at offset %" PRIu64 ": %s", reader->name, reader->offset, fault);
}

/* Whether it is a text that ends in zeros. */
static bool take_text(const char field[LK_TEXT_MAX + 1], lk_text *text) {
  size_t length = strnlen(field, LK_TEXT_MAX + 1);
  *text = (lk_text){.bytes = field, .length = (uint32_t)length};
  for (size_t i = length; i <= LK_TEXT_MAX; i++)
    if (field[i] != '\0') return false;
  return length <= LK_TEXT_MAX && lk_text_fault(*text) == NULL;
}

static lk_log_mark mark_of(const lk_portable_log *log) {
  lk_log_mark mark = {.ms = log->ms, .n = log->n, .seq = log->seq, .term = log->term};
  memcpy(mark.hash, log->hash, sizeof log->hash);
  return mark;
}

/* Whether it is a mark that a manifest can have. */
static bool is_log(const lk_portable_log *log) {
  static const lk_portable_log none;
  lk_log_mark mark = mark_of(log);
  if (log->seq == 0) return memcmp(log, &none, sizeof none) == 0;
  return log->seq <= LK_PORTABLE_NUMBER_MAX && log->ms <= INT64_MAX && log->n <= INT64_MAX && log->term <= INT64_MAX &&
         lk_log_hash_is_valid(mark.hash);
}

static const char *header_fault(const lk_portable_header *header) {
  lk_text name, model;
  if (XXH3_64bits(header, offsetof(lk_portable_header, checksum)) != header->checksum)
    return "the header does not match its checksum";
  if (header->metric > LK_L2 || header->store > LK_STORE_F16 || header->dim < 1 || header->dim > LK_DIM_MAX)
    return "there is no such metric, store or dimension";
  if (header->templates >= UINT32_MAX) return "there are too many templates";
  if (header->next_number > LK_PORTABLE_NUMBER_MAX || header->epoch > LK_PORTABLE_NUMBER_MAX ||
      header->templates > header->next_number)
    return "a number is out of range";
  if (!take_text(header->name, &name) || !lk_text_is_name(name)) return "no gallery has such a name";
  if (!take_text(header->model, &model)) return "no model has such a name";
  if (!is_log(&header->log)) return "no log has such an entry";
  return NULL;
}

lk_status lk_portable_reader_open(const char *name, const void *bytes, size_t size, lk_portable_reader *reader,
                                  lk_error *error) {
  *reader = (lk_portable_reader){.name = name, .bytes = bytes, .size = size};
  lk_portable_header *header = &reader->header;
  if (size > 0) memcpy(header, bytes, size < sizeof *header ? size : sizeof *header);
  if (size < sizeof header->magic || memcmp(header->magic, LK_PORTABLE_MAGIC, sizeof header->magic) != 0)
    return lk_fail(error, LK_EFORMAT, "%s: not a portable gallery, which likeness export writes", name);
  if (size < sizeof *header) return refuse(reader, "the file is cut off", error);
  if (header->version != LK_PORTABLE_VERSION)
    return lk_fail(error, LK_EFORMAT, "%s: a portable gallery of version %u; this build reads %d", name,
                   header->version, LK_PORTABLE_VERSION);
  const char *fault = header_fault(header);
  if (fault != NULL) return refuse(reader, fault, error);
  reader->hash = XXH3_createState();
  if (reader->hash == NULL) return lk_fail_memory(error);
  XXH3_64bits_reset(reader->hash);
  XXH3_64bits_update(reader->hash, header, sizeof *header);
  reader->shape = (lk_shape){.metric = (lk_metric)header->metric, .store = (lk_store)header->store, .dim = header->dim};
  reader->offset = reader->chunk_end = sizeof *header;
  reader->link = header->checksum;
  return LK_OK;
}

lk_log_mark lk_portable_reader_log(const lk_portable_reader *reader) { return mark_of(&reader->header.log); }

void lk_portable_reader_close(lk_portable_reader *reader) {
  if (reader->hash != NULL) XXH3_freeState(reader->hash);
  reader->hash = NULL;
}

static const char *chunk_fault(const lk_portable_reader *r, const lk_portable_chunk *chunk) {
  if (chunk->magic != LK_PORTABLE_CHUNK_MAGIC ||
      XXH3_64bits_withSeed(chunk, offsetof(lk_portable_chunk, checksum), r->link) != chunk->checksum)
    return "the head of a chunk does not match its checksum";
  if (chunk->bytes > LK_PORTABLE_CHUNK_BYTES || (chunk->templates == 0) != (chunk->bytes == 0))
    return "a chunk is of a size that it cannot have";
  if (chunk->bytes > r->size - r->offset - sizeof *chunk) return "the file is cut off in the chunk that begins here";
  return NULL;
}

static const char *end_fault(const lk_portable_reader *r, const lk_portable_chunk *chunk) {
  if (chunk->content != XXH3_64bits_digest(r->hash)) return "the file does not match its checksum";
  if (r->met != r->header.templates) return "there are not as many templates as the header says";
  return r->offset + sizeof *chunk != r->size ? "more follows the end" : NULL;
}

/* Takes the head of the next chunk, and verifies its content; or the end of the file. */
static lk_status take_chunk(lk_portable_reader *r, bool *over, lk_error *error) {
  lk_portable_chunk chunk;
  if (r->size - r->offset < sizeof chunk) return refuse(r, "the file is cut off", error);
  memcpy(&chunk, r->bytes + r->offset, sizeof chunk);
  const char *fault = chunk_fault(r, &chunk);
  *over = fault == NULL && chunk.templates == 0;
  if (*over) fault = end_fault(r, &chunk);
  if (fault != NULL) return refuse(r, fault, error);
  if (*over) return LK_OK;
  const char *content = r->bytes + r->offset + sizeof chunk;
  if (XXH3_64bits(content, chunk.bytes) != chunk.content)
    return refuse(r, "the chunk that begins here does not match its checksum", error);
  XXH3_64bits_update(r->hash, &chunk, sizeof chunk);
  XXH3_64bits_update(r->hash, content, chunk.bytes);
  r->offset += sizeof chunk;
  r->chunk_end = r->offset + chunk.bytes;
  r->left = chunk.templates;
  r->link = chunk.checksum;
  return LK_OK;
}

static const char *order_fault(const lk_portable_reader *r, const lk_record *record) {
  if (record->element != (r->shape.store == LK_STORE_F16 ? LK_F16 : LK_F32)) return "its vector is of another type";
  if (record->number < r->at_least) return "its number does not follow the one before";
  if (record->number >= r->header.next_number) return "its number was never given";
  return r->met == r->header.templates ? "there are more templates than the header says" : NULL;
}

static lk_status take_record(lk_portable_reader *r, lk_record *record, lk_error *error) {
  uint64_t bytes, room = r->chunk_end - r->offset;
  lk_error why;
  if (room < sizeof bytes) return refuse(r, "a chunk ends before its templates do", error);
  memcpy(&bytes, r->bytes + r->offset, sizeof bytes);
  if (bytes > room - sizeof bytes) return refuse(r, "a template is larger than its chunk", error);
  const char *content = r->bytes + r->offset + sizeof bytes;
  const char *fault = lk_record_decode(r->shape, LK_RECORD_ENROLL, content, bytes, record, &why) != LK_OK
                          ? why.text
                          : order_fault(r, record);
  if (fault != NULL) return refuse(r, fault, error);
  r->offset += sizeof bytes + bytes;
  r->at_least = record->number + 1;
  r->met++;
  return --r->left > 0 || r->offset == r->chunk_end ? LK_OK : refuse(r, "more follows the chunk's templates", error);
}

lk_status lk_portable_reader_next(lk_portable_reader *reader, lk_record *record, bool *over, lk_error *error) {
  lk_status status = LK_OK;
  *over = false;
  if (reader->left == 0) status = take_chunk(reader, over, error);
  return status == LK_OK && !*over ? take_record(reader, record, error) : status;
}
