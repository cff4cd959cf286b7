/* TLS for a connection. tls_hiredis.c has it where hiredis comes with it, from version 1.0 on; else tls_absent.c. */
#ifndef ENGINE_QUEUE_LINK_TLS_H
#define ENGINE_QUEUE_LINK_TLS_H

#include <stdbool.h>

#include <likeness/status.h>
#include "engine/queue/link/deadline.h"

struct redisContext;

bool lk_tls_is_supported(void);

/* Shakes hands on the context's socket `fd`, which does not block, and checks the server's certificate: it must be of
 * `host`, and signed by one of the system's authorities (or those in SSL_CERT_FILE). LK_EIO: it did not succeed. */
lk_status lk_tls_start(struct redisContext *context, int fd, const char *host, const lk_deadline *deadline,
                       lk_error *error);

#endif
