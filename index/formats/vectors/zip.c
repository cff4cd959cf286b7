#include "index/formats/vectors/zip.h"

#include <inttypes.h>
#include <string.h>
#include <zlib.h>

#include "base/fail.h"
#include "base/text.h"

enum { END = 22, END64 = 56, LOCATOR64 = 20, ENTRY = 46, LOCAL = 30, COMMENT_MOST = 65535, STORED = 0, DEFLATED = 8 };
enum { STEP = 1 << 16 };

static uint64_t number_at(const char *at, int bytes) {
  uint64_t number = 0;
  for (int i = bytes - 1; i >= 0; i--) number = number << 8 | (unsigned char)at[i];
  return number;
}

static lk_status fail(const lk_zip *zip, const char *what, lk_error *error) {
  return lk_fail(error, LK_EFORMAT, "%s: %s", zip->name, what);
}

static bool has(const lk_zip *zip, uint64_t at, uint64_t bytes) { return at <= zip->size && bytes <= zip->size - at; }

static bool is_record(const lk_zip *zip, uint64_t at, uint64_t bytes, const char *mark) {
  return has(zip, at, bytes) && memcmp(zip->data + at, mark, 4) == 0;
}

/* The offset of the record at the archive's end; the file's size: there is none. */
static size_t find_end(const lk_zip *zip) {
  for (size_t from_end = END; from_end <= END + COMMENT_MOST && from_end <= zip->size; from_end++) {
    size_t at = zip->size - from_end;
    if (is_record(zip, at, END, "PK\5\6") && number_at(zip->data + at + 20, 2) == from_end - END) return at;
  }
  return zip->size;
}

lk_status lk_zip_open(const char *name, const void *data, size_t size, lk_zip *zip, lk_error *error) {
  *zip = (lk_zip){.name = name, .data = data, .size = size};
  size_t end = find_end(zip);
  if (end == size) return fail(zip, "not a zip archive, or cut off: it has no directory at its end", error);
  const char *record = zip->data + end;
  uint64_t members = number_at(record + 10, 2), bytes = number_at(record + 12, 4), at = number_at(record + 16, 4);
  if (end >= LOCATOR64 && is_record(zip, end - LOCATOR64, LOCATOR64, "PK\6\7")) {
    uint64_t end64 = number_at(record - LOCATOR64 + 8, 8);
    if (!is_record(zip, end64, END64, "PK\6\6")) return fail(zip, "the zip archive's directory is malformed", error);
    members = number_at(zip->data + end64 + 32, 8);
    bytes = number_at(zip->data + end64 + 40, 8);
    at = number_at(zip->data + end64 + 48, 8);
  }
  if (!has(zip, at, bytes) || members > bytes / ENTRY)
    return fail(zip, "the zip archive's directory is not within the file", error);
  zip->at = at;
  zip->left = members;
  return LK_OK;
}

/* The sizes and the offset that did not fit 32 bits are in the extra field 1, in this order. */
static bool take_wide(const char *extra, size_t length, lk_zip_member *member, uint64_t *offset) {
  uint64_t *wide[] = {&member->bytes, &member->packed_bytes, offset};
  while (length >= 4) {
    size_t id = number_at(extra, 2), bytes = number_at(extra + 2, 2);
    extra += 4, length -= 4;
    if (bytes > length) return false;
    for (size_t i = 0, used = 0; id == 1 && i < 3; i++) {
      if (*wide[i] != UINT32_MAX) continue;
      if (used + 8 > bytes) return false;
      *wide[i] = number_at(extra + used, 8);
      used += 8;
    }
    extra += bytes, length -= bytes;
  }
  return true;
}

/* The member's bytes follow its second header, whose texts may have other lengths. */
static bool find_packed(const lk_zip *zip, uint64_t offset, lk_zip_member *member) {
  if (!is_record(zip, offset, LOCAL, "PK\3\4")) return false;
  offset += LOCAL + number_at(zip->data + offset + 26, 2) + number_at(zip->data + offset + 28, 2);
  member->packed = zip->data + (offset <= zip->size ? offset : 0);
  return has(zip, offset, member->packed_bytes);
}

lk_status lk_zip_next(lk_zip *zip, lk_zip_member *member, lk_error *error) {
  if (!is_record(zip, zip->at, ENTRY, "PK\1\2")) return fail(zip, "the zip archive's directory is malformed", error);
  const char *entry = zip->data + zip->at;
  uint64_t name = number_at(entry + 28, 2), extra = number_at(entry + 30, 2), comment = number_at(entry + 32, 2);
  uint64_t offset = number_at(entry + 42, 4), method = number_at(entry + 10, 2);
  if (!has(zip, zip->at, ENTRY + name + extra + comment))
    return fail(zip, "the zip archive's directory is cut off", error);
  *member = (lk_zip_member){.name = {.bytes = entry + ENTRY, .length = (uint32_t)name},
                            .is_stored = method == STORED,
                            .packed_bytes = number_at(entry + 20, 4),
                            .bytes = number_at(entry + 24, 4),
                            .crc = (uint32_t)number_at(entry + 16, 4)};
  zip->at += ENTRY + name + extra + comment;
  zip->left--;
  const char *what = NULL;
  if (!take_wide(entry + ENTRY + name, extra, member, &offset) || !find_packed(zip, offset, member))
    what = "is not within the file";
  else if ((entry[8] & 1) != 0)
    what = "is encrypted";
  else if (method != STORED && method != DEFLATED)
    what = "is packed by a method other than deflate";
  else if (member->is_stored ? member->bytes != member->packed_bytes
                             : member->bytes / LK_DEFLATE_MOST > member->packed_bytes)
    what = "cannot have the size that the zip archive's directory says";
  if (what == NULL) return LK_OK;
  return lk_fail(error, LK_EFORMAT, "%s: '%.*s' %s", zip->name, lk_text_shown(member->name), member->name.bytes, what);
}

static lk_status inflate_into(z_stream *stream, const lk_zip *zip, const lk_zip_member *member, lk_scratch *to,
                              lk_error *error) {
  unsigned char out[STEP];
  const char *in = member->packed;
  uint64_t left = member->packed_bytes, made = 0, sum = crc32_z(0, NULL, 0);
  int code = Z_OK;
  while (code == Z_OK && made <= member->bytes) {
    uint64_t given = left < STEP ? left : STEP;
    stream->next_in = (unsigned char *)in;
    stream->avail_in = (unsigned)given;
    stream->next_out = out;
    stream->avail_out = STEP;
    code = inflate(stream, Z_NO_FLUSH);
    in += given - stream->avail_in;
    left -= given - stream->avail_in;
    size_t got = STEP - stream->avail_out;
    made += got;
    sum = crc32_z(sum, out, got);
    lk_status status = made <= member->bytes ? lk_scratch_write(to, out, got, error) : LK_OK;
    if (status != LK_OK) return status;
  }
  if (code == Z_MEM_ERROR) return lk_fail_memory(error);
  if (code == Z_STREAM_END && made == member->bytes && sum == member->crc) return LK_OK;
  return lk_fail(error, LK_EFORMAT, "%s: '%.*s' is damaged: it cannot be unpacked", zip->name,
                 lk_text_shown(member->name), member->name.bytes);
}

lk_status lk_zip_unpack(const lk_zip *zip, const lk_zip_member *member, lk_scratch *to, lk_error *error) {
  z_stream stream = {0};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return lk_fail_memory(error);
  lk_status status = inflate_into(&stream, zip, member, to, error);
  inflateEnd(&stream);
  return status;
}
