#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/text.h"
#include "index/catalog/part.h"
#include "index/storage/segment_layout.h"

/* Sets right whatever checksum can be: a fuzzer does not guess one. */
static void reseal(char *image, size_t size) {
  lk_segment_header *h = (lk_segment_header *)image;
  if (size < offsetof(lk_segment_header, sections)) return;
  size_t end = lk_segment_checksum_offset(h->version);
  if (size < end + sizeof h->checksum) return;
  for (lk_section s = 0; s < lk_segment_sections(h->version); s++) {
    lk_section_entry *entry = &h->sections[s];
    if (entry->offset <= size && entry->bytes <= size - entry->offset)
      entry->checksum = XXH3_64bits(image + entry->offset, entry->bytes);
  }
  uint64_t checksum = XXH3_64bits(image, end);
  memcpy(image + end, &checksum, sizeof checksum);
}

volatile double fuzz_kept; /* so that the reads are not optimised away */

static void check_row(void *context, uint32_t number, uint32_t row) {
  (void)number;
  if (row >= ((const lk_segment *)context)->block.rows) abort();
}

/* Everything that a search, a listing or a check reads. */
static void read_all(const lk_segment *segment) {
  double sum = 0;
  for (uint32_t r = 0; r < segment->block.rows; r++) {
    lk_template t = lk_segment_template(segment, r);
    if (t.key.length > LK_TEXT_MAX || t.subject.length > LK_TEXT_MAX || t.group.length > LK_TEXT_MAX) abort();
    if (t.metadata.length > LK_METADATA_MAX) abort();
    for (uint32_t i = 0; i < t.metadata.length; i++) sum += t.metadata.bytes[i];
    const uint64_t *expires_ms = segment->block.visibility.expires_ms;
    sum += (double)t.version + (double)t.expires_ms + (double)(expires_ms != NULL ? expires_ms[r] : 0);
    uint32_t row;
    if (lk_segment_find_key(segment, t.key, &row) && row >= segment->block.rows) abort();
    lk_segment_each_of_key(segment, t.key, 0, check_row, (void *)segment);
    lk_segment_each_of_subject(segment, t.subject, 0, check_row, (void *)segment);
    float vector[LK_DIM_MAX];
    lk_shape shape = segment->shape;
    sum += lk_stored_row(shape.store, segment->block.exact, r, shape.dim, vector)[0] + segment->block.bounds[r].norm +
           segment->block.codes[(size_t)(r + 1) * shape.dim - 1] + lk_segment_check_row(segment, r, NULL);
    if (lk_segment_row_at(segment, lk_segment_place(segment, r)) >= segment->block.rows) abort();
  }
  fuzz_kept = sum;
}

/* What a device would load. Of an older segment the part makes it from the rows: no bound becomes smaller. */
static void check_block(const lk_segment *segment) {
  lk_part *part;
  lk_block block;
  if (lk_part_open(segment, 0, &part, NULL) != LK_OK) abort();
  bool given = lk_part_block(part, &block, NULL) == LK_OK;
  for (uint32_t r = 0; given && r < block.rows; r++) {
    const lk_row_bound *was = &segment->block.bounds[r], *is = &block.bounds[r];
    const lk_tile *tile = &block.tiles[r / LK_TILE_ROWS];
    if (!(is->residual >= was->residual && is->norm >= was->norm)) abort();
    if (lk_row_fits(tile, is) && is->norm > tile->norm_max) abort();
    if (lk_row_fits(&segment->block.tiles[r / LK_TILE_ROWS], was) && !lk_row_fits(tile, is)) abort();
    if (block.reciprocals != NULL && !(block.reciprocals[r] > 0 && isfinite(block.reciprocals[r]))) abort();
  }
  part->segment.file = (lk_file){0}; /* the caller's */
  lk_part_release(part);
}

/* What holds of a file whose checksums are right, hostile as its contents may be. */
static void check(const lk_segment *segment) {
  for (uint32_t r = 0; r < segment->block.rows; r++)
    if (segment->by_number[lk_segment_place(segment, r)] != r) abort();
  for (lk_section s = 0; s < LK_SECTIONS; s++)
    if (lk_segment_verify(segment, s, NULL) != LK_OK) abort();
  check_block(segment);
}

/* Changes some bytes of each section while the segment is open, as another process can through the file. */
static void change(char *image, const lk_segment *segment) {
  for (lk_section s = 0; s < LK_SECTIONS; s++) {
    const lk_section_entry *entry = &segment->header.sections[s];
    for (uint64_t i = 0; i < 8 && entry->bytes > 0; i++) {
      uint64_t random = XXH3_64bits_withSeed(image, segment->file.size, i);
      image[entry->offset + random / 256 % entry->bytes] ^= (char)random;
    }
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *image = NULL;
  if (posix_memalign((void **)&image, 64, size > 0 ? size : 1) != 0) return 0;
  if (size > 0) memcpy(image, data, size);
  lk_file file = {.data = image, .size = size};
  static lk_segment segment;
  lk_segment_read(&file, &segment, NULL);
  reseal(image, size);
  if (lk_segment_read(&file, &segment, NULL) == LK_OK) {
    read_all(&segment);
    check(&segment);
    change(image, &segment);
    read_all(&segment);
  }
  free(image);
  return 0;
}
