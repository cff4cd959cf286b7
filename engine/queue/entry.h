/* The id of a stream's entry. Whoever adds the entry can choose it, so it need not be the time. */
#ifndef ENGINE_QUEUE_ENTRY_H
#define ENGINE_QUEUE_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LK_ENTRY_TEXT = 48 }; /* more than an id has as text, with its NUL */

typedef struct lk_entry {
  uint64_t ms, sequence;
} lk_entry;

/* Reads "<ms>-<sequence>": two numbers of 64 bits in decimal, without leading zeros, as Redis writes them. The text
 * need not be terminated. Returns false for anything else. */
bool lk_entry_parse(const char *text, size_t length, lk_entry *entry);

#endif
