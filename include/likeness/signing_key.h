/* Ed25519 keys (RFC 8032) in files: of actors, who sign jobs, and of audit logs, whose heads are signed. */
#ifndef LIKENESS_SIGNING_KEY_H
#define LIKENESS_SIGNING_KEY_H

#include <likeness/api.h>
#include <likeness/status.h>
#include <likeness/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lk_signing_key {
  char public_hex[65];      /* as policies list it; "": none */
  unsigned char secret[64]; /* as libsodium takes it; zeros where only the public part was read */
} lk_signing_key;

/* Makes a key: the secret one into `path`, for its owner's eyes only, the public one into `path`.pub. LK_EEXIST where
 * either is there; LK_EIO. */
LK_API lk_status lk_signing_key_make(const char *path, lk_error *error);

/* Reads the secret key of a file that only its owner may read, or the public one. LK_EFORMAT, LK_EINVAL, LK_EIO. */
LK_API lk_status lk_signing_key_read_secret(const char *path, lk_signing_key *key, lk_error *error);
LK_API lk_status lk_signing_key_read_public(const char *path, lk_signing_key *key, lk_error *error);
LK_API void lk_signing_key_forget(lk_signing_key *key);

#ifdef __cplusplus
}
#endif

#endif
