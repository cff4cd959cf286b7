#include "governance/open_binding.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "governance/binding.h"

/* An open governance, shared by the galleries of this process with equal bindings. */
typedef struct shared {
  struct shared *next;
  lk_binding paths;
  lk_governance *governance;
  uint32_t users;
} shared;

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER; /* protects the list and all `users` */
static shared *all;

struct lk_open_binding {
  char folder[PATH_MAX]; /* of the gallery; absolute */
  lk_binding paths;
  shared *shared; /* NULL: not entered yet */
};

lk_status lk_open_binding_open(const char *folder, const lk_binding *kept, lk_open_binding **binding, lk_error *error) {
  lk_open_binding *made = calloc(1, sizeof *made);
  if (made == NULL) return lk_fail_memory(error);
  lk_status status = LK_OK;
  if (realpath(folder, made->folder) == NULL) status = lk_fail(error, LK_EIO, "%s: %s", folder, strerror(errno));
  if (status == LK_OK) status = lk_binding_resolve(folder, kept, &made->paths, error);
  if (status == LK_OK)
    *binding = made;
  else
    free(made);
  return status;
}

lk_binding lk_open_binding_paths(const lk_open_binding *binding) { return binding->paths; }

static void free_shared(shared *s) {
  lk_governance_close(s->governance, NULL);
  lk_binding_free(&s->paths);
  free(s);
}

static void leave(shared *left) {
  pthread_mutex_lock(&all_lock);
  shared **at = &all;
  while (*at != left) at = &(*at)->next;
  if (--left->users == 0) {
    *at = left->next;
    free_shared(left);
  }
  pthread_mutex_unlock(&all_lock);
}

void lk_open_binding_close(lk_open_binding *binding) {
  if (binding == NULL) return;
  if (binding->shared != NULL) leave(binding->shared);
  lk_binding_free(&binding->paths);
  free(binding);
}

static lk_status open_shared(const lk_binding *paths, const char *keeper, shared **opened, lk_error *error) {
  shared *s = calloc(1, sizeof *s);
  if (s == NULL) return lk_fail_memory(error);
  lk_status status = lk_binding_copy(paths, &s->paths, error);
  lk_governance_options options = {.policy = s->paths.policy,
                                   .calibration = s->paths.calibration,
                                   .audit = s->paths.audit,
                                   .audit_key = s->paths.audit_key,
                                   .keepers = &keeper,
                                   .keepers_count = 1};
  if (status == LK_OK) status = lk_governance_open(&options, &s->governance, error);
  if (status != LK_OK) {
    free_shared(s);
    return status;
  }
  s->next = all;
  *opened = all = s;
  return LK_OK;
}

static lk_status find_shared(const lk_binding *paths, const char *keeper, shared **found, lk_error *error) {
  for (shared *s = all; s != NULL; s = s->next)
    if (lk_binding_equal(&s->paths, paths)) {
      *found = s;
      lk_status status = lk_governance_join(s->governance, keeper, error);
      return status == LK_OK ? lk_governance_reload(s->governance, error) : status;
    }
  return open_shared(paths, keeper, found, error);
}

lk_status lk_open_binding_enter(lk_open_binding *binding, lk_governance **governance, lk_error *error) {
  lk_status status = LK_OK;
  pthread_mutex_lock(&all_lock);
  if (binding->shared == NULL) {
    shared *found = NULL;
    status = find_shared(&binding->paths, binding->folder, &found, error);
    if (status == LK_OK) {
      binding->shared = found;
      found->users++;
    }
  }
  if (status == LK_OK) *governance = binding->shared->governance;
  pthread_mutex_unlock(&all_lock);
  return status;
}
