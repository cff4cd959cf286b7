#include "engine/cli/render.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tests/support/random.h"

static char *text;
static size_t length;
static FILE *out;

static void setup(void) { out = open_memstream(&text, &length); }

static void teardown(void) {
  fclose(out);
  free(text);
}

TestSuite(render, .init = setup, .fini = teardown);

static const char *rendered(void) {
  fflush(out);
  return text;
}

static lk_candidate candidate_of(const char *key, const char *subject, float score) {
  return (lk_candidate){.found = {.key = lk_text_of(key), .subject = lk_text_of(subject)}, .score = score};
}

static lk_candidate next(void *context) {
  const lk_candidate **at = context;
  return *(*at)++;
}

static lk_status render(lk_format format, uint64_t probe, const lk_candidate *list, uint32_t count) {
  return lk_render_list(out, format, probe, count, next, &list, lk_text_of("{\"policy\":\"none\"}"), NULL);
}

static const lk_candidate two[] = {{.found = {.key = {"a", 1}, .subject = {"s,1", 3}}, .score = 0.5F},
                                   {.found = {.key = {"b\"c", 3}, .subject = {"d", 1}}, .score = -0.0625F}};

Test(render, csv) {
  lk_render_header(out, LK_CSV);
  cr_assert_eq(render(LK_CSV, 7, two, 2), LK_OK);
  cr_assert_eq(render(LK_CSV, 8, two, 0), LK_OK);
  cr_assert_str_eq(rendered(), "probe,rank,key,subject,score\n7,1,a,\"s,1\",0.5\n7,2,\"b\"\"c\",d,-0.0625\n");
}

/* A worker's reply may have what no gallery accepts. */
Test(render, what_a_terminal_would_obey) {
  lk_candidate c = candidate_of("\x1b]0;owned\x07", "s\xe2\x80\xae", 1);
  cr_assert_eq(render(LK_TABLE, 0, &c, 1), LK_OK);
  cr_assert_str_eq(rendered(), "       0     1  \\u{1b}]0;owned\\u{7}          s\\u{202e}                    1\n");
  rewind(out);
  cr_assert_eq(render(LK_JSON, 0, &c, 1), LK_OK);
  cr_assert_not_null(strstr(rendered(), "\"\\u001B]0;owned\\u0007\",\"subject\":\"s\\u202e\""), "%s", text);
}

static void expect_csv(const char *value, const char *expected) {
  rewind(out);
  lk_render_csv_text(out, lk_text_of(value));
  fputc('|', out);
  rendered();
  cr_assert_eq(strncmp(text, expected, strlen(expected)), 0, "%.*s", (int)length, text);
  cr_assert_eq(text[strlen(expected)], '|');
}

Test(render, csv_quotes_what_it_must) {
  expect_csv("plain", "plain");
  expect_csv("", "");
  expect_csv("two words", "two words");
  expect_csv("\xc3\xa9", "\xc3\xa9");
  expect_csv("a,b", "\"a,b\"");
  expect_csv("\"", "\"\"\"\"");
  expect_csv("a\nb", "\"a\nb\"");
  expect_csv("a\rb", "\"a\rb\"");
  expect_csv(" a", "\" a\"");
  expect_csv("a ", "\"a \"");
}

Test(render, table) {
  lk_render_header(out, LK_TABLE);
  cr_assert_eq(render(LK_TABLE, 7, two, 2), LK_OK);
  const char *lines = rendered();
  cr_assert_eq(strncmp(lines, "   probe  rank  key ", 20), 0);
  cr_assert_not_null(
      strstr(lines, "\n       7     1  a                            s,1                          0.5\n"));
  cr_assert_not_null(
      strstr(lines, "\n       7     2  b\"c                          d                            -0.0625\n"));
}

Test(render, json) {
  lk_render_header(out, LK_JSON);
  cr_assert_eq(render(LK_JSON, 7, two, 2), LK_OK);
  cr_assert_str_eq(
      rendered(),
      "{\"probe\":7,\"candidates\":[{\"rank\":1,\"key\":\"a\",\"subject\":\"s,1\",\"score\":0.5},"
      "{\"rank\":2,\"key\":\"b\\\"c\",\"subject\":\"d\",\"score\":-0.0625}],\"decision\":{\"policy\":\"none\"}}\n");
}

Test(render, json_of_metadata) {
  lk_candidate c = candidate_of("a", "s", 1);
  c.found.metadata = (lk_text){.bytes = "desk 4", .length = 6};
  cr_assert_eq(render(LK_JSON, 0, &c, 1), LK_OK);
  cr_assert_not_null(strstr(rendered(), "\"score\":1.0,\"metadata\":\"desk 4\"}]"), "%s", rendered());
}

Test(render, json_of_an_empty_list) {
  cr_assert_eq(render(LK_JSON, 0, two, 0), LK_OK);
  cr_assert_str_eq(rendered(), "{\"probe\":0,\"candidates\":[],\"decision\":{\"policy\":\"none\"}}\n");
}

Test(render, footer_of_a_table) {
  static const char hashed[] = "{\"policy\":\"0123456789abcdef\",\"rules\":[\"a\",\"b\"]}";
  for (lk_format format = LK_TABLE; format <= LK_JSON; format++) {
    cr_assert_eq(lk_render_footer(out, format, lk_text_of("{\"policy\":\"none\"}"), NULL), LK_OK);
    cr_assert_eq(lk_render_footer(out, format, lk_text_of(hashed), NULL), LK_OK);
    cr_assert_eq(lk_render_footer(out, format, (lk_text){0}, NULL), LK_OK);
  }
  cr_assert_str_eq(rendered(), "policy: none\npolicy: 0123456789ab; rules: a, b\n");
}

/* Any finite float is given back by its text, in every format. */
Test(render, scores_come_back) {
  random_state random = {11};
  for (int i = 0; i < 5000; i++) {
    uint32_t bits = (uint32_t)random_bits(&random);
    float score, back = 0;
    memcpy(&score, &bits, sizeof score);
    if ((bits & 0x7f800000) == 0x7f800000) continue;
    lk_candidate c = candidate_of("k", "s", score);
    rewind(out);
    cr_assert_eq(render(LK_CSV, 0, &c, 1), LK_OK);
    cr_assert_eq(sscanf(rendered(), "0,1,k,s,%f\n", &back), 1);
    cr_assert_eq(memcmp(&back, &score, sizeof back), 0, "%a became %a", (double)score, (double)back);
    rewind(out);
    cr_assert_eq(render(LK_JSON, 0, &c, 1), LK_OK);
    json_t *json = json_loads(rendered(), JSON_DISABLE_EOF_CHECK, NULL);
    back = (float)json_real_value(json_object_get(json_array_get(json_object_get(json, "candidates"), 0), "score"));
    cr_assert_eq(memcmp(&back, &score, sizeof back), 0, "%a became %a", (double)score, (double)back);
    json_decref(json);
  }
}

Test(render, output_that_cannot_be_written) {
  lk_candidate list[40];
  for (int i = 0; i < 40; i++) list[i] = two[0];
  for (lk_format format = LK_TABLE; format <= LK_JSON; format++) {
    FILE *full = fopen("/dev/full", "w");
    setvbuf(full, NULL, _IONBF, 0);
    const lk_candidate *at = list;
    lk_error error;
    cr_assert_eq(lk_render_list(full, format, 0, 40, next, &at, lk_text_of("{}"), &error), LK_EIO);
    cr_assert_not_null(strstr(error.text, "No space left"), "%s", error.text);
    fclose(full);
  }
}
