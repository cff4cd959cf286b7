#include "tests/support/faulty_disk.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES_MAX = 256, SECTOR = 512 };

/* A file, whatever its name. */
typedef struct file {
  ino_t inode;
  int fd;     /* of our own: keeps the inode from being used again, and reads what memory has */
  char *disk; /* its content there */
  size_t size;
  char *seen; /* what memory had at the last sync, whether that failed or not */
  size_t seen_size;
  bool *dirty; /* for each sector: written since then */
  size_t sectors;
} file;

typedef struct name {
  char text[NAME_MAX + 1];
  ino_t inode;
} name;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static const lk_folder *folder;
static ino_t folder_inode;
static file files[FILES_MAX];
static uint32_t file_count;
static name names[FILES_MAX]; /* that the disk has */
static uint32_t name_count;
static uint32_t calls, syncs, call_that_fails;
static int error_of_it;
static bool all_after_fail;

static ino_t inode_of(int fd) {
  struct stat found;
  cr_assert_eq(fstat(fd, &found), 0);
  return found.st_ino;
}

static file *file_of(ino_t inode) {
  for (uint32_t i = 0; i < file_count; i++)
    if (files[i].inode == inode) return &files[i];
  return NULL;
}

/* By way of /proc, for a descriptor that reads. A file that is not known was made since: the disk has no byte of it. */
static file *know_file(int fd) {
  ino_t inode = inode_of(fd);
  file *known = file_of(inode);
  if (known != NULL) return known;
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  cr_assert_lt(file_count, FILES_MAX);
  file *made = &files[file_count++];
  *made = (file){.inode = inode, .fd = open(link, O_RDONLY | O_CLOEXEC)};
  cr_assert_geq(made->fd, 0);
  return made;
}

static char *read_memory(const file *f, size_t *size) {
  struct stat found;
  cr_assert_eq(fstat(f->fd, &found), 0);
  *size = (size_t)found.st_size;
  char *data = malloc(*size + 1);
  cr_assert_eq(pread(f->fd, data, *size, 0), (ssize_t)*size);
  return data;
}

static void mark_dirty(file *f, size_t from, size_t end) {
  size_t sectors = (end + SECTOR - 1) / SECTOR;
  if (sectors > f->sectors) {
    f->dirty = realloc(f->dirty, sectors * sizeof *f->dirty);
    memset(f->dirty + f->sectors, 0, (sectors - f->sectors) * sizeof *f->dirty);
    f->sectors = sectors;
  }
  for (size_t s = from / SECTOR; s < sectors; s++) f->dirty[s] = true;
}

static void set_disk_size(file *f, size_t size) {
  f->disk = realloc(f->disk, size + 1);
  if (size > f->size) memset(f->disk + f->size, 0, size - f->size);
  f->size = size;
}

/* Brings the dirty sectors to the disk, whose file then has `size` bytes; `random`: half of them. */
static void bring(file *f, const char *memory, size_t memory_size, size_t size, random_state *random) {
  set_disk_size(f, size);
  for (size_t s = 0; s < f->sectors && s * SECTOR < size && s * SECTOR < memory_size; s++) {
    if (!f->dirty[s] || (random != NULL && random_one_in(random, 2))) continue;
    size_t end = (s + 1) * SECTOR < size ? (s + 1) * SECTOR : size;
    if (end > memory_size) end = memory_size;
    memcpy(f->disk + s * SECTOR, memory + s * SECTOR, end - s * SECTOR);
  }
}

/* Nobody tells of what is written to a map: it is what memory has and did not have before. */
static void find_dirt(file *f, const char *memory, size_t size) {
  static const char zeros[SECTOR];
  for (size_t from = 0; from < size; from += SECTOR) {
    size_t end = from + SECTOR < size ? from + SECTOR : size;
    const char *before = end <= f->seen_size ? f->seen + from : zeros;
    if (memcmp(memory + from, before, end - from) != 0) mark_dirty(f, from, end);
  }
}

/* Takes over `memory`. */
static void forget_dirt(file *f, char *memory, size_t size) {
  if (f->sectors > 0) memset(f->dirty, 0, f->sectors * sizeof *f->dirty);
  free(f->seen);
  f->seen = memory;
  f->seen_size = size;
}

/* In memory; returns how many. */
static uint32_t read_names(name list[FILES_MAX]) {
  DIR *entries = lk_folder_entries(folder);
  uint32_t count = 0;
  cr_assert_not_null(entries);
  for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
    struct stat found;
    if (entry->d_name[0] == '.') continue;
    cr_assert(count < FILES_MAX && fstatat(folder->fd, entry->d_name, &found, AT_SYMLINK_NOFOLLOW) == 0);
    name *made = &list[count++];
    snprintf(made->text, sizeof made->text, "%s", entry->d_name);
    made->inode = found.st_ino;
  }
  closedir(entries);
  return count;
}

static void note_names(void) { name_count = read_names(names); }

static name *name_in(name *list, uint32_t count, const char *text) {
  for (uint32_t i = 0; i < count; i++)
    if (strcmp(list[i].text, text) == 0) return &list[i];
  return NULL;
}

/* Each name that is made, removed or of another file since the last sync is so on the disk, or as it was. */
static void note_some_names(random_state *random) {
  static name now[FILES_MAX], kept[FILES_MAX];
  uint32_t count = read_names(now), kept_count = 0;
  for (uint32_t i = 0; i < name_count; i++) {
    const name *after = name_in(now, count, names[i].text);
    if (random_one_in(random, 2)) after = &names[i];
    if (after != NULL) kept[kept_count++] = *after;
  }
  for (uint32_t i = 0; i < count; i++) {
    if (name_in(names, name_count, now[i].text) != NULL || random_one_in(random, 2)) continue;
    cr_assert_lt(kept_count, FILES_MAX);
    kept[kept_count++] = now[i];
  }
  memcpy(names, kept, kept_count * sizeof *names);
  name_count = kept_count;
}

/* With the mutex. */
static bool fails(void) {
  calls++;
  if (call_that_fails == 0 || calls < call_that_fails || (calls > call_that_fails && !all_after_fail)) return false;
  errno = error_of_it;
  return true;
}

static ssize_t faulty_write(int fd, const void *data, size_t size) {
  pthread_mutex_lock(&mutex);
  file *f = know_file(fd);
  bool failing = fails();
  off_t from = lseek(fd, 0, SEEK_CUR);
  ssize_t n = write(fd, data, failing || calls % 5 == 0 ? (size + 1) / 2 : size);
  if (n > 0) mark_dirty(f, (size_t)from, (size_t)from + (size_t)n);
  if (failing) errno = error_of_it;
  pthread_mutex_unlock(&mutex);
  return failing ? -1 : n;
}

static int faulty_reserve(int fd, off_t size) {
  pthread_mutex_lock(&mutex);
  know_file(fd);
  int result = fails() ? -1 : lk_disk_system.reserve(fd, size);
  pthread_mutex_unlock(&mutex);
  return result;
}

static int faulty_sync(int fd) {
  pthread_mutex_lock(&mutex);
  syncs++;
  bool failing = fails();
  if (inode_of(fd) == folder_inode) {
    if (!failing) note_names();
  } else {
    file *f = know_file(fd);
    size_t size;
    char *memory = read_memory(f, &size);
    find_dirt(f, memory, size);
    if (!failing) bring(f, memory, size, size, NULL);
    forget_dirt(f, memory, size);
  }
  if (failing) errno = error_of_it;
  pthread_mutex_unlock(&mutex);
  return failing ? -1 : 0;
}

static int faulty_truncate(int fd, off_t size) {
  pthread_mutex_lock(&mutex);
  know_file(fd);
  int result = fails() ? -1 : ftruncate(fd, size);
  pthread_mutex_unlock(&mutex);
  return result;
}

static int faulty_rename(int fd, const char *from, const char *to) {
  pthread_mutex_lock(&mutex);
  int result = fails() ? -1 : renameat(fd, from, fd, to);
  pthread_mutex_unlock(&mutex);
  return result;
}

static int faulty_rename_new(int fd, const char *from, const char *to) {
  pthread_mutex_lock(&mutex);
  int result = fails() ? -1 : lk_disk_system.rename_new(fd, from, to);
  pthread_mutex_unlock(&mutex);
  return result;
}

const lk_disk faulty_disk = {.write = faulty_write,
                             .reserve = faulty_reserve,
                             .sync = faulty_sync,
                             .truncate = faulty_truncate,
                             .rename = faulty_rename,
                             .rename_new = faulty_rename_new};

void faulty_disk_start(const lk_folder *of) {
  faulty_disk_stop();
  folder = of;
  folder_inode = inode_of(of->fd);
  note_names();
  for (uint32_t i = 0; i < name_count; i++) {
    int fd = openat(of->fd, names[i].text, O_RDONLY | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    file *f = know_file(fd);
    close(fd);
    f->disk = read_memory(f, &f->size);
    f->seen = read_memory(f, &f->seen_size);
  }
}

void faulty_disk_stop(void) {
  for (uint32_t i = 0; i < file_count; i++) {
    close(files[i].fd);
    free(files[i].disk);
    free(files[i].seen);
    free(files[i].dirty);
  }
  file_count = name_count = calls = syncs = call_that_fails = 0;
}

void faulty_disk_fail(uint32_t nth, int error, bool all_after) {
  call_that_fails = nth;
  error_of_it = error;
  all_after_fail = all_after;
}

uint32_t faulty_disk_calls(void) { return calls; }
uint32_t faulty_disk_syncs(void) { return syncs; }

/* What the disk then has of a file: as it is there or, by chance, with some of what was not synced and of any size
 * between the two. */
static void decide(file *f, random_state *random) {
  size_t size, low, high;
  char *memory = read_memory(f, &size);
  find_dirt(f, memory, size);
  low = size < f->size ? size : f->size;
  high = size < f->size ? f->size : size;
  bring(f, memory, size, low + random_below(random, (uint32_t)(high - low + 1)), random);
  free(memory);
}

static void empty_folder(void) {
  DIR *entries = lk_folder_entries(folder);
  for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
    if (entry->d_name[0] != '.') cr_assert(lk_folder_remove(folder, entry->d_name));
  closedir(entries);
}

void faulty_disk_cut_power(random_state *random) {
  if (random != NULL)
    for (uint32_t i = 0; i < file_count; i++) decide(&files[i], random);
  if (random != NULL) note_some_names(random);
  empty_folder();
  for (uint32_t i = 0; i < name_count; i++) {
    const file *f = file_of(names[i].inode);
    int fd = openat(folder->fd, names[i].text, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    cr_assert(fd >= 0 && f != NULL, "%s", names[i].text);
    cr_assert_eq(write(fd, f->disk, f->size), (ssize_t)f->size);
    close(fd);
  }
  faulty_disk_start(folder);
}
