#include "base/fail.h"
#include "engine/queue/link/tls.h"

bool lk_tls_is_supported(void) { return false; }

lk_status lk_tls_start(struct redisContext *context, int fd, const char *host, const lk_deadline *deadline,
                       lk_error *error) {
  (void)context;
  (void)fd;
  (void)host;
  (void)deadline;
  return lk_fail(error, LK_EIO, "this build does not support TLS");
}
