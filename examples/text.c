#include "examples/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("words: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(1);
}

void *grow(void *items, size_t count, size_t size) {
  if (count & (count - 1)) return items;
  void *larger = realloc(items, (count ? 2 * count : 1) * size);
  if (!larger) fail("out of memory");
  return larger;
}

char *copy(const char *text) {
  char *made = malloc(strlen(text) + 1);
  if (!made) fail("out of memory");
  return strcpy(made, text);
}

struct lines lines_open(const char *path) {
  struct lines lines = {.file = fopen(path, "r"), .path = path};
  if (!lines.file) fail("%s: %s", path, strerror(errno));
  return lines;
}

static bool is_utf8(const char *text) {
  for (const unsigned char *p = (const unsigned char *)text; *p;) {
    int more = *p < 0x80                 ? 0
               : *p >= 0xc2 && *p < 0xe0 ? 1
               : *p >= 0xe0 && *p < 0xf0 ? 2
               : *p >= 0xf0 && *p < 0xf5 ? 3
                                         : -1;
    if (more < 0) return false;
    for (p++; more > 0; more--, p++) {
      if ((*p & 0xc0) != 0x80) return false;
    }
  }
  return true;
}

char *lines_next(struct lines *lines) {
  lines->number++;
  if (!fgets(lines->text, sizeof lines->text, lines->file)) {
    if (ferror(lines->file)) fail("%s, line %zu: %s", lines->path, lines->number, strerror(errno));
    fclose(lines->file);
    return NULL;
  }
  size_t length = strcspn(lines->text, "\n");
  if (!lines->text[length] && !feof(lines->file)) {
    fail("%s, line %zu: longer than %d bytes, or holds a NUL byte", lines->path, lines->number, LINE_BYTES - 2);
  }
  lines->text[length] = '\0';
  if (length && lines->text[length - 1] == '\r') lines->text[length - 1] = '\0';
  if (!is_utf8(lines->text)) fail("%s, line %zu: not UTF-8", lines->path, lines->number);
  return lines->text;
}

FILE *create(const char *path) {
  FILE *file = fopen(path, "wb");
  if (!file) fail("%s: %s", path, strerror(errno));
  return file;
}

void finish(FILE *file, const char *path) {
  bool failed = ferror(file);
  if (fclose(file) || failed) fail("%s: cannot be written: %s", path, strerror(errno));
}

void csv_put(FILE *file, const char *field, char end) {
  if (field[strcspn(field, ",\"")]) {
    fputc('"', file);
    for (; *field; field++) fputs(*field == '"' ? "\"\"" : (char[]){*field, '\0'}, file);
    fputc('"', file);
  } else {
    fputs(field, file);
  }
  fputc(end, file);
}

// Undoes the quotes of the field at `text` in place; returns where the next field starts, NULL after the last.
static char *csv_take(const struct lines *lines, char *text) {
  bool quoted = *text == '"';
  char *to = text, *from = text + quoted;
  for (; quoted ? *from != '"' || from[1] == '"' : *from && *from != ','; from++) {
    if (!*from) fail("%s, line %zu: a quote is not closed", lines->path, lines->number);
    if (quoted && *from == '"') from++;
    *to++ = *from;
  }
  from += quoted;
  if (*from && *from != ',') fail("%s, line %zu: text after a closing quote", lines->path, lines->number);
  char *next = *from ? from + 1 : NULL;
  *to = '\0';
  return next;
}

void csv_split(const struct lines *lines, char *text, char **fields, size_t wanted) {
  size_t count = 0;
  for (; text && count < wanted; count++) {
    fields[count] = text;
    text = csv_take(lines, text);
  }
  if (text || count < wanted) fail("%s, line %zu: expected %zu fields", lines->path, lines->number, wanted);
}

struct lines csv_open(const char *path, const char *header) {
  struct lines lines = lines_open(path);
  const char *text = lines_next(&lines);
  if (!text || strcmp(text, header) != 0) fail("%s, line 1: expected the header %s", path, header);
  return lines;
}

bool parse_count(const char *text, size_t *count) {
  char *end;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 10);
  *count = (size_t)value;
  return *text >= '0' && *text <= '9' && !*end && !errno;
}

size_t csv_count(const struct lines *lines, const char *text) {
  size_t count;
  if (!parse_count(text, &count)) fail("%s, line %zu: \"%s\" is not a count", lines->path, lines->number, text);
  return count;
}
