#include "engine/queue/link/place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool parse_port(const char *digits, size_t length, int *port) {
  int value = 0;
  if (length == 0 || length > 5) return false;
  for (size_t i = 0; i < length; i++) {
    if (digits[i] < '0' || digits[i] > '9') return false;
    value = 10 * value + (digits[i] - '0');
  }
  *port = value;
  return value >= 1 && value <= 65535;
}

/* Where the host ends; *after: what follows it, brackets left out. NULL: a bracket is not closed. */
static const char *end_of_host(const char **text, const char *end, const char **after) {
  const char *begin = *text;
  if (begin < end && *begin == '[') {
    const char *close = memchr(begin, ']', (size_t)(end - begin));
    *text = begin + 1;
    *after = close != NULL ? close + 1 : NULL;
    return close;
  }
  const char *colon = memchr(begin, ':', (size_t)(end - begin));
  *after = colon != NULL ? colon : end;
  return *after;
}

const char *lk_place_parse(const char *text, size_t length, int usual_port, lk_place *place) {
  const char *end = text + length, *after, *host_end = end_of_host(&text, end, &after);
  *place = (lk_place){.port = usual_port};
  if (host_end == NULL) return "the bracket before the host is not closed";
  if (host_end == text) return "has no host";
  if ((size_t)(host_end - text) >= sizeof place->host) return "the host is too long";
  if (memchr(text, '\0', (size_t)(host_end - text)) != NULL) return "the host has a NUL";
  memcpy(place->host, text, (size_t)(host_end - text));
  if (after < end && *after != ':') return "something other than a port follows the host";
  if (after < end && memchr(after + 1, ':', (size_t)(end - after - 1)) != NULL)
    return "the port is not a number; an IPv6 address needs brackets";
  if (after < end && !parse_port(after + 1, (size_t)(end - after - 1), &place->port))
    return "the port is not a number from 1 to 65535";
  return NULL;
}

bool lk_place_parse_told(const char *text, const lk_place *from, lk_place *place) {
  const char *colon = strrchr(text, ':');
  lk_place told = {0};
  if (colon == NULL || !parse_port(colon + 1, strlen(colon + 1), &told.port)) return false;
  size_t length = (size_t)(colon - text);
  if (length >= sizeof told.host) return false;
  if (length > 0)
    memcpy(told.host, text, length);
  else
    memcpy(told.host, from->host, sizeof told.host);
  *place = told;
  return told.host[0] != '\0';
}

bool lk_place_is_set(const lk_place *place) { return place->path[0] != '\0' || place->host[0] != '\0'; }

const char *lk_place_text(const lk_place *place, char text[LK_PLACE_TEXT]) {
  if (place->path[0] != '\0')
    snprintf(text, LK_PLACE_TEXT, "unix:%s", place->path);
  else
    snprintf(text, LK_PLACE_TEXT, strchr(place->host, ':') != NULL ? "[%s]:%d" : "%s:%d", place->host, place->port);
  return text;
}
