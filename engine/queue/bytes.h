/* A growing run of bytes. After an allocation failed it stays as it is and `failed` says so; check once, at the end. */
#ifndef ENGINE_QUEUE_BYTES_H
#define ENGINE_QUEUE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct lk_bytes {
  char *data;
  size_t length, room;
  bool failed;
} lk_bytes;

static inline void lk_bytes_append(lk_bytes *bytes, const void *data, size_t length) {
  if (bytes->failed) return;
  if (bytes->length + length > bytes->room) {
    size_t room = 2 * bytes->room + length;
    char *grown = realloc(bytes->data, room);
    if (grown == NULL) {
      bytes->failed = true;
      return;
    }
    bytes->data = grown;
    bytes->room = room;
  }
  if (length > 0) memcpy(bytes->data + bytes->length, data, length);
  bytes->length += length;
}

static inline void lk_bytes_free(lk_bytes *bytes) {
  free(bytes->data);
  *bytes = (lk_bytes){0};
}

#endif
