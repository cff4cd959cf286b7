#include "engine/cli/progress.h"

#include <inttypes.h>
#include <unistd.h>

#include "base/clock.h"

enum { WIDTH = 40 };
static const uint64_t redraw_us = 100000;

lk_bar lk_bar_open(FILE *stream, const char *what) {
  return (lk_bar){.terminal = isatty(fileno(stream)) ? stream : NULL, .what = what};
}

void lk_bar_update(void *context, uint64_t done, uint64_t total) {
  lk_bar *bar = context;
  uint64_t now_us = lk_clock_us();
  if (bar->terminal == NULL || total == 0 || (done < total && now_us < bar->drawn_us + redraw_us)) return;
  bar->drawn_us = now_us;
  int filled = (int)(done * WIDTH / total);
  fprintf(bar->terminal, "\r%s [%.*s%*s] %" PRIu64 " of %" PRIu64, bar->what, filled,
          "########################################", WIDTH - filled, "", done, total);
  fflush(bar->terminal);
}

void lk_bar_close(lk_bar *bar) {
  if (bar->terminal == NULL) return;
  fputs("\r\033[K", bar->terminal);
  fflush(bar->terminal);
}
