/* A wall clock that a test can step: a library for LD_PRELOAD. The program's clock is the machine's and what the file
 * STEPPED_CLOCK says, in ms; redis_clock_set writes it. Clocks that only go forward, and so timers, are left alone.
 * libfaketime, which does the same, fails in redis-server: its beginning and jemalloc's wait for each other. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static const volatile int64_t *ahead_ms;

__attribute__((constructor)) static void find_clock(void) {
  const char *path = getenv("STEPPED_CLOCK");
  int file = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  void *map = mmap(NULL, sizeof *ahead_ms, PROT_READ, MAP_SHARED, file, 0);
  if (map == MAP_FAILED) abort();
  ahead_ms = map;
}

__attribute__((visibility("default"))) int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  (void)zone;
  struct timespec real;
  clock_gettime(CLOCK_REALTIME, &real);
  int64_t us = real.tv_sec * 1000000 + real.tv_nsec / 1000 + (ahead_ms != NULL ? *ahead_ms * 1000 : 0);
  *now = (struct timeval){.tv_sec = us / 1000000, .tv_usec = us % 1000000};
  return 0;
}

__attribute__((visibility("default"))) time_t time(time_t *kept) {
  struct timeval now;
  gettimeofday(&now, NULL);
  if (kept != NULL) *kept = now.tv_sec;
  return now.tv_sec;
}
