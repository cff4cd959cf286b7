#include "tests/support/older.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "index/storage/manifest.h"
#include "index/storage/segment_layout.h"
#include "tests/support/files.h"

/* Of the versions 2 and 3. */
#define SECTIONS LK_SECTION_EXPIRES
enum { CHECKSUM_AT = 32 + 16 * 24 };

static void *section(char *image, lk_section s) { return image + ((lk_segment_header *)image)->sections[s].offset; }

/* The same sections, but for those that it lacks, and in version 2 for r(x) behind the row bounds. */
static char *convert(char *from, uint32_t version, size_t *size) {
  lk_segment_header header = *(const lk_segment_header *)from;
  cr_assert_eq(header.version, LK_SEGMENT_VERSION);
  header.version = version;
  size_t end = CHECKSUM_AT + sizeof header.checksum;
  for (lk_section s = 0; s < SECTIONS; s++) {
    header.sections[s].offset = (end + LK_SECTION_ALIGN - 1) / LK_SECTION_ALIGN * LK_SECTION_ALIGN;
    if (!lk_section_is_text(s)) header.sections[s].bytes = lk_section_bytes(&header, s);
    end = header.sections[s].offset + header.sections[s].bytes;
  }
  *size = end;
  char *image = aligned_alloc(LK_SECTION_ALIGN, (end + LK_SECTION_ALIGN - 1) / LK_SECTION_ALIGN * LK_SECTION_ALIGN);
  cr_assert_not_null(image);
  memset(image, 0, end);
  memcpy(image, &header, CHECKSUM_AT);
  for (lk_section s = 0; s < SECTIONS; s++) memcpy(section(image, s), section(from, s), header.sections[s].bytes);
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
  free(rows);
  free(sum);
  free(work);
}

void older_seal(char *image) {
  lk_segment_header *h = (lk_segment_header *)image;
  for (lk_section s = 0; s < SECTIONS; s++)
    h->sections[s].checksum = XXH3_64bits(section(image, s), h->sections[s].bytes);
  uint64_t checksum = XXH3_64bits(image, CHECKSUM_AT);
  memcpy(image + CHECKSUM_AT, &checksum, sizeof checksum);
}

char *older_image(char *from, uint32_t version, size_t *size) {
  char *image = convert(from, version, size);
  if (version == 2 && ((const lk_segment_header *)image)->metric == LK_COSINE) code(image);
  older_seal(image);
  return image;
}

static uint64_t rewrite_segment(const char *folder, uint32_t id, uint32_t version) {
  char name[LK_SEGMENT_NAME_MAX], path[PATH_MAX];
  size_t size;
  uint64_t checksum;
  lk_manifest_segment_name(id, name);
  snprintf(path, sizeof path, "%s/%s", folder, name);
  char *from = files_read(path, &size), *image = older_image(from, version, &size);
  files_write(path, image, size);
  memcpy(&checksum, image + CHECKSUM_AT, sizeof checksum);
  free(from);
  free(image);
  return checksum;
}

void older_rewrite(const char *folder, uint32_t version) {
  lk_manifest manifest;
  lk_error error;
  cr_assert_eq(lk_manifest_read(files_folder(folder), &manifest, &error), LK_OK, "%s", error.text);
  for (uint32_t i = 0; i < manifest.segments_count; i++)
    manifest.segments[i].checksum = rewrite_segment(folder, manifest.segments[i].id, version);
  cr_assert_eq(lk_manifest_write(files_folder(folder), &manifest, &error), LK_OK, "%s", error.text);
  lk_manifest_free(&manifest);
}
