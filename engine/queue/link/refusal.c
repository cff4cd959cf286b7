#include "engine/queue/link/refusal.h"

#include <string.h>

lk_status lk_redis_reply_refusal(const lk_redis_reply *reply) {
  static const char *const passing[] = {"LOADING ",
                                        "BUSY ",
                                        "READONLY ",
                                        "MASTERDOWN ",
                                        "CLUSTERDOWN ",
                                        "NOREPLICAS ",
                                        "OOM ",
                                        "MISCONF ",
                                        "TRYAGAIN ",
                                        "UNKILLABLE ",
                                        "ERR max number of clients"};
  const char *error = lk_redis_reply_error(reply);
  for (size_t i = 0; error != NULL && i < sizeof passing / sizeof passing[0]; i++)
    if (strncmp(error, passing[i], strlen(passing[i])) == 0) return LK_EIO;
  return LK_EPOLICY;
}
