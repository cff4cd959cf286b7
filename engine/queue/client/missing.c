#include "engine/queue/client/missing.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"

enum { RANGES_MOST = 8 };

typedef struct range_list {
  char text[RANGES_MOST * 48];
  uint64_t ranges, more; /* how many; probes of those that are not in the text */
} range_list;

static void add_range(range_list *list, uint64_t first, uint64_t end) {
  size_t length = strlen(list->text);
  if (list->ranges >= RANGES_MOST)
    list->more += end - first;
  else
    snprintf(list->text + length, sizeof list->text - length, "%s%" PRIu64 " to %" PRIu64, length > 0 ? ", " : "",
             first, end - 1);
  list->ranges++;
}

/* The first job from this one on that has a reply, or that has none. Those behind the window have none. */
static uint64_t skip(lk_window *window, uint64_t number, bool answered) {
  while (number < window->opened && (lk_window_job_at(window, number)->reply != NULL) == answered) number++;
  return number == window->opened && !answered ? window->jobs : number;
}

void lk_missing_describe(const lk_client_job *job, lk_window *window, lk_error *text) {
  range_list list = {0};
  for (uint64_t begin = window->first, end; (begin = skip(window, begin, true)) < window->jobs; begin = end) {
    end = skip(window, begin, false);
    add_range(&list, lk_client_job_first(job, begin),
              lk_client_job_first(job, end - 1) + lk_client_job_probes(job, end - 1));
  }
  char more[64] = "";
  if (list.more > 0) snprintf(more, sizeof more, ", and %" PRIu64 " more", list.more);
  lk_fail(text, LK_EDEADLINE, "not answered: probes %s%s", list.text, more);
}
