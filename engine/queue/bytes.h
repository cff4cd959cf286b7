/* Bytes that grow by appending. When an allocation fails, `failed` becomes true and the bytes stay as they are: check
 * it once, at the end. */
#ifndef ENGINE_QUEUE_BYTES_H
#define ENGINE_QUEUE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct lk_bytes {
  char *data;
  size_t length, capacity;
  bool failed;
} lk_bytes;

static inline void lk_bytes_append(lk_bytes *bytes, const void *data, size_t length) {
  if (bytes->failed) return;
  if (bytes->length + length > bytes->capacity) {
    size_t capacity = 2 * bytes->capacity + length;
    char *grown = realloc(bytes->data, capacity);
    if (grown == NULL) {
      bytes->failed = true;
      return;
    }
    bytes->data = grown;
    bytes->capacity = capacity;
  }
  if (length > 0) memcpy(bytes->data + bytes->length, data, length);
  bytes->length += length;
}

static inline void lk_bytes_free(lk_bytes *bytes) {
  free(bytes->data);
  *bytes = (lk_bytes){0};
}

#endif
