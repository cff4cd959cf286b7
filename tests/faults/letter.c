#include "tests/faults/letter.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

static void add_bytes(letter *l, const char *name, const void *value, size_t length) {
  l->fields[l->count++] = (lk_field){.name = lk_text_of(name), .value = value, .length = length};
}

static void add(letter *l, const char *name, const char *value) { add_bytes(l, name, value, strlen(value)); }

static void fill(letter *l, const account_job *job) {
  for (uint32_t i = 0; i < job->n; i++) {
    float *probe = l->probes + i * FACES_DIM;
    memcpy(probe, faces_probes + (job->first + i) % FACES_PROBES * FACES_DIM, FACES_DIM * sizeof *probe);
    for (uint32_t d = 0; job->poison && d < FACES_DIM; d++) probe[d] = (float)(d + 1);
  }
}

static void sign(letter *l, const lk_signing_key *key) {
  unsigned char message[LK_SIGNED_SIZE];
  snprintf(l->signed_ms, sizeof l->signed_ms, "%" PRIu64, lk_clock_unix_ms());
  add(l, "actor", "desk");
  add(l, "deployment", "here");
  add(l, "signed_ms", l->signed_ms);
  if (lk_signature_message(l->fields, l->count, message, NULL) != LK_OK) return;
  lk_signature_sign(message, key, l->signature);
  add(l, LK_SIGNATURE_FIELD, l->signature);
}

void letter_write(letter *l, uint32_t number, const account_job *job, const char *to, const lk_signing_key *key) {
  l->count = 0;
  snprintf(l->id, sizeof l->id, "%u", number);
  snprintf(l->n, sizeof l->n, "%u", job->n);
  snprintf(l->k, sizeof l->k, "%u", job->k);
  fill(l, job);
  add(l, "v", "1");
  add(l, "op", "identify");
  add(l, "id", l->id);
  add(l, "to", to);
  add(l, "gallery", "faces");
  add(l, "n", l->n);
  add(l, "k", l->k);
  add(l, "purpose", key != NULL ? "desk" : "demo");
  if (job->json) add(l, "flags", "json");
  add_bytes(l, "f32", l->probes, job->n * FACES_DIM * sizeof(float));
  if (key != NULL) sign(l, key);
}

void letter_add(const letter *l, lk_command *command) {
  for (size_t i = 0; i < l->count; i++) {
    lk_command_add(command, l->fields[i].name.bytes, l->fields[i].name.length);
    lk_command_add(command, l->fields[i].value, l->fields[i].length);
  }
}
