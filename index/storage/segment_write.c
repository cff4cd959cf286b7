/* Writes a segment: it maps the file at its full size, or takes as much memory, copies the prepared rows into it, and
 * codes them from there, tile by tile on all cores. So it reads each row of the source once, and a source that changes
 * meanwhile does no harm. A file does not count until a manifest names it. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <xxhash.h>

#include "index/formats/vector.h"
#include "index/storage/segment.h"
#include "index/storage/segment_layout.h"
#include "kernels/control.h"

typedef struct writer {
  const lk_segment_content *content;
  char *data;
  lk_segment_header *header;
  float *rows;           /* a tile of rows for each thread */
  double *work;          /* of the same size, for coding */
  double *sums;          /* of each tile's rows */
  lk_ordered_row *order; /* the content's rows in the order of the file */
  atomic_bool faulty;    /* a row cannot be stored */
} writer;

static void *section(const writer *w, lk_section s) { return w->data + w->header->sections[s].offset; }

static lk_text text_of(const lk_template *t, lk_section s) {
  switch (s) {
    case LK_SECTION_KEY_BYTES:
      return t->key;
    case LK_SECTION_SUBJECT_BYTES:
      return t->subject;
    case LK_SECTION_GROUP_BYTES:
      return t->group;
    default:
      return t->metadata;
  }
}

static uint64_t texts_bytes(const lk_segment_content *content, lk_section s) {
  uint64_t bytes = 0;
  for (uint32_t r = 0; r < content->rows; r++) bytes += text_of(&content->templates[r], s).length;
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
    entry->bytes = lk_section_is_text(s) ? texts_bytes(content, s) : lk_section_bytes(header, s);
    end = entry->offset + entry->bytes;
  }
  return end;
}

static size_t row_bytes(const writer *w) { return (size_t)w->content->vectors.dim * lk_store_bytes(w->content->store); }

static void *exact_row(const writer *w, uint32_t row) {
  return (char *)section(w, LK_SECTION_EXACT) + row * row_bytes(w);
}

/* r(x) of the rows from `row` on; NULL unless the metric is cosine. */
static double *reciprocals_from(const writer *w, uint32_t row) {
  lk_row_bound *bounds = section(w, LK_SECTION_BOUNDS);
  return lk_segment_has_reciprocals(w->header) ? (double *)(bounds + w->content->rows) + row : NULL;
}

static float *thread_rows(const writer *w, uint32_t thread) {
  return w->rows + (size_t)thread * LK_TILE_ROWS * w->content->vectors.dim;
}

static uint32_t tile_rows(const writer *w, uint32_t tile) {
  uint32_t left = w->content->rows - tile * LK_TILE_ROWS;
  return left < LK_TILE_ROWS ? left : LK_TILE_ROWS;
}

static void store_row(const writer *w, uint32_t row, const float *prepared) {
  uint32_t dim = w->content->vectors.dim;
  if (w->content->store == LK_STORE_F32) {
    memcpy(exact_row(w, row), prepared, dim * sizeof *prepared);
    return;
  }
  uint16_t *halves = exact_row(w, row);
  for (uint32_t i = 0; i < dim; i++) halves[i] = lk_half_from_float(prepared[i]);
}

static const char *prepare_row(const lk_segment_content *content, uint32_t row, float *out) {
  if (content->scattered == NULL)
    return lk_vector_prepare(content->metric, &content->vectors, content->first + row, out);
  lk_vectors alone = content->vectors;
  alone.data = content->scattered[row];
  return lk_vector_prepare(content->metric, &alone, 0, out);
}

/* Reads a tile's rows from the source, stores them in its order, and sums them up; under cosine as of length 1. */
static void take_tile(void *context, uint32_t thread, uint32_t tile) {
  writer *w = context;
  const lk_segment_content *content = w->content;
  uint32_t first = tile * LK_TILE_ROWS, dim = content->vectors.dim, rows = tile_rows(w, tile);
  double *sum = w->sums + (size_t)tile * dim;
  if (lk_control_is_cancelled(content->control)) return;
  memset(sum, 0, dim * sizeof *sum);
  for (uint32_t r = first; r < first + rows; r++) {
    float *row = thread_rows(w, thread);
    const char *fault = prepare_row(content, r, row);
    if (fault == NULL) fault = lk_vector_round(content->metric, content->store, row, dim);
    content->faults[r] = fault;
    if (fault != NULL) atomic_store(&w->faulty, true);
    if (fault != NULL) continue;
    double *reciprocal = reciprocals_from(w, r);
    store_row(w, r, row);
    if (reciprocal != NULL) *reciprocal = lk_score_reciprocal(content->metric, row, dim);
    lk_codes_sum(row, reciprocal, 1, dim, sum);
  }
}

static void measure_tile(void *context, uint32_t thread, uint32_t tile) {
  const writer *w = context;
  uint32_t dim = w->content->vectors.dim, first = tile * LK_TILE_ROWS, rows = tile_rows(w, tile);
  for (uint32_t r = first; r < first + rows; r++) {
    const float *row = lk_stored_row(w->content->store, exact_row(w, r), 0, dim, thread_rows(w, thread));
    w->order[r].length = lk_codes_length(row, dim, section(w, LK_SECTION_MEAN));
  }
}

/* Moves the exact rows into their order, along the cycles of the permutation. `moved`: zeros, one per row; `spare`: a
 * row. */
static void permute_rows(const writer *w, uint8_t *moved, void *spare) {
  for (uint32_t begin = 0; begin < w->content->rows; begin++) {
    if (moved[begin]) continue;
    memcpy(spare, exact_row(w, begin), row_bytes(w));
    uint32_t to = begin;
    for (; w->order[to].row != begin; to = w->order[to].row) {
      memcpy(exact_row(w, to), exact_row(w, w->order[to].row), row_bytes(w));
      moved[to] = 1;
    }
    memcpy(exact_row(w, to), spare, row_bytes(w));
    moved[to] = 1;
  }
}

static void code_tile(void *context, uint32_t thread, uint32_t tile) {
  const writer *w = context;
  uint32_t first = tile * LK_TILE_ROWS, dim = w->content->vectors.dim, rows = tile_rows(w, tile);
  float *copy = thread_rows(w, thread);
  const float *exact = exact_row(w, first);
  if (lk_control_is_cancelled(w->content->control)) return;
  if (w->content->store != LK_STORE_F32) {
    for (uint32_t r = 0; r < rows; r++)
      lk_stored_row(w->content->store, exact_row(w, first + r), 0, dim, copy + (size_t)r * dim);
    exact = copy;
  }
  lk_codes_tile(exact, reciprocals_from(w, first), rows, dim, section(w, LK_SECTION_MEAN),
                w->work + (size_t)thread * LK_TILE_ROWS * dim,
                (int8_t *)section(w, LK_SECTION_CODES) + (size_t)first * dim,
                (lk_tile *)section(w, LK_SECTION_TILES) + tile, (lk_row_bound *)section(w, LK_SECTION_BOUNDS) + first);
}

static uint32_t tiles_of(const writer *w) { return (w->content->rows + LK_TILE_ROWS - 1) / LK_TILE_ROWS; }

/* Adds the tiles' sums in the order of the tiles, so that the mean does not depend on the threads. An item of the pool,
 * so that it does not depend on the caller's arithmetic. */
static void write_mean(void *context, uint32_t thread, uint32_t item) {
  (void)thread;
  (void)item;
  const writer *w = context;
  uint32_t dim = w->content->vectors.dim;
  for (uint32_t t = 1; t < tiles_of(w); t++)
    for (uint32_t i = 0; i < dim; i++) w->sums[i] += w->sums[(size_t)t * dim + i];
  lk_codes_mean(w->sums, w->content->rows, dim, section(w, LK_SECTION_MEAN));
}

static lk_status check_stop(const writer *w, lk_error *error) {
  if (!lk_control_is_cancelled(w->content->control)) return LK_OK;
  return lk_fail(error, LK_ECANCELLED, "stopped before all rows were written");
}

/* LK_EBADPROBE: a row cannot be stored. */
static lk_status write_rows(writer *w, uint8_t *moved, lk_pool *pool, lk_error *error) {
  uint32_t tiles = tiles_of(w);
  for (uint32_t r = 0; r < w->content->rows; r++) w->order[r].row = r;
  lk_pool_run(pool, tiles, take_tile, w);
  lk_status status = check_stop(w, error);
  if (status != LK_OK || atomic_load(&w->faulty)) return status != LK_OK ? status : LK_EBADPROBE;
  lk_pool_run(pool, 1, write_mean, w);
  if (w->content->metric != LK_COSINE) {
    lk_pool_run(pool, tiles, measure_tile, w);
    lk_codes_order(w->order, w->content->rows);
    permute_rows(w, moved, w->rows);
  }
  lk_pool_run(pool, tiles, code_tile, w);
  return check_stop(w, error);
}

static const lk_template *template_at(const writer *w, uint32_t row) {
  return &w->content->templates[w->order[row].row];
}

static void write_texts(const writer *w, lk_section s) {
  uint64_t *ends = section(w, s - 1), end = 0;
  for (uint32_t r = 0; r < w->content->rows; r++) {
    lk_text text = text_of(template_at(w, r), s);
    if (text.length > 0) memcpy((char *)section(w, s) + end, text.bytes, text.length);
    ends[r] = end += text.length;
  }
}

static void write_catalog(const writer *w) {
  uint64_t *numbers = section(w, LK_SECTION_NUMBERS), *tags = section(w, LK_SECTION_TAGS);
  uint64_t *expires_ms = section(w, LK_SECTION_EXPIRES), *versions = section(w, LK_SECTION_VERSIONS);
  uint32_t *by_number = section(w, LK_SECTION_BY_NUMBER);
  for (uint32_t r = 0; r < w->content->rows; r++) {
    const lk_template *t = template_at(w, r);
    by_number[w->order[r].row] = r;
    numbers[r] = t->number;
    tags[r] = t->tags;
    expires_ms[r] = t->expires_ms != 0 ? t->expires_ms : LK_NEVER;
    versions[r] = t->version;
  }
  for (lk_section s = 0; s < LK_SECTIONS; s++)
    if (lk_section_is_text(s)) write_texts(w, s);
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
  size_t tile = (size_t)LK_TILE_ROWS * dim, threads = lk_pool_threads(pool);
  hashed_row *hashed = malloc(rows * sizeof *hashed);
  uint8_t *moved = calloc(rows, 1);
  w->rows = malloc(threads * tile * sizeof *w->rows);
  w->work = malloc(threads * tile * sizeof *w->work);
  w->sums = malloc((size_t)tiles * dim * sizeof *w->sums);
  w->order = malloc(rows * sizeof *w->order);
  bool reserved =
      hashed != NULL && moved != NULL && w->rows != NULL && w->work != NULL && w->sums != NULL && w->order != NULL;
  lk_status status = reserved ? write_rows(w, moved, pool, error) : lk_fail_memory(error);
  if (status == LK_OK) {
    write_catalog(w);
    write_index(w, LK_SECTION_BY_KEY, hashed);
    write_index(w, LK_SECTION_BY_SUBJECT, hashed);
    write_checksums(w);
  }
  free(hashed);
  free(moved);
  free(w->rows);
  free(w->work);
  free(w->sums);
  free(w->order);
  return status;
}

lk_status lk_segment_write(const lk_folder *folder, const char *name, const lk_segment_content *content, lk_pool *pool,
                           uint64_t *header_checksum, lk_error *error) {
  lk_segment_header header;
  uint64_t size = lay_out(content, &header);
  lk_new_file file;
  lk_status status = lk_folder_make_file(folder, name, size, &file, error);
  if (status != LK_OK) return status;
  writer w = {.content = content, .data = file.data, .header = file.data};
  *w.header = header;
  status = fill(&w, pool, error);
  *header_checksum = w.header->checksum;
  lk_status sealed = lk_folder_seal_file(folder, name, &file, status == LK_OK ? error : NULL);
  if (status == LK_OK) status = sealed;
  if (status != LK_OK) lk_folder_remove(folder, name);
  return status;
}

lk_status lk_segment_make(const lk_segment_content *content, const char *name, lk_pool *pool, lk_segment *segment,
                          lk_error *error) {
  lk_segment_header header;
  uint64_t size = lay_out(content, &header);
  memset(segment, 0, sizeof *segment);
  snprintf(segment->path, sizeof segment->path, "%s", name);
  void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) return lk_fail_memory(error);
  segment->file = (lk_file){.data = data, .size = size};
  writer w = {.content = content, .data = data, .header = data};
  *w.header = header;
  lk_status status = fill(&w, pool, error);
  if (status != LK_OK) {
    lk_segment_close(segment);
    return status;
  }
  segment->header = *w.header;
  lk_segment_locate(segment);
  return LK_OK;
}
