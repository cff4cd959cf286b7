/* The jobs that are on their way, and the replies that came before their turn. However many jobs there are, these are
 * at most LK_WINDOW_MOST, and fewer where jobs or replies are large. */
#ifndef ENGINE_QUEUE_CLIENT_WINDOW_H
#define ENGINE_QUEUE_CLIENT_WINDOW_H

#include "engine/queue/entry.h"
#include "engine/queue/redis.h"
#include "engine/queue/reply.h"

enum { LK_WINDOW_MOST = 64 };

typedef struct lk_window_job {
  bool sent;                 /* Redis said that it has it */
  char entry[LK_ENTRY_TEXT]; /* in the stream, when it was last sent; empty: not known */
  lk_redis_reply *reply;     /* NULL: it is not answered */
  lk_reply_reader reader;    /* of that reply */
} lk_window_job;

typedef struct lk_window {
  uint64_t jobs;                       /* in all */
  uint64_t first;                      /* of the window: the replies to all before it were taken */
  uint64_t opened;                     /* the end of the window */
  size_t job_bytes;                    /* of the largest job or reply */
  lk_window_job slots[LK_WINDOW_MOST]; /* a job's is that of its number modulo LK_WINDOW_MOST */
} lk_window;

/* `job_bytes`: what a job or its reply may be expected to take; larger replies are noticed as they come. */
void lk_window_make(lk_window *window, uint64_t jobs, size_t job_bytes);
void lk_window_free(lk_window *window);

/* Lets jobs in as far as there is room. */
void lk_window_open(lk_window *window);

/* A job of the window. */
lk_window_job *lk_window_job_at(lk_window *window, uint64_t number);

/* Whether a job is neither sent nor answered. */
bool lk_window_has_unsent(lk_window *window);
/* All jobs without a reply shall be sent again. */
void lk_window_resend(lk_window *window);
/* The first job without a reply; the window's end if all have one. */
uint64_t lk_window_oldest(lk_window *window);

/* Puts a reply to its job and takes ownership of it. A second reply to a job is dropped. LK_EFORMAT: it is no reply, or
 * to a job that was never sent. */
lk_status lk_window_keep(lk_window *window, lk_redis_reply *reply, lk_error *error);
/* Lets the first job go, with its reply. */
void lk_window_take(lk_window *window);

#endif
