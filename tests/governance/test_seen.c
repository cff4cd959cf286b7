#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

#include "governance/seen.h"

static const uint64_t minute = 60000;

static lk_once name(uint64_t job, uint64_t signed_ms) {
  lk_once once = {.signed_ms = signed_ms};
  uint64_t spread = (job + 1) * UINT64_C(0x9e3779b97f4a7c15);
  snprintf(once.hash, sizeof once.hash, "%016" PRIx64 "%048d", spread, 0);
  return once;
}

static bool add(lk_seen *seen, uint64_t job, uint64_t now_ms, uint64_t valid_ms) {
  lk_once once = name(job, now_ms);
  return lk_seen_take(seen, &once, now_ms, valid_ms) != NULL;
}

static bool has(const lk_seen *seen, uint64_t job, uint64_t signed_ms) {
  lk_once once = name(job, signed_ms);
  return lk_seen_refuses(seen, &once);
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
  lk_once zeros = {.signed_ms = minute};
  snprintf(zeros.hash, sizeof zeros.hash, "%064d", 0);
  cr_assert(lk_seen_take(&seen, &zeros, minute, minute));
  cr_assert(lk_seen_refuses(&seen, &zeros));
  cr_assert_not(has(&seen, 0, minute));
  lk_seen_free(&seen);
}

static lk_once brought_by(const char *entry, bool waits) {
  lk_once once = name(1, minute);
  snprintf(once.entry, sizeof once.entry, "%s", entry);
  once.waits = waits;
  return once;
}

static bool refuses(const lk_seen *seen, const char *entry, bool waits) {
  lk_once once = brought_by(entry, waits);
  return lk_seen_refuses(seen, &once);
}

/* Until an answer may have been sent, whatever the queue has forgotten; then only as long as the queue says that none
 * arrived. */
Test(seen, its_own_entry_may_come_again_until_it_is_answered) {
  lk_seen seen = {0};
  lk_once once = brought_by("q:lo 5-1", false);
  for (int again = 0; again < 3; again++) {
    cr_assert_not(refuses(&seen, "q:lo 5-1", false));
    lk_seen_decide(lk_seen_take(&seen, &once, minute, minute), true);
  }
  cr_assert_eq(seen.count, 1);
  cr_assert_not(refuses(&seen, "q:lo 5-1", true));
  lk_seen_answer(&seen, &once);
  cr_assert(refuses(&seen, "q:lo 5-1", false));
  cr_assert_not(refuses(&seen, "q:lo 5-1", true));
  lk_seen_free(&seen);
}

Test(seen, a_refusal_is_an_answer) {
  lk_seen seen = {0};
  lk_once once = brought_by("q:lo 5-1", false);
  lk_seen_decide(lk_seen_take(&seen, &once, minute, minute), false);
  cr_assert(refuses(&seen, "q:lo 5-1", false));
  cr_assert_not(refuses(&seen, "q:lo 5-1", true));
  lk_seen_free(&seen);
}

Test(seen, another_entry_is_a_copy) {
  lk_seen seen = {0};
  lk_once once = brought_by("q:lo 5-1", false), nobody = brought_by("", false);
  lk_seen_decide(lk_seen_take(&seen, &once, minute, minute), true);
  cr_assert(refuses(&seen, "q:lo 5-2", false));
  cr_assert(refuses(&seen, "q:lo 5-2", true));
  cr_assert(refuses(&seen, "q:hi 5-1", true));
  lk_seen_free(&seen);
  lk_seen_decide(lk_seen_take(&seen, &nobody, minute, minute), true);
  cr_assert(refuses(&seen, "q:lo 5-1", true), "a log of before names no entry");
  cr_assert(refuses(&seen, "", true));
  lk_seen_free(&seen);
}

/* A table that grows and forgets keeps what it knows of the entries. */
Test(seen, a_table_that_grows_keeps_entries_and_answers) {
  lk_seen seen = {0};
  lk_once once = brought_by("q:lo 5-1", false);
  lk_seen_decide(lk_seen_take(&seen, &once, minute, minute), true);
  for (uint64_t job = 2; job < 1000; job++) cr_assert(add(&seen, job, minute, minute));
  cr_assert_not(refuses(&seen, "q:lo 5-1", false));
  cr_assert(refuses(&seen, "q:lo 5-2", true));
  lk_seen_answer(&seen, &once);
  cr_assert(refuses(&seen, "q:lo 5-1", false));
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
