#include "engine/worker/intake/appetite.h"

#include <stdlib.h>

#include "base/fail.h"

/* Lanes of a sweep that is late. */
enum { SWEPT_LEAST = 2 };

enum { BURST_LEAST = 4, BURST_MOST = 4 * LK_READ_MOST };

static double less(double a, double b) { return a < b ? a : b; }

static uint32_t burst_of(const lk_weight *weight) { return weight->burst > BURST_LEAST ? weight->burst : BURST_LEAST; }

uint32_t lk_weight_fit(const lk_weight *weight, lk_room room) {
  if (room.probes == 0 || room.bytes == 0) return 0;
  double fit = less(LK_READ_MOST, burst_of(weight));
  if (weight->probes > 0) fit = less(fit, (double)room.probes / weight->probes);
  if (weight->bytes > 0) fit = less(fit, (double)room.bytes / weight->bytes);
  return fit < 1 ? 1 : (uint32_t)fit;
}

static void follow(double *weight, double mean) { *weight = mean > *weight ? mean : *weight - (*weight - mean) / 4; }

void lk_weight_note(lk_weight *weight, uint32_t entries, lk_room together) {
  uint32_t more = 4 * (entries < LK_READ_MOST ? entries : LK_READ_MOST), fewer = burst_of(weight) / 2;
  weight->burst = more > fewer ? more : fewer;
  if (entries == 0) return;
  follow(&weight->probes, (double)together.probes / entries);
  follow(&weight->bytes, (double)together.bytes / entries);
}

lk_status lk_appetite_open(uint32_t lanes, lk_appetite *appetite, lk_error *error) {
  *appetite = (lk_appetite){.lanes = lanes};
  appetite->read_in = calloc(lanes, sizeof *appetite->read_in);
  appetite->has_more = calloc(lanes, sizeof *appetite->has_more);
  return appetite->read_in != NULL && appetite->has_more != NULL ? LK_OK : lk_fail_memory(error);
}

void lk_appetite_close(lk_appetite *appetite) {
  free(appetite->read_in);
  free(appetite->has_more);
}

static uint32_t lane_after(const lk_appetite *a, uint32_t lane, uint32_t steps) { return (lane + steps) % a->lanes; }

/* The next lane after the one that was served that has more; false: none has. */
static bool find_more(const lk_appetite *a, uint32_t *lane) {
  for (uint32_t i = 1; i <= a->lanes; i++) {
    *lane = lane_after(a, a->served, i);
    if (a->has_more[*lane]) return true;
  }
  return false;
}

/* Whether every lane is read in time if sweeps of so many lanes begin in that turn. */
static bool in_time(const lk_appetite *a, uint64_t turn, uint32_t swept) {
  for (uint32_t i = 0; i < a->lanes; i++)
    if (turn + i / swept - a->read_in[lane_after(a, a->next, i)] > a->lanes) return false;
  return true;
}

static bool may_serve(const lk_appetite *a) { return !a->serves && in_time(a, a->turn + 1, SWEPT_LEAST); }

static lk_read sweep(const lk_appetite *a, uint32_t fit, bool more) {
  uint32_t lanes = fit < a->lanes && (more || a->quiet < a->lanes) ? fit : a->lanes;
  if (lanes < SWEPT_LEAST && !in_time(a, a->turn, lanes)) lanes = SWEPT_LEAST;
  return (lk_read){
      .first = a->next, .lanes = lanes, .count = fit > lanes ? fit / lanes : 1, .blocks = !more && lanes == a->lanes};
}

lk_read lk_appetite_next(lk_appetite *a, lk_room room) {
  uint32_t lane, fit = lk_weight_fit(&a->weight, room);
  if (fit == 0) return (lk_read){0};
  a->turn++;
  bool more = find_more(a, &lane);
  a->serves = more && fit > 1 && may_serve(a);
  lk_read read = a->serves ? (lk_read){.first = lane, .lanes = 1, .count = fit} : sweep(a, fit, more);
  if (a->serves)
    a->served = lane;
  else
    a->next = lane_after(a, read.first, read.lanes);
  for (uint32_t i = 0; i < read.lanes; i++) a->read_in[lane_after(a, read.first, i)] = a->turn;
  return read;
}

void lk_appetite_note(lk_appetite *a, const lk_read *read, const uint32_t *got, lk_room together) {
  uint32_t entries = 0;
  for (uint32_t i = 0; i < read->lanes; i++) {
    bool more = got[i] >= read->count;
    a->has_more[lane_after(a, read->first, i)] = more;
    a->quiet = more ? 0 : a->quiet + 1;
    entries += got[i];
  }
  if (a->quiet > a->lanes) a->quiet = a->lanes;
  lk_weight_note(&a->weight, entries, together);
}
