/* Writing a segment: the file is laid out and mapped at its full size, and its rows are prepared and coded in place,
 * tile by tile on all cores. Nothing names the file until the manifest does. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "index/segment.h"
#include "index/segment_layout.h"
#include "index/vector.h"

typedef struct writer {
  const lk_segment_content *content;
  char *data;
  lk_segment_header *header;
  double *work; /* a tile for each thread */
} writer;

static void *section(const writer *w, lk_section s) { return w->data + w->header->sections[s].offset; }

static uint64_t texts_bytes(const lk_segment_content *content, lk_section s) {
  uint64_t bytes = 0;
  for (uint32_t r = 0; r < content->rows; r++) {
    const lk_template *t = &content->templates[r];
    bytes += s == LK_SECTION_KEY_BYTES       ? t->key.length
             : s == LK_SECTION_SUBJECT_BYTES ? t->subject.length
                                             : t->group.length;
  }
  return bytes;
}

static uint64_t lay_out(const lk_segment_content *content, lk_segment_header *header) {
  *header = (lk_segment_header){
      .version = LK_SEGMENT_VERSION, .metric = content->metric, .dim = content->vectors.dim, .rows = content->rows};
  memcpy(header->magic, LK_SEGMENT_MAGIC, sizeof header->magic);
  uint64_t end = sizeof *header;
  for (lk_section s = 0; s < LK_SECTIONS; s++) {
    lk_section_entry *entry = &header->sections[s];
    entry->offset = (end + LK_SECTION_ALIGN - 1) / LK_SECTION_ALIGN * LK_SECTION_ALIGN;
    entry->bytes =
        lk_section_is_text(s) ? texts_bytes(content, s) : lk_section_bytes(s, content->rows, content->vectors.dim);
    end = entry->offset + entry->bytes;
  }
  return end;
}

static uint32_t tile_rows(const lk_segment_content *content, uint32_t first) {
  return content->rows - first < LK_TILE_ROWS ? content->rows - first : LK_TILE_ROWS;
}

static void prepare_tile(void *context, uint32_t thread, uint32_t tile) {
  (void)thread;
  const writer *w = context;
  const lk_segment_content *content = w->content;
  uint32_t first = tile * LK_TILE_ROWS, dim = content->vectors.dim;
  float *exact = section(w, LK_SECTION_EXACT);
  for (uint32_t r = first; r < first + tile_rows(content, first); r++)
    lk_vector_prepare(content->metric, &content->vectors, content->first + r, exact + (size_t)r * dim);
}

static void code_tile(void *context, uint32_t thread, uint32_t tile) {
  const writer *w = context;
  uint32_t first = tile * LK_TILE_ROWS, dim = w->content->vectors.dim;
  lk_quant_tile((float *)section(w, LK_SECTION_EXACT) + (size_t)first * dim, tile_rows(w->content, first), dim,
                section(w, LK_SECTION_MEAN), w->work + (size_t)thread * LK_TILE_ROWS * dim,
                (int8_t *)section(w, LK_SECTION_CODES) + (size_t)first * dim,
                (lk_tile *)section(w, LK_SECTION_TILES) + tile, (lk_row_bound *)section(w, LK_SECTION_BOUNDS) + first);
}

static void write_text(const writer *w, lk_section ends_section, uint32_t row, lk_text text) {
  uint64_t *ends = section(w, ends_section), begin = row == 0 ? 0 : ends[row - 1];
  if (text.length > 0) memcpy((char *)section(w, ends_section + 1) + begin, text.bytes, text.length);
  ends[row] = begin + text.length;
}

static void write_catalog(const writer *w) {
  uint64_t *numbers = section(w, LK_SECTION_NUMBERS), *tags = section(w, LK_SECTION_TAGS);
  for (uint32_t r = 0; r < w->content->rows; r++) {
    const lk_template *t = &w->content->templates[r];
    numbers[r] = t->number;
    tags[r] = t->tags;
    write_text(w, LK_SECTION_KEY_ENDS, r, t->key);
    write_text(w, LK_SECTION_SUBJECT_ENDS, r, t->subject);
    write_text(w, LK_SECTION_GROUP_ENDS, r, t->group);
  }
}

typedef struct hashed_row {
  uint64_t hash;
  uint32_t row;
} hashed_row;

static int compare_hashed(const void *a, const void *b) {
  const hashed_row *x = a, *y = b;
  if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
  return x->row < y->row ? -1 : x->row > y->row;
}

static void write_index(const writer *w, lk_section s, hashed_row *rows) {
  for (uint32_t r = 0; r < w->content->rows; r++) {
    const lk_template *t = &w->content->templates[r];
    rows[r] = (hashed_row){.hash = lk_text_hash(s == LK_SECTION_BY_KEY ? t->key : t->subject), .row = r};
  }
  qsort(rows, w->content->rows, sizeof *rows, compare_hashed);
  uint32_t *sorted = section(w, s);
  for (uint32_t r = 0; r < w->content->rows; r++) sorted[r] = rows[r].row;
}

static void write_checksums(const writer *w) {
  for (lk_section s = 0; s < LK_SECTIONS; s++)
    w->header->sections[s].checksum = XXH3_64bits(section(w, s), w->header->sections[s].bytes);
  w->header->checksum = XXH3_64bits(w->header, offsetof(lk_segment_header, checksum));
}

static lk_status fill(writer *w, lk_pool *pool, lk_error *error) {
  uint32_t rows = w->content->rows, dim = w->content->vectors.dim, tiles = (rows + LK_TILE_ROWS - 1) / LK_TILE_ROWS;
  hashed_row *hashed = malloc(rows * sizeof *hashed);
  w->work = malloc((size_t)lk_pool_threads(pool) * LK_TILE_ROWS * dim * sizeof *w->work);
  lk_status status = LK_OK;
  if (hashed == NULL || w->work == NULL) {
    status = lk_fail_memory(error);
  } else {
    lk_pool_run(pool, tiles, prepare_tile, w);
    lk_quant_mean(section(w, LK_SECTION_EXACT), rows, dim, section(w, LK_SECTION_MEAN));
    lk_pool_run(pool, tiles, code_tile, w);
    write_catalog(w);
    write_index(w, LK_SECTION_BY_KEY, hashed);
    write_index(w, LK_SECTION_BY_SUBJECT, hashed);
    write_checksums(w);
  }
  free(hashed);
  free(w->work);
  return status;
}

lk_status lk_segment_write(const char *path, const lk_segment_content *content, lk_pool *pool,
                           uint64_t *header_checksum, lk_error *error) {
  lk_segment_header header;
  uint64_t size = lay_out(content, &header);
  void *data;
  lk_status status = lk_file_make(path, size, &data, error);
  if (status != LK_OK) return status;
  writer w = {.content = content, .data = data, .header = data};
  *w.header = header;
  status = fill(&w, pool, error);
  *header_checksum = w.header->checksum;
  lk_status sealed = lk_file_seal(path, data, size, status == LK_OK ? error : NULL);
  if (status == LK_OK) status = sealed;
  if (status != LK_OK) unlink(path);
  return status;
}
