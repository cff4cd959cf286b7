/* Prints JSON whole or not at all. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <jansson.h>

/* Returns the text, which the caller frees; NULL when `root` is NULL or out of memory. */
char *lk_json_print(const json_t *root, size_t flags);

#endif
