/* The csv (RFC 4180) of labels. Fields may also be separated by semicolons or tabs, as spreadsheets do it. */
#include <csv.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/fail.h"
#include "base/text.h"
#include "base/timestamp.h"
#include "index/formats/labels/label_format.h"
#include "index/formats/labels/plain_text.h"

/* EXPIRY: another name for EXPIRES, which `likeness list` writes. */
enum column { ROW, KEY, SUBJECT, GROUP, TAGS, EXPIRES, METADATA, EXPIRY, COLUMNS, PASSED_OVER = COLUMNS };
static const char *const column_names[COLUMNS] = {"row",  "key",     "subject",  "group",
                                                  "tags", "expires", "metadata", "expiry"};
#define KNOWN "row, key, subject, group, tags, expires, metadata"

enum { MOST_COLUMNS = 64 };

typedef struct parse {
  const lk_label_source *source;
  lk_label_file *labels;
  bool *named; /* by row */
  size_t texts_used;
  enum column columns[MOST_COLUMNS]; /* by position */
  uint32_t columns_count;
  bool has_rows;   /* a column `row` */
  bool is_narrow;  /* the header of a file has no separator */
  uint64_t record; /* the header is 1 */
  uint32_t field;
  lk_text fields[COLUMNS]; /* of this record */
  lk_status status;
  lk_error *error;
} parse;

static void fail(parse *p, const char *what, lk_text text) {
  if (p->status != LK_OK) return;
  p->status = lk_fail(p->error, LK_EFORMAT, "%s: record %" PRIu64 ": %s '%.*s'", p->source->name, p->record, what,
                      (int)(text.length < 64 ? text.length : 64), text.bytes);
}

static const char *name_of(const void *context, int column) {
  (void)context;
  return column_names[column];
}

static bool is_one_of(lk_text text, const char *const *names) {
  while (*names != NULL && (strlen(*names) != text.length || strncasecmp(text.bytes, *names, text.length) != 0))
    names++;
  return *names != NULL;
}

static void refuse_column(parse *p, lk_text title) {
  static const char *const likely_keys[] = {"id", "name", "label", "filename", "file", "path", NULL};
  const char *nearest = lk_text_nearest(title, name_of, NULL, METADATA + 1);
  int length = (int)(title.length < 64 ? title.length : 64);
  if (p->is_narrow && (nearest == NULL || p->source->key_column != NULL) && !is_one_of(title, likely_keys))
    p->status =
        lk_fail(p->error, LK_EFORMAT,
                "%s: unknown column '%.*s'; known are " KNOWN "; a file with a subject in each line must end in .txt",
                p->source->name, length, title.bytes);
  else if (nearest != NULL)
    p->status =
        lk_fail(p->error, LK_EFORMAT, "%s: unknown column '%.*s'; did you mean '%s'?%s", p->source->name, length,
                title.bytes, nearest, p->is_narrow ? " A file with a subject in each line must end in .txt" : "");
  else if (p->source->path != NULL && p->source->key_column == NULL && is_one_of(title, likely_keys))
    p->status = lk_fail(p->error, LK_EFORMAT,
                        "%s: unknown column '%.*s'; known are " KNOWN "; if it has the keys, say --key-column %.*s",
                        p->source->name, length, title.bytes, length, title.bytes);
  else
    p->status = lk_fail(p->error, LK_EFORMAT,
                        "%s: unknown column '%.*s'; known are " KNOWN "; one that begins with x- is passed over",
                        p->source->name, length, title.bytes);
}

/* A first column without a name numbers the records, as pandas writes it. */
static enum column column_of(parse *p, lk_text title) {
  if (p->source->key_column != NULL && lk_text_equal(title, lk_text_of(p->source->key_column))) return KEY;
  for (enum column column = ROW; column < COLUMNS; column++)
    if (lk_text_equal(title, lk_text_of(column_names[column]))) return column == EXPIRY ? EXPIRES : column;
  bool passed_over = title.length == 0 ? p->field == 0 : title.length >= 2 && memcmp(title.bytes, "x-", 2) == 0;
  if (!passed_over) refuse_column(p, title);
  return PASSED_OVER;
}

static void take_title(parse *p, lk_text title) {
  if (p->field == MOST_COLUMNS) {
    fail(p, "more than 64 columns, at", title);
    return;
  }
  enum column column = column_of(p, title);
  for (uint32_t i = 0; i < p->field && column != PASSED_OVER; i++)
    if (p->columns[i] == column)
      fail(p, column == KEY ? "two columns have the keys, at" : "two columns are named", title);
  p->columns[p->field] = column;
  p->has_rows = p->has_rows || column == ROW;
}

static void take_field(void *bytes, size_t length, void *context) {
  parse *p = context;
  if (p->status != LK_OK) return;
  /* The texts buffer is as long as the file, and fields are never longer than the bytes they came from. */
  char *copy = p->labels->texts + p->texts_used;
  if (length > 0) memcpy(copy, bytes, length);
  p->texts_used += length;
  lk_text text = {.bytes = copy, .length = length <= LK_METADATA_MAX ? (uint32_t)length : LK_METADATA_MAX + 1};
  if (p->record == 1)
    take_title(p, text);
  else if (p->field < p->columns_count && p->columns[p->field] != PASSED_OVER)
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

/* Digits are Unix time in milliseconds. */
static void parse_expiry(parse *p, lk_text text, uint64_t *expires_ms) {
  int64_t ms = 0;
  if (text.length == 0) return;
  const char *fault = NULL;
  if (!parse_number(text, 10, expires_ms)) {
    fault = lk_timestamp_parse(text, &ms);
    *expires_ms = ms > 0 ? (uint64_t)ms : 0;
  }
  if (fault == NULL && *expires_ms == 0) fault = "is not after 1970-01-01";
  if (fault != NULL && p->status == LK_OK)
    p->status = lk_fail(p->error, LK_EFORMAT, "%s: record %" PRIu64 ": expires '%.*s' %s", p->source->name, p->record,
                        (int)(text.length < 64 ? text.length : 64), text.bytes, fault);
}

static void finish_header(parse *p) {
  p->columns_count = p->field;
  const char *wanted = p->source->key_column;
  for (uint32_t i = 0; i < p->field && wanted != NULL; i++)
    if (p->columns[i] == KEY) wanted = NULL;
  if (wanted != NULL) fail(p, "the header has no column", lk_text_of(wanted));
}

/* The row that a record names; without a column for it, the records are in the order of the rows. False: refused, or
 * one record too many, which is counted. */
static bool find_row(parse *p, uint64_t *row) {
  *row = p->record - 2;
  if (!p->has_rows) return *row < p->labels->rows;
  if (!parse_number(p->fields[ROW], 10, row))
    fail(p, "row is not a number:", p->fields[ROW]);
  else if (*row >= p->labels->rows)
    p->status =
        lk_fail(p->error, LK_EFORMAT,
                "%s: record %" PRIu64 ": there is no row %" PRIu64 " of the %" PRIu64 " vectors, which count from 0",
                p->source->name, p->record, *row, p->labels->rows);
  else if (p->named[*row])
    fail(p, "this row is named twice:", p->fields[ROW]);
  return p->status == LK_OK;
}

static void finish_record(parse *p) {
  uint64_t row, tags = 0, expires_ms = 0;
  if (p->field != p->columns_count) {
    p->status =
        lk_fail(p->error, LK_EFORMAT, "%s: record %" PRIu64 " has %" PRIu32 " field%s, but the header has %" PRIu32,
                p->source->name, p->record, p->field, p->field == 1 ? "" : "s", p->columns_count);
    return;
  }
  if (!find_row(p, &row)) return;
  if (!parse_tags(p->fields[TAGS], &tags)) fail(p, "tags are not a 64-bit number:", p->fields[TAGS]);
  parse_expiry(p, p->fields[EXPIRES], &expires_ms);
  if (p->fields[METADATA].length > LK_METADATA_MAX) fail(p, "metadata is longer than 256 bytes:", p->fields[METADATA]);
  for (enum column column = KEY; column <= GROUP; column++) {
    const char *fault = lk_text_fault(p->fields[column]);
    if (fault != NULL) fail(p, fault, p->fields[column]);
  }
  if (p->status != LK_OK) return;
  p->named[row] = true;
  p->labels->of_row[row] = (lk_label){.key = p->fields[KEY],
                                      .subject = p->fields[SUBJECT],
                                      .group = p->fields[GROUP],
                                      .tags = tags,
                                      .expires_ms = expires_ms,
                                      .metadata = p->fields[METADATA]};
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

static size_t first_line_length(const lk_plain_text *text) {
  const char *feed = memchr(text->bytes, '\n', text->size);
  return feed != NULL ? (size_t)(feed - text->bytes) : text->size;
}

/* By the first line. */
static unsigned char separator_of(const lk_plain_text *text) {
  static const char separators[] = "\t;";
  size_t length = first_line_length(text);
  for (const char *s = separators; *s != '\0'; s++)
    if (memchr(text->bytes, *s, length) != NULL) return (unsigned char)*s;
  return ',';
}

bool lk_label_csv_has_header(lk_text line, const char *key_column) {
  for (uint32_t at = 0, end = 0; at <= line.length; at = end + 1) {
    for (end = at; end < line.length && strchr(",;\t", line.bytes[end]) == NULL;) end++;
    lk_text title = {.bytes = line.bytes + at, .length = end - at};
    bool quoted = title.length >= 2 && title.bytes[0] == '"' && title.bytes[title.length - 1] == '"';
    if (quoted) title.bytes++, title.length -= 2;
    for (int column = ROW; column < COLUMNS; column++)
      if (lk_text_equal(title, lk_text_of(column_names[column]))) return true;
    if (key_column != NULL && lk_text_equal(title, lk_text_of(key_column))) return true;
  }
  return false;
}

static lk_status run(parse *p, const lk_plain_text *text) {
  struct csv_parser csv;
  if (csv_init(&csv, CSV_STRICT | CSV_STRICT_FINI) != 0) return lk_fail_memory(p->error);
  csv_set_delim(&csv, separator_of(text));
  p->is_narrow = p->source->path != NULL && memchr(text->bytes, separator_of(text), first_line_length(text)) == NULL;
  size_t taken = csv_parse(&csv, text->bytes, text->size, take_field, finish_row, p);
  bool complete = taken == text->size && csv_fini(&csv, take_field, finish_row, p) == 0;
  int code = csv_error(&csv);
  csv_free(&csv);
  if (p->status != LK_OK) return p->status;
  if (code == CSV_ENOMEM) return lk_fail_memory(p->error);
  if (!complete)
    return lk_fail(p->error, LK_EFORMAT, "%s: record %" PRIu64 ": malformed quotes", p->source->name, p->record);
  if (p->record == 1) return lk_fail(p->error, LK_EFORMAT, "%s: the file is empty", p->source->name);
  return lk_label_check_count(p->source, p->record - 2, p->labels->rows, p->error);
}

lk_status lk_label_csv_read(const lk_label_source *source, lk_label_file *labels, lk_error *error) {
  parse p = {.source = source, .labels = labels, .record = 1, .error = error};
  lk_plain_text text;
  lk_status status = lk_plain_text_of(source->name, source->data, source->size, &text, error);
  if (status != LK_OK) return status;
  labels->texts = malloc(text.size + 1);
  p.named = calloc(labels->rows + 1, sizeof *p.named);
  status = labels->texts != NULL && p.named != NULL ? run(&p, &text) : lk_fail_memory(error);
  free(p.named);
  free(text.bytes);
  return status;
}
