#include "governance/authorisation.h"

lk_status lk_authorisation_authenticate(lk_authorisation *a, const lk_proof *proof, lk_error *error) {
  a->request.actor_signed = false;
  if (proof->signature == NULL) return LK_OK;
  return lk_governance_authenticate(a->governance, a->request.actor, proof, &a->request.actor_signed, error);
}

static void take_limits(lk_authorisation *a) {
  a->request.k = a->verdict.k;
  a->request.threshold = a->verdict.threshold;
}

lk_status lk_authorisation_decide(lk_authorisation *a, lk_status so_far, const lk_once *once, uint64_t now_ms,
                                  lk_error *error) {
  lk_status status =
      so_far == LK_OK ? lk_governance_decide(a->governance, &a->request, &a->evidence, once, now_ms, &a->verdict, error)
                      : lk_governance_refuse(a->governance, &a->request, &a->evidence, now_ms, &a->verdict, error);
  take_limits(a);
  return status;
}

/* A failed authentication does not withhold the result by itself: the rules may permit the same request unsigned. */
lk_status lk_authorisation_release(lk_authorisation *a, const lk_proof *proof, uint64_t now_ms, lk_error *error) {
  lk_error unsigned_now;
  lk_authorisation_authenticate(a, proof, &unsigned_now);
  lk_status status = lk_governance_release(a->governance, &a->request, now_ms, &a->verdict, error);
  take_limits(a);
  return status;
}

lk_status lk_authorisation_log_search(lk_authorisation *a, lk_status status, const lk_release *release, uint64_t now_ms,
                                      lk_error *error) {
  lk_error log_error;
  lk_status logged = lk_governance_log_search(a->governance, &a->request, now_ms, &a->verdict, release, &log_error);
  if (logged == LK_OK) return status;
  *error = log_error;
  return logged;
}

lk_status lk_authorisation_count_finds(lk_authorisation *a, const lk_finds *finds, uint64_t now_ms, lk_error *error) {
  if (a->counted) return LK_OK;
  lk_status status = lk_governance_count_finds(a->governance, &a->request, now_ms, &a->verdict, finds, error);
  a->counted = status == LK_OK;
  return status;
}
