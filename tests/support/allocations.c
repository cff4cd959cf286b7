#include "tests/support/allocations.h"

#include <criterion/criterion.h>

#include <csv.h>
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/types.h>

static atomic_llong live;
static atomic_uint count;
static atomic_bool failed, failed_in_jansson;
static atomic_uint first_failing; /* 0: none fails */
static bool all_fail_after;

void allocations_fail(uint32_t nth, bool all_after) {
  all_fail_after = all_after;
  atomic_store(&failed, false);
  atomic_store(&failed_in_jansson, false);
  atomic_store(&count, 0);
  atomic_store(&first_failing, nth);
}

bool allocations_stop(void) {
  atomic_store(&first_failing, 0);
  return atomic_load(&failed);
}

bool allocations_failed_in_jansson(void) { return atomic_load(&failed_in_jansson); }

int64_t allocations_live(void) { return atomic_load(&live); }

static bool fails(void) {
  uint32_t first = atomic_load(&first_failing), number = atomic_fetch_add(&count, 1) + 1;
  if (first == 0 || number < first || (number > first && !all_fail_after)) return false;
  atomic_store(&failed, true);
  errno = ENOMEM;
  return true;
}

static void *counted(void *block) {
  if (block != NULL) atomic_fetch_add(&live, 1);
  return block;
}

/* The linker (--wrap) sends the program's calls here. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t items, size_t size);
void *__real_realloc(void *block, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void __real_free(void *block);
void *__real_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
DIR *__real_fdopendir(int fd);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument);
int __real_csv_init(struct csv_parser *parser, unsigned char options);

void *__wrap_malloc(size_t size) { return fails() ? NULL : counted(__real_malloc(size)); }
void *__wrap_calloc(size_t items, size_t size) { return fails() ? NULL : counted(__real_calloc(items, size)); }

void *__wrap_realloc(void *block, size_t size) {
  if (fails()) return NULL;
  void *grown = __real_realloc(block, size);
  return block == NULL ? counted(grown) : grown;
}

void *__wrap_aligned_alloc(size_t alignment, size_t size) {
  return fails() ? NULL : counted(__real_aligned_alloc(alignment, size));
}

void __wrap_free(void *block) {
  if (block != NULL) atomic_fetch_sub(&live, 1);
  __real_free(block);
}

void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset) {
  return fails() ? (void *)-1 : __real_mmap(address, size, protection, flags, fd, offset);
}

DIR *__wrap_fdopendir(int fd) { return fails() ? NULL : __real_fdopendir(fd); }

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument) {
  return fails() ? EAGAIN : __real_pthread_create(thread, attributes, run, argument);
}

/* Shared libraries are not wrapped; these two take functions of ours. */
int __wrap_csv_init(struct csv_parser *parser, unsigned char options) {
  int status = __real_csv_init(parser, options);
  csv_set_realloc_func(parser, __wrap_realloc);
  csv_set_free_func(parser, __wrap_free);
  return status;
}

static void *malloc_for_jansson(size_t size) {
  void *block = __wrap_malloc(size);
  if (block == NULL) atomic_store(&failed_in_jansson, true);
  return block;
}

__attribute__((constructor)) static void take_over_jansson(void) {
  json_set_alloc_funcs(malloc_for_jansson, __wrap_free);
}

/* The disk is another test's matter (test_enroll.c), and slow. */
int __wrap_fsync(int fd);
int __wrap_fsync(int fd) { return (void)fd, 0; }
int __wrap_msync(void *address, size_t size, int flags);
int __wrap_msync(void *address, size_t size, int flags) { return (void)address, (void)size, (void)flags, 0; }

/* Maps, and folders that are read, are file operations; what jansson says is in index/storage/manifest.h. */
static bool is_documented(lk_status status) {
  return status == LK_ENOMEM || status == LK_EIO || (status == LK_ECORRUPT && allocations_failed_in_jansson());
}

/* False where fewer than `nth` allocations were made. */
static bool try_once(const allocations_trial *t, uint32_t nth, bool all_after) {
  lk_error error = {0};
  int64_t before = allocations_live();
  t->prepare();
  allocations_fail(nth, all_after);
  lk_status status = t->run(&error);
  bool any_failed = allocations_stop();
  if (status != LK_OK) {
    cr_assert(any_failed && is_documented(status) && error.text[0] != '\0', "%s, allocation %u: %s: %s", t->name, nth,
              lk_status_name(status), error.text);
    if (t->check_nothing_done != NULL) t->check_nothing_done();
    status = t->run(&error);
  }
  cr_assert_eq(status, LK_OK, "%s, after allocation %u: %s", t->name, nth, error.text);
  t->check_done();
  t->clean();
  cr_assert_eq(allocations_live(), before, "%s, allocation %u: %lld blocks leaked", t->name, nth,
               (long long)(allocations_live() - before));
  return any_failed;
}

void allocations_try_all(const allocations_trial *t, uint32_t at_least) {
  for (int all_after = 0; all_after < 2; all_after++) {
    uint32_t nth = 1;
    while (try_once(t, nth, all_after)) nth++;
    cr_assert_geq(nth - 1, at_least, "%s: only %u allocations were seen", t->name, nth - 1);
  }
}

void allocations_nothing(void) {}
