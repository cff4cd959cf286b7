#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "governance/audit/chain.h"
#include "governance/audit/head.h"

/* A log that verifies is one that the log itself could have written. */
static void read_log(const char *data, size_t size, bool anchored) {
  lk_audit_chain chain = lk_audit_chain_start(anchored);
  size_t whole;
  lk_status status = lk_audit_chain_read(&chain, "fuzz", data, size, &whole, NULL, NULL, NULL);
  if (whole > size || (whole > 0 && data[whole - 1] != '\n')) abort();
  if (status == LK_OK && whole > 0 && (strlen(chain.log) != 32 || strlen(chain.hash) != 64 || chain.sequence == 0))
    abort();
}

/* Gives a line the number, the predecessor and the hash that it should have: a fuzzer does not guess them. NULL: it is
 * no JSON object. */
static char *reseal(const char *line, size_t length, uint64_t sequence, char previous[LK_AUDIT_HEX]) {
  json_t *root = json_loadb(line, length, 0, NULL);
  if (!json_is_object(root)) {
    json_decref(root);
    return NULL;
  }
  char hash[LK_AUDIT_HEX] = {0};
  memset(hash, '0', LK_AUDIT_HEX - 1);
  json_object_set_new(root, "_hash", json_string(hash));
  json_object_set_new(root, "previous", json_string(previous));
  json_object_set_new(root, "sequence", json_integer((json_int_t)sequence));
  char *text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(9));
  json_decref(root);
  if (lk_audit_line_hash(text, strlen(text)) != NULL) {
    lk_audit_hash(previous, text, strlen(text), previous);
    memcpy(text + 10, previous, LK_AUDIT_HEX - 1);
  }
  return text;
}

static void read_resealed(const char *data, size_t size) {
  char previous[LK_AUDIT_HEX] = {0}, *text = NULL;
  size_t length = 0;
  uint64_t sequence = 0;
  FILE *out = open_memstream(&text, &length);
  memset(previous, '0', LK_AUDIT_HEX - 1);
  for (const char *end; (end = memchr(data, '\n', size)) != NULL; size -= (size_t)(end + 1 - data), data = end + 1) {
    char *line = reseal(data, (size_t)(end - data), ++sequence, previous);
    if (line != NULL) fprintf(out, "%s\n", line);
    free(line);
  }
  fclose(out);
  read_log(text, length, true);
  free(text);
}

static void read_head(const uint8_t *data, size_t size) {
  char *text = calloc(1, size + 1), again[LK_AUDIT_HEAD_MAX];
  memcpy(text, data, size);
  lk_audit_mark mark, same;
  if (lk_audit_mark_parse(text, &mark, NULL) == LK_OK) {
    lk_audit_mark_write(&mark, again);
    if (lk_audit_mark_parse(again, &same, NULL) != LK_OK || memcmp(&mark, &same, sizeof mark) != 0) abort();
  }
  free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  read_log((const char *)data, size, true);
  read_log((const char *)data, size, false);
  read_resealed((const char *)data, size);
  read_head(data, size);
  return 0;
}
