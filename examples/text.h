// Text files for the examples: lines, csv (RFC 4180, one record a line), and messages that name the file and the line.
// Any error ends the program: fail() prints one line and exits with 1.
#ifndef LIKENESS_EXAMPLES_TEXT_H
#define LIKENESS_EXAMPLES_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { LINE_BYTES = 512 };

struct lines {
  FILE *file;
  const char *path;
  size_t number;  // of the line last read, from 1
  char text[LINE_BYTES];
};

_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Makes the array large enough for `count` + 1 items and returns it; it doubles whenever `count` is a power of two.
void *grow(void *items, size_t count, size_t size);
char *copy(const char *text);
bool parse_count(const char *text, size_t *count);

struct lines lines_open(const char *path);
// Returns the next line without its newline; the caller may change it until the next call. After the last line it
// closes the file and returns NULL.
char *lines_next(struct lines *lines);

struct lines csv_open(const char *path, const char *header);
// Splits a line in place into exactly `wanted` fields.
void csv_split(const struct lines *lines, char *text, char **fields, size_t wanted);
size_t csv_count(const struct lines *lines, const char *field);
void csv_put(FILE *file, const char *field, char end);

FILE *create(const char *path);
void finish(FILE *file, const char *path);

#endif
