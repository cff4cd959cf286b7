/* A job's signature (docs/protocol.md): Ed25519 (RFC 8032) over the SHA-512 of all its fields except the signature, in
 * a fixed order. Each field is hashed with its lengths, so that no field can be taken for another. */
#ifndef ENGINE_QUEUE_SIGNATURE_H
#define ENGINE_QUEUE_SIGNATURE_H

#include <stddef.h>

#include <likeness/signing_key.h>

typedef struct lk_field {
  lk_text name;
  const char *value;
  size_t length;
} lk_field;

#define LK_SIGNATURE_FIELD "signature"
#define LK_FIELDS_MAX 64 /* of a job */

enum { LK_SIGNATURE_SIZE = 64, LK_SIGNATURE_HEX = 2 * LK_SIGNATURE_SIZE + 1, LK_SIGNED_SIZE = 15 + 64 };

/* Makes the message that is signed: a tag and the hash. At most LK_FIELDS_MAX fields; a signature among them is left
 * out. LK_EBADJOB names a field that occurs twice. */
lk_status lk_signature_message(const lk_field *fields, size_t count, unsigned char message[LK_SIGNED_SIZE],
                               lk_error *error);

/* Writes the value of the signature field: hex, terminated. */
void lk_signature_sign(const unsigned char message[LK_SIGNED_SIZE], const lk_signing_key *key,
                       char hex[LK_SIGNATURE_HEX]);

#endif
