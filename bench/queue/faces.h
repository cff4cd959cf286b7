/* A gallery on disk that workers serve and the library searches in this process, and probes for it, in a folder of its
 * own. All such folders lie in one, which goes when the process ends. */
#ifndef BENCH_QUEUE_FACES_H
#define BENCH_QUEUE_FACES_H

#include <stdint.h>

enum { FACES_PROBES = 4096 };

typedef struct faces {
  char folder[40], gallery[48]; /* the gallery lies in the folder, and is named "faces" */
  uint32_t dim, k;
  float *probes; /* FACES_PROBES x dim */
} faces;

/* What the library alone needs. */
typedef struct faces_cost {
  double probes_per_s, cpu_us; /* CPU time of all its threads, a probe */
} faces_cost;

void faces_make(faces *faces, uint32_t rows, uint32_t dim, uint32_t k);
void faces_free(faces *faces);

/* Searches for `batch` probes at a time (at most FACES_PROBES) for about `seconds`, with so many threads. */
faces_cost faces_search(const faces *faces, uint32_t threads, uint32_t batch, double seconds);

#endif
