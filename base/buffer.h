/* Memory that only grows: work that comes again finds it large enough and allocates nothing.
 *
 * A buffer starts as {0}, which holds no memory. One buffer is enlarged either by lk_buffer_reserve or by
 * lk_buffer_grow, never by both. */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stddef.h>

typedef struct lk_buffer {
  void *data;
  size_t size; /* bytes */
} lk_buffer;

/* Makes room for `count` elements of `size` bytes, from the start of a cache line on. What the buffer held may be lost.
 * Returns the memory, also for no elements; NULL when out of memory: the buffer then holds none. */
void *lk_buffer_reserve(lk_buffer *buffer, size_t count, size_t size);

/* The same, but what the buffer holds stays, and memory grows by half of itself or more, so that many small steps copy
 * little. NULL when out of memory: the buffer is as it was. */
void *lk_buffer_grow(lk_buffer *buffer, size_t count, size_t size);

/* Frees the memory and makes the buffer {0} again. */
void lk_buffer_free(lk_buffer *buffer);

#endif
