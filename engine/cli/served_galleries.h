/* The galleries that `serve` has open: of each it is the owner, who alone changes it, or it follows what another
 * process makes of it. */
#ifndef ENGINE_CLI_SERVED_GALLERIES_H
#define ENGINE_CLI_SERVED_GALLERIES_H

#include <likeness/owner.h>

#include "engine/cli/command.h"
#include "engine/queue/address.h"

typedef struct lk_served_galleries {
  lk_gallery *galleries[LK_WORDS_MOST];
  lk_owner *owners[LK_WORDS_MOST]; /* NULL: it follows */
  int count;
} lk_served_galleries;

/* Opens the galleries whose folders the words name. It becomes their owner, but where --follow says that it shall not,
 * where another process is, and where the folder cannot be written; it logs which it follows, and why. The last changes
 * of a gallery that the log at `address` does not have, since it has others, are cut off, which is logged too.
 * LK_EINVAL: two galleries have one name. Close it also on failure. */
lk_status lk_served_galleries_open(const lk_options *options, const lk_address *address, FILE *log,
                                   lk_served_galleries *served, lk_error *error);

/* Closes the galleries, and gives up those that it owns. */
void lk_served_galleries_close(lk_served_galleries *served);

/* Loads them onto the device, and logs each. Returns early, with LK_OK, when `stop` turns true. */
lk_status lk_served_galleries_load(const lk_served_galleries *served, lk_device *device, const atomic_bool *stop,
                                   FILE *log, lk_error *error);

#endif
