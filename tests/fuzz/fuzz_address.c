#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/queue/address.h"

static int ended(const char *text, size_t room) { return memchr(text, 0, room) != NULL; }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *url = malloc(size + 1);
  if (size > 0) memcpy(url, data, size);
  url[size] = '\0';
  lk_address a;
  if (lk_address_parse(url, &a, NULL) == LK_OK) {
    if (!ended(a.text, sizeof a.text) || !ended(a.path, sizeof a.path) || !ended(a.host, sizeof a.host)) abort();
    if (!ended(a.user, sizeof a.user) || a.password[0] != '\0' || a.port < 0 || a.port > 65535) abort();
    if ((a.path[0] == '\0') == (a.host[0] == '\0') || a.database < 0) abort();
  }
  free(url);
  return 0;
}
