/* JSON as text, for what must not be written in part. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <jansson.h>

/* The text, which the caller frees; NULL for no `root`, or out of memory. */
char *lk_json_print(const json_t *root, size_t flags);

#endif
