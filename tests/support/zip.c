#include "tests/support/zip.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

static void put(char **at, uint64_t number, int bytes) {
  for (int i = 0; i < bytes; i++) *(*at)++ = (char)(number >> 8 * i);
}

static size_t deflate_into(char *out, size_t room, const void *data, size_t size) {
  z_stream stream = {.next_in = (unsigned char *)data,
                     .avail_in = (unsigned)size,
                     .next_out = (unsigned char *)out,
                     .avail_out = (unsigned)room};
  deflateInit2(&stream, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  deflate(&stream, Z_FINISH);
  deflateEnd(&stream);
  return stream.total_out;
}

/* What both headers of a member say of it, from its flags on. */
static void put_member(char **at, const char *name, uint32_t crc, size_t packed, size_t size, zip_way way) {
  bool wide = way == ZIP_WIDE;
  put(at, 0, 2);
  put(at, way == ZIP_DEFLATED ? 8 : 0, 2);
  put(at, 0, 4);
  put(at, crc, 4);
  put(at, wide ? UINT32_MAX : packed, 4);
  put(at, wide ? UINT32_MAX : size, 4);
  put(at, strlen(name), 2);
  put(at, wide ? 20 : 0, 2);
}

static void put_texts(char **at, const char *name, size_t packed, size_t size, zip_way way) {
  memcpy(*at, name, strlen(name));
  *at += strlen(name);
  if (way != ZIP_WIDE) return;
  put(at, 1, 2);
  put(at, 16, 2);
  put(at, size, 8);
  put(at, packed, 8);
}

void zip_add(zip_image *zip, const char *name, const void *data, size_t size, zip_way way) {
  char packed[1 << 15];
  size_t offset = zip->size, length = size;
  if (way == ZIP_DEFLATED)
    length = deflate_into(packed, sizeof packed, data, size);
  else
    memcpy(packed, data, size);
  uint32_t crc = (uint32_t)crc32(0, data, (unsigned)size);
  char *at = zip->bytes + zip->size;
  put(&at, 0x04034b50, 4);
  put(&at, 45, 2);
  put_member(&at, name, crc, length, size, way);
  put_texts(&at, name, length, size, way);
  memcpy(at, packed, length);
  zip->size = (size_t)(at + length - zip->bytes);
  at = zip->directory + zip->directory_size;
  put(&at, 0x02014b50, 4);
  put(&at, 45, 2);
  put(&at, 45, 2);
  put_member(&at, name, crc, length, size, way);
  put(&at, 0, 2); /* comment */
  put(&at, 0, 8); /* disk, attributes */
  put(&at, offset, 4);
  put_texts(&at, name, length, size, way);
  zip->directory_size = (size_t)(at - zip->directory);
  zip->members++;
}

void zip_end(zip_image *zip, bool wide) {
  size_t offset = zip->size;
  memcpy(zip->bytes + zip->size, zip->directory, zip->directory_size);
  char *at = zip->bytes + zip->size + zip->directory_size;
  if (wide) {
    size_t end64 = (size_t)(at - zip->bytes);
    put(&at, 0x06064b50, 4);
    put(&at, 44, 8);
    put(&at, 45, 2);
    put(&at, 45, 2);
    put(&at, 0, 8);
    put(&at, zip->members, 8);
    put(&at, zip->members, 8);
    put(&at, zip->directory_size, 8);
    put(&at, offset, 8);
    put(&at, 0x07064b50, 4);
    put(&at, 0, 4);
    put(&at, end64, 8);
    put(&at, 1, 4);
  }
  put(&at, 0x06054b50, 4);
  put(&at, 0, 4);
  put(&at, wide ? UINT16_MAX : zip->members, 2);
  put(&at, wide ? UINT16_MAX : zip->members, 2);
  put(&at, wide ? UINT32_MAX : zip->directory_size, 4);
  put(&at, wide ? UINT32_MAX : offset, 4);
  put(&at, 0, 2);
  zip->size = (size_t)(at - zip->bytes);
}

size_t zip_make_npy(char *out, const char *fields, const char *shape, const void *data, size_t size) {
  memcpy(out, "\x93NUMPY\x01\x00", 8);
  int length = sprintf(out + 10, "{'descr': %s, 'fortran_order': False, 'shape': %s, }\n", fields, shape);
  out[8] = (char)length;
  out[9] = (char)(length >> 8);
  memcpy(out + 10 + length, data, size);
  return 10 + (size_t)length + size;
}
