#include "engine/cli/queue_address.h"

#include "base/fail.h"

lk_status lk_queue_address_read(const lk_options *options, lk_address *address, lk_error *error) {
  if (options->redis == NULL) return lk_fail(error, LK_EINVAL, "--redis is missing: the address of the queue");
  lk_status status = lk_address_parse(options->redis, address, error);
  if (status == LK_OK && options->password_file != NULL)
    status = lk_address_read_password(options->password_file, address, error);
  return status;
}
