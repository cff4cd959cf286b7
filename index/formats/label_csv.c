#include <likeness/label_csv.h>

#include <csv.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"

enum column { ROW, KEY, SUBJECT, GROUP, TAGS, COLUMNS, UNKNOWN = COLUMNS };
static const char *const column_names[COLUMNS] = {"row", "key", "subject", "group", "tags"};

enum { MOST_COLUMNS = 64 };

typedef struct parse {
  const char *name;
  lk_label_csv *labels;
  bool *named; /* by row */
  size_t texts_used;
  enum column columns[MOST_COLUMNS]; /* by position */
  uint32_t columns_count;
  uint64_t record; /* the header is 1 */
  uint32_t field;
  lk_text fields[COLUMNS]; /* of this record */
  lk_status status;
  lk_error *error;
} parse;

static void fail(parse *p, const char *what, lk_text text) {
  if (p->status != LK_OK) return;
  p->status = lk_fail(p->error, LK_EFORMAT, "%s: record %llu: %s '%.*s'", p->name, (unsigned long long)p->record, what,
                      (int)(text.length < 64 ? text.length : 64), text.bytes);
}

static void take_header_field(parse *p, lk_text text) {
  if (p->field == MOST_COLUMNS) {
    fail(p, "more than 64 columns, at", text);
    return;
  }
  enum column column = ROW;
  while (column < COLUMNS && !lk_text_equal(text, lk_text_of(column_names[column]))) column++;
  for (uint32_t i = 0; i < p->field && column != UNKNOWN; i++)
    if (p->columns[i] == column) fail(p, "two columns are named", text);
  if (column == UNKNOWN && p->labels->unknown_column.bytes == NULL) p->labels->unknown_column = text;
  p->columns[p->field] = column;
}

static void take_field(void *bytes, size_t length, void *context) {
  parse *p = context;
  if (p->status != LK_OK) return;
  /* The texts buffer is as long as the file, and fields are never longer than the bytes they came from. */
  char *copy = p->labels->texts + p->texts_used;
  if (length > 0) memcpy(copy, bytes, length);
  p->texts_used += length;
  lk_text text = {.bytes = copy, .length = length <= LK_TEXT_MAX ? (uint32_t)length : LK_TEXT_MAX + 1};
  if (p->record == 1)
    take_header_field(p, text);
  else if (p->field >= p->columns_count)
    fail(p, "more fields than the header has, at", text);
  else if (p->columns[p->field] != UNKNOWN)
    p->fields[p->columns[p->field]] = text;
  p->field++;
}

static bool parse_number(lk_text text, int base, uint64_t *number) {
  char digits[24], *end;
  if (text.length == 0 || text.length >= sizeof digits || text.bytes[0] < '0' || text.bytes[0] > '9') return false;
  memcpy(digits, text.bytes, text.length);
  digits[text.length] = '\0';
  errno = 0;
  *number = strtoull(digits, &end, base);
  return errno == 0 && end == digits + text.length;
}

/* strtoull must not choose the base: it would read 010 as eight. */
static bool parse_tags(lk_text text, uint64_t *tags) {
  bool hex = text.length > 1 && (text.bytes[1] == 'x' || text.bytes[1] == 'X');
  return text.length == 0 || parse_number(text, hex ? 16 : 10, tags);
}

static void finish_header(parse *p) {
  p->columns_count = p->field;
  for (uint32_t i = 0; i < p->field; i++)
    if (p->columns[i] == ROW) return;
  fail(p, "the header has no column", lk_text_of("row"));
}

static void finish_record(parse *p) {
  uint64_t row = 0, tags = 0;
  if (!parse_number(p->fields[ROW], 10, &row)) {
    fail(p, "row is not a number:", p->fields[ROW]);
    return;
  }
  if (row >= p->labels->rows)
    fail(p, "there is no such row of vectors:", p->fields[ROW]);
  else if (p->named[row])
    fail(p, "this row is named twice:", p->fields[ROW]);
  if (!parse_tags(p->fields[TAGS], &tags)) fail(p, "tags are not a 64-bit number:", p->fields[TAGS]);
  for (enum column column = KEY; column <= GROUP; column++) {
    const char *fault = lk_text_fault(p->fields[column]);
    if (fault != NULL) fail(p, fault, p->fields[column]);
  }
  if (p->status != LK_OK) return;
  p->named[row] = true;
  p->labels->of_row[row] =
      (lk_label){.key = p->fields[KEY], .subject = p->fields[SUBJECT], .group = p->fields[GROUP], .tags = tags};
}

static void finish_row(int terminator, void *context) {
  (void)terminator;
  parse *p = context;
  if (p->status == LK_OK) {
    if (p->record == 1)
      finish_header(p);
    else
      finish_record(p);
  }
  p->record++;
  p->field = 0;
  memset(p->fields, 0, sizeof p->fields);
}

static lk_status run(parse *p, const char *data, size_t size) {
  if (size >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) data += 3, size -= 3; /* a byte order mark */
  struct csv_parser csv;
  if (csv_init(&csv, CSV_STRICT | CSV_STRICT_FINI) != 0) return lk_fail_memory(p->error);
  size_t taken = csv_parse(&csv, data, size, take_field, finish_row, p);
  bool complete = taken == size && csv_fini(&csv, take_field, finish_row, p) == 0;
  int code = csv_error(&csv);
  csv_free(&csv);
  if (p->status != LK_OK) return p->status;
  if (code == CSV_ENOMEM) return lk_fail_memory(p->error);
  if (!complete)
    return lk_fail(p->error, LK_EFORMAT, "%s: record %llu: malformed quotes", p->name, (unsigned long long)p->record);
  if (p->record == 1) return lk_fail(p->error, LK_EFORMAT, "%s: the file is empty", p->name);
  return LK_OK;
}

lk_status lk_label_csv_parse(const char *name, const void *data, size_t size, uint64_t rows, lk_label_csv *labels,
                             lk_error *error) {
  parse p = {.name = name, .labels = labels, .record = 1, .error = error};
  *labels = (lk_label_csv){0};
  if (rows >= SIZE_MAX / sizeof *labels->of_row) return lk_fail_memory(error);
  *labels = (lk_label_csv){.of_row = calloc(rows + 1, sizeof *labels->of_row), .rows = rows, .texts = malloc(size + 1)};
  p.named = calloc(rows + 1, sizeof *p.named);
  lk_status status = LK_OK;
  if (labels->of_row == NULL || labels->texts == NULL || p.named == NULL)
    status = lk_fail_memory(error);
  else
    status = run(&p, data, size);
  free(p.named);
  if (status != LK_OK) lk_label_csv_close(labels);
  return status;
}

lk_status lk_label_csv_open(const char *path, uint64_t rows, lk_label_csv *labels, lk_error *error) {
  lk_file file;
  lk_status status = lk_file_read(path, &file, error);
  if (status != LK_OK) return status;
  status = lk_label_csv_parse(path, file.data, file.size, rows, labels, error);
  lk_file_free(&file);
  return status;
}

void lk_label_csv_close(lk_label_csv *labels) {
  free(labels->of_row);
  free(labels->texts);
  *labels = (lk_label_csv){0};
}
