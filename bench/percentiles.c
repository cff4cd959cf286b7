#include "bench/percentiles.h"

#include <math.h>

enum { BUCKET_BITS = 6, WHOLE = 2 << BUCKET_BITS };

static uint32_t shift_of(uint64_t value) {
  return value < WHOLE ? 0 : 63 - (uint32_t)__builtin_clzll(value) - BUCKET_BITS;
}

static uint32_t bucket_of(uint64_t value) {
  uint32_t shift = shift_of(value);
  return (shift << BUCKET_BITS) + (uint32_t)(value >> shift);
}

static uint64_t greatest_of(uint32_t bucket) {
  if (bucket < WHOLE) return bucket;
  uint32_t shift = (bucket >> BUCKET_BITS) - 1;
  uint64_t part = (bucket & ((1 << BUCKET_BITS) - 1)) | 1 << BUCKET_BITS;
  return (part << shift) + ((UINT64_C(1) << shift) - 1);
}

void percentiles_add(percentiles *p, uint64_t value) {
  p->counts[bucket_of(value)]++;
  p->count++;
  p->sum += (double)value;
  if (value > p->most) p->most = value;
}

uint64_t percentiles_at(const percentiles *p, double share) {
  uint64_t wanted = (uint64_t)ceil(share * (double)p->count), seen = 0;
  if (wanted == 0) wanted = 1;
  for (uint32_t b = 0; b < PERCENTILES_BUCKETS; b++) {
    seen += p->counts[b];
    if (seen < wanted) continue;
    uint64_t greatest = greatest_of(b);
    return greatest < p->most ? greatest : p->most;
  }
  return p->most;
}

double percentiles_mean(const percentiles *p) { return p->count > 0 ? p->sum / (double)p->count : 0; }
