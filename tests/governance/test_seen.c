#include <criterion/criterion.h>
#include <string.h>

#include "governance/seen.h"

static const uint64_t minute = 60000;

static void name(uint64_t job, uint8_t hash[LK_SEEN_HASH]) {
  uint64_t spread = (job + 1) * UINT64_C(0x9e3779b97f4a7c15);
  memset(hash, 0, LK_SEEN_HASH);
  memcpy(hash, &spread, sizeof spread);
}

static bool add(lk_seen *seen, uint64_t job, uint64_t now_ms, uint64_t valid_ms) {
  uint8_t hash[LK_SEEN_HASH];
  name(job, hash);
  return lk_seen_add(seen, hash, now_ms, valid_ms);
}

static bool has(const lk_seen *seen, uint64_t job, uint64_t signed_ms) {
  uint8_t hash[LK_SEEN_HASH];
  name(job, hash);
  return lk_seen_has(seen, hash, signed_ms);
}

Test(seen, what_was_added_and_nothing_else) {
  lk_seen seen = {0};
  cr_assert_not(has(&seen, 1, 100 * minute));
  for (uint64_t job = 0; job < 1000; job++) cr_assert(add(&seen, job, 100 * minute, minute));
  for (uint64_t job = 0; job < 1000; job++) cr_assert(add(&seen, job, 100 * minute, minute));
  cr_assert_eq(seen.count, 1000);
  for (uint64_t job = 0; job < 2000; job++) cr_assert_eq(has(&seen, job, 100 * minute), job < 1000);
  lk_seen_free(&seen);
}

Test(seen, a_hash_of_zeros_is_a_job_too) {
  lk_seen seen = {0};
  static const uint8_t zeros[LK_SEEN_HASH];
  cr_assert(lk_seen_add(&seen, zeros, minute, minute));
  cr_assert(lk_seen_has(&seen, zeros, minute));
  cr_assert_not(has(&seen, 0, minute));
  lk_seen_free(&seen);
}

/* A day of a hundred jobs a minute stays as small as the quarter of an hour that counts. Each is refused while its
 * signature would be accepted, wherever the signer's clock was. */
Test(seen, memory_is_bounded_and_nothing_valid_is_forgotten) {
  enum { JOBS = 144000, A_MINUTE = 100 };
  lk_seen seen = {0};
  const uint64_t start_ms = 1000 * minute, valid_ms = 10 * minute, kept = 15 * A_MINUTE;
  for (uint64_t job = 0; job < JOBS; job++) {
    uint64_t now_ms = start_ms + job * minute / A_MINUTE;
    cr_assert_not(has(&seen, job, now_ms - valid_ms), "a new job is refused");
    cr_assert(add(&seen, job, now_ms, valid_ms));
    uint64_t oldest = job < kept ? 0 : job - kept;
    cr_assert(has(&seen, oldest, now_ms - valid_ms));
    cr_assert(has(&seen, oldest, now_ms));
  }
  cr_assert_leq(seen.capacity, 8 * kept);
  lk_seen_free(&seen);
}

/* A clock that is set back, or a policy that accepts older signatures, brings nothing back. */
Test(seen, what_was_forgotten_stays_refused) {
  lk_seen seen = {0};
  uint64_t job = 0, now_ms = 1000 * minute;
  cr_assert(add(&seen, job++, now_ms, minute));
  for (now_ms += 60 * minute; seen.floor_ms == 0; job++) cr_assert(add(&seen, job, now_ms, minute));
  cr_assert(has(&seen, 0, 1000 * minute), "it is older than what is remembered");
  cr_assert(has(&seen, 0, 1005 * minute));
  cr_assert_not(has(&seen, job + 1, 1006 * minute));
  lk_seen_free(&seen);
}
