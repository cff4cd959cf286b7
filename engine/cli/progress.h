/* A progress bar on a terminal. Elsewhere it draws nothing. */
#ifndef ENGINE_CLI_PROGRESS_H
#define ENGINE_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct lk_bar {
  FILE *terminal; /* NULL: the stream is not a terminal, draw nothing */
  const char *what;
  uint64_t drawn_us;
} lk_bar;

lk_bar lk_bar_open(FILE *stream, const char *what);
/* Its type is lk_progress. */
void lk_bar_update(void *bar, uint64_t done, uint64_t total);
/* Erases the bar. */
void lk_bar_close(lk_bar *bar);

#endif
