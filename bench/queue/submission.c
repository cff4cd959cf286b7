#include "bench/queue/submission.h"

#include <inttypes.h>
#include <stdio.h>

#include "bench/bench.h"

static void add_command(const submission *s, generator_link *link, size_t field_words) {
  if (s->way == SUBMISSION_XADD) {
    generator_begin(link, 3 + field_words);
    generator_add_string(link, "XADD");
    generator_add_string(link, s->stream);
    generator_add_string(link, "*");
  } else {
    generator_begin(link, 4 + field_words);
    generator_add_string(link, "FCALL");
    generator_add_string(link, "lk_submit_5");
    generator_add_string(link, "1");
    generator_add_string(link, s->stream);
  }
}

void submission_add(const submission *s, generator_link *link, uint64_t id, const float *probes, size_t bytes) {
  char number[24], k[12], n[12];
  snprintf(number, sizeof number, "%" PRIu64, id);
  snprintf(k, sizeof k, "%u", s->k);
  snprintf(n, sizeof n, "%u", s->probes);
  const char *const words[] = {"v",       "1",     "op", "identify", "id", number, "to",    s->client,
                               "gallery", "faces", "k",  k,          "n",  n,      "flags", "json"};
  size_t count = sizeof words / sizeof words[0] - (s->json ? 0 : 2);
  add_command(s, link, count + 2);
  for (size_t i = 0; i < count; i++) generator_add_string(link, words[i]);
  generator_add_string(link, "f32");
  generator_add(link, probes, bytes);
}

void submission_check(const submission *s, generator_reply reply) {
  generator_part part;
  generator_next(&reply, &part);
  if (part.type == '-') generator_fail(&part);
  if (s->way == SUBMISSION_XADD) return;
  if (part.type != '*' || part.number < 1 || !generator_next(&reply, &part) || part.type != '$')
    bench_fail("lk_submit_5 answered in another shape");
  if (part.length != 6 || memcmp(part.text, "QUEUED", 6) != 0) generator_fail(&part);
}
