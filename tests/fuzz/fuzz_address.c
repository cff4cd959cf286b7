#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/queue/address.h"

static int ended(const char *text, size_t room) { return memchr(text, 0, room) != NULL; }

static void check_place(const lk_place *place, const lk_address *a) {
  char text[LK_PLACE_TEXT];
  lk_place again;
  if (!ended(place->path, sizeof place->path) || !ended(place->host, sizeof place->host)) abort();
  if ((place->path[0] == '\0') == (place->host[0] == '\0')) abort();
  if (strlen(lk_place_text(place, text)) >= sizeof text - 1) abort();
  if (place->path[0] != '\0') {
    if (a->places_count != 1 || a->tls || a->master[0] != '\0') abort();
    return;
  }
  if (place->port < 1 || place->port > 65535) abort();
  if (strpbrk(place->host, "[]") == NULL && (lk_place_parse(text, strlen(text), 1, &again) != NULL ||
                                             strcmp(again.host, place->host) != 0 || again.port != place->port))
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *url = malloc(size + 1);
  if (size > 0) memcpy(url, data, size);
  url[size] = '\0';
  lk_address a;
  if (lk_address_parse(url, &a, NULL) == LK_OK) {
    if (!ended(a.text, sizeof a.text) || !ended(a.user, sizeof a.user) || !ended(a.master, sizeof a.master)) abort();
    if (a.password[0] != '\0' || a.password_file != NULL || a.database < 0) abort();
    if (a.places_count < 1 || a.places_count > LK_PLACES_MOST) abort();
    for (uint32_t i = 0; i < a.places_count; i++) check_place(&a.places[i], &a);
  }
  free(url);
  return 0;
}
