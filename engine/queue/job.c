#include "engine/queue/job.h"

#include <math.h>
#include <sodium.h>
#include <string.h>

#include <likeness/owner.h>

#include "base/fail.h"
#include "base/text.h"
#include "governance/policy/claims.h"

uint32_t lk_job_operations(const lk_job *job, lk_operation operations[LK_JOB_OPERATIONS_MAX]) {
  static const lk_operation needed[LK_OPS] = {
      [LK_OP_IDENTIFY] = LK_OPERATION_IDENTIFY, [LK_OP_VERIFY] = LK_OPERATION_VERIFY,
      [LK_OP_ENROLL] = LK_OPERATION_ENROLL,     [LK_OP_REPLACE] = LK_OPERATION_ENROLL,
      [LK_OP_DELETE] = LK_OPERATION_DELETE,     [LK_OP_TAG] = LK_OPERATION_TAG,
      [LK_OP_EXPIRE] = LK_OPERATION_EXPIRE,     [LK_OP_ERASE] = LK_OPERATION_ERASE,
      [LK_OP_LIST] = LK_OPERATION_EXPORT,       [LK_OP_STAT] = LK_OPERATION_EXPORT};
  uint32_t count = 1;
  operations[0] = needed[job->op];
  if (job->op == LK_OP_REPLACE) operations[count++] = LK_OPERATION_DELETE;
  if (job->change.unless_match) operations[count++] = LK_OPERATION_IDENTIFY;
  return count;
}

static lk_status read_op(const lk_field_reader *r, lk_op *op) {
  const lk_field *field = lk_field_find(r, "op");
  if (field == NULL) return lk_fail(r->error, LK_EBADJOB, "field op is missing");
  *op = lk_op_find(lk_field_text(field));
  if (*op != LK_OPS) return LK_OK;
  return lk_field_malformed(r, field,
                            "is not identify, verify, enroll, replace, delete, tag, expire, erase, list or stat");
}

static lk_status read_version(const lk_field_reader *r) {
  const lk_field *field = lk_field_find(r, "v");
  if (field == NULL) return lk_fail(r->error, LK_EBADJOB, "field v is missing");
  if (field->length == 1 && field->value[0] == '0' + LK_PROTOCOL_VERSION) return LK_OK;
  return lk_fail(r->error, LK_EVERSION, "protocol version '%.*s'; this worker speaks %d",
                 field->length < 20 ? (int)field->length : 20, field->value, LK_PROTOCOL_VERSION);
}

static lk_status read_probes(const lk_field_reader *r, uint64_t n, lk_vectors *probes) {
  const lk_field *f32 = lk_field_find(r, "f32"), *f16 = lk_field_find(r, "f16");
  if (f32 == NULL && f16 == NULL) return lk_fail(r->error, LK_EBADJOB, "field f32 (or f16) is missing");
  if (f32 != NULL && f16 != NULL) return lk_fail(r->error, LK_EBADJOB, "the job has both f32 and f16");
  const lk_field *field = f32 != NULL ? f32 : f16;
  size_t row = n * (f32 != NULL ? sizeof(float) : sizeof(uint16_t));
  if (field->length == 0 || field->length % row != 0)
    return lk_fail(r->error, LK_EBADJOB, "field %s: %zu bytes are not n = %llu vectors of one dimension",
                   f32 != NULL ? "f32" : "f16", field->length, (unsigned long long)n);
  if (field->length / row > LK_DIM_MAX)
    return lk_fail(r->error, LK_EDIM, "vectors of dimension %zu; at most %d is allowed", field->length / row,
                   LK_DIM_MAX);
  *probes = (lk_vectors){.name = "the job",
                         .data = field->value,
                         .rows = n,
                         .dim = (uint32_t)(field->length / row),
                         .element = f32 != NULL ? LK_F32 : LK_F16};
  return LK_OK;
}

/* A field that is ignored would change the answer without a word. */
static lk_status refuse_unknown(const lk_field_reader *r) {
  for (size_t i = 0; i < r->count; i++) {
    lk_text name = r->fields[i].name;
    if (lk_field_is_known(name)) continue;
    const char *nearest = lk_field_nearest(name);
    int shown = name.length < 40 ? (int)name.length : 40;
    if (nearest != NULL)
      return lk_fail(r->error, LK_EBADJOB, "unknown field '%.*s'; did you mean '%s'?", shown, name.bytes, nearest);
    return lk_fail(r->error, LK_EBADJOB, "unknown field '%.*s'; only names that begin with x- are your own", shown,
                   name.bytes);
  }
  return LK_OK;
}

static lk_status refuse_others(const lk_field_reader *r, lk_op op) {
  for (size_t i = 0; i < r->count; i++) {
    lk_text name = r->fields[i].name;
    if (!lk_field_belongs(name, op))
      return lk_fail(r->error, LK_EBADJOB, "field %.*s does not belong to %s", (int)name.length, name.bytes,
                     lk_op_name(op));
  }
  return LK_OK;
}

static lk_status read_by(const lk_field_reader *r, bool *by_subject) {
  const lk_field *field = lk_field_find(r, "by");
  if (field == NULL) return LK_OK;
  lk_text by = lk_field_text(field);
  *by_subject = lk_text_equal(by, lk_text_of("subject"));
  return *by_subject || lk_text_equal(by, lk_text_of("template"))
             ? LK_OK
             : lk_field_malformed(r, field, "is neither template nor subject");
}

static lk_status read_fuse(const lk_field_reader *r, lk_fusion *fusion) {
  const lk_field *field = lk_field_find(r, "fuse");
  if (field == NULL) return LK_OK;
  return lk_fusion_parse(lk_field_text(field), fusion, NULL) == LK_OK
             ? LK_OK
             : lk_field_malformed(r, field, "is not none, max or mean");
}

/* Any other word could be meant as "no". */
static lk_status read_granted(const lk_field_reader *r, bool *granted) {
  const lk_field *field = lk_field_find(r, "granted");
  *granted = field != NULL;
  if (field == NULL || (field->length == 3 && memcmp(field->value, "yes", 3) == 0)) return LK_OK;
  return lk_field_malformed(r, field, "is not yes; leave the field out of a job whose authorisation is pending");
}

static lk_status read_claims(const lk_field_reader *r, lk_claims *claims) {
  lk_status status = LK_OK;
  for (int i = 0; status == LK_OK && i < LK_CLAIMS_TEXTS; i++) {
    lk_text text = {0};
    status = lk_field_read_text(r, lk_claims_name(i), false, LK_TEXT_MAX, &text);
    lk_claims_set_text(claims, i, text);
  }
  uint64_t pending_since_ms = 0;
  if (status == LK_OK) status = read_granted(r, &claims->granted);
  if (status == LK_OK) status = lk_field_read_number(r, "pending_since", false, 1, INT64_MAX, &pending_since_ms);
  claims->pending_since_ms = (int64_t)pending_since_ms;
  return status;
}

/* Reads the signature; it is verified later, with the policy's keys. */
static lk_status read_signature(const lk_field_reader *r, lk_job *job) {
  const lk_field *field = lk_field_find(r, LK_SIGNATURE_FIELD);
  if (field == NULL) return LK_OK;
  if (field->length != LK_SIGNATURE_HEX - 1 ||
      sodium_hex2bin(job->signature, LK_SIGNATURE_SIZE, field->value, field->length, NULL, NULL, NULL) != 0)
    return lk_fail(r->error, LK_EBADJOB, "field " LK_SIGNATURE_FIELD ": not %d hex digits", LK_SIGNATURE_HEX - 1);
  if (job->claims.actor.length == 0) return lk_fail(r->error, LK_EBADJOB, "field actor is missing from a signed job");
  lk_status status = lk_field_read_number(r, "signed_ms", true, 1, INT64_MAX, &job->signed_ms);
  if (status == LK_OK) status = lk_field_read_text(r, "deployment", false, LK_JOB_DEPLOYMENT_MAX, &job->deployment);
  if (status == LK_OK) status = lk_signature_message(r->fields, r->count, job->signed_message, r->error);
  job->is_signed = status == LK_OK;
  return status;
}

/* Which templates are searched, and how they are listed. */
static lk_status read_view(const lk_field_reader *r, lk_job *job) {
  lk_status status = read_by(r, &job->by_subject);
  if (status == LK_OK) status = read_fuse(r, &job->fusion);
  if (status == LK_OK) status = lk_field_read_number(r, "tags", false, 0, UINT64_MAX, &job->tags);
  job->mask = job->tags;
  if (status == LK_OK) status = lk_field_read_number(r, "mask", false, 0, UINT64_MAX, &job->mask);
  if (status == LK_OK) status = lk_field_read_list(r, "keys", &job->keys);
  return status == LK_OK ? lk_field_read_list(r, "subjects", &job->subjects) : status;
}

static lk_status read_rows(const lk_field_reader *r, lk_vectors *probes) {
  uint64_t n = 0;
  lk_status status = lk_field_read_number(r, "n", true, 1, LK_JOB_PROBES_MAX, &n);
  return status == LK_OK ? read_probes(r, n, probes) : status;
}

static lk_status read_search(const lk_field_reader *r, lk_job *job) {
  uint64_t k = 10;
  lk_status status = lk_field_read_text(r, "subject", job->op == LK_OP_VERIFY, LK_TEXT_MAX, &job->subject);
  if (status == LK_OK) status = lk_field_read_number(r, "k", false, 1, LK_K_MAX, &k);
  if (status == LK_OK) status = lk_field_read_score(r, "threshold", &job->threshold);
  if (status == LK_OK) status = lk_field_read_entry(r, "after", &job->after);
  if (status == LK_OK) status = read_view(r, job);
  if (status == LK_OK) status = read_rows(r, &job->probes);
  uint64_t candidates = job->probes.rows * k;
  if (status == LK_OK && candidates > LK_JOB_CANDIDATES_MAX)
    status = lk_fail(r->error, LK_EBADJOB, "n times k is %llu; at most %d is allowed", (unsigned long long)candidates,
                     LK_JOB_CANDIDATES_MAX);
  job->k = job->op == LK_OP_VERIFY ? 1 : (uint32_t)k;
  return status;
}

/* Larger ones would keep a gallery's other changes waiting. */
static lk_status check_rows(const lk_field_reader *r, const lk_vectors *rows) {
  uint64_t most = LK_ENROLLMENT_ROWS(rows->dim);
  if (rows->rows <= most) return LK_OK;
  return lk_fail(r->error, LK_EBADJOB, "field n: %llu rows of dimension %u; one job may enroll %llu",
                 (unsigned long long)rows->rows, rows->dim, (unsigned long long)most);
}

static lk_status read_enrollment(const lk_field_reader *r, lk_job *job) {
  lk_job_change *change = &job->change;
  const lk_field *match = lk_field_find(r, "unless_match"), *labels = lk_field_find(r, "labels");
  lk_status status = check_rows(r, &job->probes);
  if (status == LK_OK) status = lk_field_read_score(r, "unless_match", &change->match_threshold);
  if (status == LK_OK && change->match_threshold == -INFINITY)
    status = lk_field_malformed(r, match, "is not a number, or too large for a float");
  change->unless_match = match != NULL;
  if (labels != NULL) change->labels = labels->value, change->labels_length = labels->length;
  return status;
}

/* Nobody sends a change of nobody on purpose. */
static lk_status read_whose(const lk_field_reader *r, const char *name, lk_text_list *list) {
  lk_status status = lk_field_read_list(r, name, list);
  if (status != LK_OK || !list->given || list->count > 0) return status;
  return lk_fail(r->error, LK_EBADJOB, "field %s is empty: the job changes nothing", name);
}

static lk_status read_lists(const lk_field_reader *r, lk_job *job) {
  lk_status status = read_whose(r, "keys", &job->keys);
  if (status == LK_OK) status = read_whose(r, "subjects", &job->subjects);
  if (status != LK_OK || job->keys.given != job->subjects.given) return status;
  if (job->keys.given) return lk_fail(r->error, LK_EBADJOB, "the job has both keys and subjects");
  return lk_fail(r->error, LK_EBADJOB, "field keys%s is missing", job->op == LK_OP_DELETE ? " (or subjects)" : "");
}

/* Both must be said: a mask that was taken from the tags could only set them. */
static lk_status read_tags(const lk_field_reader *r, lk_job *job) {
  lk_status status = lk_field_read_number(r, "tags", true, 0, UINT64_MAX, &job->tags);
  if (status == LK_OK) status = lk_field_read_number(r, "mask", true, 1, UINT64_MAX, &job->mask);
  if (status != LK_OK || (job->tags & ~job->mask) == 0) return status;
  return lk_fail(r->error, LK_EBADJOB, "field tags: 0x%llx lies outside mask",
                 (unsigned long long)(job->tags & ~job->mask));
}

static lk_status read_expiry(const lk_field_reader *r, uint64_t *expires_ms) {
  const lk_field *field = lk_field_find(r, "expires");
  *expires_ms = LK_NEVER;
  if (field != NULL && lk_text_equal(lk_field_text(field), lk_text_of("never"))) return LK_OK;
  return lk_field_read_number(r, "expires", true, 1, LK_NEVER - 1, expires_ms);
}

static lk_status read_change(const lk_field_reader *r, lk_job *job) {
  lk_status status = lk_field_read_number(r, "version", false, 1, UINT64_MAX, &job->change.version);
  if (status != LK_OK || job->op == LK_OP_ERASE) return status;
  if (lk_op_enrolls(job->op)) return read_enrollment(r, job);
  status = read_lists(r, job);
  if (status == LK_OK && job->op == LK_OP_TAG) status = read_tags(r, job);
  return status == LK_OK && job->op == LK_OP_EXPIRE ? read_expiry(r, &job->change.expires_ms) : status;
}

static lk_status read_page(const lk_field_reader *r, lk_job_page *page) {
  uint64_t count = 100;
  lk_status status = lk_field_read_number(r, "cursor", false, 0, UINT64_MAX, &page->cursor);
  if (status == LK_OK) status = lk_field_read_number(r, "count", false, 1, LK_JOB_PAGE_MAX, &count);
  page->count = (uint32_t)count;
  return status;
}

/* What all operations have. */
static lk_status read_common(const lk_field_reader *r, lk_job *job) {
  lk_status status = lk_field_read_text(r, "gallery", true, LK_TEXT_MAX, &job->gallery);
  if (status == LK_OK) status = lk_field_read_text(r, "model", false, LK_TEXT_MAX, &job->model);
  if (status == LK_OK) status = lk_field_read_number(r, "ttl", false, 1, UINT32_MAX, &job->ttl_ms);
  if (status == LK_OK) status = read_claims(r, &job->claims);
  return status == LK_OK ? read_signature(r, job) : status;
}

static lk_status read_rest(const lk_field_reader *r, lk_job *job) {
  lk_status status = read_version(r);
  if (status == LK_OK) status = refuse_unknown(r);
  if (status == LK_OK) status = read_op(r, &job->op);
  if (status == LK_OK) status = refuse_others(r, job->op);
  if (status == LK_OK) status = read_common(r, job);
  if (status != LK_OK) return status;
  if (lk_op_kind_of(job->op) == LK_OP_SEARCHES) return read_search(r, job);
  if (lk_op_enrolls(job->op)) status = read_rows(r, &job->probes);
  if (status == LK_OK && lk_op_kind_of(job->op) == LK_OP_CHANGES) return read_change(r, job);
  return status == LK_OK && job->op == LK_OP_LIST ? read_page(r, &job->page) : status;
}

lk_status lk_job_parse(const lk_field *fields, size_t count, lk_job *job, lk_error *error) {
  lk_field_reader r = {.fields = fields, .count = count, .error = error};
  *job = (lk_job){.k = 1, .threshold = -INFINITY, .json = lk_field_has_flag(&r, "json")};
  lk_status id = lk_field_read_text(&r, "id", true, LK_JOB_ID_MAX, &job->id);
  r.error = id == LK_OK ? error : NULL;
  lk_status to = lk_field_read_text(&r, "to", true, LK_JOB_TO_MAX, &job->to);
  if (id != LK_OK) return id;
  if (to != LK_OK) return to;
  return read_rest(&r, job);
}
