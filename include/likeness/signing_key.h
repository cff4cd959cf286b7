/* Files of Ed25519 keys (RFC 8032), with which actors sign jobs and audit logs sign their heads. */
#ifndef LIKENESS_SIGNING_KEY_H
#define LIKENESS_SIGNING_KEY_H

#include <likeness/api.h>
#include <likeness/status.h>
#include <likeness/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lk_signing_key {
  char public_hex[65];      /* as policies list it; "": no key */
  unsigned char secret[64]; /* in libsodium's form; zeros if only the public key was read */
} lk_signing_key;

/* Makes a key pair: writes the secret key to `path`, readable by its owner only, and the public key to `path`.pub.
 * LK_EEXIST: either file exists. LK_EINVAL: the path is too long. LK_EIO. */
LK_API lk_status lk_signing_key_make(const char *path, lk_error *error);

/* Read a secret key with its public key, or a public key alone. LK_EFORMAT: not a file of such a key. LK_EINVAL: other
 * users have access to the secret key. LK_EIO. */
LK_API lk_status lk_signing_key_read_secret(const char *path, lk_signing_key *key, lk_error *error);
LK_API lk_status lk_signing_key_read_public(const char *path, lk_signing_key *key, lk_error *error);
/* Overwrites the key with zeros. */
LK_API void lk_signing_key_forget(lk_signing_key *key);

#ifdef __cplusplus
}
#endif

#endif
