/* Writes a segment: it maps the file at its full size, then prepares and codes the rows in place, tile by tile on all
 * cores. The file does not count until a manifest names it. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "index/formats/vector.h"
#include "index/gallery/segment.h"
#include "index/gallery/segment_layout.h"

typedef struct writer {
  const lk_segment_content *content;
  char *data;
  lk_segment_header *header;
  float *rows;           /* a tile of prepared rows for each thread */
  double *work;          /* of the same size, for coding */
  double *sums;          /* of each tile's rows */
  lk_ordered_row *order; /* the content's rows in the order of the file */
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
  *header = (lk_segment_header){.version = LK_SEGMENT_VERSION,
                                .metric = content->metric,
                                .store = content->store,
                                .dim = content->vectors.dim,
                                .rows = content->rows};
  memcpy(header->magic, LK_SEGMENT_MAGIC, sizeof header->magic);
  uint64_t end = sizeof *header;
  for (lk_section s = 0; s < LK_SECTIONS; s++) {
    lk_section_entry *entry = &header->sections[s];
    entry->offset = (end + LK_SECTION_ALIGN - 1) / LK_SECTION_ALIGN * LK_SECTION_ALIGN;
    entry->bytes = lk_section_is_text(s) ? texts_bytes(content, s)
                                         : lk_section_bytes(s, content->rows, content->vectors.dim, content->store);
    end = entry->offset + entry->bytes;
  }
  return end;
}

/* Prepares a tile's rows as they will be stored, in floats. Each step prepares them again: that costs less than keeping
 * and moving them. */
static float *prepare_tile(const writer *w, uint32_t thread, uint32_t tile, uint32_t *rows) {
  const lk_segment_content *content = w->content;
  uint32_t first = tile * LK_TILE_ROWS, dim = content->vectors.dim, left = content->rows - first;
  float *prepared = w->rows + (size_t)thread * LK_TILE_ROWS * dim;
  *rows = left < LK_TILE_ROWS ? left : LK_TILE_ROWS;
  for (uint32_t r = 0; r < *rows; r++) {
    float *row = prepared + (size_t)r * dim;
    lk_vector_prepare(content->metric, &content->vectors, content->first + w->order[first + r].row, row);
    lk_vector_round(content->store, row, dim);
  }
  return prepared;
}

static void sum_tile(void *context, uint32_t thread, uint32_t tile) {
  const writer *w = context;
  uint32_t dim = w->content->vectors.dim, rows;
  const float *prepared = prepare_tile(w, thread, tile, &rows);
  double *sum = w->sums + (size_t)tile * dim;
  memset(sum, 0, dim * sizeof *sum);
  lk_codes_sum(prepared, rows, dim, sum);
}

static void measure_tile(void *context, uint32_t thread, uint32_t tile) {
  const writer *w = context;
  uint32_t dim = w->content->vectors.dim, rows;
  const float *prepared = prepare_tile(w, thread, tile, &rows);
  for (uint32_t r = 0; r < rows; r++)
    w->order[tile * LK_TILE_ROWS + r].length =
        lk_codes_length(prepared + (size_t)r * dim, dim, section(w, LK_SECTION_MEAN));
}

static void store_rows(const writer *w, uint32_t first, const float *prepared, uint32_t rows) {
  size_t dim = w->content->vectors.dim, elements = rows * dim;
  if (w->content->store == LK_STORE_F32) {
    memcpy((float *)section(w, LK_SECTION_EXACT) + first * dim, prepared, elements * sizeof *prepared);
    return;
  }
  uint16_t *halves = (uint16_t *)section(w, LK_SECTION_EXACT) + first * dim;
  for (size_t i = 0; i < elements; i++) halves[i] = lk_half_from_float(prepared[i]);
}

static void code_tile(void *context, uint32_t thread, uint32_t tile) {
  const writer *w = context;
  uint32_t first = tile * LK_TILE_ROWS, dim = w->content->vectors.dim, rows;
  const float *prepared = prepare_tile(w, thread, tile, &rows);
  store_rows(w, first, prepared, rows);
  lk_codes_tile(prepared, rows, dim, section(w, LK_SECTION_MEAN), w->work + (size_t)thread * LK_TILE_ROWS * dim,
                (int8_t *)section(w, LK_SECTION_CODES) + (size_t)first * dim,
                (lk_tile *)section(w, LK_SECTION_TILES) + tile, (lk_row_bound *)section(w, LK_SECTION_BOUNDS) + first);
}

/* Adds the tiles' sums in the order of the tiles, so that the mean does not depend on the threads. */
static void write_mean(const writer *w, uint32_t tiles) {
  uint32_t dim = w->content->vectors.dim;
  for (uint32_t t = 1; t < tiles; t++)
    for (uint32_t i = 0; i < dim; i++) w->sums[i] += w->sums[(size_t)t * dim + i];
  lk_codes_mean(w->sums, w->content->rows, dim, section(w, LK_SECTION_MEAN));
}

static void write_rows(writer *w, lk_pool *pool) {
  uint32_t tiles = (w->content->rows + LK_TILE_ROWS - 1) / LK_TILE_ROWS;
  for (uint32_t r = 0; r < w->content->rows; r++) w->order[r].row = r;
  lk_pool_run(pool, tiles, sum_tile, w);
  write_mean(w, tiles);
  if (w->content->metric != LK_COSINE) {
    lk_pool_run(pool, tiles, measure_tile, w);
    lk_codes_order(w->order, w->content->rows);
  }
  lk_pool_run(pool, tiles, code_tile, w);
}

static const lk_template *template_at(const writer *w, uint32_t row) {
  return &w->content->templates[w->order[row].row];
}

static void write_text(const writer *w, lk_section ends_section, uint32_t row, lk_text text) {
  uint64_t *ends = section(w, ends_section), begin = row == 0 ? 0 : ends[row - 1];
  if (text.length > 0) memcpy((char *)section(w, ends_section + 1) + begin, text.bytes, text.length);
  ends[row] = begin + text.length;
}

static void write_catalog(const writer *w) {
  uint64_t *numbers = section(w, LK_SECTION_NUMBERS), *tags = section(w, LK_SECTION_TAGS);
  uint32_t *by_number = section(w, LK_SECTION_BY_NUMBER);
  for (uint32_t r = 0; r < w->content->rows; r++) {
    const lk_template *t = template_at(w, r);
    by_number[w->order[r].row] = r;
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
    const lk_template *t = template_at(w, r);
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
  size_t lane = (size_t)LK_TILE_ROWS * dim, lanes = lk_pool_threads(pool);
  hashed_row *hashed = malloc(rows * sizeof *hashed);
  w->rows = malloc(lanes * lane * sizeof *w->rows);
  w->work = malloc(lanes * lane * sizeof *w->work);
  w->sums = malloc((size_t)tiles * dim * sizeof *w->sums);
  w->order = malloc(rows * sizeof *w->order);
  lk_status status = LK_OK;
  if (hashed == NULL || w->rows == NULL || w->work == NULL || w->sums == NULL || w->order == NULL) {
    status = lk_fail_memory(error);
  } else {
    write_rows(w, pool);
    write_catalog(w);
    write_index(w, LK_SECTION_BY_KEY, hashed);
    write_index(w, LK_SECTION_BY_SUBJECT, hashed);
    write_checksums(w);
  }
  free(hashed);
  free(w->rows);
  free(w->work);
  free(w->sums);
  free(w->order);
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
