/* A key file is one line: a word that names the kind of key, and its bytes in hex. The word prevents that a secret key
 * is taken for a public one and passed on. */
#include <likeness/signing_key.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"

#define SECRET_WORD "likeness-secret-1 "
#define PUBLIC_WORD "likeness-public-1 "

enum { KEY_LINE_MAX = 128, SEED_HEX = 2 * crypto_sign_SEEDBYTES };

static lk_status fail(lk_error *error, lk_status status, const char *path, const char *what) {
  return lk_fail(error, status, "%s: cannot %s: %s", path, what, strerror(errno));
}

static lk_status write_key(const char *path, mode_t mode, const char *word, const char *hex, lk_error *error) {
  char line[KEY_LINE_MAX];
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0) return fail(error, errno == EEXIST ? LK_EEXIST : LK_EIO, path, "create");
  int length = snprintf(line, sizeof line, "%s%s\n", word, hex);
  bool good = write(fd, line, (size_t)length) == length && fsync(fd) == 0;
  lk_status status = good ? LK_OK : fail(error, LK_EIO, path, "write");
  close(fd);
  sodium_memzero(line, sizeof line);
  if (!good) unlink(path);
  return status;
}

lk_status lk_signing_key_make(const char *path, lk_error *error) {
  unsigned char seed[crypto_sign_SEEDBYTES], public_key[crypto_sign_PUBLICKEYBYTES], secret[crypto_sign_SECRETKEYBYTES];
  char hex[SEED_HEX + 1], public_path[PATH_MAX];
  if (sodium_init() < 0) return lk_fail(error, LK_EINTERNAL, "libsodium cannot start");
  if (snprintf(public_path, sizeof public_path, "%s.pub", path) >= (int)sizeof public_path)
    return lk_fail(error, LK_EINVAL, "%s: the path is too long", path);
  randombytes_buf(seed, sizeof seed);
  crypto_sign_seed_keypair(public_key, secret, seed);
  lk_status status = write_key(path, 0600, SECRET_WORD, sodium_bin2hex(hex, sizeof hex, seed, sizeof seed), error);
  if (status == LK_OK) {
    sodium_bin2hex(hex, sizeof hex, public_key, sizeof public_key);
    status = write_key(public_path, 0644, PUBLIC_WORD, hex, error);
    if (status != LK_OK) unlink(path);
  }
  sodium_memzero(seed, sizeof seed);
  sodium_memzero(secret, sizeof secret);
  sodium_memzero(hex, sizeof hex);
  return status;
}

/* Reads the 32 bytes of a key file that begins with `word`. `hidden`: only the owner may have access to the file. */
static lk_status read_key(const char *path, const char *word, bool hidden, unsigned char bytes[32], lk_error *error) {
  char line[KEY_LINE_MAX];
  struct stat stat;
  size_t head = strlen(word);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail(error, LK_EIO, path, "open");
  ssize_t length = fstat(fd, &stat) == 0 ? read(fd, line, sizeof line) : -1;
  lk_status status = length >= 0 ? LK_OK : fail(error, LK_EIO, path, "read");
  close(fd);
  if (status == LK_OK && hidden && (stat.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    status = lk_fail(error, LK_EINVAL, "%s: other users have access to this secret key; run chmod 600 on it", path);
  bool good = status == LK_OK && (size_t)length == head + SEED_HEX + 1 && memcmp(line, word, head) == 0 &&
              line[length - 1] == '\n' && sodium_hex2bin(bytes, 32, line + head, SEED_HEX, NULL, NULL, NULL) == 0;
  sodium_memzero(line, sizeof line);
  if (status == LK_OK && !good)
    status = lk_fail(error, LK_EFORMAT, "%s: not a key file: expected one line of '%s' and 64 hex digits", path, word);
  return status;
}

lk_status lk_signing_key_read_secret(const char *path, lk_signing_key *key, lk_error *error) {
  unsigned char seed[crypto_sign_SEEDBYTES], public_key[crypto_sign_PUBLICKEYBYTES];
  *key = (lk_signing_key){0};
  if (sodium_init() < 0) return lk_fail(error, LK_EINTERNAL, "libsodium cannot start");
  lk_status status = read_key(path, SECRET_WORD, true, seed, error);
  if (status != LK_OK) return status;
  crypto_sign_seed_keypair(public_key, key->secret, seed);
  sodium_bin2hex(key->public_hex, sizeof key->public_hex, public_key, sizeof public_key);
  sodium_memzero(seed, sizeof seed);
  return LK_OK;
}

lk_status lk_signing_key_read_public(const char *path, lk_signing_key *key, lk_error *error) {
  unsigned char public_key[crypto_sign_PUBLICKEYBYTES];
  *key = (lk_signing_key){0};
  lk_status status = read_key(path, PUBLIC_WORD, false, public_key, error);
  if (status == LK_OK) sodium_bin2hex(key->public_hex, sizeof key->public_hex, public_key, sizeof public_key);
  return status;
}

void lk_signing_key_forget(lk_signing_key *key) { sodium_memzero(key, sizeof *key); }
