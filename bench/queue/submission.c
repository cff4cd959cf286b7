#include "bench/queue/submission.h"

#include <inttypes.h>
#include <stdio.h>

#include "bench/bench.h"

static void add_command(const submission *s, wire *w, size_t field_words) {
  if (s->way == SUBMISSION_XADD) {
    wire_begin(w, 3 + field_words);
    wire_add_string(w, "XADD");
    wire_add_string(w, s->stream);
    wire_add_string(w, "*");
  } else {
    wire_begin(w, 4 + field_words);
    wire_add_string(w, "FCALL");
    wire_add_string(w, "lk_submit_4");
    wire_add_string(w, "1");
    wire_add_string(w, s->stream);
  }
}

void submission_add(const submission *s, wire *w, uint64_t id, const float *probes, size_t bytes) {
  char number[24], k[12], n[12];
  snprintf(number, sizeof number, "%" PRIu64, id);
  snprintf(k, sizeof k, "%u", s->k);
  snprintf(n, sizeof n, "%u", s->probes);
  const char *const words[] = {"v",       "1",     "op", "identify", "id", number, "to",    s->client,
                               "gallery", "faces", "k",  k,          "n",  n,      "flags", "json"};
  size_t count = sizeof words / sizeof words[0] - (s->json ? 0 : 2);
  add_command(s, w, count + 2);
  for (size_t i = 0; i < count; i++) wire_add_string(w, words[i]);
  wire_add_string(w, "f32");
  wire_add(w, probes, bytes);
}

void submission_check(const submission *s, wire_reply reply) {
  wire_part part;
  wire_next(&reply, &part);
  if (part.type == '-') wire_fail(&part);
  if (s->way == SUBMISSION_XADD) return;
  if (part.type != '*' || part.number < 1 || !wire_next(&reply, &part) || part.type != '$')
    bench_fail("lk_submit_4 answered in another shape");
  if (part.length != 6 || memcmp(part.text, "QUEUED", 6) != 0) wire_fail(&part);
}
