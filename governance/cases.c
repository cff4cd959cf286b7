#include "governance/cases.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "governance/policy/word.h"

static lk_case *slot_of(lk_case *slots, size_t capacity, const uint64_t hash[2]) {
  size_t at = hash[0] & (capacity - 1);
  while ((slots[at].hash[0] | slots[at].hash[1]) != 0 && memcmp(slots[at].hash, hash, sizeof slots[at].hash) != 0)
    at = (at + 1) & (capacity - 1);
  return &slots[at];
}

/* A case is counted under its word as it is compared: "C-7 " has no probes of its own. The policy refuses a request
 * with a text that has no such word. */
static void hash_of(lk_text id, uint64_t hash[2]) {
  lk_word word;
  lk_text compared;
  if (lk_word_normalise(id, &word, &compared) != NULL) compared = id;
  XXH128_hash_t made = XXH3_128bits(compared.bytes, compared.length);
  hash[0] = made.low64;
  hash[1] = made.high64 | 1; /* differs from an empty slot's */
}

uint64_t lk_cases_probes(const lk_cases *cases, lk_text id) {
  if (id.length == 0 || cases->capacity == 0) return 0;
  uint64_t hash[2];
  hash_of(id, hash);
  return slot_of(cases->slots, cases->capacity, hash)->probes;
}

static bool grow(lk_cases *cases) {
  size_t capacity = cases->capacity > 0 ? 2 * cases->capacity : 64;
  lk_case *slots = calloc(capacity, sizeof *slots);
  if (slots == NULL) return false;
  for (size_t i = 0; i < cases->capacity; i++)
    if ((cases->slots[i].hash[0] | cases->slots[i].hash[1]) != 0)
      *slot_of(slots, capacity, cases->slots[i].hash) = cases->slots[i];
  free(cases->slots);
  cases->slots = slots;
  cases->capacity = capacity;
  return true;
}

bool lk_cases_add(lk_cases *cases, lk_text id, uint64_t probes) {
  if (id.length == 0) return true;
  if (2 * (cases->count + 1) > cases->capacity && !grow(cases)) return false;
  uint64_t hash[2];
  hash_of(id, hash);
  lk_case *slot = slot_of(cases->slots, cases->capacity, hash);
  if ((slot->hash[0] | slot->hash[1]) == 0) {
    memcpy(slot->hash, hash, sizeof slot->hash);
    cases->count++;
  }
  slot->probes += probes;
  return true;
}

void lk_cases_free(lk_cases *cases) {
  free(cases->slots);
  *cases = (lk_cases){0};
}
