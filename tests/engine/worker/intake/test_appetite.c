#include "engine/worker/intake/appetite.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/support/random.h"

enum { LANES = 16 };

static const lk_room plenty = {.probes = 512, .bytes = 1 << 28};

static lk_appetite appetite;

static void setup(void) { cr_assert_eq(lk_appetite_open(LANES, &appetite, NULL), LK_OK); }
static void teardown(void) { lk_appetite_close(&appetite); }

TestSuite(appetite, .init = setup, .fini = teardown);

/* Lanes with so many jobs each, all of one weight. */
typedef struct queue {
  uint32_t jobs[LANES];
  uint32_t probes, bytes; /* of a job */
} queue;

/* Reads once; returns the number of entries. */
static uint32_t read_once(queue *q, lk_room room, lk_read *read) {
  uint32_t got[LANES] = {0}, entries = 0;
  *read = lk_appetite_next(&appetite, room);
  for (uint32_t i = 0; i < read->lanes; i++) {
    uint32_t *jobs = &q->jobs[(read->first + i) % LANES];
    got[i] = *jobs < read->count ? *jobs : read->count;
    *jobs -= got[i];
    entries += got[i];
  }
  lk_appetite_note(&appetite, read, got,
                   (lk_room){.probes = (uint64_t)entries * q->probes, .bytes = (uint64_t)entries * q->bytes});
  return entries;
}

Test(appetite, nothing_is_read_without_room) {
  cr_assert_eq(lk_appetite_next(&appetite, (lk_room){.probes = 0, .bytes = 1}).lanes, 0);
  cr_assert_eq(lk_appetite_next(&appetite, (lk_room){.probes = 1, .bytes = 0}).lanes, 0);
}

Test(appetite, an_idle_worker_waits_for_all_lanes) {
  queue q = {.probes = 1, .bytes = 2048};
  lk_read read;
  for (int i = 0; i < 3 * LANES; i++) read_once(&q, plenty, &read);
  cr_assert(read.blocks && read.lanes == LANES && read.count == 1);
  q.jobs[7] = 1;
  cr_assert_eq(read_once(&q, plenty, &read), 1);
}

/* Reads of few entries cost Redis much for each of them. */
Test(appetite, many_small_jobs_are_read_256_at_once) {
  queue q = {.jobs = {[3] = 100000}, .probes = 1, .bytes = 2048};
  lk_read read;
  for (int i = 0; i < 12; i++) read_once(&q, plenty, &read);
  uint32_t most = 0, entries = 0;
  for (int i = 0; i < 20; i++) {
    entries += read_once(&q, plenty, &read);
    most = read.count > most ? read.count : most;
  }
  cr_assert_eq(most, LK_READ_MOST);
  cr_assert_geq(entries, 20 * 128, "%u entries in 20 reads", entries);
}

/* Two workers that take turns at 40 jobs, each of which fills the room. */
Test(appetite, large_jobs_are_taken_one_by_one) {
  queue q = {.jobs = {[5] = 40}, .probes = 1024, .bytes = 1 << 21};
  lk_read read;
  for (int i = 0; i < 1000 && q.jobs[5] > 0; i++) cr_assert_leq(read_once(&q, plenty, &read), 1);
  cr_assert_eq(q.jobs[5], 0);
}

/* A worker that is used to small entries meets huge ones: it takes too many of them once. */
Test(appetite, a_jump_is_overshot_once) {
  queue q = {.jobs = {[0] = 100000}, .probes = 1, .bytes = 2048};
  lk_read read;
  for (int i = 0; i < 20; i++) read_once(&q, plenty, &read);
  q.probes = 4096;
  q.bytes = 64 << 20;
  read_once(&q, plenty, &read);
  for (int i = 0; i < 100; i++) cr_assert_leq(read_once(&q, plenty, &read), 1);
}

/* After silence it does not trust what entries weighed before. */
Test(appetite, a_burst_after_silence_is_taken_in_growing_steps) {
  queue q = {.jobs = {[0] = 5000}, .probes = 1, .bytes = 2048};
  lk_read read;
  for (int i = 0; i < 100; i++) read_once(&q, plenty, &read);
  cr_assert_eq(q.jobs[0], 0);
  q = (queue){.jobs = {[0] = 40}, .probes = 1024, .bytes = 1 << 21};
  cr_assert_leq(read_once(&q, plenty, &read), 4);
  for (int i = 0; i < 100; i++) cr_assert_leq(read_once(&q, plenty, &read), 1);
}

/* With any room, weights and lanes: no lane that has jobs waits longer than there are lanes; as long as entries weigh
 * what they did, a read exceeds the room by at most an entry of each lane; and counts are within their limits. */
Test(appetite, random_queues) {
  uint64_t seed = (uint64_t)time(NULL);
  printf("seed %llu\n", (unsigned long long)seed);
  for (uint64_t trial = 0; trial < 300; trial++) {
    random_state random = random_fork(seed, trial);
    queue q = {.probes = random_log_uniform(&random, 1, 4096), .bytes = random_log_uniform(&random, 100, 1 << 26)};
    uint32_t waited[LANES] = {0};
    lk_appetite_close(&appetite);
    setup();
    for (int turn = 0; turn < 400; turn++) {
      lk_room room = {.probes = random_log_uniform(&random, 1, 100000),
                      .bytes = random_log_uniform(&random, 1, 1 << 28)};
      lk_read read;
      if (random_one_in(&random, 4)) q.jobs[random_below(&random, LANES)] += random_log_uniform(&random, 1, 1000);
      bool known = appetite.weight.probes > 0;
      uint64_t entries = read_once(&q, room, &read);
      cr_assert(read.lanes >= 1 && read.lanes <= LANES && read.count >= 1 && read.count <= LK_READ_MOST);
      cr_assert(!read.blocks || read.lanes == LANES);
      cr_assert(
          !known || (entries <= room.probes / q.probes + read.lanes && entries <= room.bytes / q.bytes + read.lanes),
          "seed %llu, trial %llu, turn %d: %llu entries", (unsigned long long)seed, (unsigned long long)trial, turn,
          (unsigned long long)entries);
      for (uint32_t lane = 0; lane < LANES; lane++) {
        bool asked = (lane + LANES - read.first) % LANES < read.lanes;
        waited[lane] = asked ? 0 : waited[lane] + 1;
        cr_assert_lt(waited[lane], LANES, "seed %llu, trial %llu, turn %d, lane %u", (unsigned long long)seed,
                     (unsigned long long)trial, turn, lane);
      }
    }
  }
}
