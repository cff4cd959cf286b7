#include "engine/queue/address.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "engine/queue/link/tls.h"

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

static lk_status parse_database(const char *digits, lk_address *address, lk_error *error) {
  char *end;
  long value = strtol(digits, &end, 10);
  if (*digits < '0' || *digits > '9' || *end != '\0' || value > 1 << 20)
    return bad(address, "the database is not a number", error);
  address->database = (int)value;
  return LK_OK;
}

/* Hosts, with commas between them. */
static lk_status parse_places(const char *list, const char *end, int usual_port, lk_address *address, lk_error *error) {
  while (true) {
    if (address->places_count == LK_PLACES_MOST) return bad(address, "has more than 8 hosts", error);
    const char *comma = memchr(list, ',', (size_t)(end - list));
    size_t length = (size_t)((comma != NULL ? comma : end) - list);
    const char *why = lk_place_parse(list, length, usual_port, &address->places[address->places_count++]);
    if (why != NULL) return bad(address, why, error);
    if (comma == NULL) return LK_OK;
    list = comma + 1;
  }
}

/* Takes "user@" off the front. */
static lk_status parse_user(const char **rest, const char *end, lk_address *address, lk_error *error) {
  const char *at = memchr(*rest, '@', (size_t)(end - *rest));
  if (at == NULL) return LK_OK;
  if (memchr(*rest, ':', (size_t)(at - *rest)) != NULL)
    return lk_fail(error, LK_EINVAL, "the redis address has a password in it; put it in a file (--password-file)");
  if (!copy_part(address->user, sizeof address->user, *rest, at)) return bad(address, "the user is too long", error);
  *rest = at + 1;
  return LK_OK;
}

/* Takes "/name" off the front of what follows the hosts; *slash then points to the next one, or is NULL. */
static lk_status parse_master(const char **slash, lk_address *address, lk_error *error) {
  if (*slash == NULL || (*slash)[1] == '\0' || (*slash)[1] == '/')
    return bad(address, "has no name of a master after the sentinels", error);
  const char *name = *slash + 1, *next = strchr(name, '/');
  *slash = next;
  return copy_part(address->master, sizeof address->master, name, next != NULL ? next : name + strlen(name))
             ? LK_OK
             : bad(address, "the master's name is too long", error);
}

static lk_status parse_hosts(const char *rest, bool sentinel, lk_address *address, lk_error *error) {
  const char *slash = strchr(rest, '/'), *end = slash != NULL ? slash : rest + strlen(rest);
  lk_status status = parse_user(&rest, end, address, error);
  if (status == LK_OK) status = parse_places(rest, end, sentinel ? 26379 : 6379, address, error);
  if (status == LK_OK && sentinel) status = parse_master(&slash, address, error);
  if (status == LK_OK && slash != NULL && slash[1] != '\0') status = parse_database(slash + 1, address, error);
  return status;
}

static lk_status parse_unix(const char *path, lk_address *address, lk_error *error) {
  if (*path == '\0') return bad(address, "has no path", error);
  address->places_count = 1;
  return copy_part(address->places[0].path, sizeof address->places[0].path, path, path + strlen(path))
             ? LK_OK
             : bad(address, "the path is too long for a socket", error);
}

/* Whether the text begins so; then *rest follows. */
static bool begins(const char *text, const char *with, const char **rest) {
  size_t length = strlen(with);
  if (strncmp(text, with, length) != 0) return false;
  *rest = text + length;
  return true;
}

lk_status lk_address_parse(const char *url, lk_address *address, lk_error *error) {
  const char *rest;
  *address = (lk_address){0};
  if (!copy_part(address->text, sizeof address->text, url, url + strlen(url)))
    return lk_fail(error, LK_EINVAL, "redis address: longer than %zu bytes", sizeof address->text - 1);
  if (begins(url, "unix:", &rest)) return parse_unix(rest, address, error);
  address->tls = begins(url, "rediss", &rest);
  if (!address->tls && !begins(url, "redis", &rest))
    return bad(address, "must begin with unix:, redis:// or redis+sentinel://", error);
  bool sentinel = begins(rest, "+sentinel", &rest);
  if (!begins(rest, "://", &rest)) return bad(address, "must begin with unix:, redis:// or redis+sentinel://", error);
  if (address->tls && !lk_tls_is_supported())
    return bad(address, "this build does not support TLS; use unix: or redis://", error);
  return parse_hosts(rest, sentinel, address, error);
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
  address->password_file = path;
  if (read && address->password[0] != '\0') return LK_OK;
  return lk_fail(error, LK_EFORMAT, "%s: its first line, the password, is empty", path);
}
