/* The address of a Redis: unix:/path/to/socket, or redis://[user@]host[:port][/database]. The password comes from a
 * file, never from the address, since every user of the machine can read command lines. */
#ifndef ENGINE_QUEUE_ADDRESS_H
#define ENGINE_QUEUE_ADDRESS_H

#include <likeness/status.h>

typedef struct lk_address {
  char text[256]; /* as given, for messages */
  char path[108]; /* unix socket; empty for TCP */
  char host[128];
  int port;
  int database;
  char user[128];     /* empty: the default user */
  char password[256]; /* empty: none */
} lk_address;

lk_status lk_address_parse(const char *url, lk_address *address, lk_error *error);

/* Reads the password from the file's first line. */
lk_status lk_address_read_password(const char *path, lk_address *address, lk_error *error);

#endif
