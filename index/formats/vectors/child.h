/* Work in a process of its own: for code that was not written for files from elsewhere. Whatever becomes of it, the
 * caller goes on. The child has its memory as it was, and may not use threads that the caller has. */
#ifndef INDEX_FORMATS_VECTORS_CHILD_H
#define INDEX_FORMATS_VECTORS_CHILD_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include <likeness/status.h>

enum { LK_CHILD_ANSWER_MOST = PIPE_BUF - 1 };

typedef struct lk_child {
  int to;               /* the caller */
  uint32_t processor_s; /* the child is ended if it uses so much of a processor, ... */
  uint32_t wait_ms;     /* ... or if the caller waits so long, since it began or last said that it goes on */
} lk_child;

/* What runs in the child. It has a copy of all that the caller has, and fills the answer. */
typedef void lk_child_work(lk_child *child, const void *task, void *answer);

/* Runs the work and copies its answer, of up to LK_CHILD_ANSWER_MOST bytes: trust nothing that it says. `limits->to` is
 * not used. LK_EFORMAT, about
 * `name`: the child failed, or took too long on a processor. LK_EIO: it was stopped or killed, waited for something
 * that did not come, or ended otherwise, as a sanitizer ends it. */
lk_status lk_child_run(const char *name, const lk_child *limits, lk_child_work *work, const void *task, void *answer,
                       size_t answer_bytes, lk_error *error);

/* Called in the child: a part of the work is done, so the times begin anew. */
void lk_child_go_on(const lk_child *child);

#endif
