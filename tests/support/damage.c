#include "tests/support/damage.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernels/candidate_lists.h"
#include "kernels/reference.h"
#include "tests/support/corpus.h"

enum { ROWS = 1500, DIM = 48, PROBES = 3, K = 4 };

static const char *const names[] = {"first.lks", "second.lks"};

/* One search of a corpus whose rows are damaged after its reference was made. */
struct damaged {
  corpus data;
  lk_batch batch;
  lk_resident_block *blocks[2];
  uint64_t *allowed[2], few[2][ROWS / 64 + 1];
  float thresholds[PROBES];
  lk_candidate_lists want;
  const char *mode;
};

static struct damaged make(lk_metric metric, const char *mode) {
  struct damaged d = {.mode = mode};
  corpus_recipe recipe = {.metric = metric,
                          .kind = CORPUS_NORMAL,
                          .dim = DIM,
                          .rows = ROWS,
                          .blocks = 2,
                          .probes = PROBES,
                          .subject_rows = 3};
  d.data = corpus_make(&recipe);
  d.batch = (lk_batch){.shape = d.data.shape,
                       .blocks_count = 2,
                       .probes = d.data.probes,
                       .count = PROBES,
                       .k = strcmp(mode, "best one") == 0 ? 1 : K,
                       .by_subject = strcmp(mode, "by subject") == 0};
  return d;
}

static void begin(struct damaged *d) {
  d->batch.blocks = d->blocks;
  if (strncmp(d->mode, "few rows", 8) == 0) {
    for (uint32_t b = 0; b < 2; b++) d->few[b][0] = 7, d->allowed[b] = d->few[b];
    d->batch.filter.allowed = (const uint64_t *const *)d->allowed;
  }
  if (strstr(d->mode, "range") != NULL) {
    d->batch.k = LK_K_ALL;
    for (uint32_t p = 0; p < PROBES; p++)
      d->thresholds[p] = lk_score(d->data.shape.metric, d->data.probes + p * DIM, d->data.exact, DIM);
    d->batch.thresholds = d->thresholds;
  }
  cr_assert_eq(lk_reference_search(d->data.blocks, 2, &d->batch, &d->want, NULL), LK_OK);
}

/* Damage is done before: a GPU copies the rows. */
static void load(lk_device *device, struct damaged *d) {
  for (int b = 0; b < 2; b++) {
    d->data.blocks[b].name = names[b];
    cr_assert_eq(lk_device_load_block(device, d->data.shape, &d->data.blocks[b], &d->blocks[b], NULL), LK_OK);
  }
}

static void end(lk_device *device, struct damaged *d) {
  for (int b = 0; b < 2; b++) lk_device_unload_block(device, d->blocks[b]);
  lk_candidate_lists_free(&d->want);
  corpus_free(&d->data);
}

static float *row_at(struct damaged *d, uint32_t row) { return d->data.exact + (size_t)row * DIM; }

static void expect_named(lk_device *device, struct damaged *d, uint32_t row) {
  char want[64];
  uint32_t second = row >= d->data.blocks[0].rows;
  lk_error error = {0};
  lk_candidate_lists lists = {0};
  load(device, d);
  snprintf(want, sizeof want, "%s: row %u:", names[second], second ? row - d->data.blocks[0].rows : row);
  lk_status status = lk_search(device, &d->batch, &lists, NULL, &error);
  cr_assert_eq(status, LK_ECORRUPT, "%s, %s, metric %d: %s", lk_device_name(device), d->mode, d->data.shape.metric,
               lk_status_name(status));
  cr_assert_eq(strncmp(error.text, want, strlen(want)), 0, "%s, and not %s", error.text, want);
  lk_candidate_lists_free(&lists);
}

/* A candidate that loses its place: nothing but its code tells. */
static void check_falls(lk_device *device, lk_metric metric, const char *mode) {
  struct damaged d = make(metric, mode);
  begin(&d);
  uint32_t row = d.want.hits[0].row;
  for (int i = 0; i < DIM; i++) row_at(&d, row)[i] *= -1;
  expect_named(device, &d, row);
  end(device, &d);
}

/* A row that becomes a copy of the probe, and would come first. As a seed it would raise the bar above all others. */
static void check_rises(lk_device *device, lk_metric metric, const char *mode) {
  struct damaged d = make(metric, mode);
  begin(&d);
  uint32_t row = d.want.hits[d.want.ends[0] - 1].row;
  memcpy(row_at(&d, row), d.data.probes, DIM * sizeof(float));
  for (int i = 0; metric == LK_IP && i < DIM; i++) row_at(&d, row)[i] *= 9;
  expect_named(device, &d, row);
  end(device, &d);
}

/* A row that is no candidate by its code does not become one. */
static void check_code_decides(lk_device *device) {
  struct damaged d = make(LK_COSINE, "no candidate");
  begin(&d);
  d.batch.count = 1;
  uint32_t worst = 0;
  for (uint32_t row = 1; row < ROWS; row++)
    if (lk_score(LK_COSINE, d.data.probes, row_at(&d, row), DIM) <
        lk_score(LK_COSINE, d.data.probes, row_at(&d, worst), DIM))
      worst = row;
  memcpy(row_at(&d, worst), d.data.probes, DIM * sizeof(float));
  lk_candidate_lists lists = {0};
  load(device, &d);
  lk_status status = lk_search(device, &d.batch, &lists, NULL, NULL);
  cr_assert(status == LK_OK || status == LK_ECORRUPT); /* a seed may have looked at the row */
  for (uint32_t i = 0; status == LK_OK && i < K; i++) cr_assert_eq(lists.hits[i].row, d.want.hits[i].row);
  lk_candidate_lists_free(&lists);
  end(device, &d);
}

void damage_check(lk_device *device) {
  static const char *const modes[] = {"best k", "best one", "by subject", "range", "few rows", "few rows in range"};
  for (lk_metric metric = LK_COSINE; metric <= LK_L2; metric++)
    for (size_t m = 0; m < sizeof modes / sizeof modes[0]; m++) {
      check_rises(device, metric, modes[m]);
      if (m < 4) check_falls(device, metric, modes[m]);
    }
  check_code_decides(device);
}
