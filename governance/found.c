#include "governance/found.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { CAPACITY_LEAST = 64 };

static bool is_free(const lk_found_slot *slot) { return (slot->hash[0] | slot->hash[1]) == 0; }

static bool is_over(const lk_found_slot *slot, uint64_t now_ms) {
  return now_ms >= slot->since_ms && now_ms - slot->since_ms >= LK_FOUND_HOUR_MS;
}

static lk_found_slot *slot_of(lk_found_slot *slots, size_t capacity, const uint64_t hash[2]) {
  size_t at = hash[0] & (capacity - 1);
  while (!is_free(&slots[at]) && memcmp(slots[at].hash, hash, sizeof slots[at].hash) != 0)
    at = (at + 1) & (capacity - 1);
  return &slots[at];
}

static void hash_of(lk_text gallery, lk_text subject, uint64_t hash[2]) {
  XXH128_hash_t made = XXH3_128bits_withSeed(subject.bytes, subject.length, XXH3_64bits(gallery.bytes, gallery.length));
  hash[0] = made.low64;
  hash[1] = made.high64 | 1; /* differs from an empty slot's */
}

/* Moves the subjects whose hour is not over to a table that they fill to a quarter at most. */
static bool rebuild(lk_found *found, uint64_t now_ms) {
  size_t kept = 0, capacity = CAPACITY_LEAST;
  for (size_t i = 0; i < found->capacity; i++)
    if (!is_free(&found->slots[i]) && !is_over(&found->slots[i], now_ms)) kept++;
  while (capacity < 4 * (kept + 1)) capacity *= 2;
  lk_found_slot *slots = kept < LK_FOUND_MOST ? calloc(capacity, sizeof *slots) : NULL;
  if (slots == NULL) return false;
  for (size_t i = 0; i < found->capacity; i++)
    if (!is_free(&found->slots[i]) && !is_over(&found->slots[i], now_ms))
      *slot_of(slots, capacity, found->slots[i].hash) = found->slots[i];
  free(found->slots);
  found->slots = slots;
  found->capacity = capacity;
  found->count = kept;
  return true;
}

void lk_found_begin(lk_found *found) { found->list++; }

uint64_t lk_found_add(lk_found *found, lk_text gallery, lk_text subject, uint64_t now_ms) {
  uint64_t hash[2];
  hash_of(gallery, subject, hash);
  lk_found_slot *slot = found->capacity > 0 ? slot_of(found->slots, found->capacity, hash) : NULL;
  if (slot == NULL || (is_free(slot) && 2 * (found->count + 1) > found->capacity)) {
    if (found->full_ms != 0 && now_ms - found->full_ms < 1000) return UINT64_MAX;
    if (!rebuild(found, now_ms)) {
      found->full_ms = now_ms;
      return UINT64_MAX;
    }
    slot = slot_of(found->slots, found->capacity, hash);
  }
  if (is_free(slot)) found->count++;
  if (is_free(slot) || is_over(slot, now_ms)) *slot = (lk_found_slot){.since_ms = now_ms};
  memcpy(slot->hash, hash, sizeof slot->hash);
  if (slot->list != found->list) slot->probes++;
  slot->list = found->list;
  return slot->probes;
}

uint64_t lk_found_count(lk_found *found, lk_text gallery, const lk_finds *finds, uint64_t now_ms) {
  uint64_t most = 0;
  for (uint32_t list = 0; list < finds->lists; list++) {
    lk_found_begin(found);
    uint32_t count = finds->count(finds->context, list);
    for (uint32_t rank = 0; rank < count; rank++) {
      uint64_t probes = lk_found_add(found, gallery, finds->subject(finds->context, list, rank), now_ms);
      if (probes > most) most = probes;
    }
  }
  return most;
}

void lk_found_free(lk_found *found) {
  free(found->slots);
  *found = (lk_found){0};
}
