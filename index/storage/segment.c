#include "index/storage/segment.h"

#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <xxhash.h>

#include "base/text.h"
#include "index/storage/segment_layout.h"

static const char *const section_words[LK_SECTIONS] = {
#define LK_SECTION_WORDS(name, words) words,
    LK_SECTION_MAP(LK_SECTION_WORDS)
#undef LK_SECTION_WORDS
};

uint64_t lk_text_hash(lk_text text) { return XXH3_64bits(text.bytes, text.length); }

const void *lk_segment_section(const lk_segment *segment, lk_section section) {
  return (const char *)segment->file.data + segment->header.sections[section].offset;
}

lk_status lk_segment_fail(const lk_segment *segment, lk_section section, const char *what, lk_error *error) {
  return lk_fail(error, LK_ECORRUPT, "%s: at offset %llu, %s: %s", segment->path,
                 (unsigned long long)segment->header.sections[section].offset, section_words[section], what);
}

lk_status lk_segment_verify(const lk_segment *segment, lk_section section, lk_error *error) {
  const lk_section_entry *entry = &segment->header.sections[section];
  if (XXH3_64bits(lk_segment_section(segment, section), entry->bytes) == entry->checksum) return LK_OK;
  return lk_segment_fail(segment, section, "the checksum does not match", error);
}

/* Sections that an older version lacks become empty ones. False: the file is shorter than its header. */
static bool copy_header(const lk_file *file, lk_segment_header *h) {
  size_t begin = offsetof(lk_segment_header, sections);
  memset(h, 0, sizeof *h);
  if (file->size < begin) return false;
  memcpy(h, file->data, begin);
  size_t end = lk_segment_checksum_offset(h->version);
  if (file->size < end + sizeof h->checksum) return false;
  memcpy(h->sections, (const char *)file->data + begin, end - begin);
  memcpy(&h->checksum, (const char *)file->data + end, sizeof h->checksum);
  for (lk_section s = lk_segment_sections(h->version); s < LK_SECTIONS; s++)
    h->sections[s].checksum = XXH3_64bits(NULL, 0);
  return true;
}

lk_status lk_segment_verify_header(const lk_segment *segment, lk_error *error) {
  lk_segment_header now;
  if (copy_header(&segment->file, &now) && memcmp(&now, &segment->header, sizeof now) == 0) return LK_OK;
  return lk_fail(error, LK_ECORRUPT, "%s: the header has changed since the file was opened", segment->path);
}

/* Stored halves are within 2^-11 of what was normalised. */
static const double unit_slack = 0x1p-9;

bool lk_segment_is_unit(double reciprocal) { return fabs(1 / reciprocal - 1) <= unit_slack; }

lk_status lk_segment_fail_length(const lk_segment *segment, uint32_t row, lk_error *error) {
  return lk_fail(error, LK_ECORRUPT, "%s: row %u: the vector is not of length 1", segment->path, row);
}

/* Scores rest on the length. */
static lk_status check_length(const lk_segment *segment, uint32_t row, const float *x, lk_error *error) {
  const double *reciprocals = segment->block.reciprocals;
  if (segment->shape.metric != LK_COSINE) return LK_OK;
  double reciprocal = lk_score_reciprocal(LK_COSINE, x, segment->shape.dim);
  if (reciprocals == NULL) return lk_segment_is_unit(reciprocal) ? LK_OK : lk_segment_fail_length(segment, row, error);
  if (reciprocals[row] == reciprocal) return LK_OK;
  return lk_fail(error, LK_ECORRUPT, "%s: row %u: the vector is not as long as when it was enrolled", segment->path,
                 row);
}

lk_status lk_segment_check_row(const lk_segment *segment, uint32_t row, lk_error *error) {
  const lk_block *block = &segment->block;
  uint32_t dim = segment->shape.dim;
  float room[LK_DIM_MAX];
  double work[LK_DIM_MAX];
  const float *x = lk_stored_row(segment->shape.store, block->exact, row, dim, room);
  lk_status status = check_length(segment, row, x, error);
  if (status != LK_OK) return status;
  const double *reciprocal = block->reciprocals != NULL ? &block->reciprocals[row] : NULL;
  if (lk_codes_hold_row(x, reciprocal, dim, block->mean, work, block->codes + (size_t)row * dim,
                        &block->tiles[row / LK_TILE_ROWS], &block->bounds[row]))
    return LK_OK;
  return lk_fail(error, LK_ECORRUPT, "%s: row %u: the vector and its code do not agree: one of them was changed",
                 segment->path, row);
}

static lk_status read_header(const lk_file *file, lk_segment *segment, lk_error *error) {
  const lk_segment_header *h = &segment->header;
  const char *path = segment->path;
  if (!copy_header(file, &segment->header) || memcmp(h->magic, LK_SEGMENT_MAGIC, sizeof h->magic) != 0)
    return lk_fail(error, LK_EFORMAT, "%s: not a segment file, or cut off in its header", path);
  if (h->version < LK_SEGMENT_NORMALISED || h->version > LK_SEGMENT_VERSION)
    return lk_fail(error, LK_EFORMAT, "%s: segment version %u; this build reads %d to %d", path, h->version,
                   LK_SEGMENT_NORMALISED, LK_SEGMENT_VERSION);
  if (XXH3_64bits(h, lk_segment_checksum_offset(h->version)) != h->checksum)
    return lk_fail(error, LK_ECORRUPT, "%s: at offset 0, header: the checksum does not match", path);
  if (h->metric > LK_L2 || h->store > LK_STORE_F16 || h->reserved != 0 || h->dim < 1 || h->dim > LK_DIM_MAX ||
      h->rows < 1 || h->rows > LK_SEGMENT_ROWS)
    return lk_fail(error, LK_ECORRUPT, "%s: at offset 0, header: a field is out of range", path);
  return LK_OK;
}

static bool is_zero(const char *bytes, uint64_t count) {
  while (count > 0 && bytes[count - 1] == 0) count--;
  return count == 0;
}

/* Each section begins at the first aligned offset after the one before, zeros fill the gap, and the last section ends
 * the file. So a check covers every byte. */
static lk_status check_sections(const lk_segment *segment, lk_error *error) {
  const lk_segment_header *h = &segment->header;
  lk_section sections = lk_segment_sections(h->version);
  uint64_t end = lk_segment_checksum_offset(h->version) + sizeof h->checksum;
  for (lk_section s = 0; s < sections; s++) {
    const lk_section_entry *entry = &h->sections[s];
    uint64_t begin = (end + LK_SECTION_ALIGN - 1) / LK_SECTION_ALIGN * LK_SECTION_ALIGN;
    if (entry->offset != begin || begin > segment->file.size || entry->bytes > segment->file.size - begin)
      return lk_segment_fail(segment, s, "it lies outside the file, which may be cut off", error);
    if (!lk_section_is_text(s) && entry->bytes != lk_section_bytes(h, s))
      return lk_segment_fail(segment, s, "its size does not fit the rows", error);
    if (!is_zero((const char *)segment->file.data + end, begin - end))
      return lk_segment_fail(segment, s, "the bytes before it are not zero", error);
    end = entry->offset + entry->bytes;
  }
  if (end != segment->file.size)
    return lk_fail(error, LK_ECORRUPT, "%s: at offset %llu, end: %llu bytes too many", segment->path,
                   (unsigned long long)end, (unsigned long long)(segment->file.size - end));
  for (lk_section s = 0; s < sections; s++) {
    if (s == LK_SECTION_CODES || s == LK_SECTION_EXACT) continue;
    lk_status status = lk_segment_verify(segment, s, error);
    if (status != LK_OK) return status;
  }
  return LK_OK;
}

static lk_status check_column(const lk_segment *segment, lk_column column, lk_section ends_section, lk_error *error) {
  uint64_t last = 0;
  for (uint32_t r = 0; r < segment->block.rows; r++) {
    if (column.ends[r] < last || column.ends[r] - last > column.longest)
      return lk_segment_fail(segment, ends_section, "it is not in order", error);
    last = column.ends[r];
  }
  return last == column.size ? LK_OK : lk_segment_fail(segment, ends_section, "it does not fit the texts", error);
}

static lk_status check_rows(const lk_segment *segment, lk_section section, lk_error *error) {
  const uint32_t *rows = lk_segment_section(segment, section);
  for (uint32_t i = 0; i < segment->block.rows; i++)
    if (rows[i] >= segment->block.rows)
      return lk_segment_fail(segment, section, "it names a row that is not there", error);
  return LK_OK;
}

/* The numbers are distinct, so the number index names each row once. */
static lk_status check_numbers(const lk_segment *segment, lk_error *error) {
  for (uint32_t i = 1; i < segment->block.rows; i++)
    if (segment->block.numbers[segment->by_number[i - 1]] >= segment->block.numbers[segment->by_number[i]])
      return lk_segment_fail(segment, LK_SECTION_BY_NUMBER, "it is not in order", error);
  return LK_OK;
}

/* Whoever has no expiry has LK_NEVER. */
static lk_status check_expiries(const lk_segment *segment, lk_error *error) {
  for (uint32_t r = 0; r < segment->block.rows; r++)
    if (segment->expires_ms[r] == 0) return lk_segment_fail(segment, LK_SECTION_EXPIRES, "an expiry is 0", error);
  return LK_OK;
}

/* Enrolled rows are from 2^-40 to 2^40 long. */
static lk_status check_reciprocals(const lk_segment *segment, lk_error *error) {
  const double *reciprocals = segment->block.reciprocals;
  for (uint32_t r = 0; reciprocals != NULL && r < segment->block.rows; r++)
    if (!(reciprocals[r] >= 0x1p-41 && reciprocals[r] <= 0x1p41))
      return lk_fail(error, LK_ECORRUPT, "%s: row %u: its reciprocal length is out of range", segment->path, r);
  return LK_OK;
}

/* The scan's certificate rests on these: a NaN here would drop rows silently. */
static lk_status check_bounds(const lk_segment *segment, lk_error *error) {
  const lk_block *block = &segment->block;
  for (uint32_t t = 0; t < (block->rows + LK_TILE_ROWS - 1) / LK_TILE_ROWS; t++) {
    const lk_tile *tile = &block->tiles[t];
    if (!(tile->scale > 0) || !isfinite(tile->scale) || !(tile->residual >= 0) || !isfinite(tile->residual) ||
        !(tile->norm_min >= 0) || !(tile->norm_max >= tile->norm_min) || !isfinite(tile->norm_max))
      return lk_segment_fail(segment, LK_SECTION_TILES, "a scale or length is out of range", error);
  }
  for (uint32_t r = 0; r < block->rows; r++) {
    const lk_row_bound *bound = &block->bounds[r];
    if (!(bound->residual >= 0) || !(bound->norm >= 0) || !isfinite(bound->residual) || !isfinite(bound->norm))
      return lk_segment_fail(segment, LK_SECTION_BOUNDS, "a length is out of range", error);
    const lk_tile *tile = &block->tiles[r / LK_TILE_ROWS];
    if (lk_row_fits(tile, bound) && bound->norm > tile->norm_max)
      return lk_segment_fail(segment, LK_SECTION_BOUNDS, "a row is longer than its tile says", error);
  }
  for (uint32_t i = 0; i < segment->shape.dim; i++)
    if (!isfinite(block->mean[i])) return lk_segment_fail(segment, LK_SECTION_MEAN, "an element is not finite", error);
  return LK_OK;
}

static lk_status check_contents(const lk_segment *segment, lk_error *error) {
  lk_status status = check_bounds(segment, error);
  if (status == LK_OK) status = check_reciprocals(segment, error);
  if (status == LK_OK) status = check_column(segment, segment->keys, LK_SECTION_KEY_ENDS, error);
  if (status == LK_OK) status = check_column(segment, segment->subjects, LK_SECTION_SUBJECT_ENDS, error);
  if (status == LK_OK) status = check_column(segment, segment->groups, LK_SECTION_GROUP_ENDS, error);
  if (status == LK_OK) status = check_rows(segment, LK_SECTION_BY_KEY, error);
  if (status == LK_OK) status = check_rows(segment, LK_SECTION_BY_SUBJECT, error);
  if (status == LK_OK) status = check_rows(segment, LK_SECTION_BY_NUMBER, error);
  if (status == LK_OK) status = check_numbers(segment, error);
  if (status != LK_OK || segment->header.version <= LK_SEGMENT_LASTING) return status;
  status = check_expiries(segment, error);
  return status == LK_OK ? check_column(segment, segment->metadata, LK_SECTION_METADATA_ENDS, error) : status;
}

static lk_column column_at(const lk_segment *segment, lk_section ends_section, uint32_t longest) {
  return (lk_column){.ends = lk_segment_section(segment, ends_section),
                     .bytes = lk_segment_section(segment, ends_section + 1),
                     .size = segment->header.sections[ends_section + 1].bytes,
                     .longest = longest};
}

static const double *reciprocals_at(const lk_segment *segment) {
  const lk_row_bound *bounds = lk_segment_section(segment, LK_SECTION_BOUNDS);
  return lk_segment_has_reciprocals(&segment->header) ? (const double *)(bounds + segment->header.rows) : NULL;
}

/* The rows' expiries where one of them expires: a search need not look at them otherwise. */
static const uint64_t *expiries_of(const lk_segment *segment) {
  for (uint32_t r = 0; segment->expires_ms != NULL && r < segment->header.rows; r++)
    if (segment->expires_ms[r] != LK_NEVER) return segment->expires_ms;
  return NULL;
}

static void locate_texts(lk_segment *segment) {
  segment->keys = column_at(segment, LK_SECTION_KEY_ENDS, LK_TEXT_MAX);
  segment->subjects = column_at(segment, LK_SECTION_SUBJECT_ENDS, LK_TEXT_MAX);
  segment->groups = column_at(segment, LK_SECTION_GROUP_ENDS, LK_TEXT_MAX);
  segment->by_key = lk_segment_section(segment, LK_SECTION_BY_KEY);
  segment->by_subject = lk_segment_section(segment, LK_SECTION_BY_SUBJECT);
  segment->by_number = lk_segment_section(segment, LK_SECTION_BY_NUMBER);
}

void lk_segment_locate(lk_segment *segment) {
  const lk_segment_header *h = &segment->header;
  bool has_all = h->version > LK_SEGMENT_LASTING;
  locate_texts(segment);
  segment->metadata = has_all ? column_at(segment, LK_SECTION_METADATA_ENDS, LK_METADATA_MAX) : (lk_column){0};
  segment->expires_ms = has_all ? lk_segment_section(segment, LK_SECTION_EXPIRES) : NULL;
  segment->versions = has_all ? lk_segment_section(segment, LK_SECTION_VERSIONS) : NULL;
  segment->shape = (lk_shape){.metric = (lk_metric)h->metric, .dim = h->dim, .store = (lk_store)h->store};
  segment->block = (lk_block){
      .rows = h->rows,
      .mean = lk_segment_section(segment, LK_SECTION_MEAN),
      .exact = lk_segment_section(segment, LK_SECTION_EXACT),
      .codes = lk_segment_section(segment, LK_SECTION_CODES),
      .tiles = lk_segment_section(segment, LK_SECTION_TILES),
      .bounds = lk_segment_section(segment, LK_SECTION_BOUNDS),
      .numbers = lk_segment_section(segment, LK_SECTION_NUMBERS),
      .reciprocals = reciprocals_at(segment),
      .visibility = {.expires_ms = expiries_of(segment), .tags = lk_segment_section(segment, LK_SECTION_TAGS)},
      .name = segment->path};
}

lk_status lk_segment_read(const lk_file *file, lk_segment *segment, lk_error *error) {
  lk_status status = read_header(file, segment, error);
  if (status != LK_OK) return status;
  segment->file = *file;
  status = check_sections(segment, error);
  if (status != LK_OK) return status;
  lk_segment_locate(segment);
  return check_contents(segment, error);
}

lk_status lk_segment_open(const lk_folder *folder, const char *name, lk_segment *segment, lk_error *error) {
  memset(segment, 0, sizeof *segment);
  lk_file file;
  lk_status status = lk_file_join(segment->path, folder->path, name, error);
  if (status == LK_OK) status = lk_folder_map(folder, name, &file, error);
  if (status != LK_OK) return status;
  status = lk_segment_read(&file, segment, error);
  if (status != LK_OK) {
    lk_file_unmap(&file);
    segment->file = (lk_file){0};
  }
  return status;
}

lk_status lk_segment_open_written(const lk_folder *folder, const char *name, uint64_t header_checksum,
                                  lk_segment *segment, lk_error *error) {
  lk_status status = lk_segment_open(folder, name, segment, error);
  if (status != LK_OK) return status;
  if (segment->header.checksum != header_checksum)
    status = lk_fail(error, LK_ECORRUPT, "%s: the file changed while it was written", segment->path);
  if (status == LK_OK) status = lk_segment_verify(segment, LK_SECTION_CODES, error);
  if (status == LK_OK) status = lk_segment_verify(segment, LK_SECTION_EXACT, error);
  if (status != LK_OK) lk_segment_close(segment);
  return status;
}

/* Memory that no file stands behind would come back as zeros. */
void lk_segment_forget_codes(const lk_segment *segment) {
  if (segment->file.mapping == NULL) return;
  uintptr_t page = 4096, begin = (uintptr_t)segment->block.codes,
            end = begin + (size_t)segment->block.rows * segment->shape.dim;
  begin = (begin + page - 1) / page * page;
  end = end / page * page;
  if (begin < end) madvise((void *)begin, end - begin, MADV_DONTNEED);
}

void lk_segment_close(lk_segment *segment) { lk_file_unmap(&segment->file); }

/* Reads a number of the map once: it may change between two readings. */
#define LOAD(address) __atomic_load_n(address, __ATOMIC_RELAXED)

/* Ends that have changed so that they make no sense give an empty text. */
static lk_text text_at(lk_column column, uint32_t row) {
  if (column.ends == NULL) return (lk_text){0};
  uint64_t begin = row == 0 ? 0 : LOAD(&column.ends[row - 1]), end = LOAD(&column.ends[row]);
  if (begin > end || end > column.size || end - begin > column.longest) return (lk_text){0};
  return (lk_text){.bytes = column.bytes + begin, .length = (uint32_t)(end - begin)};
}

/* A row that has changed so that there is none of its number gives the last row. */
static uint32_t row_at(const lk_segment *segment, const uint32_t *rows, uint32_t position) {
  uint32_t row = LOAD(&rows[position]);
  return row < segment->block.rows ? row : segment->block.rows - 1;
}

uint32_t lk_segment_row_at(const lk_segment *segment, uint32_t position) {
  return row_at(segment, segment->by_number, position);
}

lk_template lk_segment_template(const lk_segment *segment, uint32_t row) {
  return (lk_template){.number = segment->block.numbers[row],
                       .key = text_at(segment->keys, row),
                       .subject = text_at(segment->subjects, row),
                       .group = text_at(segment->groups, row),
                       .tags = segment->block.visibility.tags[row],
                       .version = segment->versions != NULL ? segment->versions[row] : 0,
                       .expires_ms = segment->expires_ms != NULL ? segment->expires_ms[row] : LK_NEVER,
                       .metadata = text_at(segment->metadata, row)};
}

/* The first position in the sorted rows whose text has a hash of at least `hash`. */
static uint32_t lower_bound(const lk_segment *segment, const uint32_t *rows, lk_column column, uint64_t hash) {
  uint32_t low = 0, high = segment->block.rows;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (lk_text_hash(text_at(column, row_at(segment, rows, middle))) < hash)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* The rows of one text in an index that is sorted by the texts' hashes. */
typedef struct search {
  const lk_segment *segment;
  const uint32_t *rows;
  lk_column column;
  lk_text text;
  uint64_t hash;
  uint32_t position;
} search;

static search begin_search(const lk_segment *segment, const uint32_t *rows, lk_column column, lk_text text) {
  uint64_t hash = lk_text_hash(text);
  return (search){.segment = segment,
                  .rows = rows,
                  .column = column,
                  .text = text,
                  .hash = hash,
                  .position = lower_bound(segment, rows, column, hash)};
}

static bool find_next(search *s, uint32_t *row) {
  while (s->position < s->segment->block.rows) {
    *row = row_at(s->segment, s->rows, s->position++);
    lk_text candidate = text_at(s->column, *row);
    if (lk_text_equal(candidate, s->text)) return true;
    if (lk_text_hash(candidate) != s->hash) return false;
  }
  return false;
}

bool lk_segment_find_key(const lk_segment *segment, lk_text key, uint32_t *row) {
  search s = begin_search(segment, segment->by_key, segment->keys, key);
  return find_next(&s, row);
}

void lk_segment_each_of_key(const lk_segment *segment, lk_text key, uint32_t number, lk_each_row *each, void *context) {
  search s = begin_search(segment, segment->by_key, segment->keys, key);
  for (uint32_t row; find_next(&s, &row);) each(context, number, row);
}

void lk_segment_each_of_subject(const lk_segment *segment, lk_text subject, uint32_t number, lk_each_row *each,
                                void *context) {
  search s = begin_search(segment, segment->by_subject, segment->subjects, subject);
  for (uint32_t row; find_next(&s, &row);) each(context, number, row);
}

uint32_t lk_segment_place(const lk_segment *segment, uint32_t row) {
  uint32_t low = 0, high = segment->block.rows;
  while (high - low > 1) {
    uint32_t middle = low + (high - low) / 2;
    if (segment->block.numbers[lk_segment_row_at(segment, middle)] <= segment->block.numbers[row])
      low = middle;
    else
      high = middle;
  }
  return low;
}

uint32_t lk_segment_place_from(const lk_segment *segment, uint64_t number) {
  uint32_t low = 0, high = segment->block.rows;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (segment->block.numbers[lk_segment_row_at(segment, middle)] < number)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

bool lk_segment_find_number(const lk_segment *segment, uint64_t number, uint32_t *row) {
  uint32_t low = lk_segment_place_from(segment, number);
  if (low == segment->block.rows) return false;
  *row = lk_segment_row_at(segment, low);
  return segment->block.numbers[*row] == number;
}
