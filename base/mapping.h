/* Mapped files that can be cut off, or fail to be read, while they are in use. Reading such a page raises SIGBUS, which
 * would end the process. The first mapping that is added installs a handler for SIGBUS: it puts a page of zeros in
 * place of the one that cannot be read and marks the mapping as damaged. Whoever used the mapping then asks whether it
 * is damaged, and drops what was computed from it. A SIGBUS elsewhere goes to the handler that was there before.
 *
 * Any thread may call. */
#ifndef BASE_MAPPING_H
#define BASE_MAPPING_H

#include <stdbool.h>
#include <stddef.h>

typedef struct lk_mapping lk_mapping;

/* Adds a mapping for reading, of `size` bytes (1 or more). NULL: out of memory, or the handler cannot be installed. */
lk_mapping *lk_mapping_add(const void *begin, size_t size);
/* Before it is unmapped. NULL is allowed. */
void lk_mapping_remove(lk_mapping *mapping);

/* Whether a page of it could not be read. NULL is never damaged. */
bool lk_mapping_is_damaged(const lk_mapping *mapping);

/* The mapping that has this address; NULL: none has. */
lk_mapping *lk_mapping_find(const void *address);

#endif
