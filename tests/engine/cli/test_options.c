#include "engine/cli/options.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static const char all[] =
    "-k --actor --after --at --authorisation --batch --by --calibration --case --case-probes --jurisdiction "
    "--operation "
    "--granted --never --replace --pending-since --probes --purpose --signed --device --dim --format --fpir --fuse "
    "--rank --store "
    "--gallery "
    "--job-probes --keys --labels --mask "
    "--max-queue-delay-us --metric --model "
    "--password-file --priority --redis --stats --subject --subjects --tags --threads --threshold --timeout --ttl "
    "--unless-match";

static lk_options options;
static lk_error error;

/* Words with spaces between them, as the options of a command. */
static const lk_guide *guide_of(const char *allowed) {
  static char names[1000];
  static lk_guide_option list[80];
  static lk_guide guide = {.options = list};
  int count = 0;
  strcpy(names, allowed);
  for (char *name = strtok(names, " "); name != NULL; name = strtok(NULL, " ")) list[count++].name = name;
  list[count].name = NULL;
  return &guide;
}

static lk_status parse(const char *allowed, const char *const *words) {
  int count = 0;
  while (words[count] != NULL) count++;
  error.text[0] = '\0';
  return lk_options_parse(count, (char *const *)words, guide_of(allowed), &options, &error);
}

#define PARSE(...) parse(all, (const char *const[]){__VA_ARGS__, NULL})

static void expect_bad(const char *name, const char *value, const char *words) {
  cr_assert_eq(PARSE(name, value), LK_EINVAL, "%s %s", name, value);
  cr_assert_not_null(strstr(error.text, words), "'%s' is not in '%s'", words, error.text);
  cr_assert_not_null(strstr(error.text, name), "%s", error.text);
}

Test(options, defaults) {
  cr_assert_eq(parse(all, (const char *const[]){NULL}), LK_OK);
  cr_assert(options.words_count == 0 && options.k == 10 && options.threshold == -INFINITY && options.dim == 0);
  cr_assert(options.format == LK_TABLE && options.metric == LK_COSINE && options.batch == 1024);
  cr_assert_str_eq(options.device, "auto");
  cr_assert_str_eq(options.priority, "lo");
  cr_assert(options.model == NULL && options.redis == NULL && options.ttl_ms == 0);
  cr_assert(options.keys == NULL && options.subjects == NULL && !options.stats);
}

Test(options, all_of_them) {
  cr_assert_eq(PARSE("a", "-k", "7", "--batch", "8", "--device=cpu", "--dim", "9", "b", "--format=csv", "--gallery",
                     "g", "--job-probes", "3", "--labels", "l.csv", "--max-queue-delay-us", "99999999999", "--metric",
                     "l2", "--model", "m", "--password-file", "p", "--priority", "hi", "--redis", "unix:x=y",
                     "--subject", "", "--threads", "2", "--threshold", "-1.5", "--timeout", "4", "--ttl", "5", "-"),
               LK_OK, "%s", error.text);
  cr_assert_eq(options.words_count, 3);
  cr_assert_str_eq(options.words[0], "a");
  cr_assert_str_eq(options.words[1], "b");
  cr_assert_str_eq(options.words[2], "-");
  cr_assert(options.k == 7 && options.batch == 8 && options.dim == 9 && options.job_probes == 3);
  cr_assert(options.max_queue_delay_us == 99999999999 && options.metric == LK_L2 && options.format == LK_CSV);
  cr_assert(options.threads == 2 && options.threshold == -1.5F && options.timeout_s == 4 && options.ttl_ms == 5);
  cr_assert_str_eq(options.device, "cpu");
  cr_assert_str_eq(options.redis, "unix:x=y");
  cr_assert_str_eq(options.subject, "");
  cr_assert_str_eq(options.priority, "hi");
}

Test(options, a_value_after_an_equals_sign_may_hold_one) {
  cr_assert_eq(PARSE("--redis=unix:a=b"), LK_OK);
  cr_assert_str_eq(options.redis, "unix:a=b");
  cr_assert_eq(PARSE("--model="), LK_OK);
  cr_assert_str_eq(options.model, "");
}

Test(options, bad_values) {
  static const char *const not_numbers[] = {"", "x", "-1", "1.5", "1x", " 1", "4294967296", "99999999999999999999"};
  for (size_t i = 0; i < sizeof not_numbers / sizeof not_numbers[0]; i++) {
    expect_bad("-k", not_numbers[i], not_numbers[i]);
    expect_bad("--dim", not_numbers[i], not_numbers[i]);
  }
  expect_bad("--ttl", "18446744073709551616", "18446744073709551616");
  expect_bad("--threshold", "", "number");
  expect_bad("--threshold", "nan", "nan");
  expect_bad("--threshold", "0x1", "0x1");
  expect_bad("--threshold", "0.5x", "0.5x");
  expect_bad("--threshold", "1e39", "too large for a float");
  expect_bad("--metric", "manhattan", "manhattan");
  expect_bad("--format", "CSV", "CSV");
  expect_bad("--priority", "mid", "mid");
}

static void expect_duration(const char *value, uint64_t ms) {
  cr_assert_eq(PARSE("--after", value), LK_OK, "%s", error.text);
  cr_assert_eq(options.after_ms, ms, "%s: %llu", value, (unsigned long long)options.after_ms);
}

Test(options, a_threshold_of_matches) {
  cr_assert_eq(PARSE("--threads", "1"), LK_OK);
  cr_assert(isnan(options.match_threshold), "none is given");
  cr_assert_eq(PARSE("--unless-match", "-0.5"), LK_OK);
  cr_assert_eq(options.match_threshold, -0.5F);
}

Test(options, durations) {
  cr_assert_eq(PARSE("--never", "--replace"), LK_OK);
  cr_assert(options.never && options.replace && options.after_ms == LK_NEVER);
  expect_duration("0s", 0);
  expect_duration("45s", 45000);
  expect_duration("2m", 120000);
  expect_duration("36h", 129600000);
  expect_duration("90d", 7776000000);
  static const char *const bad[] = {"", "d", "90", "-1d", " 1d", "1 d", "1d ", "1w", "1.5d", "1D", "1dd"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) expect_bad("--after", bad[i], "is not a whole number with");
  expect_bad("--after", "18446744073709551616s", "too long");
  expect_bad("--after", "18446744073709552s", "too long");
}

Test(options, unknown_ones) {
  cr_assert_eq(PARSE("--colour", "red"), LK_EINVAL);
  cr_assert_not_null(strstr(error.text, "--colour"));
  cr_assert_eq(PARSE("--colour=red"), LK_EINVAL);
  cr_assert_null(strstr(error.text, "red"));
  cr_assert_eq(PARSE("--thresh", "1"), LK_EINVAL, "no abbreviations");
  cr_assert_eq(PARSE("---"), LK_EINVAL);
}

Test(options, the_one_that_was_meant) {
  cr_assert_eq(PARSE("--treshold", "1"), LK_EINVAL);
  cr_assert_str_eq(error.text, "unknown option --treshold; did you mean --threshold?");
  cr_assert_eq(PARSE("--max-queue-delay-ms=1"), LK_EINVAL);
  cr_assert_str_eq(error.text, "unknown option --max-queue-delay-ms; did you mean --max-queue-delay-us?");
  cr_assert_eq(parse("--keys", (const char *const[]){"--key", "a", NULL}), LK_EINVAL, "of this command only");
  cr_assert_str_eq(error.text, "unknown option --key; did you mean --keys?");
  cr_assert_eq(PARSE("--colour"), LK_EINVAL);
  cr_assert_null(strstr(error.text, "did you mean"));
}

Test(options, a_letter_and_its_value_in_one_word) {
  cr_assert(PARSE("-k7") == LK_OK && options.k == 7, "%s", error.text);
  cr_assert(PARSE("-k=8") == LK_OK && options.k == 8, "%s", error.text);
  cr_assert(PARSE("-kall") == LK_OK && options.k == LK_K_ALL, "%s", error.text);
  cr_assert_eq(PARSE("-k7x"), LK_EINVAL);
  cr_assert_eq(PARSE("-x7"), LK_EINVAL);
  cr_assert_not_null(strstr(error.text, "-x7"));
}

Test(options, help) {
  cr_assert(PARSE("a", "--help", "--no-such") == LK_OK && options.help, "whatever follows");
  cr_assert(PARSE("-h") == LK_OK && options.help);
  cr_assert(PARSE("--", "--help") == LK_OK && !options.help && options.words_count == 1);
  cr_assert(PARSE("--model", "--help") == LK_OK && !options.help);
  cr_assert_str_eq(options.model, "--help");
}

/* What the guide lists, a command can read, with a value or without as it says. */
Test(options, the_guide_names_those_that_can_be_read) {
  for (const lk_guide *g = lk_guides; g->name != NULL; g++) {
    const lk_guide_option *o;
    for (int i = 0; (o = lk_guide_option_at(g, i)) != NULL; i++) {
      char *const words[] = {(char *)o->name};
      lk_status status = lk_options_parse(1, words, g, &options, &error);
      cr_assert_null(strstr(error.text, "unknown"), "%s: %s", g->name, error.text);
      cr_assert_eq(status == LK_OK, o->value == NULL, "%s %s: a flag takes no value, others need one", g->name,
                   o->name);
      error.text[0] = '\0';
    }
  }
}

Test(options, operands_that_look_like_options) {
  cr_assert_eq(PARSE("-k", "7", "--", "-x.npy", "--", "--threshold"), LK_OK, "%s", error.text);
  cr_assert(options.k == 7 && options.words_count == 3);
  cr_assert_str_eq(options.words[0], "-x.npy");
  cr_assert_str_eq(options.words[1], "--");
  cr_assert_str_eq(options.words[2], "--threshold");
}

/* Options of other commands, and names that are part of another option's name. */
Test(options, only_what_a_command_takes) {
  const char *const words[] = {"--model", "m", NULL}, *const job[] = {"--batch", "1", NULL};
  cr_assert_eq(parse("-k --format", words), LK_EINVAL);
  cr_assert_eq(parse("--model-name --models x--model", words), LK_EINVAL);
  cr_assert_eq(parse("--model-name --model", words), LK_OK);
  cr_assert_eq(parse("", job), LK_EINVAL);
}

Test(options, a_value_is_needed) {
  cr_assert_eq(PARSE("--model"), LK_EINVAL);
  cr_assert_not_null(strstr(error.text, "--model needs a value"));
}

Test(options, a_flag_takes_no_value) {
  cr_assert_eq(PARSE("a", "--stats", "b", "--subjects", "s.txt", "--keys=k.txt"), LK_OK, "%s", error.text);
  cr_assert(options.stats && options.words_count == 2);
  cr_assert_str_eq(options.words[1], "b");
  cr_assert_str_eq(options.subjects, "s.txt");
  cr_assert_str_eq(options.keys, "k.txt");
  cr_assert_null(options.subject);
  cr_assert_eq(PARSE("a", "--stats"), LK_OK, "the last word");
  cr_assert_eq(PARSE("--stats=yes"), LK_EINVAL);
  cr_assert_str_eq(error.text, "--stats: takes no value");
}

Test(options, too_many_words) {
  const char *words[LK_WORDS_MOST + 2];
  for (int i = 0; i < LK_WORDS_MOST + 1; i++) words[i] = "w";
  words[LK_WORDS_MOST + 1] = NULL;
  cr_assert_eq(parse(all, words), LK_EINVAL);
  words[LK_WORDS_MOST] = NULL;
  cr_assert_eq(parse(all, words), LK_OK);
  cr_assert_eq(options.words_count, LK_WORDS_MOST);
}

Test(options, check_k) {
  static const char *const k[] = {"0", "1", "4096", "4097"};
  for (int i = 0; i < 4; i++) {
    cr_assert_eq(PARSE("-k", k[i]), LK_OK);
    cr_assert_eq(lk_options_check_k(&options, &error), i == 1 || i == 2 ? LK_OK : LK_EINVAL);
  }
}

Test(options, view) {
  cr_assert_eq(PARSE("-k", "all", "--by", "subject", "--tags", "0x6"), LK_OK);
  cr_assert(options.k == LK_K_ALL && options.by_subject && options.tags == 6 && options.mask == 6);
  cr_assert_eq(lk_options_check_k(&options, &error), LK_EINVAL);
  cr_assert_eq(PARSE("--by", "template", "--tags", "1", "--mask", "12"), LK_OK);
  cr_assert(!options.by_subject && options.tags == 1 && options.mask == 12);
  cr_assert_eq(PARSE("--mask", "12", "--tags", "1"), LK_OK);
  cr_assert(options.tags == 1 && options.mask == 12, "in either order");
  cr_assert_eq(PARSE("--mask", "0", "--tags", "1"), LK_OK);
  cr_assert(options.mask == 0 && options.has_mask && options.has_tags, "a mask of none is one");
  cr_assert_eq(PARSE("--tags", "1"), LK_OK);
  cr_assert(!options.has_mask);
  cr_assert_eq(PARSE("--tags", "0x10000000000000000"), LK_EINVAL);
  cr_assert_eq(PARSE("--tags", "six"), LK_EINVAL);
  cr_assert_eq(PARSE("--by", "row"), LK_EINVAL);
  cr_assert(PARSE("--fuse", "mean", "--store", "f16") == LK_OK && options.fusion == LK_FUSE_MEAN);
  cr_assert_eq(options.store, LK_STORE_F16);
  cr_assert_eq(PARSE("--fuse", "sum"), LK_EINVAL);
  cr_assert_eq(PARSE("--store", "f64"), LK_EINVAL);
}

Test(options, requests) {
  cr_assert(PARSE("--operation", "o", "--purpose=p", "--actor", "a", "--jurisdiction", "j", "--signed") == LK_OK);
  cr_assert_str_eq(options.operation, "o");
  cr_assert_str_eq(options.purpose, "p");
  cr_assert_str_eq(options.actor, "a");
  cr_assert_str_eq(options.jurisdiction, "j");
  cr_assert(options.is_signed && options.probes == 1 && options.case_probes == 0 && options.at == NULL);
  cr_assert(PARSE("--case", "c", "--authorisation", "w", "--pending-since", "s", "--at", "d", "--probes", "2",
                  "--case-probes", "3") == LK_OK);
  cr_assert_str_eq(options.case_id, "c");
  cr_assert_str_eq(options.authorisation, "w");
  cr_assert_str_eq(options.pending_since, "s");
  cr_assert_str_eq(options.at, "d");
  cr_assert(!options.granted && PARSE("--granted") == LK_OK && options.granted);
  cr_assert(PARSE("--probes", "2", "--case-probes", "3") == LK_OK);
  cr_assert(!options.is_signed && options.probes == 2 && options.case_probes == 3);
}

Test(options, evaluation) {
  cr_assert_eq(PARSE("a"), LK_OK);
  cr_assert(isnan(options.fpir) && options.rank == 1 && options.calibration == NULL);
  cr_assert_eq(PARSE("--fpir", "0.01", "--rank", "5", "--calibration", "c.json", "--format", "svg"), LK_OK);
  cr_assert(options.fpir == 0.01 && options.rank == 5 && options.format == LK_SVG);
  cr_assert_str_eq(options.calibration, "c.json");
  expect_bad("--fpir", "nan", "'nan' is not a number");
  expect_bad("--fpir", "1%", "'1%' is not a number");
  expect_bad("--rank", "-1", "whole number");
}

Test(options, check_format) {
  cr_assert_eq(PARSE("--format", "json"), LK_OK);
  cr_assert_eq(lk_options_check_format(&options, "table json", &error), LK_OK);
  cr_assert_eq(lk_options_check_format(&options, "table csv", &error), LK_EINVAL);
  cr_assert_str_eq(error.text, "--format: this command does not write 'json'; it writes table csv");
}
