/* A connection to Redis that never waits, so that one thread can send by the clock and collect meanwhile. Whatever goes
 * wrong ends the process. */
#ifndef BENCH_QUEUE_WIRE_H
#define BENCH_QUEUE_WIRE_H

#include <stdbool.h>

#include "engine/queue/bytes.h"

typedef struct wire {
  int file;
  lk_bytes out, in;
  size_t written, taken; /* of `out`, of `in` */
} wire;

/* A whole reply: its parts in the order in which they were sent. Valid until wire_move. */
typedef struct wire_reply {
  const char *at, *end;
} wire_reply;

typedef struct wire_part {
  char type;        /* '*' array, '$' string, ':' integer, '+' status, '-' error */
  int64_t number;   /* an integer's value; how many parts an array has; -1: nil */
  const char *text; /* of a string, a status or an error */
  size_t length;
} wire_part;

void wire_open(wire *wire, const char *socket);
void wire_close(wire *wire);

/* A command: the number of its words, then each. wire_move sends it. */
void wire_begin(wire *wire, size_t words);
void wire_add(wire *wire, const void *bytes, size_t length);
void wire_add_string(wire *wire, const char *string);

/* Writes and reads as much as can be without waiting. */
void wire_move(wire *wire);
bool wire_has_output(const wire *wire);

/* Takes the next reply, if all of it is there. */
bool wire_take(wire *wire, wire_reply *reply);
/* Its next part; false: there is none. */
bool wire_next(wire_reply *reply, wire_part *part);

/* Ends the process with what Redis said. */
_Noreturn void wire_fail(const wire_part *part);

#endif
