/* Where a server listens: a unix socket, or a host and a port. */
#ifndef ENGINE_QUEUE_LINK_PLACE_H
#define ENGINE_QUEUE_LINK_PLACE_H

#include <stdbool.h>
#include <stddef.h>

enum { LK_PLACE_TEXT = 144 };

typedef struct lk_place {
  char path[108]; /* of a unix socket; empty for TCP */
  char host[128]; /* a name, or an IPv4 or IPv6 address without brackets */
  int port;
} lk_place;

/* Reads HOST, HOST:PORT, [IPV6] or [IPV6]:PORT. Returns NULL, or what is wrong with it. */
const char *lk_place_parse(const char *text, size_t length, int usual_port, lk_place *place);

/* Reads HOST:PORT as Redis writes it: without brackets, the last colon counts. Without a host it is that of `from`.
 * False: it is none. */
bool lk_place_parse_told(const char *text, const lk_place *from, lk_place *place);

bool lk_place_is_set(const lk_place *place);

/* For messages. */
const char *lk_place_text(const lk_place *place, char text[LK_PLACE_TEXT]);

#endif
