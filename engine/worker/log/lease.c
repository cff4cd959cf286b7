#include "engine/worker/log/lease.h"

#include <sodium.h>
#include <string.h>

#include "base/clock.h"
#include "base/printable.h"
#include "engine/worker/log/rewinder.h"

enum { LEASE_MS = 3000 };
static const uint64_t asks_every_us = 500000;

lk_lease lk_lease_of(lk_owner *owner, const lk_keys *keys, const char *worker, FILE *log) {
  lk_lease lease = {.owner = owner, .keys = keys, .worker = worker, .log = log};
  unsigned char bytes[LK_NONCE_DIGITS / 2];
  randombytes_buf(bytes, sizeof bytes);
  sodium_bin2hex(lease.nonce, sizeof lease.nonce, bytes, sizeof bytes);
  return lease;
}

static void say(const lk_lease *lease, const char *what) {
  lk_printable_line(lease->log, "likeness: log: gallery %s: %s", lease->keys->gallery, what);
}

static void tell_standing(const lk_lease *lease, const lk_ownership *before) {
  const lk_ownership *now = &lease->own;
  bool was = before->standing == LK_STANDING_OWNER, is = now->standing == LK_STANDING_OWNER;
  if (is && !was) say(lease, "this worker owns the log and answers changes");
  if (was && !is) say(lease, "this worker does not own the log any more");
  if (now->owner[0] == '\0' || strcmp(before->owner, now->owner) == 0) return;
  lk_printable_line(lease->log, "likeness: log: gallery %s: %s owns the log; this worker applies it",
                    lease->keys->gallery, now->owner);
}

static lk_claimant claimant_of(const lk_lease *lease, const lk_log_mark *mark, const char *wish) {
  lk_gallery_stat stat;
  lk_gallery_stat_get(lk_owner_gallery(lease->owner), &stat);
  return (lk_claimant){.nonce = lease->nonce,
                       .worker = lease->worker,
                       .mark = mark,
                       .number = stat.next_number,
                       .lease_ms = LEASE_MS,
                       .wish = wish};
}

static lk_status ask(lk_lease *lease, lk_redis *redis, const char *wish, lk_error *error) {
  lk_ownership before = lease->own;
  lk_log_mark mark = lk_owner_log_mark(lease->owner);
  const lk_claimant claimant = claimant_of(lease, &mark, wish);
  lk_status status = lk_ownership_ask(redis, lease->keys, &claimant, &lease->own, error);
  if (status != LK_OK) return status;
  lease->asked_us = lk_clock_us();
  tell_standing(lease, &before);
  return LK_OK;
}

/* Redis has lost a part of the log that this worker has applied. */
static lk_status restore(lk_lease *lease, lk_redis *redis, lk_error *error) {
  lk_rewound how;
  uint64_t appended;
  lk_log_mark mark = lk_owner_log_mark(lease->owner);
  const lk_claimant claimant = claimant_of(lease, &mark, NULL);
  lk_status status =
      lk_rewinder_append(lease->owner, redis, lease->keys, &claimant, &lease->own, &how, &appended, error);
  if (appended > 0)
    lk_printable_line(lease->log,
                      "likeness: log: gallery %s: redis had lost the end of the log; %llu changes were appended again",
                      lease->keys->gallery, (unsigned long long)appended);
  if (status != LK_OK) return status;
  if (how == LK_REWOUND_DIVERGED) {
    lease->own.standing = LK_STANDING_DIVERGED;
    return LK_OK;
  }
  if (how == LK_REWOUND_APPENDED) return ask(lease, redis, NULL, error);
  status = ask(lease, redis, "rebase", error);
  if (status == LK_OK && lease->own.standing == LK_STANDING_OWNER)
    say(lease, "redis had lost the log, and the journal does not have all of it any more; the log begins anew here, "
               "and replicas that lack a change must start from an export");
  return status;
}

lk_status lk_lease_renew(lk_lease *lease, lk_redis *redis, lk_error *error) {
  bool reached = lease->own.standing == LK_STANDING_BEHIND && lk_owner_log_mark(lease->owner).seq >= lease->own.seq;
  if (!reached && lk_clock_us() < lease->asked_us + asks_every_us) return LK_OK;
  lk_status status = ask(lease, redis, NULL, error);
  return status == LK_OK && lease->own.standing == LK_STANDING_REWOUND ? restore(lease, redis, error) : status;
}

void lk_lease_leave(lk_lease *lease, lk_redis *redis) {
  lk_error error;
  if (lease->own.standing != LK_STANDING_UNKNOWN && redis != NULL) ask(lease, redis, "leave", &error);
  lease->own = (lk_ownership){0};
}
