#include "index/evaluation/impostor_scores.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/fail.h"
#include "base/pool.h"
#include "base/text.h"
#include "index/formats/vector.h"
#include "index/gallery/gallery.h"
#include "index/gallery/unchecked.h"
#include "kernels/control.h"
#include "kernels/score.h"

/* The probes of a batch stay in a core's cache while the templates stream past them. Every score is needed, so a scan
 * of codes saves nothing: a range search without a threshold gave the same counts in three times the time. */
enum { BATCH_PROBES = 256, CHUNK_TEMPLATES = 64 };

typedef struct comparison {
  const lk_gallery *gallery;
  lk_catalog *shown;
  const lk_vectors *probes;
  const lk_label_file *labels;
  lk_search_control *control;
  lk_pool *pool;
  lk_tally *tallies; /* one per thread */
  uint64_t first;    /* first probe of the batch */
  uint32_t count;
  float *prepared;     /* count x dim */
  double *reciprocals; /* of them: lk_score_reciprocal */
  atomic_bool failed;  /* a template is damaged: `error` says which, by whoever found it first */
  lk_error *error;
} comparison;

/* The probes were checked before. */
static void prepare_probe(void *context, uint32_t thread, uint32_t item) {
  (void)thread;
  comparison *c = context;
  lk_shape shape = lk_gallery_shape(c->gallery);
  float *q = c->prepared + (size_t)item * shape.dim;
  lk_vector_prepare(shape.metric, c->probes, c->first + item, q);
  c->reciprocals[item] = lk_score_reciprocal(shape.metric, q, shape.dim);
}

static void compare_template(comparison *c, uint64_t position, lk_tally *tally) {
  float x[LK_DIM_MAX];
  lk_shape shape = lk_gallery_shape(c->gallery);
  lk_template t = lk_gallery_template(c->gallery, position);
  if (t.key.length == 0) return; /* it was deleted */
  lk_text subject = t.subject;
  lk_error error;
  if (lk_gallery_export_unchecked(c->gallery, position, x, &error) != LK_OK && !atomic_exchange(&c->failed, true))
    *c->error = error;
  double reciprocal = lk_score_reciprocal(shape.metric, x, shape.dim);
  for (uint32_t p = 0; p < c->count; p++)
    if (!lk_text_equal(c->labels->of_row[c->first + p].subject, subject))
      lk_tally_add(tally, lk_score_known(shape.metric, c->prepared + (size_t)p * shape.dim, x, shape.dim,
                                         c->reciprocals[p] * reciprocal));
}

static void compare_chunk(void *context, uint32_t thread, uint32_t item) {
  comparison *c = context;
  uint64_t begin = (uint64_t)item * CHUNK_TEMPLATES, end = begin + CHUNK_TEMPLATES;
  if (!lk_control_goes_on(c->control)) return;
  for (uint64_t t = begin; t < end && t < c->shown->rows; t++) compare_template(c, t, &c->tallies[thread]);
}

static void compare_batches(comparison *c, lk_progress *progress, void *context) {
  uint32_t chunks = (uint32_t)((c->shown->rows + CHUNK_TEMPLATES - 1) / CHUNK_TEMPLATES);
  for (; c->first < c->probes->rows && !lk_control_is_cancelled(c->control); c->first += c->count) {
    uint64_t left = c->probes->rows - c->first;
    c->count = left < BATCH_PROBES ? (uint32_t)left : BATCH_PROBES;
    lk_pool_run(c->pool, c->count, prepare_probe, c);
    lk_pool_run(c->pool, chunks, compare_chunk, c);
    if (progress != NULL) progress(context, c->first + c->count, c->probes->rows);
  }
}

static lk_status open_tallies(comparison *c, lk_error *error) {
  uint32_t threads = lk_pool_threads(c->pool);
  c->tallies = calloc(threads, sizeof *c->tallies);
  c->prepared = malloc(sizeof(float) * BATCH_PROBES * c->gallery->manifest.dim);
  c->reciprocals = malloc(sizeof(double) * BATCH_PROBES);
  lk_status status =
      c->tallies != NULL && c->prepared != NULL && c->reciprocals != NULL ? LK_OK : lk_fail_memory(error);
  for (uint32_t t = 0; status == LK_OK && t < threads; t++) status = lk_tally_open(&c->tallies[t], error);
  return status;
}

static void close_comparison(comparison *c) {
  for (uint32_t t = 0; c->tallies != NULL && t < lk_pool_threads(c->pool); t++) lk_tally_close(&c->tallies[t]);
  free(c->tallies);
  free(c->prepared);
  free(c->reciprocals);
  lk_pool_close(c->pool);
}

lk_status lk_impostor_scores_tally(const lk_gallery *gallery, const lk_vectors *probes, const lk_label_file *labels,
                                   uint32_t threads, lk_search_control *control, lk_progress *progress, void *context,
                                   lk_tally *tally, lk_error *error) {
  lk_error damage;
  comparison c = {.gallery = gallery, .probes = probes, .labels = labels, .control = control, .error = &damage};
  lk_status status = lk_gallery_check_probes(gallery, probes, (lk_text){0}, error);
  if (status == LK_OK) status = lk_pool_open(threads, &c.pool, error);
  if (status != LK_OK) return status;
  c.shown = lk_gallery_shown(gallery);
  status = open_tallies(&c, error);
  if (status == LK_OK) compare_batches(&c, progress, context);
  if (status == LK_OK) status = lk_control_check(control, error);
  if (status == LK_OK) status = lk_catalog_check_files(c.shown, error);
  if (status == LK_OK && atomic_load(&c.failed)) status = lk_fail(error, LK_ECORRUPT, "%s", damage.text);
  if (status == LK_OK) status = lk_file_check_at(probes->data, probes->name, error);
  for (uint32_t t = 0; status == LK_OK && t < lk_pool_threads(c.pool); t++) lk_tally_merge(tally, &c.tallies[t]);
  lk_catalog_release(c.shown);
  close_comparison(&c);
  return status;
}
