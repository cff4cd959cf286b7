/* Cases of the conformance suite: a corpus, what is searched for in it, and which rows the search sees. */
#ifndef TESTS_CONFORMANCE_CASES_H
#define TESTS_CONFORMANCE_CASES_H

#include "tests/support/corpus.h"

typedef enum bar { BAR_NONE, BAR_SCORE, BAR_ABOVE_SCORE, BAR_ABOVE_ALL, BAR_ZERO, BAR_MINUS_ZERO, BAR_COUNT } bar;

struct conformance_case {
  const char *name;
  uint64_t seed; /* of a random case: with this LIKENESS_SEED it is the first one */
  corpus_recipe recipe;
  uint32_t k; /* or LK_K_ALL */
  bar bar;
  bool by_subject;
  lk_filter filter;
  uint32_t allowed_one_in; /* 0: the filter lists no rows; n: one of n; UINT32_MAX: five rows */
};

/* LIKENESS_SEED, LIKENESS_CASES. */
uint64_t cases_seed(void);
uint32_t cases_count(void);

/* Describes all its parameters; the text is good until the next call. */
const char *case_describe(const struct conformance_case *c);

struct conformance_case case_random(uint32_t index);
uint32_t cases_pinned_count(void);
struct conformance_case case_pinned(uint32_t index);

#define PIN(words, m, what, d, n, p, keep) \
  {                                        \
    .name = words, .k = keep, .recipe = {  \
      .metric = LK_##m,                    \
      .kind = CORPUS_##what,               \
      .dim = d,                            \
      .rows = n,                           \
      .blocks = 1,                         \
      .probes = p,                         \
      .seed = 5,                           \
      .means = MEANS_ZERO                  \
    }                                      \
  }
#define PIN_BAR(words, m, what, d, n, p, keep, b)         \
  {                                                       \
    .name = words, .k = keep, .bar = BAR_##b, .recipe = { \
      .metric = LK_##m,                                   \
      .kind = CORPUS_##what,                              \
      .dim = d,                                           \
      .rows = n,                                          \
      .blocks = 2,                                        \
      .probes = p,                                        \
      .seed = 6,                                          \
      .means = MEANS_OWN                                  \
    }                                                     \
  }
#define PIN_LAYOUT(words, m, what, d, n, b, mean, o, num) \
  {                                                       \
    .name = words, .k = 20, .recipe = {                   \
      .metric = LK_##m,                                   \
      .kind = CORPUS_##what,                              \
      .dim = d,                                           \
      .rows = n,                                          \
      .blocks = b,                                        \
      .probes = 17,                                       \
      .seed = 7,                                          \
      .means = MEANS_##mean,                              \
      .order = ORDER_##o,                                 \
      .numbers = NUMBERS_##num                            \
    }                                                     \
  }

#endif
