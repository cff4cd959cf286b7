/* Opens bytes as a file of one format. */
#ifndef TESTS_INDEX_FORMATS_VECTORS_OPEN_BYTES_H
#define TESTS_INDEX_FORMATS_VECTORS_OPEN_BYTES_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "index/formats/vectors/vector_format.h"

typedef struct opened {
  char *copy; /* of exactly the bytes, so that a sanitizer sees a read past them */
  lk_file decoded;
  lk_vectors vectors;
  lk_status status;
  lk_error error;
} opened;

static inline opened open_member(const lk_vector_format *format, const void *bytes, size_t size, const char *member) {
  opened from = {.copy = malloc(size > 0 ? size : 1)};
  memcpy(from.copy, bytes, size);
  lk_vector_source source = {
      .format = format, .name = "file", .path = "file", .member = member, .file = {.data = from.copy, .size = size}};
  from.status = format->open(&source, &from.decoded, &from.vectors, &from.error);
  return from;
}

static inline opened open_bytes(const lk_vector_format *format, const void *bytes, size_t size) {
  return open_member(format, bytes, size, NULL);
}

static inline void close_bytes(opened *from) {
  lk_file_unmap(&from->decoded);
  free(from->copy);
}

static inline void check_bytes_refused(const lk_vector_format *format, const void *bytes, size_t size, lk_status status,
                                       const char *words) {
  opened from = open_bytes(format, bytes, size);
  cr_assert_eq(from.status, status, "%s: %s", words, from.error.text);
  cr_assert_not_null(strstr(from.error.text, words), "'%s' is not in '%s'", words, from.error.text);
  cr_assert_eq(strncmp(from.error.text, "file: ", 6), 0, "%s", from.error.text);
  close_bytes(&from);
}

#endif
