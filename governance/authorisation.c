#include "governance/authorisation.h"

#include <math.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <time.h>

#include "base/text.h"
#include "governance/binding.h"
#include "index/gallery/result.h"

/* Rules and a log that are open, for all galleries that are bound to them: a log has one writer. */
typedef struct door {
  struct door *next;
  lk_binding paths;
  lk_governance *governance;
  uint32_t users;
} door;

static pthread_mutex_t doors_lock = PTHREAD_MUTEX_INITIALIZER; /* all doors, and who uses which */
static door *doors;

struct lk_open_binding {
  lk_binding paths;
  door *door; /* NULL: nothing was asked yet */
};

lk_status lk_open_binding_open(const char *folder, const lk_binding *kept, lk_open_binding **bound, lk_error *error) {
  lk_open_binding *made = calloc(1, sizeof *made);
  if (made == NULL) return lk_fail_memory(error);
  lk_status status = lk_binding_resolve(folder, kept, &made->paths, error);
  if (status == LK_OK)
    *bound = made;
  else
    free(made);
  return status;
}

lk_binding lk_open_binding_paths(const lk_open_binding *bound) { return bound->paths; }

static void free_door(door *d) {
  lk_governance_close(d->governance, NULL);
  lk_binding_free(&d->paths);
  free(d);
}

static void leave(door *left) {
  pthread_mutex_lock(&doors_lock);
  door **at = &doors;
  while (*at != left) at = &(*at)->next;
  if (--left->users == 0) {
    *at = left->next;
    free_door(left);
  }
  pthread_mutex_unlock(&doors_lock);
}

void lk_open_binding_close(lk_open_binding *bound) {
  if (bound == NULL) return;
  if (bound->door != NULL) leave(bound->door);
  lk_binding_free(&bound->paths);
  free(bound);
}

static lk_status open_door(const lk_binding *paths, door **opened, lk_error *error) {
  door *d = calloc(1, sizeof *d);
  if (d == NULL) return lk_fail_memory(error);
  lk_status status = lk_binding_copy(paths, &d->paths, error);
  lk_governance_options options = {.policy = d->paths.policy,
                                   .calibration = d->paths.calibration,
                                   .audit = d->paths.audit,
                                   .audit_key = d->paths.audit_key};
  if (status == LK_OK) status = lk_governance_open(&options, &d->governance, error);
  if (status != LK_OK) {
    free_door(d);
    return status;
  }
  d->next = doors;
  *opened = doors = d;
  return LK_OK;
}

static lk_status find_door(const lk_binding *paths, door **found, lk_error *error) {
  for (door *d = doors; d != NULL; d = d->next)
    if (lk_binding_equal(&d->paths, paths)) {
      *found = d;
      return lk_governance_reload(d->governance, error);
    }
  return open_door(paths, found, error);
}

static lk_status enter(lk_open_binding *bound, lk_governance **governance, lk_error *error) {
  lk_status status = LK_OK;
  pthread_mutex_lock(&doors_lock);
  if (bound->door == NULL) {
    door *found = NULL;
    status = find_door(&bound->paths, &found, error);
    if (status == LK_OK) {
      bound->door = found;
      found->users++;
    }
  }
  if (status == LK_OK) *governance = bound->door->governance;
  pthread_mutex_unlock(&doors_lock);
  return status;
}

static uint64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static lk_status check_claims(const lk_claims *claims, lk_error *error) {
  const struct {
    const char *what;
    lk_text text;
  } said[] = {{"purpose", claims->purpose},
              {"actor", claims->actor},
              {"jurisdiction", claims->jurisdiction},
              {"case", claims->case_id},
              {"authorisation", claims->authorisation}};
  for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
    const char *fault = lk_text_fault(said[i].text);
    if (fault != NULL) return lk_fail(error, LK_EINVAL, "the %s %s", said[i].what, fault);
  }
  return LK_OK;
}

static void take_claims(lk_authorisation *passage, const lk_claims *claims) {
  lk_policy_request *request = &passage->request;
  request->gallery = lk_text_of(passage->gallery->name);
  request->model = lk_text_of(passage->gallery->manifest.model);
  request->purpose = claims->purpose;
  request->actor = claims->actor;
  request->jurisdiction = claims->jurisdiction;
  request->case_id = claims->case_id;
  request->authorisation = claims->authorisation;
  request->authorisation_pending = claims->pending_since_ms != 0;
  request->pending_since_ms = claims->pending_since_ms;
  passage->key = claims->key;
}

/* Who can sign what nobody knew before has the key. */
static lk_status authenticate(lk_authorisation *passage, lk_error *error) {
  unsigned char challenge[32], signature[crypto_sign_BYTES];
  bool *authenticated = &passage->request.actor_signed;
  *authenticated = false;
  if (passage->key == NULL) return LK_OK;
  randombytes_buf(challenge, sizeof challenge);
  crypto_sign_detached(signature, NULL, challenge, sizeof challenge, passage->key->secret);
  return lk_governance_authenticate(passage->governance, passage->request.actor, challenge, sizeof challenge, signature,
                                    authenticated, error);
}

/* What is refused is written down too. */
static lk_status ask(lk_authorisation *passage, const lk_claims *claims, lk_error *error) {
  static const lk_claims none;
  lk_error log_error;
  lk_status status = claims != NULL ? check_claims(claims, error) : LK_OK;
  if (status == LK_OK) status = enter(passage->gallery->bound, &passage->governance, error);
  if (status != LK_OK) return status;
  take_claims(passage, claims != NULL ? claims : &none);
  status = authenticate(passage, error);
  status = status == LK_OK
               ? lk_governance_decide(passage->governance, &passage->request, now_ms(), &passage->verdict, error)
               : lk_governance_refuse(passage->governance, &passage->request, now_ms(), &passage->verdict, error);
  passage->request.k = passage->verdict.k;
  passage->request.threshold = passage->verdict.threshold;
  if (status != LK_EPOLICY || lk_governance_commit(passage->governance, &log_error) == LK_OK) return status;
  *error = log_error;
  return LK_EIO;
}

/* What is below wants an error to write to. */
static lk_status tell(lk_status status, const lk_error *text, lk_error *error) {
  if (status != LK_OK && error != NULL) *error = *text;
  return status;
}

lk_status lk_authorisation_ask(lk_authorisation *passage, const lk_gallery *gallery, const lk_policy_request *request,
                               const lk_claims *claims, lk_error *error) {
  *passage = (lk_authorisation){.gallery = gallery, .request = *request};
  lk_error text;
  return gallery->bound != NULL ? tell(ask(passage, claims, &text), &text, error) : LK_OK;
}

static lk_release released_by(const lk_authorisation *passage, bool searched) {
  const lk_gallery *gallery = passage->gallery;
  return (lk_release){
      .epoch = gallery->manifest.epoch, .searched = searched ? gallery->rows : 0, .total = gallery->rows};
}

static lk_status give_decision(const lk_authorisation *passage, const lk_release *release, lk_result *result,
                               lk_error *error) {
  char *text = lk_governance_record(passage->governance, &passage->verdict, passage->request.model, release);
  lk_result_decide(result, text);
  return text != NULL ? LK_OK : lk_fail_memory(error);
}

void lk_authorisation_refuse(const lk_authorisation *passage, lk_result *result) {
  lk_release nothing = released_by(passage, false);
  if (passage->verdict.id[0] != '\0') give_decision(passage, &nothing, result, NULL);
}

/* The first failure counts; what was decided is written down in any case. */
static lk_status release_search(lk_authorisation *passage, lk_result *result, lk_error *error) {
  uint64_t time_ms = now_ms();
  lk_error log_error;
  authenticate(passage, &log_error); /* where that fails now, the release is decided without */
  lk_status status = lk_governance_release(passage->governance, &passage->request, time_ms, &passage->verdict, error);
  lk_result_tighten(result, passage->verdict.k, passage->verdict.threshold);
  lk_release release = released_by(passage, true);
  release.candidates = status == LK_OK ? lk_result_candidates(result) : 0;
  if (status == LK_OK || status == LK_EPOLICY) {
    lk_status made = give_decision(passage, &release, result, &log_error);
    if (made != LK_OK) return tell(made, &log_error, error);
  }
  lk_status kept =
      lk_governance_keep(passage->governance, &passage->request, time_ms, &passage->verdict, &release, &log_error);
  if (kept == LK_OK) kept = lk_governance_commit(passage->governance, &log_error);
  if (kept == LK_OK) return status;
  lk_result_decide(result, NULL);
  return tell(kept, &log_error, error);
}

lk_status lk_authorisation_release_search(lk_authorisation *passage, lk_result *result, lk_error *error) {
  lk_error text;
  if (passage->governance == NULL) {
    lk_result_decide_none(result);
    return LK_OK;
  }
  lk_status status = release_search(passage, result, &text);
  if (status != LK_OK) lk_candidate_lists_clear(&result->lists);
  return tell(status, &text, error);
}

static lk_status release(lk_authorisation *passage, uint64_t templates, uint64_t epoch, lk_error *error) {
  uint64_t time_ms = now_ms();
  authenticate(passage, error);
  lk_status status = lk_governance_release(passage->governance, &passage->request, time_ms, &passage->verdict, error);
  if (status == LK_OK)
    status = lk_governance_keep_done(passage->governance, &passage->request, time_ms, &passage->verdict, epoch,
                                     templates, error);
  return status == LK_OK ? lk_governance_commit(passage->governance, error) : status;
}

lk_status lk_authorisation_release(lk_authorisation *passage, uint64_t templates, uint64_t epoch, lk_error *error) {
  lk_error text;
  return passage->governance != NULL ? tell(release(passage, templates, epoch, &text), &text, error) : LK_OK;
}
