#include "engine/cli/streams/standard_input.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "index/formats/vectors/scratch.h"

#define PATH "/dev/stdin"

static lk_status copy(lk_scratch *scratch, lk_error *error) {
  static char piece[1 << 16];
  lk_status status = LK_OK;
  while (status == LK_OK) {
    ssize_t length = read(STDIN_FILENO, piece, sizeof piece);
    if (length == 0) break;
    if (length < 0 && errno != EINTR) status = lk_fail(error, LK_EIO, "stdin: cannot read: %s", strerror(errno));
    if (length > 0) status = lk_scratch_write(scratch, piece, (size_t)length, error);
  }
  return status;
}

/* Afterwards stdin is a regular file. */
static lk_status put_into_a_file(lk_error *error) {
  struct stat found;
  if (fstat(STDIN_FILENO, &found) == 0 && S_ISREG(found.st_mode)) return LK_OK;
  lk_scratch scratch;
  lk_scratch_open("stdin", &scratch);
  lk_status status = copy(&scratch, error);
  if (status == LK_OK && dup2(scratch.fd, STDIN_FILENO) < 0)
    status = lk_fail(error, LK_EIO, "stdin: cannot put it into a file: %s", strerror(errno));
  lk_scratch_close(&scratch);
  return status;
}

lk_status lk_standard_input_take(const char **const *names, int count, lk_error *error) {
  int taken = 0;
  for (int i = 0; i < count; i++) {
    if (*names[i] == NULL || strcmp(*names[i], "-") != 0) continue;
    *names[i] = PATH;
    taken++;
  }
  if (taken > 1) return lk_fail(error, LK_EINVAL, "only one file can be -, which is stdin");
  return taken == 1 ? put_into_a_file(error) : LK_OK;
}
