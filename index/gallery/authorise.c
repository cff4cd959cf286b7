#include "index/gallery/authorise.h"

#include <sodium.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/text.h"
#include "governance/decision_record.h"
#include "governance/policy/claims.h"
#include "governance/policy/detail.h"

static lk_status check_claims(const lk_claims *claims, lk_error *error) {
  for (int i = 0; claims != NULL && i < LK_CLAIMS_TEXTS; i++) {
    const char *fault = lk_text_fault(lk_claims_text(claims, i));
    if (fault != NULL) return lk_fail(error, LK_EINVAL, "the %s %s", lk_claims_name(i), fault);
  }
  return LK_OK;
}

/* A signature of a challenge that nobody knew before proves that the caller has the actor's key. */
typedef struct challenge {
  unsigned char message[32], signature[crypto_sign_BYTES];
} challenge;

static lk_proof prove(const lk_signing_key *key, challenge *c) {
  if (key == NULL) return (lk_proof){.signature = NULL};
  randombytes_buf(c->message, sizeof c->message);
  crypto_sign_detached(c->signature, NULL, c->message, sizeof c->message, key->secret);
  return (lk_proof){.message = c->message, .size = sizeof c->message, .signature = c->signature};
}

/* Takes the rules that the gallery has now; none, if it is not bound. `error` keeps the reason of the evidence's fault
 * unless this fails. */
static lk_status enter(lk_gallery_authorisation *a, lk_error *error) {
  lk_error why;
  lk_status status = lk_gallery_follow_binding(a->gallery, &why);
  a->generation = lk_open_binding_generation(a->gallery->binding);
  if (status == LK_OK) status = lk_open_binding_enter(a->gallery->binding, &a->base.governance, &why);
  if (status != LK_OK) *error = why;
  return status;
}

static lk_status decide(lk_gallery_authorisation *a, const lk_claims *claims, lk_error *error) {
  lk_status status = enter(a, error);
  if (status != LK_OK) return status;
  if (a->base.governance == NULL) return a->base.evidence.fault;
  status = check_claims(claims, error);
  if (status != LK_OK) return status;
  challenge c;
  lk_proof proof = prove(a->key, &c);
  lk_claims_to_request(claims, &a->base.request);
  status = lk_authorisation_authenticate(&a->base, &proof, error);
  status = lk_authorisation_decide(&a->base, status, NULL, lk_clock_unix_ms(), error);
  lk_error log_error;
  if (status == LK_OK || lk_governance_commit(a->base.governance, &log_error) == LK_OK) return status;
  a->base.verdict = (lk_verdict){0}; /* a decision that is not in the log is none */
  *error = log_error;
  return LK_EIO;
}

/* The governance needs an error to write to; the caller's may be NULL. */
static lk_status tell(lk_status status, const lk_error *text, lk_error *error) {
  if (status != LK_OK && error != NULL) *error = *text;
  return status;
}

/* What `status` is for, where the caller has written that down. */
static lk_error text_of(lk_status status, const lk_error *error) {
  return status != LK_OK && error != NULL ? *error : (lk_error){""};
}

lk_status lk_gallery_authorise(lk_gallery_authorisation *authorisation, const lk_gallery *gallery,
                               const lk_policy_request *request, const lk_evidence *evidence, const lk_claims *claims,
                               lk_error *error) {
  *authorisation = (lk_gallery_authorisation){.gallery = gallery,
                                              .key = claims != NULL ? claims->key : NULL,
                                              .base = {.request = *request, .evidence = *evidence}};
  authorisation->base.request.gallery = lk_text_of(gallery->manifest.name);
  authorisation->base.request.model = lk_text_of(gallery->manifest.model);
  authorisation->base.request.metric = gallery->manifest.metric;
  lk_error text = text_of(evidence->fault, error);
  return tell(decide(authorisation, claims, &text), &text, error);
}

void lk_gallery_authorise_end(lk_gallery_authorisation *authorisation) {
  lk_open_binding_leave(authorisation->base.governance);
  authorisation->base.governance = NULL;
}

/* Rules that came while the operation ran have not decided it. */
static lk_status check_generation(const lk_gallery_authorisation *a, lk_error *error) {
  lk_status status = lk_gallery_follow_binding(a->gallery, error);
  if (status != LK_OK || a->generation == lk_open_binding_generation(a->gallery->binding)) return status;
  return lk_fail(error, LK_EPOLICY, "refused: the gallery %s was bound anew meanwhile; ask again",
                 a->gallery->manifest.name);
}

/* Decides again, by the rules that the gallery had when the operation began and only if it has them still. */
static lk_status decide_again(lk_gallery_authorisation *a, uint64_t now_ms, lk_error *error) {
  challenge c;
  lk_proof proof = prove(a->key, &c);
  lk_status status = lk_authorisation_release(&a->base, &proof, now_ms, error);
  return status == LK_OK ? check_generation(a, error) : status;
}

uint32_t lk_policy_probes(const lk_vectors *runs, uint32_t runs_count) {
  uint64_t probes = 0;
  for (uint32_t i = 0; i < runs_count; i++)
    if (__builtin_add_overflow(probes, runs[i].rows, &probes)) probes = UINT32_MAX;
  return probes < UINT32_MAX ? (uint32_t)probes : UINT32_MAX;
}

lk_evidence lk_query_evidence(const lk_query *query, lk_status fault) {
  return (lk_evidence){.fault = fault,
                       .searches = true,
                       .narrowing = {.tags = query->tags,
                                     .mask = query->mask,
                                     .keys = query->keys,
                                     .subjects = query->subjects,
                                     .keys_count = query->keys_count,
                                     .subjects_count = query->subjects_count}};
}

static lk_status give_decision(const lk_authorisation *a, const lk_release *release, lk_answer *answer,
                               lk_error *error) {
  json_t *record = lk_decision_record(a->governance, &a->verdict, a->request.model, release);
  char *text = lk_decision_record_print(record);
  json_decref(record);
  lk_answer_decide(answer, text);
  return text != NULL ? LK_OK : lk_fail_memory(error);
}

void lk_gallery_refuse_search(const lk_gallery_authorisation *authorisation, lk_result *result) {
  static const lk_release nothing;
  lk_result_erase(result);
  if (authorisation->base.verdict.id[0] != '\0') give_decision(&authorisation->base, &nothing, &result->answer, NULL);
}

static uint32_t count_in(const void *context, uint32_t list) {
  const lk_candidate_lists *lists = &((const lk_answer *)context)->lists;
  return (uint32_t)(lists->ends[list] - lk_candidate_lists_begin(lists, list));
}

static lk_text subject_in(const void *context, uint32_t list, uint32_t rank) {
  const lk_answer *answer = context;
  const lk_hit *hit = &answer->lists.hits[lk_candidate_lists_begin(&answer->lists, list) + rank];
  return lk_catalog_template(answer->sight.catalog, hit->row).subject;
}

static lk_finds finds_of(const lk_answer *answer) {
  return (lk_finds){.lists = answer->lists.count, .count = count_in, .subject = subject_in, .context = answer};
}

/* Cuts the answer down to what may be released, and describes that. */
static lk_release cut(const lk_gallery_authorisation *authorisation, lk_answer *answer) {
  const lk_authorisation *a = &authorisation->base;
  lk_answer_tighten(answer, a->request.k, a->request.threshold);
  lk_answer_coarsen(answer, a->verdict.detail);
  lk_release release = {.epoch = answer->sight.epoch,
                        .searched = answer->lists.visible,
                        .total = answer->sight.living,
                        .candidates = lk_answer_candidates(answer)};
  if (lk_governance_has_log(a->governance)) lk_answer_hash_all(answer, a->verdict.id, release.reply);
  return release;
}

/* Logs what leaves, or why nothing does. A result whose record is not in the log is withheld, and has no decision. */
static lk_status log_release(lk_authorisation *a, lk_status status, const lk_release *release, uint64_t now_ms,
                             lk_error *error) {
  lk_error log_error;
  if (status != LK_OK && a->verdict.permitted) lk_verdict_withhold(&a->verdict, status);
  lk_status logged = lk_authorisation_log_search(a, LK_OK, release, now_ms, &log_error);
  if (logged == LK_OK) logged = lk_governance_commit(a->governance, &log_error);
  if (logged == LK_OK) return status;
  a->verdict = (lk_verdict){0};
  *error = log_error;
  return logged;
}

/* That there is no such subject is an answer too; any other failure is none, but the log says what became of its
 * permit. */
static lk_status release_search(lk_gallery_authorisation *authorisation, lk_status searched, lk_answer *answer,
                                lk_error *error) {
  lk_authorisation *a = &authorisation->base;
  uint64_t now_ms = lk_clock_unix_ms();
  lk_status status = searched;
  lk_release release = {0};
  if (searched == LK_OK || searched == LK_ENOTFOUND) {
    status = decide_again(authorisation, now_ms, error);
    release = cut(authorisation, answer);
    lk_finds finds = finds_of(answer);
    if (status == LK_OK) status = lk_authorisation_count_finds(a, &finds, now_ms, error);
    if (status == LK_OK) status = give_decision(a, &release, answer, error);
  }
  status = log_release(a, status, &release, now_ms, error);
  return status == LK_OK ? searched : status;
}

/* Of a gallery that is not bound, and still is not. */
static lk_status release_unbound(const lk_gallery_authorisation *authorisation, lk_status searched, lk_result *result,
                                 lk_error *error) {
  lk_status status = searched;
  if (searched == LK_OK || searched == LK_ENOTFOUND) status = check_generation(authorisation, error);
  if (status != LK_OK) {
    lk_result_erase(result);
    return status;
  }
  if (searched == LK_OK) lk_answer_decide_none(&result->answer);
  return searched;
}

lk_status lk_gallery_release_search(lk_gallery_authorisation *authorisation, lk_status searched, lk_result *result,
                                    lk_error *error) {
  lk_error text = text_of(searched, error);
  if (authorisation->base.governance == NULL)
    return tell(release_unbound(authorisation, searched, result, &text), &text, error);
  lk_status status = release_search(authorisation, searched, &result->answer, &text);
  if (authorisation->base.verdict.permitted)
    lk_candidate_lists_erase(&result->workspace.parts); /* they reach beyond the limits */
  else
    lk_gallery_refuse_search(authorisation, result);
  return tell(status, &text, error);
}

/* ---- a finding ---- */

static uint32_t count_found(const void *context, uint32_t probe) {
  const lk_finding *finding = context;
  return finding->found && finding->probe == probe;
}

static lk_text subject_found(const void *context, uint32_t probe, uint32_t rank) {
  (void)probe, (void)rank;
  return lk_text_of(((const lk_finding *)context)->subject);
}

static lk_release release_of(const lk_authorisation *a, const lk_finding *finding) {
  lk_release release = {
      .epoch = finding->epoch, .searched = finding->searched, .total = finding->total, .candidates = finding->found};
  if (!lk_governance_has_log(a->governance)) return release;
  lk_answer_hash hash;
  lk_answer_hash_start(&hash, a->verdict.id);
  for (uint32_t probe = 0; probe < a->request.probes; probe++) {
    uint32_t count = count_found(finding, probe);
    lk_answer_hash_list(&hash, count);
    if (count > 0) lk_answer_hash_candidate(&hash, finding->number, finding->score);
  }
  lk_answer_hash_end(&hash, release.reply);
  return release;
}

lk_status lk_gallery_check_threshold(const lk_gallery_authorisation *authorisation, float threshold, lk_error *error) {
  float least = authorisation->base.request.threshold;
  if (!(least > threshold)) return LK_OK;
  return lk_fail(error, LK_EPOLICY,
                 "refused: the policy releases no score below %.9g, so matches from %.9g on would go unseen",
                 (double)least, (double)threshold);
}

static lk_status release_found(lk_gallery_authorisation *authorisation, float threshold, lk_finding *finding,
                               uint64_t now_ms, lk_error *error) {
  lk_authorisation *a = &authorisation->base;
  lk_finds finds = {.lists = a->request.probes, .count = count_found, .subject = subject_found, .context = finding};
  lk_status status = decide_again(authorisation, now_ms, error);
  if (status == LK_OK) status = lk_gallery_check_threshold(authorisation, threshold, error);
  if (status == LK_OK) status = lk_authorisation_count_finds(a, &finds, now_ms, error);
  finding->score = lk_score_released(finding->score, a->verdict.detail);
  return status;
}

static lk_status release_finding(lk_gallery_authorisation *authorisation, lk_status checked, float threshold,
                                 lk_finding *finding, lk_error *error) {
  lk_authorisation *a = &authorisation->base;
  uint64_t now_ms = lk_clock_unix_ms();
  lk_status status = checked;
  lk_release release = {0};
  if (status == LK_OK && finding->found) status = release_found(authorisation, threshold, finding, now_ms, error);
  if (status == LK_OK) release = release_of(a, finding);
  return log_release(a, status, &release, now_ms, error);
}

lk_status lk_gallery_release_finding(lk_gallery_authorisation *authorisation, lk_status checked, float threshold,
                                     lk_finding *finding, lk_error *error) {
  lk_error text = text_of(checked, error);
  lk_status status = checked;
  if (authorisation->base.governance != NULL)
    status = release_finding(authorisation, checked, threshold, finding, &text);
  else if (checked == LK_OK && finding->found)
    status = check_generation(authorisation, &text);
  return tell(status, &text, error);
}

lk_status lk_gallery_commit_decision(const lk_gallery_authorisation *authorisation, lk_error *error) {
  lk_error text;
  lk_governance *governance = authorisation->base.governance;
  return governance != NULL ? tell(lk_governance_commit(governance, &text), &text, error) : LK_OK;
}

static lk_status log_done(lk_authorisation *a, uint64_t templates, uint64_t epoch, uint64_t now_ms, lk_error *error) {
  lk_status status = lk_governance_log_done(a->governance, &a->request, now_ms, &a->verdict, epoch, templates, error);
  return status == LK_OK ? lk_governance_commit(a->governance, error) : status;
}

lk_status lk_gallery_record(lk_gallery_authorisation *authorisation, uint64_t templates, uint64_t epoch,
                            lk_error *error) {
  lk_error text;
  if (authorisation->base.governance == NULL) return LK_OK;
  return tell(log_done(&authorisation->base, templates, epoch, lk_clock_unix_ms(), &text), &text, error);
}

static lk_status release(lk_gallery_authorisation *authorisation, uint64_t templates, uint64_t epoch, lk_error *error) {
  static const lk_release nothing;
  lk_authorisation *a = &authorisation->base;
  uint64_t now_ms = lk_clock_unix_ms();
  lk_status status = decide_again(authorisation, now_ms, error);
  if (status != LK_OK) return log_release(a, status, &nothing, now_ms, error);
  return log_done(a, templates, epoch, now_ms, error);
}

lk_status lk_gallery_release(lk_gallery_authorisation *authorisation, uint64_t templates, uint64_t epoch,
                             lk_error *error) {
  lk_error text;
  if (authorisation->base.governance == NULL) return tell(check_generation(authorisation, &text), &text, error);
  return tell(release(authorisation, templates, epoch, &text), &text, error);
}
