/* Makes a gallery's loading last, and says when it has begun: a library for LD_PRELOAD. Loading gives the memory of the
 * codes back as the last thing that it does with them. */
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LOADS_S = 30 };

__attribute__((visibility("default"))) int madvise(void *at, size_t length, int advice) {
  static const char text[] = "it loads\n";
  (void)at, (void)length, (void)advice;
  if (write(STDERR_FILENO, text, sizeof text - 1) < 0) return -1;
  sleep(LOADS_S);
  return 0;
}
