/* The faults: makes those of a plan happen, one after the other, and says when each began and ended. */
#ifndef TESTS_FAULTS_WEATHER_H
#define TESTS_FAULTS_WEATHER_H

#include "tests/faults/crowd.h"
#include "tests/faults/plan.h"
#include "tests/faults/pool.h"
#include "tests/faults/proxy.h"

typedef struct weather {
  const plan *plan;
  store *store;
  proxy *proxy;
  pool *pool;
  crowd *crowd;
  account *account;
  bool fixed; /* workers know the addresses of both servers; else connections are cut at a failover */
  FILE *out;
  uint32_t counts[PLAN_KINDS], skipped, lost; /* lost: jobs, by Redis */
  uint64_t answered_after_ms;                 /* from the end of the last fault to the last answer */
} weather;

void weather_run(weather *weather);

#endif
