#include "index/catalog/namesakes.h"

#include <stdlib.h>

#include "base/fail.h"
#include "base/text.h"

/* A place in a part's key index. */
typedef struct place {
  const lk_part *part;
  uint32_t at;   /* behind the last row: there is none */
  uint32_t row;  /* at it */
  uint64_t hash; /* of its key */
} place;

typedef struct namesakes {
  place *places; /* one for each part */
  uint32_t count;
  place *alike; /* of the living rows with the hash that is looked at */
  uint32_t alike_count, room;
} namesakes;

static bool is_over(const place *p) { return p->at >= p->part->segment.block.rows; }

static lk_text key_of(const place *p) { return lk_segment_template(&p->part->segment, p->row).key; }

/* Hashes must not fall, nor rows within a hash; so no row comes twice, and each row has a place. */
static lk_status look(place *p, uint32_t row_before, uint64_t hash_before, lk_error *error) {
  const lk_segment *segment = &p->part->segment;
  if (is_over(p)) return LK_OK;
  p->row = segment->by_key[p->at];
  if (p->row < segment->block.rows) {
    p->hash = lk_text_hash(key_of(p));
    if (p->at == 0 || p->hash > hash_before || (p->hash == hash_before && p->row > row_before)) return LK_OK;
  }
  return lk_segment_fail(segment, LK_SECTION_BY_KEY, "it is not in the order of the keys", error);
}

static lk_status step(place *p, lk_error *error) {
  place before = *p;
  p->at++;
  return look(p, before.row, before.hash, error);
}

static lk_status begin(namesakes *n, const lk_catalog *catalog, lk_error *error) {
  lk_status status = LK_OK;
  n->places = calloc(catalog->parts_count + 1, sizeof *n->places);
  if (n->places == NULL) return lk_fail_memory(error);
  for (; status == LK_OK && n->count < catalog->parts_count; n->count++) {
    n->places[n->count].part = catalog->parts[n->count];
    status = look(&n->places[n->count], 0, 0, error);
  }
  return status;
}

/* False: all are over. */
static bool find_least(const namesakes *n, uint64_t *hash) {
  bool found = false;
  for (uint32_t i = 0; i < n->count; i++) {
    const place *p = &n->places[i];
    if (is_over(p) || (found && p->hash >= *hash)) continue;
    *hash = p->hash;
    found = true;
  }
  return found;
}

static lk_status note(namesakes *n, const place *p, lk_error *error) {
  if (n->alike_count == n->room) {
    uint32_t room = 2 * n->room + 8;
    place *alike = realloc(n->alike, room * sizeof *alike);
    if (alike == NULL) return lk_fail_memory(error);
    n->alike = alike;
    n->room = room;
  }
  n->alike[n->alike_count++] = *p;
  return LK_OK;
}

static uint64_t number_of(const place *p) { return p->part->segment.block.numbers[p->row]; }

/* By key, and those of one key by number. */
static int compare(const void *left, const void *right) {
  const place *a = left, *b = right;
  lk_text x = key_of(a), y = key_of(b);
  if (x.length != y.length) return x.length < y.length ? -1 : 1;
  int order = x.length > 0 ? memcmp(x.bytes, y.bytes, x.length) : 0;
  if (order != 0) return order;
  return (number_of(a) > number_of(b)) - (number_of(a) < number_of(b));
}

static lk_status check_alike(namesakes *n, lk_error *error) {
  if (n->alike_count > 1) qsort(n->alike, n->alike_count, sizeof *n->alike, compare);
  for (uint32_t i = 1; i < n->alike_count; i++) {
    const place *p = &n->alike[i];
    lk_text key = key_of(p);
    if (lk_text_equal(key, key_of(p - 1)))
      return lk_fail(error, LK_ECORRUPT, "%s: row %u: the gallery has another template with key '%.*s'",
                     p->part->segment.path, p->row, lk_text_shown(key), key.bytes);
  }
  return LK_OK;
}

/* Takes all rows with this hash. */
static lk_status take(namesakes *n, uint64_t hash, lk_error *error) {
  lk_status status = LK_OK;
  n->alike_count = 0;
  for (uint32_t i = 0; status == LK_OK && i < n->count; i++) {
    place *p = &n->places[i];
    while (status == LK_OK && !is_over(p) && p->hash == hash) {
      if (lk_part_lives(p->part, p->row)) status = note(n, p, error);
      if (status == LK_OK) status = step(p, error);
    }
  }
  return status == LK_OK ? check_alike(n, error) : status;
}

lk_status lk_namesakes_check(const lk_catalog *catalog, lk_error *error) {
  namesakes n = {.count = 0};
  uint64_t hash = 0;
  lk_status status = begin(&n, catalog, error);
  while (status == LK_OK && find_least(&n, &hash)) status = take(&n, hash, error);
  free(n.places);
  free(n.alike);
  return status;
}
