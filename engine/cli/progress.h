/* A progress bar on a terminal; nothing anywhere else. */
#ifndef ENGINE_CLI_PROGRESS_H
#define ENGINE_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct lk_bar {
  FILE *terminal; /* NULL: none */
  const char *what;
  uint64_t drawn_us;
} lk_bar;

lk_bar lk_bar_open(FILE *stream, const char *what);
/* Has the type of lk_progress. */
void lk_bar_update(void *bar, uint64_t done, uint64_t total);
/* Wipes the bar. */
void lk_bar_close(lk_bar *bar);

#endif
