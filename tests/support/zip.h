/* Writes a zip archive in memory, by hand. */
#ifndef TESTS_SUPPORT_ZIP_H
#define TESTS_SUPPORT_ZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct zip_image {
  char bytes[1 << 16];
  size_t size;
  char directory[1 << 14];
  size_t directory_size;
  uint32_t members;
} zip_image;

typedef enum zip_way {
  ZIP_STORED,
  ZIP_DEFLATED,
  ZIP_WIDE /* stored, with sizes of 64 bits, as numpy writes */
} zip_way;

void zip_add(zip_image *zip, const char *name, const void *data, size_t size, zip_way way);
/* Appends the directory; with `wide` also the records of zip64. */
void zip_end(zip_image *zip, bool wide);

/* An .npy file in `out`: its size. `fields`: what `descr` is, quotes included. */
size_t zip_make_npy(char *out, const char *fields, const char *shape, const void *data, size_t size);

#endif
