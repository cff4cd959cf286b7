#include "engine/cli/options.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/text.h"
#include "base/timestamp.h"
#include "engine/cli/guide/help.h"

typedef lk_status read_value(const char *value, void *to, lk_error *error);

static lk_status read_text(const char *value, void *to, lk_error *error) {
  (void)error;
  *(const char **)to = value;
  return LK_OK;
}

/* A flag takes no value: `value` must be NULL. */
static lk_status read_flag(const char *value, void *to, lk_error *error) {
  if (value != NULL) return lk_fail(error, LK_EINVAL, "takes no value");
  *(bool *)to = true;
  return LK_OK;
}

static lk_status read_u64(const char *value, void *to, lk_error *error) {
  char *end;
  errno = 0;
  *(uint64_t *)to = strtoull(value, &end, 10);
  if (*value >= '0' && *value <= '9' && *end == '\0' && errno == 0) return LK_OK;
  return lk_fail(error, LK_EINVAL, "'%s' is not a whole number", value);
}

static lk_status read_u32(const char *value, void *to, lk_error *error) {
  uint64_t wide = 0;
  lk_status status = read_u64(value, &wide, error);
  if (status == LK_OK && wide > UINT32_MAX) status = lk_fail(error, LK_EINVAL, "'%s' is too large", value);
  *(uint32_t *)to = (uint32_t)wide;
  return status;
}

static lk_status read_k(const char *value, void *to, lk_error *error) {
  if (strcmp(value, "all") != 0) return read_u32(value, to, error);
  *(uint32_t *)to = LK_K_ALL;
  return LK_OK;
}

static lk_status read_bits(const char *value, void *to, lk_error *error) {
  char *end;
  bool hex = value[0] == '0' && (value[1] == 'x' || value[1] == 'X');
  errno = 0;
  *(uint64_t *)to = strtoull(value, &end, hex ? 16 : 10);
  if (*value >= '0' && *value <= '9' && *end == '\0' && errno == 0) return LK_OK;
  return lk_fail(error, LK_EINVAL, "'%s' is not a 64-bit number", value);
}

/* --tags also sets the mask, unless --mask is given. */
static lk_status read_tags(const char *value, void *to, lk_error *error) {
  lk_options *options = (lk_options *)((char *)to - offsetof(lk_options, tags));
  lk_status status = read_bits(value, to, error);
  options->has_tags = true;
  if (!options->has_mask) options->mask = options->tags;
  return status;
}

static lk_status read_mask(const char *value, void *to, lk_error *error) {
  ((lk_options *)((char *)to - offsetof(lk_options, mask)))->has_mask = true;
  return read_bits(value, to, error);
}

/* A whole number and its unit. */
static lk_status read_duration(const char *value, void *to, lk_error *error) {
  static const struct {
    char unit;
    uint64_t ms;
  } units[] = {{'s', 1000}, {'m', 60 * 1000}, {'h', 3600 * 1000}, {'d', 24 * 3600 * 1000}};
  char *end;
  errno = 0;
  uint64_t number = strtoull(value, &end, 10);
  for (size_t i = 0; *value >= '0' && *value <= '9' && i < sizeof units / sizeof units[0]; i++) {
    if (end[0] != units[i].unit || end[1] != '\0') continue;
    if (errno == 0 && !__builtin_mul_overflow(number, units[i].ms, (uint64_t *)to)) return LK_OK;
    return lk_fail(error, LK_EINVAL, "'%s' is too long", value);
  }
  return lk_fail(error, LK_EINVAL, "'%s' is not a whole number with s, m, h or d, such as 90d", value);
}

static lk_status read_by(const char *value, void *to, lk_error *error) {
  *(bool *)to = strcmp(value, "subject") == 0;
  if (*(bool *)to || strcmp(value, "template") == 0) return LK_OK;
  return lk_fail(error, LK_EINVAL, "'%s' is neither template nor subject", value);
}

static lk_status read_float(const char *value, void *to, lk_error *error) {
  if (lk_text_to_float(value, to)) return LK_OK;
  return lk_fail(error, LK_EINVAL, "'%s' is not a number, or too large for a float", value);
}

static lk_status read_double(const char *value, void *to, lk_error *error) {
  char *end;
  *(double *)to = strtod(value, &end);
  if (*value > ' ' && *end == '\0' && !isnan(*(double *)to)) return LK_OK;
  return lk_fail(error, LK_EINVAL, "'%s' is not a number", value);
}

static lk_status read_fusion(const char *value, void *to, lk_error *error) {
  return lk_fusion_parse(lk_text_of(value), to, error);
}

static lk_status read_store(const char *value, void *to, lk_error *error) { return lk_store_parse(value, to, error); }
static lk_status read_metric(const char *value, void *to, lk_error *error) { return lk_metric_parse(value, to, error); }

static const char *const format_names[] = {"table", "csv", "json", "svg"};

static lk_status read_format(const char *value, void *to, lk_error *error) {
  for (int i = LK_TABLE; i <= LK_SVG; i++)
    if (strcmp(value, format_names[i]) == 0) {
      *(lk_format *)to = (lk_format)i;
      return LK_OK;
    }
  return lk_fail(error, LK_EINVAL, "unknown format '%s'; formats are table, csv, json, svg", value);
}

static lk_status read_priority(const char *value, void *to, lk_error *error) {
  if (strcmp(value, "hi") == 0 || strcmp(value, "lo") == 0) return read_text(value, to, error);
  return lk_fail(error, LK_EINVAL, "'%s' is neither hi nor lo", value);
}

static const struct {
  const char *name;
  read_value *read;
  size_t offset;
} known[] = {
    {"-k", read_k, offsetof(lk_options, k)},
    {"--after", read_duration, offsetof(lk_options, after_ms)},
    {"--actor", read_text, offsetof(lk_options, actor)},
    {"--at", read_text, offsetof(lk_options, at)},
    {"--audit", read_text, offsetof(lk_options, audit)},
    {"--sign", read_text, offsetof(lk_options, sign)},
    {"--audit-key", read_text, offsetof(lk_options, audit_key)},
    {"--authorisation", read_text, offsetof(lk_options, authorisation)},
    {"--batch", read_u32, offsetof(lk_options, batch)},
    {"--by", read_by, offsetof(lk_options, by_subject)},
    {"--calibration", read_text, offsetof(lk_options, calibration)},
    {"--case", read_text, offsetof(lk_options, case_id)},
    {"--case-probes", read_u64, offsetof(lk_options, case_probes)},
    {"--deployment", read_text, offsetof(lk_options, deployment)},
    {"--device", read_text, offsetof(lk_options, device)},
    {"--dim", read_u32, offsetof(lk_options, dim)},
    {"--fpir", read_double, offsetof(lk_options, fpir)},
    {"--follow", read_flag, offsetof(lk_options, follow)},
    {"--fuse", read_fusion, offsetof(lk_options, fusion)},
    {"--format", read_format, offsetof(lk_options, format)},
    {"--gallery", read_text, offsetof(lk_options, gallery)},
    {"--groups", read_flag, offsetof(lk_options, groups)},
    {"--granted", read_flag, offsetof(lk_options, granted)},
    {"--head", read_text, offsetof(lk_options, head)},
    {"--job-probes", read_u32, offsetof(lk_options, job_probes)},
    {"--jurisdiction", read_text, offsetof(lk_options, jurisdiction)},
    {"--key", read_text, offsetof(lk_options, key)},
    {"--key-column", read_text, offsetof(lk_options, key_column)},
    {"--keys", read_text, offsetof(lk_options, keys)},
    {"--labels", read_text, offsetof(lk_options, labels)},
    {"--lost-audit-log", read_flag, offsetof(lk_options, lost_audit_log)},
    {"--max-queue-delay-us", read_u64, offsetof(lk_options, max_queue_delay_us)},
    {"--mask", read_mask, offsetof(lk_options, mask)},
    {"--metric", read_metric, offsetof(lk_options, metric)},
    {"--store", read_store, offsetof(lk_options, store)},
    {"--model", read_text, offsetof(lk_options, model)},
    {"--never", read_flag, offsetof(lk_options, never)},
    {"--npy", read_text, offsetof(lk_options, npy)},
    {"--operation", read_text, offsetof(lk_options, operation)},
    {"--output", read_text, offsetof(lk_options, output)},
    {"--password-file", read_text, offsetof(lk_options, password_file)},
    {"--pending-since", read_text, offsetof(lk_options, pending_since)},
    {"--policy", read_text, offsetof(lk_options, policy)},
    {"--priority", read_priority, offsetof(lk_options, priority)},
    {"--probes", read_u32, offsetof(lk_options, probes)},
    {"--purpose", read_text, offsetof(lk_options, purpose)},
    {"--rank", read_u32, offsetof(lk_options, rank)},
    {"--redis", read_text, offsetof(lk_options, redis)},
    {"--replace", read_flag, offsetof(lk_options, replace)},
    {"--replicas", read_u32, offsetof(lk_options, replicas)},
    {"--signed", read_flag, offsetof(lk_options, is_signed)},
    {"--stats", read_flag, offsetof(lk_options, stats)},
    {"--subject", read_text, offsetof(lk_options, subject)},
    {"--subjects", read_text, offsetof(lk_options, subjects)},
    {"--tags", read_tags, offsetof(lk_options, tags)},
    {"--threads", read_u32, offsetof(lk_options, threads)},
    {"--threshold", read_float, offsetof(lk_options, threshold)},
    {"--timeout", read_u32, offsetof(lk_options, timeout_s)},
    {"--ttl", read_u64, offsetof(lk_options, ttl_ms)},
    {"--unless-match", read_float, offsetof(lk_options, match_threshold)},
};

enum { KNOWN = sizeof known / sizeof known[0] };

/* The length of an option's name: `--name=value` ends it, and so does the first letter of `-kvalue`. */
static size_t name_length(const char *argument) {
  return argument[1] != '-' && argument[2] != '=' ? 2 : strcspn(argument, "=");
}

static lk_status refuse_option(const lk_guide *guide, const char *argument, lk_error *error) {
  size_t length = argument[1] == '-' ? name_length(argument) : strlen(argument);
  const char *nearest = lk_guide_nearest_option(guide, argument, length);
  if (nearest == NULL) return lk_fail(error, LK_EINVAL, "unknown option %.*s", (int)length, argument);
  return lk_fail(error, LK_EINVAL, "unknown option %.*s; did you mean %s?", (int)length, argument, nearest);
}

static const lk_guide_option *find_option(const lk_guide *guide, const char *name, size_t length) {
  const lk_guide_option *option;
  for (int i = 0; (option = lk_guide_option_at(guide, i)) != NULL; i++)
    if (strlen(option->name) == length && memcmp(option->name, name, length) == 0) break;
  return option;
}

/* What follows the name in the same argument, or is the next one. NULL: nothing does. */
static const char *value_of(const char *argument, size_t length, bool is_flag, int count, char *const *arguments,
                            int *at) {
  if (argument[length] == '=') return argument + length + 1;
  if (argument[length] != '\0') return argument + length;
  return is_flag || *at + 1 == count ? NULL : arguments[++*at];
}

static lk_status read_option(int count, char *const *arguments, int *at, const lk_guide *guide, lk_options *options,
                             lk_error *error) {
  const char *argument = arguments[*at];
  size_t length = name_length(argument);
  const lk_guide_option *option = find_option(guide, argument, length);
  int i = 0;
  while (i < KNOWN && option != NULL && strcmp(known[i].name, option->name) != 0) i++;
  if (option == NULL || i == KNOWN) return refuse_option(guide, argument, error);
  bool is_flag = known[i].read == read_flag;
  const char *value = value_of(argument, length, is_flag, count, arguments, at);
  if (value == NULL && !is_flag) return lk_fail(error, LK_EINVAL, "%s needs a value", option->name);
  lk_status status = known[i].read(value, (char *)options + known[i].offset, error);
  return status == LK_OK ? LK_OK : lk_fail(error, status, "%s: %s", option->name, error != NULL ? error->text : "");
}

lk_status lk_options_parse(int count, char *const *arguments, const lk_guide *guide, lk_options *options,
                           lk_error *error) {
  *options = (lk_options){.k = 10,
                          .rank = 1,
                          .after_ms = LK_NEVER,
                          .threshold = -INFINITY,
                          .fpir = NAN,
                          .match_threshold = NAN,
                          .device = "auto",
                          .priority = "lo",
                          .batch = 1024,
                          .job_probes = 64,
                          .probes = 1,
                          .timeout_s = 60,
                          .max_queue_delay_us = 0};
  lk_status status = LK_OK;
  bool ended = false; /* by "--": what follows are operands */
  for (int i = 0; status == LK_OK && i < count && !options->help; i++) {
    const char *argument = arguments[i];
    if (!ended && strcmp(argument, "--") == 0) {
      ended = true;
    } else if (!ended && (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0)) {
      options->help = true;
    } else if (!ended && argument[0] == '-' && argument[1] != '\0') {
      status = read_option(count, arguments, &i, guide, options, error);
    } else if (options->words_count == LK_WORDS_MOST) {
      status = lk_fail(error, LK_EINVAL, "more than %d operands", LK_WORDS_MOST);
    } else {
      options->words[options->words_count++] = argument;
    }
  }
  return status;
}

lk_status lk_options_check_k(const lk_options *options, lk_error *error) {
  if (options->k >= 1 && options->k <= LK_K_MAX) return LK_OK;
  if (options->k == LK_K_ALL) return lk_fail(error, LK_EINVAL, "-k all works only with identify, not through a queue");
  return lk_fail(error, LK_EINVAL, "-k: %u is outside 1 .. %d", options->k, LK_K_MAX);
}

lk_status lk_options_check_format(const lk_options *options, const char *formats, lk_error *error) {
  const char *name = format_names[options->format];
  if (strstr(formats, name) != NULL) return LK_OK;
  return lk_fail(error, LK_EINVAL, "--format: this command does not write '%s'; it writes %s", name, formats);
}

lk_status lk_options_timestamp(const char *option, const char *value, int64_t *ms, lk_error *error) {
  const char *fault = lk_timestamp_parse(lk_text_of(value), ms);
  return fault == NULL ? LK_OK : lk_fail(error, LK_EINVAL, "%s: '%s' %s", option, value, fault);
}

lk_status lk_options_address(const lk_options *options, lk_address *address, lk_error *error) {
  if (options->redis == NULL) return lk_fail(error, LK_EINVAL, "--redis is missing: the address of the queue");
  lk_status status = lk_address_parse(options->redis, address, error);
  if (status == LK_OK && options->password_file != NULL)
    status = lk_address_read_password(options->password_file, address, error);
  return status;
}

static lk_text text_or_none(const char *text) { return lk_text_of(text != NULL ? text : ""); }

lk_status lk_options_claims(const lk_options *options, lk_claims *claims, lk_signing_key *key, lk_error *error) {
  *key = (lk_signing_key){0};
  *claims = (lk_claims){.purpose = text_or_none(options->purpose),
                        .actor = text_or_none(options->actor),
                        .jurisdiction = text_or_none(options->jurisdiction),
                        .case_id = text_or_none(options->case_id),
                        .authorisation = text_or_none(options->authorisation),
                        .granted = options->granted};
  if (options->sign != NULL && options->actor == NULL)
    return lk_fail(error, LK_EINVAL, "--sign needs --actor, the owner of the key");
  lk_status status = LK_OK;
  if (options->pending_since != NULL)
    status = lk_options_timestamp("--pending-since", options->pending_since, &claims->pending_since_ms, error);
  if (status != LK_OK || options->sign == NULL) return status;
  claims->key = key;
  return lk_signing_key_read_secret(options->sign, key, error);
}
