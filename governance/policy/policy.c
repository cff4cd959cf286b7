#include <likeness/policy.h>

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/text.h"
#include "governance/policy/rule.h"
#include "governance/policy/word.h"

static const char *const operation_names[LK_OPERATIONS] = {"identify", "verify", "enroll", "delete", "export",
                                                           "evaluate", "tag",    "expire", "erase"};

const char *lk_operation_name(lk_operation operation) {
  return (unsigned)operation < LK_OPERATIONS ? operation_names[operation] : "?";
}

lk_status lk_operation_parse(lk_text name, lk_operation *operation, lk_error *error) {
  for (int i = 0; i < LK_OPERATIONS; i++)
    if (lk_text_equal(lk_text_of(operation_names[i]), name)) {
      *operation = (lk_operation)i;
      return LK_OK;
    }
  return lk_fail(error, LK_EINVAL,
                 "'%.*s' is not one of identify, verify, enroll, delete, export, evaluate, tag, expire, erase",
                 name.length < 40 ? (int)name.length : 40, name.bytes);
}

static lk_status parse(const char *name, const void *data, size_t size, lk_policy *policy, uint32_t *line,
                       lk_error *error) {
  lk_status status = lk_yaml_parse(name, data, size, &policy->tree, line, error);
  if (status != LK_OK) return status;
  crypto_hash_sha256(policy->hash, data, size);
  status = lk_policy_read(name, policy, error);
  *line = policy->refused_line;
  return status;
}

static lk_status parse_at(const char *name, const void *data, size_t size, lk_policy **policy, uint32_t *line,
                          lk_error *error) {
  *policy = NULL;
  lk_policy *made = calloc(1, sizeof *made);
  if (made == NULL) return lk_fail_memory(error);
  lk_status status = parse(name, data, size, made, line, error);
  if (status == LK_OK)
    *policy = made;
  else
    lk_policy_close(made);
  return status;
}

lk_status lk_policy_parse(const char *name, const void *data, size_t size, lk_policy **policy, lk_error *error) {
  uint32_t line;
  return parse_at(name, data, size, policy, &line, error);
}

/* Parses a copy: if the file changes during the parse, the hash and the rules must still come from the same bytes. */
lk_status lk_policy_open_at(const char *path, lk_policy **policy, uint32_t *line, lk_error *error) {
  *policy = NULL;
  *line = 0;
  lk_file file;
  lk_status status = lk_file_read(path, &file, error);
  if (status != LK_OK) return status;
  status = parse_at(path, file.data, file.size, policy, line, error);
  lk_file_free(&file);
  return status;
}

lk_status lk_policy_open(const char *path, lk_policy **policy, lk_error *error) {
  uint32_t line;
  return lk_policy_open_at(path, policy, &line, error);
}

static void free_patterns(lk_patterns patterns[LK_CLAIMS]) {
  for (int i = 0; i < LK_CLAIMS; i++) free(patterns[i].of);
}

static void free_words(lk_kept_word *word) {
  for (lk_kept_word *older; word != NULL; word = older) {
    older = word->older;
    free(word);
  }
}

void lk_policy_close(lk_policy *policy) {
  if (policy == NULL) return;
  for (uint32_t i = 0; i < policy->rules_count; i++) {
    free_patterns(policy->rules[i].scope.claims);
    free_patterns(policy->rules[i].except.claims);
  }
  free_patterns(policy->known);
  free_words(policy->words);
  free(policy->rules);
  free(policy->keys);
  lk_yaml_close(&policy->tree);
  free(policy);
}

void lk_policy_stat_get(const lk_policy *policy, lk_policy_stat *stat) {
  *stat = (lk_policy_stat){.name = policy->name,
                           .rules = policy->rules_count,
                           .keys = policy->keys_count,
                           .deployment = policy->deployment,
                           .signature_minutes = policy->signature_minutes};
  memcpy(stat->hash, policy->hash, sizeof stat->hash);
}

lk_policy_rule lk_policy_rule_get(const lk_policy *policy, uint32_t rule) {
  return rule < policy->rules_count ? policy->rules[rule].shown : (lk_policy_rule){.effect = LK_FORBID};
}

const uint8_t *lk_policy_key(const lk_policy *policy, lk_text actor, uint32_t n) {
  lk_word word;
  lk_text normalised;
  if (lk_word_normalise(actor, &word, &normalised) != NULL) return NULL;
  for (uint32_t i = 0; i < policy->keys_count; i++)
    if (lk_text_equal(policy->keys[i].actor, normalised) && n-- == 0) return policy->keys[i].key;
  return NULL;
}
