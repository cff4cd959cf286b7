#include "governance/binding.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <likeness/policy.h>
#include <likeness/signing_key.h>
#include "base/file.h"
#include "base/text.h"
#include "governance/calibration.h"

static const struct {
  const char *name; /* in a manifest */
  size_t offset;
} paths[] = {{"policy", offsetof(lk_binding, policy)},
             {"calibration", offsetof(lk_binding, calibration)},
             {"audit", offsetof(lk_binding, audit)},
             {"audit_key", offsetof(lk_binding, audit_key)}};

enum { PATHS = sizeof paths / sizeof paths[0] };

static const char *get(const lk_binding *binding, int i) {
  return *(const char *const *)((const char *)binding + paths[i].offset);
}

static const char **at(lk_binding *binding, int i) { return (const char **)((char *)binding + paths[i].offset); }

void lk_binding_free(lk_binding *binding) {
  for (int i = 0; i < PATHS; i++) free((char *)get(binding, i));
  *binding = (lk_binding){0};
}

static lk_status put(lk_binding *binding, int i, const char *path, lk_error *error) {
  char *copy = malloc(strlen(path) + 1);
  if (copy == NULL) return lk_fail_memory(error);
  *at(binding, i) = strcpy(copy, path);
  return LK_OK;
}

/* Converts one path. */
typedef lk_status lk_path_maker(const char *folder, const char *from, char to[PATH_MAX], lk_error *error);

static lk_status make_paths(const char *folder, const lk_binding *from, lk_path_maker *make, lk_binding *to,
                            lk_error *error) {
  lk_status status = LK_OK;
  *to = (lk_binding){0};
  for (int i = 0; status == LK_OK && i < PATHS; i++) {
    char path[PATH_MAX];
    if (get(from, i) == NULL) continue;
    status = make(folder, get(from, i), path, error);
    if (status == LK_OK) status = put(to, i, path, error);
  }
  if (status != LK_OK) lk_binding_free(to);
  return status;
}

static lk_status same_path(const char *folder, const char *from, char to[PATH_MAX], lk_error *error) {
  (void)folder;
  if (snprintf(to, PATH_MAX, "%s", from) < PATH_MAX) return LK_OK;
  return lk_fail(error, LK_EINVAL, "%s: the path is too long", from);
}

lk_status lk_binding_copy(const lk_binding *from, lk_binding *to, lk_error *error) {
  return make_paths(NULL, from, same_path, to, error);
}

bool lk_binding_equal(const lk_binding *a, const lk_binding *b) {
  for (int i = 0; i < PATHS; i++) {
    const char *x = get(a, i), *y = get(b, i);
    if ((x == NULL) != (y == NULL) || (x != NULL && strcmp(x, y) != 0)) return false;
  }
  return true;
}

json_t *lk_binding_to_json(const lk_binding *binding) {
  json_t *json = json_object();
  for (int i = 0; i < PATHS; i++) {
    if (get(binding, i) == NULL || json_object_set_new(json, paths[i].name, json_string(get(binding, i))) == 0)
      continue;
    json_decref(json);
    return NULL;
  }
  return json;
}

static int number_of(const char *name) {
  for (int i = 0; i < PATHS; i++)
    if (strcmp(name, paths[i].name) == 0) return i;
  return -1;
}

lk_status lk_binding_from_json(const char *name, json_t *json, lk_binding *binding, lk_error *error) {
  const char *member;
  json_t *value;
  lk_status status = LK_OK;
  if (!json_is_object(json)) return lk_fail(error, LK_EFORMAT, "%s: governance is not an object", name);
  json_object_foreach(json, member, value) {
    int i = number_of(member);
    const char *path = json_string_value(value);
    if (i < 0 || path == NULL || path[0] == '\0' || lk_text_fault(lk_text_of(path)) != NULL)
      return lk_fail(error, LK_EFORMAT, "%s: governance: member '%s' is unknown or malformed", name, member);
    if ((status = put(binding, i, path, error)) != LK_OK) return status;
  }
  if (binding->policy == NULL || (binding->audit_key != NULL && binding->audit == NULL))
    return lk_fail(error, LK_EFORMAT, "%s: governance has no policy, or an audit key without an audit log", name);
  return LK_OK;
}

static lk_status resolve_path(const char *folder, const char *kept, char path[PATH_MAX], lk_error *error) {
  char resolved[PATH_MAX];
  if (kept[0] == '/') return same_path(folder, kept, path, error);
  if (realpath(folder, resolved) == NULL) return lk_fail(error, LK_EIO, "%s: %s", folder, strerror(errno));
  return lk_file_join(path, resolved, kept, error);
}

lk_status lk_binding_resolve(const char *folder, const lk_binding *kept, lk_binding *absolute, lk_error *error) {
  return make_paths(folder, kept, resolve_path, absolute, error);
}

/* A log's folder need not exist yet; its parent must. */
static bool real_path(const char *path, char real[PATH_MAX]) {
  char parent[PATH_MAX], last[PATH_MAX];
  if (realpath(path, real) != NULL) return true;
  if (errno != ENOENT || strlen(path) >= PATH_MAX) return false;
  strcpy(parent, path);
  strcpy(last, path);
  char made[PATH_MAX];
  if (realpath(dirname(parent), made) == NULL) return false;
  return lk_file_join(real, made, basename(last), NULL) == LK_OK;
}

static lk_status keep_path(const char *folder, const char *given, char kept[PATH_MAX], lk_error *error) {
  char home[PATH_MAX], real[PATH_MAX];
  if (realpath(folder, home) == NULL) return lk_fail(error, LK_EGALLERY, "%s: %s", folder, strerror(errno));
  if (!real_path(given, real)) return lk_fail(error, LK_EIO, "%s: %s", given, strerror(errno));
  size_t length = strlen(home);
  bool inside = strncmp(real, home, length) == 0 && real[length] == '/';
  const char *fault = lk_text_fault(lk_text_of(real));
  if (fault != NULL) return lk_fail(error, LK_EINVAL, "%s: the path %s", real, fault);
  strcpy(kept, inside ? real + length + 1 : real);
  return LK_OK;
}

static lk_status check_shape(const lk_binding *binding, lk_error *error) {
  for (int i = 0; binding->policy == NULL && i < PATHS; i++)
    if (get(binding, i) != NULL) return lk_fail(error, LK_EINVAL, "%s: a binding needs a policy", get(binding, i));
  if (binding->audit_key != NULL && binding->audit == NULL)
    return lk_fail(error, LK_EINVAL, "%s: an audit key needs an audit log", binding->audit_key);
  return LK_OK;
}

static lk_status check_files(const lk_binding *binding, lk_error *error) {
  lk_policy *policy = NULL;
  lk_calibration calibration = {0};
  lk_signing_key key = {0};
  if (sodium_init() < 0) return lk_fail(error, LK_EINTERNAL, "libsodium cannot start");
  lk_status status = lk_policy_open(binding->policy, &policy, error);
  if (status == LK_OK && binding->calibration != NULL)
    status = lk_calibration_open(binding->calibration, &calibration, NULL, error);
  if (status == LK_OK && binding->audit_key != NULL)
    status = lk_signing_key_read_secret(binding->audit_key, &key, error);
  lk_signing_key_forget(&key);
  lk_calibration_close(&calibration);
  lk_policy_close(policy);
  return status;
}

lk_status lk_binding_keep(const char *folder, const lk_binding *given, lk_binding *kept, lk_error *error) {
  *kept = (lk_binding){0};
  lk_status status = check_shape(given, error);
  if (status == LK_OK && given->policy != NULL) status = check_files(given, error);
  return status == LK_OK ? make_paths(folder, given, keep_path, kept, error) : status;
}
