#include "base/stamp.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"

static const uint64_t look_every_us = 250000;

static lk_stamp stamp_of(const struct stat *s) {
  return (lk_stamp){
      .written = s->st_mtim, .changed = s->st_ctim, .device = s->st_dev, .inode = s->st_ino, .size = s->st_size};
}

lk_stamp lk_stamp_of(const char *path) {
  struct stat s;
  return path != NULL && stat(path, &s) == 0 ? stamp_of(&s) : (lk_stamp){0};
}

lk_stamp lk_stamp_in(const lk_folder *folder, const char *name) {
  struct stat s;
  return fstatat(folder->fd, name, &s, AT_SYMLINK_NOFOLLOW) == 0 ? stamp_of(&s) : (lk_stamp){0};
}

static bool same_time(struct timespec a, struct timespec b) { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; }

bool lk_stamp_equal(const lk_stamp *a, const lk_stamp *b) {
  return a->device == b->device && a->inode == b->inode && a->size == b->size && same_time(a->written, b->written) &&
         same_time(a->changed, b->changed);
}

bool lk_stamp_is_due(atomic_uint_least64_t *looked_us) {
  uint_least64_t looked = atomic_load(looked_us), now = lk_clock_us();
  return now >= looked + look_every_us && atomic_compare_exchange_strong(looked_us, &looked, now);
}
