/* Lets Criterion run under ThreadSanitizer; part of every test in that build and in no other.
 *
 * Criterion's sandbox (BoxFort, arena.c) maps its shared memory at 2^45 plus a random multiple of 2^24, and gives up
 * where it cannot. ThreadSanitizer refuses all of that range but the piece where position-independent programs lie
 * (tsan_platform.h: kMidAppMemBeg .. kMidAppMemEnd, 0x550000000000 .. 0x568000000000). The sandbox draws its address
 * with rand_r: so this one stays within that piece. Nothing else in a test uses rand_r. */
#include <stdlib.h>

__attribute__((visibility("default"))) int rand_r(unsigned *seed) {
  *seed = *seed * 1664525 + 1013904223;
  return 0x350000 + (int)(*seed >> 16);
}

/* Criterion ends each test's process with _exit, whatever ThreadSanitizer has reported: so a race ends it at once. */
__attribute__((visibility("default"))) const char *__tsan_default_options(void) { return "halt_on_error=1"; }

/* Where a file is cut off under its map, the handler of SIGBUS maps a page of zeros there, while other threads read it:
 * the kernel exchanges the page at once, but ThreadSanitizer takes mmap for a write. */
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void) { return "race:^take_fault$"; }
