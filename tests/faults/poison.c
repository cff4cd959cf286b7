/* Makes a worker die of one job, in its search: a library for LD_PRELOAD. The product needs no hook for that.
 *
 * A worker prepares the probes of a job once, in memory of their own, when it takes the job; a search then reads them.
 * Here every block of the size that a poison job's probes have gets pages of its own. When the thread that asked for it
 * next takes a lock, it has written the block: if that is the probes of a poison job, the pages lose their access, and
 * whoever searches for them gets SIGSEGV. Parsing the job, and handing it back, touch only its entry. */
#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/faults/letter.h"

enum { BLOCK_SIZE = LETTER_POISON_PROBES * FACES_DIM * sizeof(float), PAGE_SIZE = 4096, BLOCKS_MOST = 1 << 20 };

static char *area; /* BLOCKS_MOST pages, one a block, each used once */
static atomic_uint used;
static _Thread_local float *written; /* the block that this thread was given last */

void *__libc_malloc(size_t size);
void *__libc_realloc(void *block, size_t size);
void __libc_free(void *block);

__attribute__((constructor)) static void reserve(void) {
  char *pages = mmap(NULL, (size_t)BLOCKS_MOST * PAGE_SIZE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (pages != MAP_FAILED) area = pages;
}

static bool is_ours(const void *block) {
  return area != NULL && (const char *)block >= area && (const char *)block < area + (size_t)BLOCKS_MOST * PAGE_SIZE;
}

__attribute__((visibility("default"))) void *malloc(size_t size) {
  if (size != BLOCK_SIZE || area == NULL) return __libc_malloc(size);
  unsigned number = atomic_fetch_add(&used, 1);
  if (number >= BLOCKS_MOST) return __libc_malloc(size);
  return written = (float *)(area + (size_t)number * PAGE_SIZE);
}

__attribute__((visibility("default"))) void free(void *block) {
  if (!is_ours(block)) {
    __libc_free(block);
    return;
  }
  if (written == block) written = NULL;
  madvise(block, PAGE_SIZE, MADV_DONTNEED);
}

__attribute__((visibility("default"))) void *realloc(void *block, size_t size) {
  if (!is_ours(block)) return __libc_realloc(block, size);
  void *grown = malloc(size);
  if (grown == NULL) return NULL;
  memcpy(grown, block, size < BLOCK_SIZE ? size : BLOCK_SIZE);
  free(block);
  return grown;
}

/* The probes are 1, 2, 3, ..., whatever they were divided by. */
static bool is_poison(const float *probe) {
  for (int d = 1; d < FACES_DIM; d++)
    if (probe[0] <= 0 || fabsf(probe[d] / probe[0] - (float)(d + 1)) > 0.01F) return false;
  return true;
}

__attribute__((visibility("default"))) int pthread_mutex_lock(pthread_mutex_t *mutex) {
  static int (*next)(pthread_mutex_t *);
  if (next == NULL) *(void **)&next = dlsym(RTLD_NEXT, "pthread_mutex_lock");
  float *block = written;
  written = NULL;
  if (block != NULL && is_poison(block)) mprotect(block, PAGE_SIZE, PROT_NONE);
  return next(mutex);
}
