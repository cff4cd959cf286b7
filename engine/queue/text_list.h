/* A list of keys or subjects in a field of a job: texts of 1 to LK_TEXT_MAX bytes with one line feed between two. */
#ifndef ENGINE_QUEUE_TEXT_LIST_H
#define ENGINE_QUEUE_TEXT_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include <likeness/status.h>
#include <likeness/types.h>

enum { LK_TEXT_LIST_MOST = 4096 };

typedef struct lk_text_list {
  bool given; /* a list that is given and empty names nobody */
  uint32_t count;
  const char *bytes; /* the field's */
  size_t length;
} lk_text_list;

/* What makes the field's value no list, a static string that says it of the text after the first `count`; or NULL. */
const char *lk_text_list_read(const char *bytes, size_t length, lk_text_list *list);

/* Writes the list's `count` texts, which point into the field. */
void lk_text_list_split(const lk_text_list *list, lk_text *texts);

/* Makes the list of `count` texts, each of which is one that a list may have. LK_EINVAL: they are too many; `name` says
 * whose they are. LK_ENOMEM. */
lk_status lk_text_list_join(const char *name, const lk_text *texts, uint32_t count, lk_text_list *list,
                            lk_error *error);
/* Frees a list that was joined; a list of zeros is allowed. */
void lk_text_list_free(lk_text_list *list);

#endif
