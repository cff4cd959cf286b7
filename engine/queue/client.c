#include "engine/queue/client.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/text.h"
#include "engine/queue/keys.h"
#include "engine/queue/redis.h"
#include "engine/queue/signature.h"
#include "governance/claims.h"
#include "index/formats/vector.h"

enum { OUTSTANDING_MOST = 64 };

/* Replies may come in any order. A reply that is early waits in `early`, at its job's number modulo OUTSTANDING_MOST.
 */
typedef struct client {
  const lk_client_job *job;
  lk_redis *redis;
  lk_command command;
  lk_keys keys;
  char to[40], reply_key[LK_KEY_SIZE + 40];
  bool unserved; /* nobody serves the gallery, and the caller was warned */
  float *probes; /* of one job */
  lk_field fields[LK_FIELDS_MAX];
  size_t fields_count;
  char signed_ms[24], signature[LK_SIGNATURE_HEX];
  uint64_t jobs, sent, taken;
  lk_redis_reply *early[OUTSTANDING_MOST];
  lk_reply_reader readers[OUTSTANDING_MOST];
} client;

static uint64_t job_first(const client *c, uint64_t number) { return number * c->job->job_probes; }

static uint64_t job_probes(const client *c, uint64_t number) {
  uint64_t left = c->job->probes->rows - job_first(c, number);
  return left < c->job->job_probes ? left : c->job->job_probes;
}

static uint64_t job_lists(const client *c, uint64_t number) {
  return c->job->fusion != LK_FUSE_NONE ? 1 : job_probes(c, number);
}

static void add_bytes(client *c, const char *name, const void *value, size_t length) {
  lk_command_add_string(&c->command, name);
  lk_command_add(&c->command, value, length);
  c->fields[c->fields_count++] = (lk_field){.name = lk_text_of(name), .value = value, .length = length};
}

static void add_field(client *c, const char *name, const char *value) { add_bytes(c, name, value, strlen(value)); }

static void add_list(client *c, const char *name, const lk_text_list *list) {
  if (list->given) add_bytes(c, name, list->bytes, list->length);
}

static void add_claims(client *c, const lk_claims *claims) {
  for (int i = 0; i < LK_CLAIMS_TEXTS; i++) {
    lk_text text = lk_claims_text(claims, i);
    if (text.length > 0) add_bytes(c, lk_claims_name(i), text.bytes, text.length);
  }
}

/* Signs all fields that were added before. */
static lk_status add_signature(client *c, const lk_signing_key *key, lk_error *error) {
  unsigned char message[LK_SIGNED_SIZE];
  snprintf(c->signed_ms, sizeof c->signed_ms, "%" PRIu64, lk_clock_unix_ms());
  add_field(c, "signed_ms", c->signed_ms);
  if (c->job->deployment != NULL) add_field(c, "deployment", c->job->deployment);
  lk_status status = lk_signature_message(c->fields, c->fields_count, message, error);
  if (status != LK_OK) return status;
  lk_signature_sign(message, key, c->signature);
  add_field(c, LK_SIGNATURE_FIELD, c->signature);
  return LK_OK;
}

static lk_status send_job(client *c, uint64_t number, lk_error *error) {
  char id[24], k[12], n[24], threshold[32], ttl[24], tags[24], mask[24], since[24];
  const lk_client_job *job = c->job;
  lk_vector_to_f32(job->probes, job_first(c, number), job_probes(c, number), c->probes);
  lk_status readable = lk_file_check_at(job->probes->data, job->probes->name, error);
  if (readable != LK_OK) return readable;
  snprintf(id, sizeof id, "%" PRIu64, number);
  snprintf(k, sizeof k, "%u", job->k);
  snprintf(n, sizeof n, "%" PRIu64, job_probes(c, number));
  snprintf(threshold, sizeof threshold, "%.9g", (double)job->threshold);
  snprintf(ttl, sizeof ttl, "%" PRIu64, job->ttl_ms);
  snprintf(tags, sizeof tags, "%" PRIu64, job->tags);
  snprintf(mask, sizeof mask, "%" PRIu64, job->mask);
  snprintf(since, sizeof since, "%" PRId64, job->claims.pending_since_ms);
  lk_command_clear(&c->command);
  lk_command_add_string(&c->command, "XADD");
  lk_command_add_string(&c->command, c->keys.lanes[strcmp(job->priority, "hi") == 0 ? LK_HI : LK_LO][0]);
  lk_command_add_string(&c->command, "*");
  c->fields_count = 0;
  add_field(c, "v", "1");
  add_field(c, "op", "identify");
  add_field(c, "id", id);
  add_field(c, "to", c->to);
  add_field(c, "gallery", job->gallery);
  add_field(c, "k", k);
  add_field(c, "n", n);
  if (job->threshold != -INFINITY) add_field(c, "threshold", threshold);
  if (job->by_subject) add_field(c, "by", "subject");
  if (job->fusion != LK_FUSE_NONE) add_field(c, "fuse", lk_fusion_name(job->fusion));
  if (job->mask != 0) {
    add_field(c, "tags", tags);
    add_field(c, "mask", mask);
  }
  add_list(c, "keys", &job->keys);
  add_list(c, "subjects", &job->subjects);
  if (job->model != NULL) add_field(c, "model", job->model);
  add_claims(c, &job->claims);
  if (job->claims.granted) add_field(c, "granted", "yes");
  if (job->claims.pending_since_ms > 0) add_field(c, "pending_since", since);
  if (job->ttl_ms > 0) add_field(c, "ttl", ttl);
  add_bytes(c, "f32", c->probes, job_probes(c, number) * job->probes->dim * sizeof *c->probes);
  lk_status status = job->claims.key != NULL ? add_signature(c, job->claims.key, error) : LK_OK;
  return status == LK_OK ? lk_redis_send(c->redis, &c->command, error) : status;
}

static lk_status send_jobs(client *c, lk_error *error) {
  uint64_t first = c->sent;
  lk_status status = LK_OK;
  for (; status == LK_OK && c->sent < c->jobs && c->sent < c->taken + OUTSTANDING_MOST; c->sent++)
    status = send_job(c, c->sent, error);
  for (; status == LK_OK && first < c->sent; first++) {
    lk_redis_reply *reply = NULL;
    status = lk_redis_receive(c->redis, &reply, error);
    if (status != LK_OK) break;
    if (lk_redis_reply_error(reply) != NULL)
      status = lk_fail(error, LK_EIO, "redis refused a job: %s", lk_redis_reply_error(reply));
    lk_redis_reply_free(reply);
  }
  return status;
}

/* Keeps a reply until its turn. Takes ownership of it. */
static lk_status keep_reply(client *c, lk_redis_reply *reply, lk_error *error) {
  size_t length = 0;
  const char *data = lk_redis_reply_string(reply, &length);
  lk_reply_reader reader;
  lk_status status = data != NULL ? lk_reply_decode(data, length, &reader, error)
                                  : lk_fail(error, LK_EFORMAT, "a reply is not a string");
  uint64_t number = 0;
  if (status == LK_OK) {
    char id[24] = "";
    memcpy(id, reader.head.id.bytes, reader.head.id.length < sizeof id ? reader.head.id.length : 0);
    number = strtoull(id, NULL, 10);
    if (number < c->taken || number >= c->sent || c->early[number % OUTSTANDING_MOST] != NULL)
      status = lk_fail(error, LK_EFORMAT, "a reply to job '%.*s', which is unknown or was answered before",
                       (int)reader.head.id.length, reader.head.id.bytes);
  }
  if (status != LK_OK) {
    lk_redis_reply_free(reply);
    return status;
  }
  c->early[number % OUTSTANDING_MOST] = reply;
  c->readers[number % OUTSTANDING_MOST] = reader;
  return LK_OK;
}

static lk_status pass_on_replies(client *c, const lk_client_caller *caller, lk_error *error) {
  lk_status status = LK_OK;
  for (size_t slot; status == LK_OK && c->early[slot = c->taken % OUTSTANDING_MOST] != NULL;) {
    lk_reply_reader *reader = &c->readers[slot];
    if (reader->head.status != LK_OK)
      status =
          lk_fail(error, reader->head.status, "%s: %s: %.*s (probes %" PRIu64 " to %" PRIu64 ")", c->job->probes->name,
                  lk_status_name(reader->head.status), (int)reader->head.text.length, reader->head.text.bytes,
                  job_first(c, c->taken), job_first(c, c->taken) + job_probes(c, c->taken) - 1);
    else if (reader->head.probes != job_lists(c, c->taken))
      status = lk_fail(error, LK_EFORMAT, "a reply has %u lists instead of %" PRIu64, reader->head.probes,
                       job_lists(c, c->taken));
    else
      status = caller->take(caller->context, job_first(c, c->taken), reader, error);
    lk_redis_reply_free(c->early[slot]);
    c->early[slot] = NULL;
    c->taken++;
  }
  return status;
}

/* Waits up to a second for one reply. */
static lk_status receive(client *c, bool *received, lk_error *error) {
  const char *const words[] = {"BLPOP", c->reply_key, "1"};
  lk_redis_reply *reply = NULL;
  lk_status status = lk_redis_call_words(c->redis, &reply, error, 3, words);
  *received = false;
  if (status != LK_OK) return status;
  *received = lk_redis_reply_elements(reply) == 2;
  if (*received)
    status = keep_reply(c, lk_redis_reply_take_element(reply, 1), error);
  else if (!lk_redis_reply_is_nil(reply))
    status = lk_redis_reply_unexpected(reply, "BLPOP", error);
  lk_redis_reply_free(reply);
  return status;
}

/* Refuses probes that no gallery accepts before anything is sent. Here their row in the file is known. */
static lk_status check_probes(const client *c, lk_error *error) {
  const lk_vectors *probes = c->job->probes;
  for (uint64_t row = 0; row < probes->rows; row++) {
    const char *fault = lk_vector_prepare(LK_IP, probes, row, c->probes);
    if (fault != NULL) return lk_fail(error, LK_EBADPROBE, "%s: probe %" PRIu64 " %s", probes->name, row, fault);
  }
  return lk_file_check_at(probes->data, probes->name, error);
}

/* Warns when the last worker that serves the gallery has gone: its jobs then wait, and would do so in silence. A user
 * who may not look is not warned. */
static lk_status look_for_workers(client *c, const lk_client_caller *caller, lk_error *error) {
  const char *const words[] = {"EXISTS", c->keys.workers};
  lk_redis_reply *reply = NULL;
  lk_status status = lk_redis_call_words(c->redis, &reply, error, 2, words);
  if (status != LK_OK) return status;
  bool unserved = lk_redis_reply_error(reply) == NULL && lk_redis_reply_integer(reply) == 0;
  lk_redis_reply_free(reply);
  lk_error text;
  lk_fail(&text, LK_EGALLERY, "no worker serves the gallery '%s'; the jobs wait for one", c->job->gallery);
  if (unserved && !c->unserved) caller->warn(caller->context, text.text);
  c->unserved = unserved;
  return LK_OK;
}

static lk_status fail_late(const client *c, lk_error *error) {
  if (c->unserved)
    return lk_fail(error, LK_EDEADLINE, "no worker serves the gallery '%s': no reply for %u s", c->job->gallery,
                   c->job->timeout_s);
  return lk_fail(error, LK_EDEADLINE, "no reply for %u s from the workers that serve the gallery '%s'",
                 c->job->timeout_s, c->job->gallery);
}

static lk_status exchange(client *c, const atomic_bool *stop, const lk_client_caller *caller, lk_error *error) {
  uint64_t heard_us = lk_clock_us();
  bool received = false;
  lk_status status = LK_OK;
  while (status == LK_OK && c->taken < c->jobs) {
    /* First of all, since a call is followed to another node of a cluster, and jobs that are sent ahead are not. */
    if (!received) status = look_for_workers(c, caller, error);
    if (status == LK_OK) status = send_jobs(c, error);
    if (status == LK_OK) status = receive(c, &received, error);
    if (status == LK_OK) status = pass_on_replies(c, caller, error);
    if (received) heard_us = lk_clock_us();
    if (status == LK_OK && atomic_load(stop)) status = lk_fail(error, LK_ECANCELLED, "interrupted");
    if (status == LK_OK && lk_clock_us() > heard_us + c->job->timeout_s * UINT64_C(1000000))
      status = fail_late(c, error);
  }
  return status;
}

static void close_client(client *c) {
  const char *const words[] = {"DEL", c->reply_key};
  lk_redis_reply *reply = NULL;
  if (c->redis != NULL && lk_redis_call_words(c->redis, &reply, NULL, 2, words) == LK_OK) lk_redis_reply_free(reply);
  for (int i = 0; i < OUTSTANDING_MOST; i++) lk_redis_reply_free(c->early[i]);
  lk_redis_close(c->redis);
  lk_command_free(&c->command);
  free(c->probes);
  free(c);
}

lk_status lk_client_run(const lk_address *address, const lk_client_job *job, const atomic_bool *stop,
                        const lk_client_caller *caller, lk_error *error) {
  client *c = calloc(1, sizeof *c);
  if (c == NULL) return lk_fail_memory(error);
  c->job = job;
  c->jobs = (job->probes->rows + job->job_probes - 1) / job->job_probes;
  c->probes = malloc((size_t)job->job_probes * job->probes->dim * sizeof *c->probes);
  uint64_t random = lk_clock_us();
  if (getrandom(&random, sizeof random, 0) < 0) random ^= (uint64_t)(uintptr_t)c;
  snprintf(c->to, sizeof c->to, "submit-%016" PRIx64, random);
  lk_status status = lk_keys_make(job->gallery, &c->keys, error);
  snprintf(c->reply_key, sizeof c->reply_key, "%s%s", c->keys.replies, c->to);
  if (status == LK_OK) status = c->probes != NULL ? check_probes(c, error) : lk_fail_memory(error);
  if (status == LK_OK) status = lk_redis_open(address, &c->redis, error);
  if (status == LK_OK) status = exchange(c, stop, caller, error);
  close_client(c);
  return status;
}
