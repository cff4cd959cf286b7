/* A small seeded generator for test data (splitmix64, Steele et al. 2014): the same seed gives the same data on every
 * machine. */
#ifndef TESTS_SUPPORT_RANDOM_H
#define TESTS_SUPPORT_RANDOM_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct random_state {
  uint64_t state;
} random_state;

static inline uint64_t random_bits(random_state *random) {
  uint64_t z = (random->state += UINT64_C(0x9e3779b97f4a7c15));
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

/* A generator of its own for each index. */
static inline random_state random_fork(uint64_t seed, uint64_t index) {
  random_state random = {seed ^ (index + 1) * UINT64_C(0xd1342543de82ef95)};
  random_bits(&random);
  return random;
}

/* 0 .. n-1 */
static inline uint32_t random_below(random_state *random, uint32_t n) {
  return (uint32_t)(((random_bits(random) >> 32) * n) >> 32);
}

static inline bool random_one_in(random_state *random, uint32_t n) { return random_below(random, n) == 0; }

/* 0 <= u < 1 */
static inline double random_uniform(random_state *random) { return (double)(random_bits(random) >> 11) * 0x1p-53; }

/* low .. high, every order of magnitude as likely as the next. */
static inline uint32_t random_log_uniform(random_state *random, uint32_t low, uint32_t high) {
  double drawn = low * pow((high + 1.0) / low, random_uniform(random));
  return drawn >= high ? high : (uint32_t)drawn;
}

/* Nearly normal: mean 0, variance 1, cheap (the sum of four uniform numbers from one draw). */
static inline double random_normal(random_state *random) {
  uint64_t bits = random_bits(random);
  int32_t sum = 0;
  for (int i = 0; i < 4; i++, bits >>= 16) sum += (int32_t)(bits & 0xffff) - 0x8000;
  return sum * (0x1p-16 * 1.7320508075688772);
}

#endif
