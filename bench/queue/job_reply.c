#include "bench/queue/job_reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "engine/queue/reply.h"

static _Noreturn void refuse(const char *text, size_t length) {
  char line[300];
  snprintf(line, sizeof line, "a job was not answered with OK: %.*s", (int)(length < 200 ? length : 200), text);
  bench_fail(line);
}

/* The value after `name` in a reply's JSON, which has one member of that name before its candidates. */
static const char *member(const char *text, size_t length, const char *name) {
  const char *at = memmem(text, length, name, strlen(name));
  if (at == NULL) refuse(text, length);
  return at + strlen(name);
}

static job_reply read_json(const char *text, size_t length) {
  member(text, length, "\"status\":\"OK\"");
  return (job_reply){.id = strtoull(member(text, length, "\"id\":\""), NULL, 10),
                     .compute_us = (uint32_t)strtoul(member(text, length, "\"compute_us\":"), NULL, 10)};
}

job_reply job_reply_read(const char *text, size_t length) {
  if (length > 0 && *text == '{') return read_json(text, length);
  lk_reply_reader reader;
  lk_error error;
  if (lk_reply_decode(text, length, &reader, &error) != LK_OK) bench_fail(error.text);
  if (reader.head.status != LK_OK) refuse(reader.head.text.bytes, reader.head.text.length);
  char id[24] = "";
  memcpy(id, reader.head.id.bytes, reader.head.id.length < sizeof id ? reader.head.id.length : 0);
  return (job_reply){.id = strtoull(id, NULL, 10), .compute_us = reader.head.compute_us};
}
