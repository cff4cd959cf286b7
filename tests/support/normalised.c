#include "tests/support/normalised.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "index/store/manifest.h"
#include "index/store/segment_layout.h"
#include "tests/support/files.h"

static void *section(char *image, lk_section s) { return image + ((lk_segment_header *)image)->sections[s].offset; }

/* An image of version 2 with the same sections, but for r(x) behind the row bounds; the caller frees it. */
static char *convert(char *from, size_t *size) {
  lk_segment_header header = *(const lk_segment_header *)from;
  cr_assert(header.metric == LK_COSINE && header.version == LK_SEGMENT_VERSION);
  header.version = LK_SEGMENT_NORMALISED;
  size_t end = sizeof header;
  for (lk_section s = 0; s < LK_SECTIONS; s++) {
    header.sections[s].offset = (end + LK_SECTION_ALIGN - 1) / LK_SECTION_ALIGN * LK_SECTION_ALIGN;
    if (!lk_section_is_text(s)) header.sections[s].bytes = lk_section_bytes(&header, s);
    end = header.sections[s].offset + header.sections[s].bytes;
  }
  char *image = calloc(1, *size = end);
  cr_assert_not_null(image);
  memcpy(image, &header, sizeof header);
  for (lk_section s = 0; s < LK_SECTIONS; s++) memcpy(section(image, s), section(from, s), header.sections[s].bytes);
  return image;
}

/* Rounds once, then to a half. */
static void normalise(const lk_segment_header *h, char *image, uint32_t row, float *out) {
  void *rows = section(image, LK_SECTION_EXACT);
  float room[LK_DIM_MAX];
  const float *x = lk_stored_row((lk_store)h->store, rows, row, h->dim, room);
  double squares = 0;
  for (uint32_t i = 0; i < h->dim; i++) squares += (double)x[i] * x[i];
  for (uint32_t i = 0; i < h->dim; i++) out[i] = (float)(x[i] / sqrt(squares));
  for (uint32_t i = 0; i < h->dim; i++) {
    uint16_t half = lk_half_from_float(out[i]);
    if (h->store == LK_STORE_F16) out[i] = lk_half_to_float(half);
    if (h->store == LK_STORE_F16)
      ((uint16_t *)rows)[(size_t)row * h->dim + i] = half;
    else
      ((float *)rows)[(size_t)row * h->dim + i] = out[i];
  }
}

static void code(char *image) {
  lk_segment_header *h = (lk_segment_header *)image;
  float *rows = calloc((size_t)h->rows * h->dim, sizeof *rows), *mean = section(image, LK_SECTION_MEAN);
  double *sum = calloc(h->dim, sizeof *sum), *work = calloc((size_t)LK_TILE_ROWS * h->dim, sizeof *work);
  cr_assert(rows != NULL && sum != NULL && work != NULL);
  for (uint32_t r = 0; r < h->rows; r++) normalise(h, image, r, rows + (size_t)r * h->dim);
  lk_codes_sum(rows, NULL, h->rows, h->dim, sum);
  lk_codes_mean(sum, h->rows, h->dim, mean);
  for (uint32_t first = 0; first < h->rows; first += LK_TILE_ROWS)
    lk_codes_tile(rows + (size_t)first * h->dim, NULL, h->rows - first < LK_TILE_ROWS ? h->rows - first : LK_TILE_ROWS,
                  h->dim, mean, work, (int8_t *)section(image, LK_SECTION_CODES) + (size_t)first * h->dim,
                  (lk_tile *)section(image, LK_SECTION_TILES) + first / LK_TILE_ROWS,
                  (lk_row_bound *)section(image, LK_SECTION_BOUNDS) + first);
  for (lk_section s = 0; s < LK_SECTIONS; s++)
    h->sections[s].checksum = XXH3_64bits(section(image, s), h->sections[s].bytes);
  h->checksum = XXH3_64bits(h, offsetof(lk_segment_header, checksum));
  free(rows);
  free(sum);
  free(work);
}

static uint64_t rewrite_segment(const char *folder, uint32_t id) {
  char name[LK_SEGMENT_NAME_MAX], path[PATH_MAX];
  size_t size;
  lk_manifest_segment_name(id, name);
  snprintf(path, sizeof path, "%s/%s", folder, name);
  char *from = files_read(path, &size), *image = convert(from, &size);
  code(image);
  files_write(path, image, size);
  uint64_t checksum = ((lk_segment_header *)image)->checksum;
  free(from);
  free(image);
  return checksum;
}

void normalised_rewrite(const char *folder) {
  lk_manifest manifest;
  lk_error error;
  cr_assert_eq(lk_manifest_read(files_folder(folder), &manifest, &error), LK_OK, "%s", error.text);
  for (uint32_t i = 0; i < manifest.segments_count; i++)
    manifest.segments[i].checksum = rewrite_segment(folder, manifest.segments[i].id);
  cr_assert_eq(lk_manifest_write(files_folder(folder), &manifest, &error), LK_OK, "%s", error.text);
  lk_manifest_free(&manifest);
}
