/* The address of the queue, as --redis and --password-file have it. */
#ifndef ENGINE_CLI_QUEUE_ADDRESS_H
#define ENGINE_CLI_QUEUE_ADDRESS_H

#include "engine/cli/options.h"
#include "engine/queue/address.h"

/* LK_EINVAL: it is missing, or none. LK_EIO, LK_EFORMAT: of the file with the password. */
lk_status lk_queue_address_read(const lk_options *options, lk_address *address, lk_error *error);

#endif
