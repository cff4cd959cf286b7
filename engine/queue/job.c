#include "engine/queue/job.h"

#include <errno.h>
#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/text.h"
#include "engine/queue/field_names.h"
#include "governance/policy/claims.h"

typedef struct reader {
  const lk_field *fields;
  size_t count;
  lk_error *error;
} reader;

/* If a name occurs twice, the last one counts. */
static const lk_field *find(const reader *r, const char *name) {
  for (size_t i = r->count; i-- > 0;)
    if (lk_text_equal(r->fields[i].name, lk_text_of(name))) return &r->fields[i];
  return NULL;
}

static lk_status malformed(const reader *r, const lk_field *field, const char *why) {
  int shown = field->length < 40 ? (int)field->length : 40;
  return lk_fail(r->error, LK_EBADJOB, "field %.*s: '%.*s' %s", (int)field->name.length, field->name.bytes, shown,
                 field->value, why);
}

static lk_status read_text(const reader *r, const char *name, bool needed, uint32_t most, lk_text *text) {
  const lk_field *field = find(r, name);
  *text = (lk_text){0};
  if (field == NULL || field->length == 0)
    return needed ? lk_fail(r->error, LK_EBADJOB, "field %s is missing", name) : LK_OK;
  if (field->length > most)
    return lk_fail(r->error, LK_EBADJOB, "field %s: %zu bytes; at most %u are allowed", name, field->length, most);
  lk_text read = {.bytes = field->value, .length = (uint32_t)field->length};
  const char *fault = lk_text_fault(read);
  if (fault != NULL) return lk_fail(r->error, LK_EBADJOB, "field %s %s", name, fault);
  *text = read;
  return LK_OK;
}

/* Copies a number's digits so that strto... can end on a NUL. */
static bool copy_digits(const lk_field *field, char digits[40]) {
  if (field->length == 0 || field->length >= 40 || memchr(field->value, 0, field->length) != NULL) return false;
  memcpy(digits, field->value, field->length);
  digits[field->length] = '\0';
  return digits[0] > ' ';
}

static lk_status read_number(const reader *r, const char *name, bool needed, uint64_t least, uint64_t most,
                             uint64_t *number) {
  const lk_field *field = find(r, name);
  if (field == NULL) return needed ? lk_fail(r->error, LK_EBADJOB, "field %s is missing", name) : LK_OK;
  char digits[40], *end;
  errno = 0;
  if (!copy_digits(field, digits) || digits[0] < '0' || digits[0] > '9' ||
      (*number = strtoull(digits, &end, 10), *end != '\0') || errno != 0)
    return malformed(r, field, "is not a whole number");
  if (*number < least || *number > most)
    return lk_fail(r->error, LK_EBADJOB, "field %s: %llu is outside %llu .. %llu", name, (unsigned long long)*number,
                   (unsigned long long)least, (unsigned long long)most);
  return LK_OK;
}

static lk_status read_threshold(const reader *r, float *threshold) {
  const lk_field *field = find(r, "threshold");
  *threshold = -INFINITY;
  if (field == NULL) return LK_OK;
  char digits[40];
  if (!copy_digits(field, digits) || !lk_text_to_float(digits, threshold) || *threshold == INFINITY)
    return malformed(r, field, "is not a number, or too large for a float");
  return LK_OK;
}

static bool has_flag(const reader *r, const char *flag) {
  const lk_field *field = find(r, "flags");
  if (field == NULL) return false;
  for (size_t i = 0, begin = 0; i <= field->length; i++) {
    if (i < field->length && field->value[i] != ',') continue;
    if (i - begin == strlen(flag) && memcmp(field->value + begin, flag, i - begin) == 0) return true;
    begin = i + 1;
  }
  return false;
}

static lk_status read_op(const reader *r, lk_op *op) {
  const lk_field *field = find(r, "op");
  if (field == NULL) return lk_fail(r->error, LK_EBADJOB, "field op is missing");
  lk_text name = {.bytes = field->value, .length = (uint32_t)field->length};
  if (lk_text_equal(name, lk_text_of("identify")))
    *op = LK_OP_IDENTIFY;
  else if (lk_text_equal(name, lk_text_of("verify")))
    *op = LK_OP_VERIFY;
  else
    return malformed(r, field, "is neither identify nor verify");
  return LK_OK;
}

static lk_status read_version(const reader *r) {
  const lk_field *field = find(r, "v");
  if (field == NULL) return lk_fail(r->error, LK_EBADJOB, "field v is missing");
  if (field->length == 1 && field->value[0] == '0' + LK_PROTOCOL_VERSION) return LK_OK;
  return lk_fail(r->error, LK_EVERSION, "protocol version '%.*s'; this worker speaks %d",
                 field->length < 20 ? (int)field->length : 20, field->value, LK_PROTOCOL_VERSION);
}

static lk_status read_probes(const reader *r, uint64_t n, lk_vectors *probes) {
  const lk_field *f32 = find(r, "f32"), *f16 = find(r, "f16");
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
static lk_status refuse_unknown(const reader *r) {
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

/* Refuses fields of the protocol that this worker does not support: ignoring them would change the answer. */
static lk_status refuse_unserved(const reader *r, lk_op op) {
  static const char *const unserved[] = {"after", "version", "by", "fuse", "keys", "subjects"};
  size_t count = op == LK_OP_VERIFY ? sizeof unserved / sizeof unserved[0] : 2;
  for (size_t i = 0; i < count; i++)
    if (find(r, unserved[i]) != NULL)
      return lk_fail(r->error, LK_EBADJOB, "field %s is not served by this worker%s", unserved[i],
                     i < 2 ? "" : " with verify");
  return LK_OK;
}

static lk_status read_by(const reader *r, bool *by_subject) {
  const lk_field *field = find(r, "by");
  if (field == NULL) return LK_OK;
  lk_text by = {.bytes = field->value, .length = (uint32_t)field->length};
  *by_subject = lk_text_equal(by, lk_text_of("subject"));
  return *by_subject || lk_text_equal(by, lk_text_of("template"))
             ? LK_OK
             : malformed(r, field, "is neither template nor subject");
}

static lk_status read_fuse(const reader *r, lk_fusion *fusion) {
  const lk_field *field = find(r, "fuse");
  if (field == NULL) return LK_OK;
  lk_text name = {.bytes = field->value, .length = (uint32_t)field->length};
  return lk_fusion_parse(name, fusion, NULL) == LK_OK ? LK_OK : malformed(r, field, "is not none, max or mean");
}

/* Any other word could be meant as "no". */
static lk_status read_granted(const reader *r, bool *granted) {
  const lk_field *field = find(r, "granted");
  *granted = field != NULL;
  if (field == NULL || (field->length == 3 && memcmp(field->value, "yes", 3) == 0)) return LK_OK;
  return malformed(r, field, "is not yes; leave the field out of a job whose authorisation is pending");
}

static lk_status read_list(const reader *r, const char *name, lk_text_list *list) {
  const lk_field *field = find(r, name);
  const char *fault = field != NULL ? lk_text_list_read(field->value, field->length, list) : NULL;
  return fault != NULL ? lk_fail(r->error, LK_EBADJOB, "field %s: text %u %s", name, list->count + 1, fault) : LK_OK;
}

static lk_status read_claims(const reader *r, lk_claims *claims) {
  lk_status status = LK_OK;
  for (int i = 0; status == LK_OK && i < LK_CLAIMS_TEXTS; i++) {
    lk_text text = {0};
    status = read_text(r, lk_claims_name(i), false, LK_TEXT_MAX, &text);
    lk_claims_set_text(claims, i, text);
  }
  uint64_t pending_since_ms = 0;
  if (status == LK_OK) status = read_granted(r, &claims->granted);
  if (status == LK_OK) status = read_number(r, "pending_since", false, 1, INT64_MAX, &pending_since_ms);
  claims->pending_since_ms = (int64_t)pending_since_ms;
  return status;
}

/* Reads the signature; it is verified later, with the policy's keys. */
static lk_status read_signature(const reader *r, lk_job *job) {
  const lk_field *field = find(r, LK_SIGNATURE_FIELD);
  if (field == NULL) return LK_OK;
  if (field->length != LK_SIGNATURE_HEX - 1 ||
      sodium_hex2bin(job->signature, LK_SIGNATURE_SIZE, field->value, field->length, NULL, NULL, NULL) != 0)
    return lk_fail(r->error, LK_EBADJOB, "field " LK_SIGNATURE_FIELD ": not %d hex digits", LK_SIGNATURE_HEX - 1);
  if (job->claims.actor.length == 0) return lk_fail(r->error, LK_EBADJOB, "field actor is missing from a signed job");
  lk_status status = read_number(r, "signed_ms", true, 1, INT64_MAX, &job->signed_ms);
  if (status == LK_OK) status = read_text(r, "deployment", false, LK_JOB_DEPLOYMENT_MAX, &job->deployment);
  if (status == LK_OK) status = lk_signature_message(r->fields, r->count, job->signed_message, r->error);
  job->is_signed = status == LK_OK;
  return status;
}

/* Which templates are searched, and how they are listed. */
static lk_status read_view(const reader *r, lk_job *job) {
  lk_status status = read_by(r, &job->by_subject);
  if (status == LK_OK) status = read_fuse(r, &job->fusion);
  if (status == LK_OK) status = read_number(r, "tags", false, 0, UINT64_MAX, &job->tags);
  job->mask = job->tags;
  if (status == LK_OK) status = read_number(r, "mask", false, 0, UINT64_MAX, &job->mask);
  if (status == LK_OK) status = read_list(r, "keys", &job->keys);
  return status == LK_OK ? read_list(r, "subjects", &job->subjects) : status;
}

static lk_status read_rest(const reader *r, lk_job *job) {
  uint64_t k = 10, n = 0;
  lk_status status = read_version(r);
  if (status == LK_OK) status = refuse_unknown(r);
  if (status == LK_OK) status = read_op(r, &job->op);
  if (status == LK_OK) status = refuse_unserved(r, job->op);
  if (status == LK_OK) status = read_view(r, job);
  if (status == LK_OK) status = read_text(r, "gallery", true, LK_TEXT_MAX, &job->gallery);
  if (status == LK_OK) status = read_text(r, "model", false, LK_TEXT_MAX, &job->model);
  if (status == LK_OK) status = read_text(r, "subject", job->op == LK_OP_VERIFY, LK_TEXT_MAX, &job->subject);
  if (status == LK_OK) status = read_claims(r, &job->claims);
  if (status == LK_OK) status = read_signature(r, job);
  if (status == LK_OK) status = read_number(r, "k", false, 1, LK_K_MAX, &k);
  if (status == LK_OK) status = read_number(r, "ttl", false, 1, UINT32_MAX, &job->ttl_ms);
  if (status == LK_OK) status = read_threshold(r, &job->threshold);
  if (status == LK_OK) status = read_number(r, "n", true, 1, LK_JOB_PROBES_MAX, &n);
  if (status == LK_OK && n * k > LK_JOB_CANDIDATES_MAX)
    status = lk_fail(r->error, LK_EBADJOB, "n times k is %llu; at most %d is allowed", (unsigned long long)(n * k),
                     LK_JOB_CANDIDATES_MAX);
  if (status == LK_OK) status = read_probes(r, n, &job->probes);
  job->k = job->op == LK_OP_VERIFY ? 1 : (uint32_t)k;
  return status;
}

lk_status lk_job_parse(const lk_field *fields, size_t count, lk_job *job, lk_error *error) {
  reader r = {.fields = fields, .count = count, .error = error};
  *job = (lk_job){.json = has_flag(&r, "json")};
  lk_status id = read_text(&r, "id", true, LK_JOB_ID_MAX, &job->id);
  r.error = id == LK_OK ? error : NULL;
  lk_status to = read_text(&r, "to", true, LK_JOB_TO_MAX, &job->to);
  if (id != LK_OK) return id;
  if (to != LK_OK) return to;
  return read_rest(&r, job);
}
