#include "governance/open_binding.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "governance/binding.h"

/* An open governance, shared by the galleries of this process with equal bindings. */
typedef struct shared {
  struct shared *next;
  lk_binding paths;
  lk_governance *governance;
  uint32_t users; /* bindings that hold it, and operations under way */
} shared;

/* Paths that somebody may still read. */
typedef struct former {
  struct former *next;
  lk_binding paths;
} former;

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER; /* protects the list, all `users` and all open bindings */
static shared *all;

struct lk_open_binding {
  char folder[PATH_MAX]; /* of the gallery; absolute */
  lk_binding paths;
  former *formers;
  shared *shared; /* NULL: not entered yet, or not bound */
  lk_stamp stamp; /* of the manifest that was read last */
  atomic_uint_least64_t looked_us, generation;
};

lk_status lk_open_binding_open(const char *folder, const lk_binding *kept, lk_stamp stamp, lk_open_binding **binding,
                               lk_error *error) {
  lk_open_binding *made = calloc(1, sizeof *made);
  if (made == NULL) return lk_fail_memory(error);
  lk_status status = LK_OK;
  made->stamp = stamp;
  lk_stamp_is_due(&made->looked_us); /* it was looked at now */
  if (realpath(folder, made->folder) == NULL) status = lk_fail(error, LK_EIO, "%s: %s", folder, strerror(errno));
  if (status == LK_OK) status = lk_binding_resolve(made->folder, kept, &made->paths, error);
  if (status == LK_OK)
    *binding = made;
  else
    free(made);
  return status;
}

lk_binding lk_open_binding_paths(const lk_open_binding *binding) {
  pthread_mutex_lock(&all_lock);
  lk_binding paths = binding->paths;
  pthread_mutex_unlock(&all_lock);
  return paths;
}

uint64_t lk_open_binding_generation(const lk_open_binding *binding) { return atomic_load(&binding->generation); }

static void free_shared(shared *s) {
  lk_governance_close(s->governance, NULL);
  lk_binding_free(&s->paths);
  free(s);
}

/* Call these two with all_lock. */
static void leave(shared *left) {
  shared **at = &all;
  if (left == NULL || --left->users > 0) return;
  while (*at != left) at = &(*at)->next;
  *at = left->next;
  free_shared(left);
}

static shared *shared_of(const lk_governance *governance) {
  shared *s = all;
  while (s != NULL && s->governance != governance) s = s->next;
  return s;
}

void lk_open_binding_leave(lk_governance *governance) {
  if (governance == NULL) return;
  pthread_mutex_lock(&all_lock);
  leave(shared_of(governance));
  pthread_mutex_unlock(&all_lock);
}

void lk_open_binding_close(lk_open_binding *binding) {
  if (binding == NULL) return;
  pthread_mutex_lock(&all_lock);
  leave(binding->shared);
  pthread_mutex_unlock(&all_lock);
  for (former *next, *f = binding->formers; f != NULL; f = next) {
    next = f->next;
    lk_binding_free(&f->paths);
    free(f);
  }
  lk_binding_free(&binding->paths);
  free(binding);
}

bool lk_open_binding_is_stale(lk_open_binding *binding, const lk_folder *folder, const char *manifest,
                              lk_stamp *stamp) {
  if (!lk_stamp_is_due(&binding->looked_us)) return false;
  *stamp = lk_stamp_in(folder, manifest);
  pthread_mutex_lock(&all_lock);
  bool stale = !lk_stamp_equal(stamp, &binding->stamp);
  pthread_mutex_unlock(&all_lock);
  if (stale) atomic_store(&binding->looked_us, 0); /* until it was followed, every operation looks */
  return stale;
}

/* Takes the paths, unless they are those of before. Call it with all_lock. */
static lk_status take_paths(lk_open_binding *binding, lk_binding *paths, lk_error *error) {
  if (lk_binding_equal(paths, &binding->paths)) {
    lk_binding_free(paths);
    return LK_OK;
  }
  former *f = calloc(1, sizeof *f);
  if (f == NULL) {
    lk_binding_free(paths);
    return lk_fail_memory(error);
  }
  *f = (former){.next = binding->formers, .paths = binding->paths};
  binding->formers = f;
  binding->paths = *paths;
  leave(binding->shared);
  binding->shared = NULL;
  atomic_fetch_add(&binding->generation, 1);
  return LK_OK;
}

lk_status lk_open_binding_follow(lk_open_binding *binding, const lk_binding *kept, lk_stamp stamp, lk_error *error) {
  lk_binding paths;
  lk_status status = lk_binding_resolve(binding->folder, kept, &paths, error);
  if (status != LK_OK) return status;
  pthread_mutex_lock(&all_lock);
  status = take_paths(binding, &paths, error);
  if (status == LK_OK) binding->stamp = stamp;
  pthread_mutex_unlock(&all_lock);
  return status;
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
  *governance = NULL;
  pthread_mutex_lock(&all_lock);
  if (binding->shared == NULL && binding->paths.policy != NULL) {
    shared *found = NULL;
    status = find_shared(&binding->paths, binding->folder, &found, error);
    if (status == LK_OK) {
      binding->shared = found;
      found->users++;
    }
  }
  if (status == LK_OK && binding->shared != NULL) {
    binding->shared->users++;
    *governance = binding->shared->governance;
  }
  pthread_mutex_unlock(&all_lock);
  return status;
}
