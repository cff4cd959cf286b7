#include "engine/queue/address.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"

static lk_status bad(const lk_address *address, const char *why, lk_error *error) {
  return lk_fail(error, LK_EINVAL, "redis address '%s': %s", address->text, why);
}

/* Copies bytes up to `end`; false if they exceed the capacity. */
static bool copy_part(char *to, size_t capacity, const char *from, const char *end) {
  size_t length = (size_t)(end - from);
  if (length >= capacity) return false;
  memcpy(to, from, length);
  to[length] = '\0';
  return true;
}

static bool parse_number(const char *digits, int most, int *number) {
  char *end;
  long value = strtol(digits, &end, 10);
  if (*digits < '0' || *digits > '9' || *end != '\0' || value > most) return false;
  *number = (int)value;
  return true;
}

static lk_status parse_tcp(const char *rest, lk_address *address, lk_error *error) {
  char place[256];
  const char *slash = strchr(rest, '/'), *end = slash != NULL ? slash : rest + strlen(rest);
  const char *at = memchr(rest, '@', (size_t)(end - rest));
  if (slash != NULL && slash[1] != '\0' && !parse_number(slash + 1, 1 << 20, &address->database))
    return bad(address, "the database is not a number", error);
  if (at != NULL) {
    if (memchr(rest, ':', (size_t)(at - rest)) != NULL)
      return lk_fail(error, LK_EINVAL, "the redis address has a password in it; put it in a file (--password-file)");
    if (!copy_part(address->user, sizeof address->user, rest, at)) return bad(address, "the user is too long", error);
    rest = at + 1;
  }
  if (!copy_part(place, sizeof place, rest, end)) return bad(address, "the host is too long", error);
  char *colon = strrchr(place, ':');
  address->port = 6379;
  if (colon != NULL) {
    *colon = '\0';
    if (!parse_number(colon + 1, 65535, &address->port)) return bad(address, "the port is not a number", error);
  }
  if (place[0] == '\0') return bad(address, "has no host", error);
  return copy_part(address->host, sizeof address->host, place, place + strlen(place))
             ? LK_OK
             : bad(address, "the host is too long", error);
}

lk_status lk_address_parse(const char *url, lk_address *address, lk_error *error) {
  *address = (lk_address){0};
  if (!copy_part(address->text, sizeof address->text, url, url + strlen(url)))
    return lk_fail(error, LK_EINVAL, "redis address: longer than 255 bytes");
  if (strncmp(url, "rediss://", 9) == 0)
    return bad(address, "this build does not support TLS; use unix: or redis://", error);
  if (strncmp(url, "redis://", 8) == 0) return parse_tcp(url + 8, address, error);
  if (strncmp(url, "unix:", 5) != 0) return bad(address, "must begin with unix: or redis://", error);
  const char *path = url + 5;
  if (*path == '\0') return bad(address, "has no path", error);
  return copy_part(address->path, sizeof address->path, path, path + strlen(path))
             ? LK_OK
             : bad(address, "the path is too long for a socket", error);
}

lk_status lk_address_read_password(const char *path, lk_address *address, lk_error *error) {
  FILE *file = fopen(path, "re");
  if (file == NULL) return lk_fail(error, LK_EIO, "%s: cannot open: %s", path, strerror(errno));
  bool read = fgets(address->password, sizeof address->password, file) != NULL;
  bool whole = strpbrk(address->password, "\r\n") != NULL || fgetc(file) == EOF;
  fclose(file);
  if (!whole)
    return lk_fail(error, LK_EFORMAT, "%s: its first line, the password, is longer than %zu bytes", path,
                   sizeof address->password - 2);
  address->password[strcspn(address->password, "\r\n")] = '\0';
  if (read && address->password[0] != '\0') return LK_OK;
  return lk_fail(error, LK_EFORMAT, "%s: its first line, the password, is empty", path);
}
