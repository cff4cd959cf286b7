/* Text with a row of numbers in each line, as numpy.savetxt, pandas and spreadsheets write it. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/fail.h"
#include "index/formats/vectors/decimal.h"
#include "index/formats/vectors/scratch.h"
#include "index/formats/vectors/vector_format.h"

enum { BLOCK_FLOATS = 1 << 16 };
_Static_assert(BLOCK_FLOATS >= LK_DIM_MAX, "a block has a row or more");

typedef struct text {
  const char *name;
  const char *at, *end;
  char separator;    /* ' ': any number of spaces */
  bool has_index;    /* the first column names the rows, as pandas and R write it */
  uint64_t line;     /* the last one taken, from 1 */
  uint64_t rows;     /* so far */
  uint32_t dim;      /* 0: no row yet */
  uint64_t row_line; /* of the first row */
  float *block;      /* BLOCK_FLOATS */
  uint32_t used;     /* of them */
  lk_scratch scratch;
} text;

/* A part of a line. */
typedef struct span {
  const char *at, *end;
} span;

static span trim(span s) {
  while (s.at < s.end && (*s.at == ' ' || *s.at == '\t')) s.at++;
  while (s.at < s.end && (s.end[-1] == ' ' || s.end[-1] == '\t' || s.end[-1] == '\r')) s.end--;
  return s;
}

/* Takes the next line that is neither empty nor a comment. False: there is none. */
static bool take_line(text *t, span *line) {
  while (t->at < t->end) {
    const char *feed = memchr(t->at, '\n', (size_t)(t->end - t->at));
    span whole = {t->at, feed != NULL ? feed : t->end};
    t->at = feed != NULL ? feed + 1 : t->end;
    t->line++;
    *line = trim(whole);
    bool counts = line->at < line->end && *line->at != '#';
    line->at = whole.at; /* a tab may follow its first field, which is empty */
    if (counts) return true;
  }
  return false;
}

static void find_separator(text *t, span line) {
  static const char separators[] = "\t;,";
  t->separator = ' ';
  for (const char *s = separators; *s != '\0' && t->separator == ' '; s++)
    if (memchr(line.at, *s, (size_t)(line.end - line.at)) != NULL) t->separator = *s;
}

/* Takes a field, without its quotes. False: the line has no more; `line->at` is NULL after its last. */
static bool take_field(const text *t, span *line, span *field) {
  if (line->at == NULL) return false;
  const char *at = line->at;
  while (at < line->end && *at == ' ') at++;
  const char *from = at;
  if (at < line->end && *at == '"') {
    const char *quote = memchr(at + 1, '"', (size_t)(line->end - at - 1));
    if (quote != NULL) at = quote;
  }
  const char *last = memchr(at, t->separator, (size_t)(line->end - at));
  *field = trim((span){from, last != NULL ? last : line->end});
  if (field->end - field->at >= 2 && field->at[0] == '"' && field->end[-1] == '"') field->at++, field->end--;
  line->at = last != NULL ? last + 1 : NULL;
  return true;
}

static lk_status refuse_field(const text *t, uint32_t column, span field, const char *what, lk_error *error) {
  int length = field.end - field.at < 32 ? (int)(field.end - field.at) : 32;
  if (length == 0) what = "is not a number: it is empty";
  return lk_fail(error, LK_EFORMAT, "%s: line %" PRIu64 ", column %" PRIu32 ": '%.*s' %s", t->name, t->line, column,
                 length, field.at, what);
}

static lk_status read_field(const text *t, uint32_t column, span field, float *value, lk_error *error) {
  if (lk_decimal_read(field.at, field.end, value) != field.end || field.at == field.end) {
    bool comma = t->separator != ',' && memchr(field.at, ',', (size_t)(field.end - field.at)) != NULL;
    return refuse_field(t, column, field, comma ? "is not a number: write 0.5, not 0,5" : "is not a number", error);
  }
  const char *digit = field.at + (*field.at == '-' || *field.at == '+');
  if (isinf(*value) && *digit != 'i' && *digit != 'I')
    return refuse_field(t, column, field, "is too large for a float", error);
  return LK_OK;
}

static lk_status flush(text *t, lk_error *error) {
  lk_status status = lk_scratch_write(&t->scratch, t->block, t->used * sizeof *t->block, error);
  t->used = 0;
  return status;
}

static lk_status refuse_count(const text *t, uint32_t count, lk_error *error) {
  return lk_fail(error, LK_EFORMAT, "%s: line %" PRIu64 " has %s%" PRIu32 " numbers; line %" PRIu64 " has %" PRIu32,
                 t->name, t->line, count > t->dim ? "more than " : "", count > t->dim ? t->dim : count, t->row_line,
                 t->dim);
}

static lk_status refuse_dim(const text *t, uint32_t count, lk_error *error) {
  return lk_fail(error, LK_EDIM, "%s: line %" PRIu64 ": rows of %" PRIu32 " elements; 1 to %d can be searched", t->name,
                 t->line, count, LK_DIM_MAX);
}

/* Each row after the first has as many numbers as that. */
static lk_status take_row(text *t, span line, lk_error *error) {
  uint32_t most = t->dim > 0 ? t->dim : LK_DIM_MAX, count = 0, column = 1;
  if (t->used + most > BLOCK_FLOATS) {
    lk_status status = flush(t, error);
    if (status != LK_OK) return status;
  }
  span field;
  if (t->has_index && take_field(t, &line, &field)) column++;
  while (take_field(t, &line, &field)) {
    if (count == most && t->dim > 0) return refuse_count(t, count + 1, error);
    if (count == most) return refuse_dim(t, count + 1, error);
    lk_status status = read_field(t, column++, field, &t->block[t->used + count], error);
    if (status != LK_OK) return status;
    count++;
    if (t->separator == ' ' && line.at != NULL) line = trim(line);
  }
  if (t->dim > 0 && count != t->dim) return refuse_count(t, count, error);
  if (t->dim == 0) t->dim = count, t->row_line = t->line;
  t->used += count;
  t->rows++;
  return LK_OK;
}

/* What the fields of a line are: words, empty, or anything else. */
typedef struct look {
  uint32_t fields, words, empty;
  bool first_empty;
  bool counts; /* they are 0, 1, 2, ...; but for the first, if it is empty */
} look;

/* A title has a letter, and another than an exponent's: 0,5 and 1.000,5e3 are numbers of some countries. */
static bool is_word(span field) {
  float value;
  if (lk_decimal_read(field.at, field.end, &value) == field.end) return false;
  for (const char *c = field.at; c < field.end; c++) {
    unsigned char small = (unsigned char)*c | 0x20;
    bool letter = (small >= 'a' && small <= 'z') || *c == '_' || (unsigned char)*c >= 0x80;
    if (letter && (small != 'e' || c == field.at)) return true;
  }
  return false;
}

static bool is_count(span field, uint32_t wanted) {
  uint32_t number = 0;
  for (const char *c = field.at; c < field.end; c++) {
    if (*c < '0' || *c > '9' || number > wanted) return false;
    number = number * 10 + (uint32_t)(*c - '0');
  }
  return field.at < field.end && number == wanted;
}

static look look_at(const text *t, span line) {
  look seen = {.counts = true};
  span field;
  for (; take_field(t, &line, &field); seen.fields++) {
    bool empty = field.at == field.end;
    if (seen.fields == 0) seen.first_empty = empty;
    seen.words += is_word(field);
    seen.empty += empty;
    if (seen.fields > 0 || !empty) seen.counts = seen.counts && is_count(field, seen.fields - seen.first_empty);
    if (t->separator == ' ' && line.at != NULL) line = trim(line);
  }
  return seen;
}

/* A line of titles, or of those that pandas invents: 0, 1, 2, ... Two numbers, 0 and 1, are rather a row. */
static bool is_header(const look *line) {
  if (line->words > 0) return line->words + line->empty == line->fields;
  return line->counts && line->fields > (line->first_empty ? 1 : 2);
}

/* A column of numbers that are no elements: they would be searched for in silence. */
static lk_status check_titles(const text *t, span line, lk_error *error) {
  static const char *const others[] = {"id", "row", "key", "label", "name", "subject", "index", "Unnamed: 0"};
  span field;
  for (uint32_t column = 1; take_field(t, &line, &field); column++) {
    size_t length = (size_t)(field.end - field.at);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
      if (length == strlen(others[i]) && strncasecmp(field.at, others[i], length) == 0)
        return refuse_field(t, column, field, "is a column that is not of the vectors; remove it", error);
    if (t->separator == ' ' && line.at != NULL) line = trim(line);
  }
  return LK_OK;
}

/* Each column has a title, but for one of row names that pandas leaves empty, or that R leaves out. */
static lk_status take_titles(text *t, const look *titles, uint64_t header_line, span row, lk_error *error) {
  uint32_t fields = look_at(t, row).fields;
  t->has_index = titles->first_empty || fields == titles->fields + 1;
  if (fields == titles->fields + (t->has_index && !titles->first_empty)) return LK_OK;
  return lk_fail(error, LK_EFORMAT,
                 "%s: line %" PRIu64 " has %" PRIu32 " fields, but the header in line %" PRIu64 " has %" PRIu32
                 " titles",
                 t->name, t->line, fields, header_line, titles->fields);
}

static lk_status take_rows(text *t, lk_error *error) {
  span line;
  bool found = take_line(t, &line);
  if (!found) return lk_fail(error, LK_EFORMAT, "%s: the file has no rows", t->name);
  find_separator(t, line);
  lk_status status = LK_OK;
  look titles = look_at(t, line);
  if (titles.words > 0) status = check_titles(t, line, error);
  if (status == LK_OK && is_header(&titles)) {
    uint64_t header_line = t->line;
    found = take_line(t, &line);
    if (found) status = take_titles(t, &titles, header_line, line, error);
  }
  while (status == LK_OK && found) {
    status = take_row(t, line, error);
    found = take_line(t, &line);
  }
  if (status == LK_OK && t->rows == 0) status = lk_fail(error, LK_EFORMAT, "%s: the file has no rows", t->name);
  return status == LK_OK ? flush(t, error) : status;
}

static lk_status skip_mark(text *t, lk_error *error) {
  size_t size = (size_t)(t->end - t->at);
  if (size >= 2 && (memcmp(t->at, "\xff\xfe", 2) == 0 || memcmp(t->at, "\xfe\xff", 2) == 0))
    return lk_fail(error, LK_EFORMAT, "%s: the text is UTF-16; save it as UTF-8", t->name);
  if (size >= 3 && memcmp(t->at, "\xef\xbb\xbf", 3) == 0) t->at += 3;
  return LK_OK;
}

static lk_status open_numbers(const lk_vector_source *source, lk_file *decoded, lk_vectors *vectors, lk_error *error) {
  const char *first = source->file.data;
  text t = {.name = source->name, .at = first, .end = first + source->file.size};
  lk_status status = skip_mark(&t, error);
  if (status != LK_OK) return status;
  lk_scratch_open(source->name, &t.scratch);
  t.block = malloc(BLOCK_FLOATS * sizeof *t.block);
  status = t.block != NULL ? take_rows(&t, error) : lk_fail_memory(error);
  free(t.block);
  if (status == LK_OK) status = lk_scratch_map(&t.scratch, decoded, error);
  lk_scratch_close(&t.scratch);
  if (status == LK_OK)
    *vectors =
        (lk_vectors){.name = source->name, .data = decoded->data, .rows = t.rows, .dim = t.dim, .element = LK_F32};
  return status;
}

const lk_vector_format lk_number_text_format = {
    .name = "text of numbers",
    .endings = ".csv .tsv .txt",
    .magic = "",
    .holds =
        "a row in each line, its numbers separated by `,`, `;`, tabs or spaces; with or without a header: "
        "words, or 0, 1, 2, ... from three columns on. A first column without a title names the rows and is passed "
        "over",
    .open = open_numbers};
