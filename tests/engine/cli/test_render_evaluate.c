#include "engine/cli/render_evaluate.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

typedef lk_status render(FILE *out, const lk_evaluation *evaluation, lk_error *error);

/* Group b has no non-mated search, group c no mated one, the last search no group. */
static lk_trial all[] = {{true, 0, 1, 0.9F, 0.9F}, {true, 0, 2, 0.5F, 0.6F}, {true, 1, 1, 0.4F, 0.4F},
                         {false, 0, 0, 0, 0.5F},   {false, 2, 0, 0, 0.3F},   {false, LK_GROUP_NONE, 0, 0, 0.8F}};
static lk_text groups[3];
static const lk_trials trials = {.all = all, .count = 6, .groups = groups, .groups_count = 3};
static lk_evaluation e;

static void setup(void) {
  groups[0] = lk_text_of("a");
  groups[1] = lk_text_of("b");
  groups[2] = lk_text_of("c");
  e = (lk_evaluation){.gallery = {.name = "g", .model = "a<b>&\"c\"\xef\xbf\xbf", .metric = LK_COSINE, .templates = 9},
                      .subjects = 8,
                      .trials = &trials,
                      .threshold = 0.5F,
                      .wanted_fpir = NAN,
                      .rank = 1};
}

static char *rendered;

static void teardown(void) { free(rendered); }

TestSuite(render_evaluate, .init = setup, .fini = teardown);

static const char *text_of(render *render_it) {
  size_t size;
  free(rendered);
  FILE *out = open_memstream(&rendered, &size);
  cr_assert_eq(render_it(out, &e, NULL), LK_OK);
  fclose(out);
  return rendered;
}

static void expect(const char *text, const char *words) {
  cr_assert_not_null(strstr(text, words), "'%s' is not in:\n%s", words, text);
}

Test(render_evaluate, table) {
  const char *text = text_of(lk_render_evaluation_table);
  expect(text, "gallery    g: 9 templates, 8 subjects, cosine, model 'a<b>");
  expect(text, "searches   6: 3 mated, 3 non-mated\nthreshold  0.5\nrank       1\nno group   1 searches;");
  expect(text, "\nall                   0.6667             2/3     0.2077 .. 0.9385           0.6667             2/3");
  expect(text, "\nb                          -             0/0          0 .. 1                     1             1/1");
  expect(text, "\nmax/min                    -                                                     2\n");
  expect(text, "\nGini                       1                                                0.3333\n");
  expect(text, "\nall                  5           1             3/3     0.4385 .. 1\n");
  cr_assert_null(strstr(text, " 10 "), "ranks beyond the subjects tell nothing");
  cr_assert_null(strstr(text, " \n"), "a space at a line's end");
}

Test(render_evaluate, own_ranks_are_listed_once_and_in_order) {
  static const uint32_t ranks[] = {1, 3, 5, 7, 50, 60};
  static const char *const wanted[] = {"[1,5]", "[1,3,5]", "[1,5]", "[1,5,7]", "[1,5,50]", "[1,5,60]"};
  for (int i = 0; i < 6; i++) {
    e.rank = ranks[i];
    json_t *root = json_loads(text_of(lk_render_evaluation_json), 0, NULL), *entry, *list = json_array();
    size_t at;
    json_array_foreach(json_object_get(json_object_get(root, "all"), "identified"), at, entry)
        json_array_append(list, json_object_get(entry, "rank"));
    char *got = json_dumps(list, JSON_COMPACT);
    cr_assert_str_eq(got, wanted[i]);
    free(got);
    json_decref(list);
    json_decref(root);
  }
}

Test(render_evaluate, json_has_null_where_a_rate_has_no_meaning) {
  const char *text = text_of(lk_render_evaluation_json);
  expect(text, "{\"group\":\"b\",\"fpir\":{\"rate\":null,\"count\":0,\"of\":0,\"low\":0.0,\"high\":1.0}");
  expect(text, "\"wanted_fpir\":null");
  expect(text, "\"without_group\":1");
  expect(text,
         "\"fpir_spread\":{\"groups\":2,\"groups_at_zero\":1,\"max_min\":null,\"max_geomean\":null,\"gini\":1.0}");
  expect(text, "\"det\":[{\"threshold\":0.899999976,\"fpir\":{\"rate\":0.0,\"count\":0,\"of\":3");
  cr_assert_null(strstr(text, "nan"));
}

/* Curves only where there are both kinds of searches; every group in the legend. */
Test(render_evaluate, picture) {
  const char *text = text_of(lk_render_evaluation_svg);
  int curves = 0;
  for (const char *at = text; (at = strstr(at, "<polyline")) != NULL; at++) curves++;
  cr_assert_eq(curves, 2);
  expect(text, ">c</text>");
  expect(text, "FPIR 0/0, FNIR 1/1");
  expect(text, "model a&#60;b&#62;&#38;&#34;c&#34;?</text>");
  cr_assert(strstr(text, "nan") == NULL && strstr(text, "inf") == NULL);
}

/* All: thresholds 0.9, 0.8, 0.5, 0.4, 0.3 give (0, 2/3), (1/3, 2/3), (2/3, 2/3), (2/3, 1/3), (1, 1/3); one decade. */
Test(render_evaluate, the_curve_goes_through_the_rates) {
  double third = 80 + 440 * (1 + log10(1 / 3.0)), two_thirds = 80 + 440 * (1 + log10(2 / 3.0));
  double high = 60 - 440 * log10(2 / 3.0), low = 60 - 440 * log10(1 / 3.0);
  char points[256];
  snprintf(points, sizeof points,
           "points=\"80.0,%.1f %.1f,%.1f %.1f,%.1f %.1f,%.1f %.1f,%.1f %.1f,%.1f %.1f,%.1f 520.0,%.1f 520.0,%.1f\"",
           high, third, high, third, high, two_thirds, high, two_thirds, high, two_thirds, high, two_thirds, low, low,
           low);
  expect(text_of(lk_render_evaluation_svg), points);
}
