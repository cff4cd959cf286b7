#include "base/mapping.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* The handler walks all mappings while others add to them, so one is never freed, only used again. Most programs need
 * no more than the array. */
struct lk_mapping {
  lk_mapping *next;       /* in the list of those beyond the array */
  atomic_uintptr_t begin; /* 0: free to be used */
  atomic_uintptr_t end;
  atomic_bool damaged;
};

enum { FIRST_MAPPINGS = 256 };

static lk_mapping first[FIRST_MAPPINGS];
static _Atomic(lk_mapping *) others;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* who adds and removes */
static struct sigaction before;
static bool installed;
static uintptr_t page_size;

static bool has(const lk_mapping *mapping, uintptr_t address) {
  uintptr_t begin = atomic_load(&mapping->begin);
  return begin != 0 && begin <= address && address < atomic_load(&mapping->end);
}

static lk_mapping *find(uintptr_t address) {
  for (size_t i = 0; i < FIRST_MAPPINGS; i++)
    if (has(&first[i], address)) return &first[i];
  lk_mapping *m = atomic_load(&others);
  while (m != NULL && !has(m, address)) m = m->next;
  return m;
}

/* The default action cannot be called: it comes when the same instruction faults again. */
static void pass_on(int number, siginfo_t *info, void *context) {
  if ((before.sa_flags & SA_SIGINFO) != 0)
    before.sa_sigaction(number, info, context);
  else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
    before.sa_handler(number);
  else
    signal(number, SIG_DFL);
}

static void take_fault(int number, siginfo_t *info, void *context) {
  uintptr_t page = (uintptr_t)info->si_addr / page_size * page_size;
  lk_mapping *mapping = find((uintptr_t)info->si_addr);
  if (mapping == NULL ||
      mmap((void *)page, page_size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) {
    pass_on(number, info, context);
    return;
  }
  atomic_store(&mapping->damaged, true);
}

static bool install(void) {
  if (installed) return true;
  page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
  struct sigaction action = {.sa_sigaction = take_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
  sigemptyset(&action.sa_mask);
  installed = sigaction(SIGBUS, &action, &before) == 0;
  return installed;
}

static lk_mapping *reserve(void) {
  for (size_t i = 0; i < FIRST_MAPPINGS; i++)
    if (atomic_load(&first[i].begin) == 0) return &first[i];
  for (lk_mapping *m = atomic_load(&others); m != NULL; m = m->next)
    if (atomic_load(&m->begin) == 0) return m;
  lk_mapping *made = calloc(1, sizeof *made);
  if (made == NULL) return NULL;
  made->next = atomic_load(&others);
  atomic_store(&others, made);
  return made;
}

lk_mapping *lk_mapping_add(const void *begin, size_t size) {
  pthread_mutex_lock(&lock);
  lk_mapping *mapping = install() ? reserve() : NULL;
  if (mapping != NULL) {
    atomic_store(&mapping->damaged, false);
    atomic_store(&mapping->end, (uintptr_t)begin + size);
    atomic_store(&mapping->begin, (uintptr_t)begin);
  }
  pthread_mutex_unlock(&lock);
  return mapping;
}

void lk_mapping_remove(lk_mapping *mapping) {
  if (mapping == NULL) return;
  pthread_mutex_lock(&lock);
  atomic_store(&mapping->begin, 0);
  pthread_mutex_unlock(&lock);
}

bool lk_mapping_is_damaged(const lk_mapping *mapping) { return mapping != NULL && atomic_load(&mapping->damaged); }

lk_mapping *lk_mapping_find(const void *address) { return find((uintptr_t)address); }
