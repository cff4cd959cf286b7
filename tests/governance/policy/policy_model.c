#include "tests/governance/policy/policy_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const operations[] = {"identify", "verify", "enroll", "delete", "export",
                                         "evaluate", "tag",    "expire", "erase"};
static const char *const selector_names[] = {"purposes", "actors", "jurisdictions", "galleries"};
static const char *const words[] = {"a", "ab", "aba", "b", "police/north", "police/south", "B", "a*"};

static const char *any_of(random_state *random, const char *const *list, uint32_t count) {
  return list[random_below(random, count)];
}

static void draw_pattern(random_state *random, char *to) {
  const char *word = any_of(random, words, 7);
  if (random_one_in(random, 8)) {
    strcpy(to, random_one_in(random, 2) ? "*" : "a*b*");
    return;
  }
  uint32_t length = (uint32_t)strlen(word), cut = random_below(random, length + 1);
  if (random_one_in(random, 2))
    strcpy(to, word);
  else
    sprintf(to, "%.*s*%s", (int)cut, word, random_one_in(random, 2) ? "" : word + cut);
}

static void draw_list(random_state *random, bool of_operations, uint32_t one_in, model_list *list) {
  list->given = random_one_in(random, one_in);
  list->count = 1 + (int)random_below(random, MODEL_WORDS);
  for (int i = 0; i < list->count; i++)
    if (of_operations)
      strcpy(list->words[i], random_one_in(random, 2) ? "identify" : any_of(random, operations, 9));
    else
      draw_pattern(random, list->words[i]);
}

static void draw_scope(random_state *random, uint32_t one_in, model_scope *scope) {
  draw_list(random, true, one_in, &scope->operations);
  for (int s = 0; s < MODEL_SELECTORS; s++) draw_list(random, false, one_in, &scope->selectors[s]);
}

static int days_in(int year, int month) {
  if (month == 2) return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28;
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

/* Ends of months, leap days and their like in years that have none, ends of years; else any day. */
static void draw_date(random_state *random, model_instant *at) {
  static const int years[] = {1970, 1999, 2000, 2001, 2020, 2021, 2024, 2096, 2099, 2100};
  at->year = random_one_in(random, 3) ? years[random_below(random, 10)] : 1970 + (int)random_below(random, 131);
  at->month = random_one_in(random, 3) ? 2 : 1 + (int)random_below(random, 12);
  int last = days_in(at->year, at->month);
  at->day = random_one_in(random, 2)   ? last
            : random_one_in(random, 3) ? 1
                                       : 1 + (int)random_below(random, (uint32_t)last);
}

static void draw_instant(random_state *random, model_instant *at) {
  static const int offsets[] = {0, 120, -300, 345, 825, -1439, 1439};
  *at = (model_instant){.given = random_one_in(random, 2), .date_only = random_one_in(random, 3)};
  draw_date(random, at);
  if (at->date_only) return;
  bool midnight = random_one_in(random, 3);
  at->hour = midnight ? 0 : (int)random_below(random, 24);
  at->minute = midnight ? 0 : (int)random_below(random, 60);
  at->second = midnight ? 0 : (int)random_below(random, 60);
  at->millisecond = random_one_in(random, 2) ? 0 : (int)random_below(random, 1000);
  at->offset_minutes =
      random_one_in(random, 2) ? offsets[random_below(random, 7)] : (int)random_below(random, 2879) - 1439;
}

int64_t model_instant_ms(const model_instant *at) {
  struct tm utc = {.tm_year = at->year - 1900, .tm_mon = at->month - 1, .tm_mday = at->day};
  utc.tm_hour = at->hour, utc.tm_min = at->minute - at->offset_minutes, utc.tm_sec = at->second;
  return (int64_t)timegm(&utc) * 1000 + at->millisecond;
}

static void draw_window(random_state *random, model_rule *rule) {
  draw_instant(random, &rule->from);
  draw_instant(random, &rule->until);
  rule->until_null = !rule->until.given && random_one_in(random, 2);
  if (!rule->from.given || !rule->until.given) return;
  int64_t from = model_instant_ms(&rule->from), until = model_instant_ms(&rule->until);
  model_instant earlier = rule->until;
  if (from == until) rule->until.given = false;
  if (from <= until) return;
  rule->until = rule->from;
  rule->from = earlier;
}

static int draw_count(random_state *random, uint32_t one_in, uint32_t low, uint32_t high) {
  return random_one_in(random, one_in) ? (int)(low + random_below(random, high - low + 1)) : -1;
}

static void draw_requirements(random_state *random, model_rule *rule) {
  bool *const required[] = {&rule->purpose,      &rule->actor,   &rule->signature,
                            &rule->jurisdiction, &rule->case_id, &rule->authorisation};
  for (int i = 0; i < 6; i++) *required[i] = random_one_in(random, 8);
  rule->authorisation_block = random_one_in(random, 4);
  rule->keeps = random_one_in(random, 2);
  rule->grace_hours = draw_count(random, 2, 0, 6);
  rule->max_candidates = draw_count(random, 2, 1, 12);
  rule->probes_per_case = draw_count(random, 4, 1, 6);
  rule->subject_probes = draw_count(random, 3, 1, 6);
  rule->retention_hours = draw_count(random, 2, 0, 5);
  rule->has_min_score = random_one_in(random, 2);
  rule->has_max_fmr = random_one_in(random, 5);
  rule->decimals = draw_count(random, 4, 0, 6);
  rule->decision_only = (rule->has_min_score || rule->has_max_fmr) && random_one_in(random, 6);
  sprintf(rule->min_score, "%s0.%u", random_one_in(random, 5) ? "-" : "", random_below(random, 1000));
  sprintf(rule->max_fmr, "%ue-%u", 1 + random_below(random, 9), 1 + random_below(random, 6));
}

void model_draw_policy(random_state *random, model_policy *policy) {
  *policy = (model_policy){.rules_count = (int)random_below(random, MODEL_RULES + 1)};
  uint32_t narrow = 2 + random_below(random, 6), forbids = 2 + random_below(random, 8);
  for (int i = 0; i < policy->rules_count; i++) {
    model_rule *rule = &policy->rules[i];
    rule->forbid = random_one_in(random, forbids);
    draw_scope(random, narrow, &rule->scope);
    rule->has_except = random_one_in(random, 4);
    draw_scope(random, 3, &rule->except);
    bool empty = !rule->except.operations.given;
    for (int s = 0; s < MODEL_SELECTORS; s++) empty = empty && !rule->except.selectors[s].given;
    if (empty) rule->has_except = false;
    draw_window(random, rule);
    if (!rule->forbid) draw_requirements(random, rule);
  }
  for (int s = 0; s < MODEL_SELECTORS; s++) policy->words[s] = random_one_in(random, 8);
}

/* As somebody might write the word who wants it to be another one: it is the same. */
static void disguise(random_state *random, char said[MODEL_TEXT]) {
  static const char *const spaces[] = {" ", "\xc2\xa0", "\xe3\x80\x80", "\xe2\x80\x8b"};
  char plain[MODEL_TEXT];
  strcpy(plain, said);
  said[0] = '\0';
  if (random_one_in(random, 3)) strcat(said, any_of(random, spaces, 4));
  for (const char *c = plain; *c != '\0'; c++)
    if (*c == 'a' && random_one_in(random, 3))
      strcat(said, random_one_in(random, 2) ? "\xef\xbd\x81" : "\xef\xbc\xa1"); /* a and A, as wide as a Chinese sign */
    else
      sprintf(said + strlen(said), "%c", *c >= 'a' && *c <= 'z' && random_one_in(random, 3) ? *c - 'a' + 'A' : *c);
  if (random_one_in(random, 3)) strcat(said, any_of(random, spaces, 4));
  if (random_one_in(random, 60)) strcat(said, "\xff");
}

void model_draw_request(random_state *random, model_request *request) {
  *request = (model_request){.operation = random_one_in(random, 2) ? 0 : (int)random_below(random, 9)};
  for (int s = 0; s < MODEL_SELECTORS; s++)
    if (!random_one_in(random, 6)) strcpy(request->said[s], any_of(random, words, 8));
  for (int s = 0; s < MODEL_SELECTORS; s++)
    if (random_one_in(random, 4)) disguise(random, request->said[s]);
  strcpy(request->model, random_one_in(random, 8) ? "nan" : random_one_in(random, 4) ? "" : "m1");
  if (!random_one_in(random, 4)) strcpy(request->case_id, "c1");
  if (!random_one_in(random, 4)) strcpy(request->authorisation, "w1");
  request->actor_signed = !random_one_in(random, 3);
  request->granted = random_one_in(random, 2);
  request->metric = random_one_in(random, 6) ? LK_IP : random_one_in(random, 2) ? LK_L2 : LK_COSINE;
  request->k = random_one_in(random, 4) ? LK_K_ALL : 1 + random_below(random, 20);
  request->probes = 1 + random_below(random, 3);
  request->case_probes = random_one_in(random, 50) ? UINT64_MAX : random_below(random, 5);
  request->threshold = random_one_in(random, 2) ? -INFINITY : (float)(2 * random_uniform(random) - 1);
}

/* Writing */

static void write_word(random_state *random, const char *word, FILE *file) {
  /* A plain * would be an alias. */
  bool plain = strchr(word, '*') == NULL && random_one_in(random, 2);
  const char *quote = plain ? "" : random_one_in(random, 2) ? "\"" : "'";
  fprintf(file, "%s%s%s", quote, word, quote);
}

static void write_list(random_state *random, const char *indent, const char *name, const model_list *list, FILE *file) {
  if (!list->given) return;
  bool flow = random_one_in(random, 2), alone = list->count == 1 && random_one_in(random, 2);
  fprintf(file, "%s%s:%s", indent, name, alone ? " " : flow ? " [" : "");
  for (int i = 0; i < list->count; i++) {
    if (!alone && !flow) fprintf(file, "\n%s  - ", indent);
    if (flow && i > 0) fputs(", ", file);
    write_word(random, list->words[i], file);
  }
  fputs(flow && !alone ? "]\n" : "\n", file);
}

static void write_scope(random_state *random, const char *indent, const model_scope *scope, FILE *file) {
  for (int s = MODEL_SELECTORS - 1; s >= 0; s--)
    write_list(random, indent, selector_names[s], &scope->selectors[s], file);
  write_list(random, indent, "operations", &scope->operations, file);
}

static void write_instant(random_state *random, const char *name, const model_instant *at, FILE *file) {
  if (!at->given) return;
  fprintf(file, "    %s: %04d-%02d-%02d", name, at->year, at->month, at->day);
  if (!at->date_only) {
    fprintf(file, "%c%02d:%02d:%02d", "Tt"[random_below(random, 2)], at -> hour, at -> minute, at -> second);
    if (at->millisecond != 0) fprintf(file, ".%03d", at->millisecond);
    int offset = abs(at->offset_minutes);
    if (offset == 0 && random_one_in(random, 2))
      fputc("Zz"[random_below(random, 2)], file);
    else
      fprintf(file, "%c%02d:%02d", at->offset_minutes < 0 ? '-' : '+', offset / 60, offset % 60);
  }
  fputc('\n', file);
}

static void write_require(const model_rule *rule, FILE *file) {
  static const char *const names[] = {"purpose", "actor", "signature", "jurisdiction", "case", "authorisation"};
  const bool required[] = {rule->purpose,      rule->actor,   rule->signature,
                           rule->jurisdiction, rule->case_id, rule->authorisation};
  const char *before = "    require: [";
  for (int i = 0; i < 6; i++)
    if (required[i]) {
      fprintf(file, "%s%s", before, names[i]);
      before = ", ";
    }
  if (before[0] == ',') fputs("]\n", file);
}

static void write_limits(const model_rule *rule, FILE *file) {
  if (rule->authorisation_block) {
    fputs("    authorisation:\n", file);
    if (rule->grace_hours >= 0) fprintf(file, "      grace_hours: %d\n", rule->grace_hours);
    if (rule->keeps || rule->grace_hours < 0) fputs("      on_refusal: keep\n", file);
  }
  if (rule->has_min_score) fprintf(file, "    min_score: %s\n", rule->min_score);
  if (rule->has_max_fmr) fprintf(file, "    max_fmr: %s\n", rule->max_fmr);
  if (rule->decimals >= 0) fprintf(file, "    score_decimals: %d\n", rule->decimals);
  if (rule->decision_only) fputs("    decision_only: true\n", file);
  if (rule->max_candidates >= 0) fprintf(file, "    max_candidates: %d\n", rule->max_candidates);
  if (rule->probes_per_case >= 0) fprintf(file, "    probes_per_case: %d\n", rule->probes_per_case);
  if (rule->subject_probes >= 0) fprintf(file, "    subject_probes_per_hour: %d\n", rule->subject_probes);
  if (rule->retention_hours >= 0) fprintf(file, "    retention_hours: %d\n", rule->retention_hours);
}

static void write_listed(random_state *random, const model_list *list, int *count, FILE *file) {
  for (int i = 0; list->given && i < list->count; i++) {
    fputs(++*count == 1 ? "[" : ", ", file);
    write_word(random, list->words[i], file);
  }
}

static void write_words(random_state *random, const model_policy *policy, FILE *file) {
  bool begun = false;
  for (int s = 0; s < MODEL_SELECTORS; s++) {
    int count = 0;
    if (!model_lists(policy, s)) continue;
    fprintf(file, "%s  %s: ", begun ? "" : "words:\n", selector_names[s]);
    for (int i = 0; i < policy->rules_count; i++) {
      write_listed(random, &policy->rules[i].scope.selectors[s], &count, file);
      if (policy->rules[i].has_except) write_listed(random, &policy->rules[i].except.selectors[s], &count, file);
    }
    fputs("]\n", file);
    begun = true;
  }
}

void model_write(random_state *random, const model_policy *policy, FILE *file) {
  static const char *const nulls[] = {"null", "~", "", "Null", "NULL"};
  fputs("# random\npolicy: 1\nname: random\n", file);
  write_words(random, policy, file);
  fprintf(file, "rules:%s\n", policy->rules_count == 0 ? " []" : "");
  for (int i = 0; i < policy->rules_count; i++) {
    const model_rule *rule = &policy->rules[i];
    fprintf(file, "  - id: r%d\n    text: why %d\n    effect: %s\n", i, i, rule->forbid ? "forbid" : "permit");
    write_scope(random, "    ", &rule->scope, file);
    if (rule->has_except) fputs("    except:\n", file);
    if (rule->has_except) write_scope(random, "      ", &rule->except, file);
    write_instant(random, "until", &rule->until, file);
    if (rule->until_null) fprintf(file, "    until: %s\n", nulls[random_below(random, 5)]);
    write_instant(random, "from", &rule->from, file);
    if (!rule->forbid) write_require(rule, file);
    if (!rule->forbid) write_limits(rule, file);
  }
}
