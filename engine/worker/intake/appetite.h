/* What to read next, and how much of it: no more than the worker can compute soon, since other workers cannot get the
 * jobs that wait here; and every lane in its turn, so that no client waits for another one's queue. Redis counts
 * entries only; so what an entry weighs is estimated from those that came lately. Pure: no clock, no Redis. */
#ifndef ENGINE_WORKER_INTAKE_APPETITE_H
#define ENGINE_WORKER_INTAKE_APPETITE_H

#include <stdbool.h>
#include <stdint.h>

#include <likeness/status.h>

enum { LK_READ_MOST = 256 }; /* entries of a lane in one read */

typedef struct lk_room {
  uint64_t probes, bytes;
} lk_room;

/* What an entry has weighed lately, on average. It follows heavier entries at once and lighter ones slowly. */
typedef struct lk_weight {
  double probes, bytes;
  uint32_t burst; /* entries that may come at once: a few more than came before, since the next may weigh more */
} lk_weight;

/* How many entries fill the room; at least 1, or 0 where there is none. */
uint32_t lk_weight_fit(const lk_weight *weight, lk_room room);
/* `entries` came, which weighed so much together. */
void lk_weight_note(lk_weight *weight, uint32_t entries, lk_room together);

typedef struct lk_read {
  uint32_t first, lanes; /* `lanes` lanes from `first` on, lane 0 after the last; 0: nothing, there is no room */
  uint32_t count;        /* entries of each */
  bool blocks;           /* all lanes are asked, and none is known to have more */
} lk_read;

/* The lanes of one priority, of all galleries. */
typedef struct lk_appetite {
  lk_weight weight;
  uint32_t lanes;
  uint64_t turn;
  uint64_t *read_in; /* of each lane: the turn in which it was last read */
  bool *has_more;    /* it gave as much as it was asked for */
  uint32_t next;     /* where the next sweep over the lanes begins */
  uint32_t served;   /* the lane that was last read alone */
  uint32_t quiet;    /* lanes that were swept since one had more */
  bool serves;       /* the last turn read one lane alone */
} lk_appetite;

lk_status lk_appetite_open(uint32_t lanes, lk_appetite *appetite, lk_error *error);
void lk_appetite_close(lk_appetite *appetite);

/* The next read. Turns alternate between a lane that has more, which alone may fill the room, and a sweep over as many
 * lanes as the room has place for an entry of each. Every lane is read within as many turns as there are lanes. */
lk_read lk_appetite_next(lk_appetite *appetite, lk_room room);
/* The read gave got[i] entries of its lane i, which weighed so much together. */
void lk_appetite_note(lk_appetite *appetite, const lk_read *read, const uint32_t *got, lk_room together);

#endif
