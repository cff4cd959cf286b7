/* The address of a Redis:
 *
 *   unix:/path/to/socket
 *   redis://[user@]host[:port][,host[:port]...][/database]
 *   redis+sentinel://[user@]host[:port][,host[:port]...]/master[/database]
 *
 * and rediss:// and rediss+sentinel:// for the same over TLS. An IPv6 address stands in brackets. The password comes
 * from a file, never from the address, since every user of the machine can read command lines. */
#ifndef ENGINE_QUEUE_ADDRESS_H
#define ENGINE_QUEUE_ADDRESS_H

#include <stdint.h>

#include <likeness/status.h>
#include "engine/queue/link/place.h"

enum { LK_PLACES_MOST = 8 };

typedef struct lk_address {
  char text[512]; /* as given, for messages */
  lk_place places[LK_PLACES_MOST];
  uint32_t places_count;
  char master[128]; /* the places are of sentinels, which know this master; empty: they are of Redis */
  bool tls;
  int database;
  char user[128];            /* empty: the default user */
  char password[256];        /* empty: none */
  const char *password_file; /* where it can be read again; NULL: nowhere. The caller's */
} lk_address;

lk_status lk_address_parse(const char *url, lk_address *address, lk_error *error);

/* Reads the password from the file's first line, and keeps the file's path. */
lk_status lk_address_read_password(const char *path, lk_address *address, lk_error *error);

#endif
