#include "governance/audit/head.h"

#include <inttypes.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"

#define HEAD_TYPE "likeness-audit-head-1"

enum { SIGNED_MAX = 512 };

/* The bytes that are signed. Each member has a line of its own, so they can be read in only one way. */
static size_t signed_text(const lk_audit_mark *mark, char text[SIGNED_MAX]) {
  return (size_t)snprintf(text, SIGNED_MAX, HEAD_TYPE "\n%s\n%" PRIu64 "\n%s\n%" PRIu64 "\n", mark->log, mark->sequence,
                          mark->hash, mark->time_ms);
}

void lk_audit_mark_sign(lk_audit_mark *mark, const lk_signing_key *key) {
  char text[SIGNED_MAX];
  unsigned char signature[crypto_sign_BYTES];
  size_t length = signed_text(mark, text);
  crypto_sign_detached(signature, NULL, (const unsigned char *)text, length, key->secret);
  memcpy(mark->key, key->public_hex, sizeof mark->key);
  sodium_bin2hex(mark->signature, sizeof mark->signature, signature, sizeof signature);
}

/* Accepts exactly `size` bytes in lower-case hex. */
static bool read_hex(const char *hex, unsigned char *bytes, size_t size) {
  return strlen(hex) == 2 * size && strspn(hex, "0123456789abcdef") == 2 * size &&
         sodium_hex2bin(bytes, size, hex, 2 * size, NULL, NULL, NULL) == 0;
}

bool lk_audit_mark_is_signed(const lk_audit_mark *mark) {
  char text[SIGNED_MAX];
  unsigned char key[crypto_sign_PUBLICKEYBYTES], signature[crypto_sign_BYTES];
  size_t length = signed_text(mark, text);
  return read_hex(mark->key, key, sizeof key) && read_hex(mark->signature, signature, sizeof signature) &&
         crypto_sign_verify_detached(signature, (const unsigned char *)text, length, key) == 0;
}

void lk_audit_mark_write(const lk_audit_mark *mark, char head[LK_AUDIT_HEAD_MAX]) {
  int at = snprintf(head, LK_AUDIT_HEAD_MAX, "{\"hash\":\"%s\"", mark->hash);
  if (mark->key[0] != '\0') at += snprintf(head + at, LK_AUDIT_HEAD_MAX - (size_t)at, ",\"key\":\"%s\"", mark->key);
  at += snprintf(head + at, LK_AUDIT_HEAD_MAX - (size_t)at, ",\"log\":\"%s\",\"sequence\":%" PRIu64, mark->log,
                 mark->sequence);
  if (mark->key[0] != '\0')
    at += snprintf(head + at, LK_AUDIT_HEAD_MAX - (size_t)at, ",\"signature\":\"%s\"", mark->signature);
  snprintf(head + at, LK_AUDIT_HEAD_MAX - (size_t)at, ",\"time\":%" PRIu64 ",\"type\":\"" HEAD_TYPE "\"}",
           mark->time_ms);
}

static bool copy_hex(const char *hex, char *to, size_t size) {
  if (strlen(hex) != size - 1 || strspn(hex, "0123456789abcdef") != size - 1) return false;
  memcpy(to, hex, size);
  return true;
}

static bool read_mark(json_t *root, lk_audit_mark *mark) {
  const char *type, *hash, *log, *key = "", *signature = "";
  json_int_t sequence, time;
  if (json_unpack(root, "{s:s, s:s, s:s, s:I, s:I, s?s, s?s}", "type", &type, "hash", &hash, "log", &log, "sequence",
                  &sequence, "time", &time, "key", &key, "signature", &signature) != 0)
    return false;
  bool is_signed = key[0] != '\0' || signature[0] != '\0';
  mark->sequence = (uint64_t)sequence;
  mark->time_ms = (uint64_t)time;
  return strcmp(type, HEAD_TYPE) == 0 && sequence > 0 && time >= 0 && copy_hex(hash, mark->hash, sizeof mark->hash) &&
         copy_hex(log, mark->log, sizeof mark->log) &&
         (!is_signed ||
          (copy_hex(key, mark->key, sizeof mark->key) && copy_hex(signature, mark->signature, sizeof mark->signature)));
}

lk_status lk_audit_mark_parse(const char *head, lk_audit_mark *mark, lk_error *error) {
  *mark = (lk_audit_mark){0};
  json_t *root = json_loads(head, JSON_REJECT_DUPLICATES, NULL);
  bool good = root != NULL && read_mark(root, mark);
  json_decref(root);
  return good ? LK_OK : lk_fail(error, LK_EFORMAT, "the head is not one line of JSON as `audit head` writes it");
}
