/* Prints JSON whole or not at all. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <jansson.h>
#include <likeness/types.h>
#include <stdbool.h>

/* Returns the text, which the caller frees; NULL when `root` is NULL or out of memory. */
char *lk_json_print(const json_t *root, size_t flags);

/* Sets the member `name` to the bytes as a text or, where they are no UTF-8, the member `<name>_hex` to their hex
 * digits. False: out of memory. */
bool lk_json_set_bytes(json_t *object, const char *name, lk_text bytes);

#endif
