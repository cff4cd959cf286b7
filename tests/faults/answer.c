#include "tests/faults/answer.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "engine/queue/reply.h"

uint64_t answer_digest_count(uint64_t digest, uint32_t count) {
  return XXH3_64bits_withSeed(&count, sizeof count, digest);
}

static uint64_t digest_text(uint64_t digest, lk_text text) {
  return XXH3_64bits_withSeed(text.bytes, text.length, digest + text.length);
}

uint64_t answer_digest_candidate(uint64_t digest, const lk_candidate *candidate) {
  digest = XXH3_64bits_withSeed(&candidate->found.number, sizeof candidate->found.number, digest);
  digest = XXH3_64bits_withSeed(&candidate->score, sizeof candidate->score, digest);
  digest = digest_text(digest, candidate->found.key);
  return digest_text(digest, candidate->found.subject);
}

static bool read_number(const char *id, size_t length, uint32_t *number) {
  char text[16] = "", *end;
  if (length == 0 || length >= sizeof text) return false;
  memcpy(text, id, length);
  *number = (uint32_t)strtoul(text, &end, 10);
  return *end == '\0';
}

static void keep_text(answer *read, lk_text text) {
  snprintf(read->text, sizeof read->text, "%.*s", (int)text.length, text.bytes != NULL ? text.bytes : "");
}

static bool read_binary(const char *bytes, size_t length, answer *read) {
  lk_reply_reader reader;
  if (lk_reply_decode(bytes, length, &reader, NULL) != LK_OK) return false;
  read->status = reader.head.status;
  keep_text(read, reader.head.text);
  for (uint32_t list = 0; list < reader.head.probes; list++) {
    uint32_t count = lk_reply_count(&reader, list);
    read->digest = answer_digest_count(read->digest, count);
    for (uint32_t i = 0; i < count; i++) {
      lk_candidate candidate = lk_reply_next(&reader);
      read->digest = answer_digest_candidate(read->digest, &candidate);
    }
  }
  return read_number(reader.head.id.bytes, reader.head.id.length, &read->job);
}

static lk_text text_of(const json_t *object, const char *name) {
  const json_t *text = json_object_get(object, name);
  return (lk_text){.bytes = json_string_value(text), .length = (uint32_t)json_string_length(text)};
}

static lk_candidate candidate_of(const json_t *object) {
  return (lk_candidate){.found = {.number = (uint64_t)json_integer_value(json_object_get(object, "number")),
                                  .key = text_of(object, "key"),
                                  .subject = text_of(object, "subject")},
                        .score = (float)json_number_value(json_object_get(object, "score"))};
}

static bool read_status(const char *name, lk_status *status) {
  for (int i = 0; name != NULL && i < 32; i++)
    if (strcmp(lk_status_name((lk_status)i), name) == 0) {
      *status = (lk_status)i;
      return true;
    }
  return false;
}

static bool read_json(const char *bytes, size_t length, answer *read) {
  json_t *json = json_loadb(bytes, length, 0, NULL);
  lk_text id = text_of(json, "id");
  bool whole = read_status(json_string_value(json_object_get(json, "status")), &read->status) && id.bytes != NULL &&
               read_number(id.bytes, id.length, &read->job);
  keep_text(read, text_of(json, "text"));
  size_t l, i;
  json_t *list, *object;
  json_array_foreach(json_object_get(json, "probes"), l, list) {
    read->digest = answer_digest_count(read->digest, (uint32_t)json_array_size(list));
    json_array_foreach(list, i, object) {
      lk_candidate candidate = candidate_of(object);
      read->digest = answer_digest_candidate(read->digest, &candidate);
    }
  }
  json_decref(json);
  return whole;
}

bool answer_read(const char *bytes, size_t length, answer *read) {
  *read = (answer){0};
  bool whole = length > 0 && bytes[0] == '{' ? read_json(bytes, length, read) : read_binary(bytes, length, read);
  if (read->status != LK_OK) read->digest = 0;
  return whole;
}
