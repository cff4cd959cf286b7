#include "governance/seen.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY_LEAST = 64 };

static bool is_free(const lk_seen_slot *slot) { return (slot->hash[0] | slot->hash[1]) == 0; }

static lk_seen_slot *slot_of(lk_seen_slot *slots, size_t capacity, const uint64_t hash[2]) {
  size_t at = hash[0] & (capacity - 1);
  while (!is_free(&slots[at]) && memcmp(slots[at].hash, hash, sizeof slots[at].hash) != 0)
    at = (at + 1) & (capacity - 1);
  return &slots[at];
}

/* Half of a SHA-256 is as good as any other hash of 128 bits. It differs from that of an empty slot. */
static void shorten(const uint8_t *hash, uint64_t halves[2]) {
  memcpy(halves, hash, 2 * sizeof *halves);
  if ((halves[0] | halves[1]) == 0) halves[1] = 1;
}

static void shorten_hash(const lk_once *once, uint64_t halves[2]) {
  uint8_t hash[LK_ONCE_HASH / 2] = {0};
  sodium_hex2bin(hash, sizeof hash, once->hash, strlen(once->hash), NULL, NULL, NULL);
  shorten(hash, halves);
}

static void shorten_entry(const lk_once *once, uint64_t halves[2]) {
  uint8_t hash[crypto_hash_sha256_BYTES];
  crypto_hash_sha256(hash, (const uint8_t *)once->entry, strlen(once->entry));
  shorten(hash, halves);
}

static lk_seen_slot *find(const lk_seen *seen, const lk_once *once) {
  if (seen->capacity == 0) return NULL;
  uint64_t halves[2];
  shorten_hash(once, halves);
  lk_seen_slot *slot = slot_of(seen->slots, seen->capacity, halves);
  return is_free(slot) ? NULL : slot;
}

bool lk_seen_refuses(const lk_seen *seen, const lk_once *once) {
  const lk_seen_slot *slot = find(seen, once);
  if (slot == NULL) return once->signed_ms <= seen->floor_ms;
  uint64_t entry[2];
  shorten_entry(once, entry);
  bool again = memcmp(slot->entry, entry, sizeof entry) == 0;
  return !again || (slot->answered && !once->waits);
}

/* A job that was decided before `oldest_ms` was signed at most LK_SIGNED_AHEAD_MS later. */
static void forget(lk_seen *seen, const lk_seen_slot *slot) {
  uint64_t signed_ms = slot->decided_ms + LK_SIGNED_AHEAD_MS;
  if (signed_ms > seen->floor_ms) seen->floor_ms = signed_ms;
}

/* Moves what was decided at `oldest_ms` or later to a table in which that fills at most a quarter. */
static bool rebuild(lk_seen *seen, uint64_t oldest_ms) {
  size_t kept = 0, capacity = CAPACITY_LEAST;
  for (size_t i = 0; i < seen->capacity; i++)
    if (!is_free(&seen->slots[i]) && seen->slots[i].decided_ms >= oldest_ms) kept++;
  while (capacity < 4 * kept) capacity *= 2;
  lk_seen_slot *slots = calloc(capacity, sizeof *slots);
  if (slots == NULL) return false;
  for (size_t i = 0; i < seen->capacity; i++) {
    const lk_seen_slot *slot = &seen->slots[i];
    if (is_free(slot)) continue;
    if (slot->decided_ms >= oldest_ms)
      *slot_of(slots, capacity, slot->hash) = *slot;
    else
      forget(seen, slot);
  }
  free(seen->slots);
  seen->slots = slots;
  seen->capacity = capacity;
  seen->count = kept;
  return true;
}

lk_seen_slot *lk_seen_take(lk_seen *seen, const lk_once *once, uint64_t now_ms, uint64_t valid_ms) {
  uint64_t kept_ms = valid_ms + LK_SIGNED_AHEAD_MS, halves[2];
  if (2 * (seen->count + 1) > seen->capacity && !rebuild(seen, now_ms > kept_ms ? now_ms - kept_ms : 0)) return NULL;
  shorten_hash(once, halves);
  lk_seen_slot *slot = slot_of(seen->slots, seen->capacity, halves);
  if (is_free(slot)) seen->count++;
  memcpy(slot->hash, halves, sizeof slot->hash);
  if (once->entry[0] != '\0') shorten_entry(once, slot->entry);
  if (now_ms > slot->decided_ms) slot->decided_ms = now_ms;
  return slot;
}

void lk_seen_decide(lk_seen_slot *slot, bool permitted) {
  slot->counted |= permitted;
  slot->answered |= !permitted;
}

void lk_seen_answer(lk_seen *seen, const lk_once *once) {
  lk_seen_slot *slot = find(seen, once);
  if (slot != NULL) slot->answered = true;
}

void lk_seen_free(lk_seen *seen) {
  free(seen->slots);
  *seen = (lk_seen){0};
}
