/* What the queue costs and how long jobs wait in it: a private Redis, real workers, and one thread that sends and
 * collects.
 *
 *   --rows N --dim N --k N        the gallery and the candidates (4096 x 512, 10)
 *   --small-rows N                of the gallery of `saturation` (256), whose search is to be a small part
 *   --large-rows N                of the gallery of `load` (65536), whose search is to be the greater part
 *   --workers N --threads N       the most workers at once (2); search threads of each (1)
 *   --batch N                     a worker's preferred probes a batch (its own)
 *   --job-probes N                of jobs of several probes (64)
 *   --window N                    jobs of one probe outstanding in a closed loop (4096); larger: 4 times the probes
 *   --rate N --poisson --seed N   of an open loop: jobs a second (half of the capacity), and how they arrive
 *   --seconds N                   that a load is measured for (2), after one that is not
 *   --submit xadd|function        how jobs are sent
 *   --aof                         Redis writes its log; `saturation` measures both ways anyway
 *   --measure NAME[,NAME]         open, saturation, load, lone, library, sharing, priority (all) */
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/queue/measures.h"

static void check_names(const char *names) {
  for (const char *at = names; at != NULL; at = strchr(at, ',') != NULL ? strchr(at, ',') + 1 : NULL) {
    size_t length = strcspn(at, ",");
    const queue_measure *m = queue_measures;
    while (m->name != NULL && (strncmp(m->name, at, length) != 0 || m->name[length] != '\0')) m++;
    if (m->name == NULL) bench_fail("no such measure; the head of bench/bench_queue.c lists them");
  }
}

int main(int argc, char **argv) {
  queue_options options = {.rows = 4096,
                           .small_rows = 256,
                           .large_rows = 65536,
                           .dim = 512,
                           .k = 10,
                           .workers = 2,
                           .threads = 1,
                           .job_probes = 64,
                           .window = 4096,
                           .seed = 1,
                           .seconds = 2};
  queue_options_parse(&options, argc, argv);
  check_names(options.measures);
  faces made;
  faces_make(&made, options.rows, options.dim, options.k);
  printf("%u templates of %u dimensions, k %u; workers with %u search threads; seed %u\n", options.rows, options.dim,
         options.k, options.threads, options.seed);
  for (const queue_measure *m = queue_measures; m->name != NULL; m++) {
    if (!queue_options_has(&options, m->name)) continue;
    printf("== %s: %s\n", m->name, m->title);
    fflush(stdout);
    m->run(&options, &made);
  }
  faces_free(&made);
}
