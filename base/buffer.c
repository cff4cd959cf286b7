#include "base/buffer.h"

#include <stdbool.h>
#include <stdlib.h>

#define CACHE_LINE ((size_t)64)

/* Bytes of `count` elements, in whole cache lines and one at least; false: more than a size_t can say. */
static bool count_bytes(size_t count, size_t size, size_t *bytes) {
  if (__builtin_mul_overflow(count, size, bytes) || __builtin_add_overflow(*bytes, CACHE_LINE - 1, bytes)) return false;
  *bytes -= *bytes % CACHE_LINE;
  if (*bytes == 0) *bytes = CACHE_LINE;
  return true;
}

void *lk_buffer_reserve(lk_buffer *buffer, size_t count, size_t size) {
  size_t bytes;
  bool countable = count_bytes(count, size, &bytes);
  if (countable && bytes <= buffer->size) return buffer->data;
  lk_buffer_free(buffer);
  if (countable) buffer->data = aligned_alloc(CACHE_LINE, bytes);
  if (buffer->data != NULL) buffer->size = bytes;
  return buffer->data;
}

void *lk_buffer_grow(lk_buffer *buffer, size_t count, size_t size) {
  size_t bytes, half_more = buffer->size + buffer->size / 2;
  if (!count_bytes(count, size, &bytes)) return NULL;
  if (bytes <= buffer->size) return buffer->data;
  if (bytes < half_more) bytes = half_more;
  void *grown = realloc(buffer->data, bytes);
  if (grown == NULL) return NULL;
  *buffer = (lk_buffer){.data = grown, .size = bytes};
  return grown;
}

void lk_buffer_free(lk_buffer *buffer) {
  free(buffer->data);
  *buffer = (lk_buffer){0};
}
