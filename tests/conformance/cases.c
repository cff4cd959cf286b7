#include "tests/conformance/cases.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernels/plan.h"

static uint64_t number_from_environment(const char *name, uint64_t otherwise) {
  const char *text = getenv(name);
  return text != NULL && *text != '\0' ? strtoull(text, NULL, 0) : otherwise;
}

uint64_t cases_seed(void) { return number_from_environment("LIKENESS_SEED", 1); }
uint32_t cases_count(void) { return (uint32_t)number_from_environment("LIKENESS_CASES", 2000); }

const char *case_describe(const struct conformance_case *c) {
  static char text[768];
  const corpus_recipe *r = &c->recipe;
  snprintf(
      text, sizeof text,
      "'%s' (LIKENESS_SEED=%llu LIKENESS_CASES=1): metric %d, store %d, %s, dim %u, rows %u, blocks %u, probes %u, "
      "means "
      "%d, order %d, "
      "numbers %d, coding %d, subject rows %u, carries %x, recipe seed %llu, k %u, bar %d, by subject %d, epoch %llu, "
      "now %llu, "
      "tags %llx of %llx, allowed one in %u",
      c->name, (unsigned long long)c->seed, (int)r->metric, (int)r->store, corpus_kind_name(r->kind), r->dim, r->rows,
      r->blocks, r->probes, (int)r->means, (int)r->order, (int)r->numbers, (int)r->coding, r->subject_rows, r->carries,
      (unsigned long long)r->seed, c->k, (int)c->bar, c->by_subject, (unsigned long long)c->filter.epoch,
      (unsigned long long)c->filter.now_ms, (unsigned long long)c->filter.tags, (unsigned long long)c->filter.mask,
      c->allowed_one_in);
  return text;
}

static const uint64_t most_multiply_adds = 100000000, most_elements = 6000000;

static uint32_t at_most(uint64_t value, uint64_t limit) { return (uint32_t)(value < limit ? value : limit); }

static uint32_t draw_dim(random_state *random) {
  static const uint32_t round_ones[] = {1, 2, 4, 16, 64, 128, 256, 512, 1024, 4096};
  if (random_one_in(random, 3)) return round_ones[random_below(random, sizeof round_ones / sizeof round_ones[0])];
  return random_log_uniform(random, 1, LK_DIM_MAX);
}

static uint32_t draw_k(random_state *random, uint32_t rows) {
  switch (random_below(random, 5)) {
    case 0:
      return 1;
    case 1:
      return 10;
    case 2:
      return at_most(rows + random_below(random, 3), LK_K_MAX - 1) + 1;
    default:
      return random_log_uniform(random, 1, LK_K_MAX);
  }
}

/* Half of the cases see all rows by template; the others get filters, subjects, epochs or a range. */
static void draw_view(random_state *random, struct conformance_case *c) {
  static const uint32_t densities[] = {2, 10, 100, 10000, UINT32_MAX};
  if (random_one_in(random, 2)) return;
  c->recipe.carries = random_below(random, 16);
  c->recipe.subject_rows = random_below(random, 3) * random_log_uniform(random, 1, 30);
  c->filter = (lk_filter){.epoch = random_below(random, 10), .now_ms = random_below(random, 10)};
  if (random_one_in(random, 2)) c->filter.mask = random_below(random, 16);
  c->filter.tags = random_below(random, 16);
  if (random_one_in(random, 2)) c->allowed_one_in = densities[random_below(random, 5)];
  c->by_subject = random_one_in(random, 2);
  /* Without a bar a range search returns every pair; small cases do enough of that. */
  if (!c->by_subject && (c->bar != BAR_NONE || c->recipe.rows < 2000) && random_one_in(random, 3)) c->k = LK_K_ALL;
}

struct conformance_case case_random(uint32_t index) {
  random_state random = random_fork(cases_seed() + index, 0);
  uint32_t dim = draw_dim(&random);
  uint32_t rows = random_one_in(&random, 40) ? 0 : random_log_uniform(&random, 1, at_most(most_elements / dim, 50000));
  uint64_t affordable = most_multiply_adds / ((uint64_t)(rows + 1) * dim);
  uint32_t probes = at_most(random_log_uniform(&random, 1, 300), affordable > 0 ? affordable : 1);
  struct conformance_case c = {.name = "random", .seed = cases_seed() + index, .k = draw_k(&random, rows)};
  c.bar = random_one_in(&random, 2) ? BAR_NONE : (bar)random_below(&random, BAR_COUNT);
  c.recipe = (corpus_recipe){.metric = (lk_metric)random_below(&random, 3),
                             .store = (lk_store)random_below(&random, 2),
                             .kind = (corpus_kind)random_below(&random, CORPUS_KINDS),
                             .dim = dim,
                             .rows = rows,
                             .blocks = 1 + random_below(&random, 5),
                             .probes = probes,
                             .means = (corpus_means)random_below(&random, MEANS_COUNT),
                             .order = (corpus_order)random_below(&random, ORDER_COUNT),
                             .numbers = (corpus_numbers)random_below(&random, NUMBERS_COUNT),
                             .seed = random_bits(&random)};
  draw_view(&random, &c);
  c.recipe.coding = (corpus_coding)random_below(&random, CODING_COUNT);
  return c;
}

static const struct conformance_case pinned[] = {
    PIN("one-hot at 1", IP, ONE_HOT, 1, 3000, 9, 5),
    PIN("one-hot at 4", IP, ONE_HOT, 4, 3000, 9, 5),
    PIN("one-hot at 16", IP, ONE_HOT, 16, 3000, 9, 5),
    PIN("one-hot at 64", IP, ONE_HOT, 64, 3000, 9, 50),
    PIN("one-hot at 256", IP, ONE_HOT, 256, 3000, 9, 12),
    PIN("one-hot at 1024", IP, ONE_HOT, 1024, 3000, 9, 3),
    PIN("one-hot unit vectors at 64", COSINE, ONE_HOT, 64, 3000, 9, 50),
    PIN("one-hot unit vectors at 256", COSINE, ONE_HOT, 256, 3000, 9, 12),
    PIN("one-hot under l2 at 1", L2, ONE_HOT, 1, 3000, 9, 5),
    PIN("one-hot under l2 at 64", L2, ONE_HOT, 64, 3000, 9, 50),
    PIN("one-hot where the rotation rounds", IP, ONE_HOT, 8, 3000, 9, 5),
    PIN("one-hot at an odd dimension", IP, ONE_HOT, 77, 3000, 9, 30),
    PIN("all equal at 1", IP, ALL_EQUAL, 1, 3000, 9, 5),
    PIN("all equal at 4", IP, ALL_EQUAL, 4, 3000, 9, 5),
    PIN("all equal at 16", IP, ALL_EQUAL, 16, 3000, 9, 5),
    PIN("all equal at 64", COSINE, ALL_EQUAL, 64, 3000, 9, 5),
    PIN("all equal at 256", L2, ALL_EQUAL, 256, 3000, 9, 5),
    PIN_BAR("all equal, the bar at their score", IP, ALL_EQUAL, 64, 3000, 9, 5, SCORE),
    PIN_BAR("all equal, the bar just above", IP, ALL_EQUAL, 64, 3000, 9, 5, ABOVE_SCORE),
    PIN_BAR("all equal under l2, the bar at zero", L2, ALL_EQUAL, 64, 3000, 9, 5, ZERO),
    PIN_BAR("all equal under l2, the bar at minus zero", L2, ALL_EQUAL, 64, 3000, 9, 5, MINUS_ZERO),
    PIN("exact codes at 1", IP, GRID, 1, 5000, 20, 10),
    PIN("exact codes at 4", IP, GRID, 4, 5000, 20, 10),
    PIN("exact codes at 16", IP, GRID, 16, 5000, 20, 10),
    PIN("exact codes at 64", IP, GRID, 64, 5000, 20, 10),
    PIN("exact codes at 256", IP, GRID, 256, 5000, 20, 10),
    PIN("exact codes at 4096", IP, GRID, 4096, 2100, 9, 10),
    PIN("exact codes under l2", L2, GRID, 64, 5000, 20, 10),
    PIN_BAR("exact codes, the bar at a score", IP, GRID, 16, 900, 20, 900, SCORE),
    PIN("no rows", COSINE, NORMAL, 64, 0, 3, 10),
    PIN_BAR("no rows, a bar", L2, NORMAL, 64, 0, 3, 10, SCORE),
    PIN("one row", COSINE, NORMAL, 512, 1, 3, 10),
    PIN("no probes", COSINE, NORMAL, 64, 300, 0, 10),
    PIN("most k on one row more", IP, NORMAL, 8, 4097, 3, 4096),
    PIN("most k on as many rows", IP, TIES, 8, 4096, 3, 4096),
    PIN("most k and a seed", L2, NORMAL, 8, 70000, 3, 4096),
    PIN("k beyond the rows", IP, NORMAL, 8, 100, 3, 4096),
    PIN("one probe more than a pass", COSINE, NORMAL, 32, 3000, LK_PASS_PROBES + 1, 7),
    PIN("two passes and a bit", L2, TIES, 3, 700, 2 * LK_PASS_PROBES + 3, 2),
    PIN("largest dimension", COSINE, NORMAL, 4096, 2100, 5, 10),
    PIN("largest odd dimension", L2, NORMAL, 4095, 2100, 5, 10),
    PIN("one above a power of two", IP, NORMAL, 257, 3000, 5, 10),
    PIN("dimension 3", L2, NORMAL, 3, 20000, 50, 10),
    PIN("dimension 1, normal", L2, NORMAL, 1, 20000, 50, 10),
    PIN("tiny norms", IP, TINY, 100, 9000, 9, 10),
    PIN("tiny norms under l2", L2, TINY, 100, 9000, 9, 10),
    PIN("huge norms", IP, HUGE, 100, 9000, 9, 10),
    PIN("huge norms under l2", L2, HUGE, 100, 9000, 9, 10),
    PIN("lognormal norms", IP, LOGNORMAL, 100, 9000, 9, 10),
    PIN("lognormal norms under l2", L2, LOGNORMAL, 100, 9000, 9, 10),
    PIN("zero rows under ip", IP, SPARSE, 16, 9000, 9, 4000),
    PIN("zero rows under l2", L2, SPARSE, 16, 9000, 9, 40),
    PIN_BAR("a bar above everything", COSINE, NORMAL, 64, 5000, 9, 10, ABOVE_ALL),
    PIN_BAR("a bar at zero", COSINE, NORMAL, 64, 5000, 9, 4096, ZERO),
    PIN_BAR("a bar at a score", COSINE, NORMAL, 64, 5000, 9, 4096, SCORE),
    PIN_BAR("a bar just above a score", L2, TIES, 64, 5000, 9, 4096, ABOVE_SCORE),
    PIN_LAYOUT("ascending", COSINE, NORMAL, 64, 30000, 3, OWN, ASCENDING, IN_ORDER),
    PIN_LAYOUT("descending", COSINE, NORMAL, 64, 30000, 3, OWN, DESCENDING, SCATTERED),
    PIN_LAYOUT("ascending clusters", IP, CLUSTERED, 64, 30000, 3, SHARED, ASCENDING, REVERSED),
    PIN_LAYOUT("many blocks", IP, NORMAL, 16, 5000, 40, MIXED, NONE, REVERSED),
    PIN_LAYOUT("ties against the numbers", IP, TIES, 4, 9000, 5, OWN, NONE, REVERSED),
    PIN_LAYOUT("duplicates, scattered numbers", L2, DUPLICATES, 33, 9000, 5, MIXED, NONE, SCATTERED),
    PIN_LAYOUT("a mean far off", L2, NORMAL, 33, 9000, 5, ODD, NONE, SCATTERED),
    PIN_LAYOUT("a large offset under ip", IP, FAR, 128, 9000, 2, OWN, NONE, IN_ORDER),
    PIN_LAYOUT("a large offset under l2", L2, FAR, 128, 9000, 2, OWN, NONE, IN_ORDER),
    PIN_LAYOUT("a large offset, not centred", L2, FAR, 128, 9000, 2, ZERO, NONE, IN_ORDER),
    PIN_LAYOUT("a common offset", COSINE, OFFSET, 384, 9000, 2, OWN, DESCENDING, IN_ORDER),
};
uint32_t cases_pinned_count(void) { return sizeof pinned / sizeof pinned[0]; }

struct conformance_case case_pinned(uint32_t index) {
  return pinned[index];
}
