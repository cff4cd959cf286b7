/* Where a job is that was not answered yet, as Redis knows it. */
#ifndef ENGINE_QUEUE_CLIENT_WHEREABOUTS_H
#define ENGINE_QUEUE_CLIENT_WHEREABOUTS_H

#include "engine/queue/client/line.h"
#include "engine/queue/keys.h"

typedef enum lk_whereabouts_kind {
  LK_WHERE_UNKNOWN,  /* Redis was not asked, or did not answer */
  LK_WHERE_UNSERVED, /* it is queued, and no worker serves the gallery */
  LK_WHERE_QUEUED,   /* it is queued, and a worker does */
  LK_WHERE_HELD,     /* a worker took it */
  LK_WHERE_GONE,     /* it is in the stream no more */
} lk_whereabouts_kind;

typedef struct lk_whereabouts {
  lk_whereabouts_kind kind;
  uint64_t queued;  /* jobs in its stream that no worker took yet */
  char worker[128]; /* that took it, */
  uint64_t held_ms; /* so long ago, */
  bool lives;       /* and has its lease still */
} lk_whereabouts;

/* Asks for the entry of this stream. LK_EPOLICY: Redis refuses to tell. Where the line breaks: LK_WHERE_UNKNOWN. */
lk_status lk_whereabouts_ask(lk_line *line, const lk_keys *keys, const char *stream, const char *entry,
                             lk_whereabouts *where, lk_error *error);

/* Says it of a job of the gallery, with these `probes`: "probes 0 to 63". */
void lk_whereabouts_describe(const lk_whereabouts *where, const char *gallery, const char *probes, lk_error *text);

#endif
