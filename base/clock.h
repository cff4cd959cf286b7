/* Clocks. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Microseconds of the monotonic clock. */
static inline uint64_t lk_clock_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* The same, a time of that clock or a span, for the calls that take a timespec. */
static inline struct timespec lk_clock_timespec(uint64_t us) {
  return (struct timespec){.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000) * 1000};
}

/* Milliseconds since 1970-01-01T00:00:00Z by this machine's clock. */
static inline uint64_t lk_clock_unix_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static inline void lk_clock_sleep_us(uint64_t us) {
  const struct timespec time = lk_clock_timespec(us);
  nanosleep(&time, NULL);
}

#endif
