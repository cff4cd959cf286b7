/* The load generator's connection to Redis: not lk_wire, whose calls wait. This one never does, so that one thread can
 * send by the clock and collect meanwhile. Whatever goes wrong ends the process. */
#ifndef BENCH_QUEUE_GENERATOR_LINK_H
#define BENCH_QUEUE_GENERATOR_LINK_H

#include <stdbool.h>

#include "engine/queue/bytes.h"

typedef struct generator_link {
  int file;
  lk_bytes out, in;
  size_t written, taken; /* of `out`, of `in` */
} generator_link;

/* A whole reply: its parts in the order in which they were sent. Valid until generator_move. */
typedef struct generator_reply {
  const char *at, *end;
} generator_reply;

typedef struct generator_part {
  char type;        /* '*' array, '$' string, ':' integer, '+' status, '-' error */
  int64_t number;   /* an integer's value; how many parts an array has; -1: nil */
  const char *text; /* of a string, a status or an error */
  size_t length;
} generator_part;

void generator_open(generator_link *link, const char *socket);
void generator_close(generator_link *link);

/* A command: the number of its words, then each. generator_move sends it. */
void generator_begin(generator_link *link, size_t words);
void generator_add(generator_link *link, const void *bytes, size_t length);
void generator_add_string(generator_link *link, const char *string);

/* Writes and reads as much as can be without waiting. */
void generator_move(generator_link *link);
bool generator_has_output(const generator_link *link);

/* Takes the next reply, if all of it is there. */
bool generator_take(generator_link *link, generator_reply *reply);
/* Its next part; false: there is none. */
bool generator_next(generator_reply *reply, generator_part *part);

/* Ends the process with what Redis said. */
_Noreturn void generator_fail(const generator_part *part);

#endif
