#include "engine/queue/signature.h"

#include <sodium.h>
#include <string.h>

#include "base/fail.h"
#include "base/text.h"

static const char tag[] = "likeness-job-1\n";

enum { TAG_SIZE = sizeof tag - 1 };
_Static_assert(TAG_SIZE + crypto_hash_sha512_BYTES == LK_SIGNED_SIZE, "a tag and a hash");

static int compare(lk_text a, lk_text b) {
  uint32_t shorter = a.length < b.length ? a.length : b.length;
  int order = shorter > 0 ? memcmp(a.bytes, b.bytes, shorter) : 0;
  return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

/* Insertion sort: the fields are few. Leaves out the signature. */
static size_t sort(const lk_field *fields, size_t count, const lk_field *sorted[LK_FIELDS_MAX]) {
  size_t kept = 0;
  for (size_t i = 0; i < count; i++) {
    if (lk_text_equal(fields[i].name, lk_text_of(LK_SIGNATURE_FIELD))) continue;
    size_t at = kept++;
    for (; at > 0 && compare(sorted[at - 1]->name, fields[i].name) > 0; at--) sorted[at] = sorted[at - 1];
    sorted[at] = &fields[i];
  }
  return kept;
}

static void hash_bytes(crypto_hash_sha512_state *state, const char *bytes, uint64_t length) {
  unsigned char size[8];
  for (int i = 0; i < 8; i++) size[i] = (unsigned char)(length >> (8 * i));
  crypto_hash_sha512_update(state, size, sizeof size);
  crypto_hash_sha512_update(state, (const unsigned char *)bytes, length);
}

lk_status lk_signature_message(const lk_field *fields, size_t count, unsigned char message[LK_SIGNED_SIZE],
                               lk_error *error) {
  const lk_field *sorted[LK_FIELDS_MAX];
  size_t kept = sort(fields, count, sorted);
  crypto_hash_sha512_state state;
  crypto_hash_sha512_init(&state);
  for (size_t i = 0; i < kept; i++) {
    lk_text name = sorted[i]->name;
    if (i > 0 && lk_text_equal(sorted[i - 1]->name, name))
      return lk_fail(error, LK_EBADJOB, "field %.*s occurs twice; a signed job may have it once",
                     name.length < 40 ? (int)name.length : 40, name.bytes);
    hash_bytes(&state, name.bytes, name.length);
    hash_bytes(&state, sorted[i]->value, sorted[i]->length);
  }
  memcpy(message, tag, TAG_SIZE);
  crypto_hash_sha512_final(&state, message + TAG_SIZE);
  return LK_OK;
}

void lk_signature_sign(const unsigned char message[LK_SIGNED_SIZE], const lk_signing_key *key,
                       char hex[LK_SIGNATURE_HEX]) {
  unsigned char signature[LK_SIGNATURE_SIZE];
  crypto_sign_detached(signature, NULL, message, LK_SIGNED_SIZE, key->secret);
  sodium_bin2hex(hex, LK_SIGNATURE_HEX, signature, sizeof signature);
}
