#include <likeness/signing_key.h>
#include "base/printable.h"
#include "engine/cli/command.h"

lk_status lk_command_key(const lk_options *options, const lk_streams *streams, lk_error *error) {
  const char *path = options->words[0];
  lk_signing_key key;
  atomic_store(streams->busy, true);
  lk_status status = lk_signing_key_make(path, error);
  if (status == LK_OK) status = lk_signing_key_read_secret(path, &key, error);
  if (status != LK_OK) return status;
  fprintf(streams->out, "%s\n", key.public_hex);
  lk_printable_line(streams->log,
                    "keep %s secret; give %s.pub to those who verify; above is the key as policies list it", path,
                    path);
  lk_signing_key_forget(&key);
  return LK_OK;
}
