#include "index/journal/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/buffer.h"
#include "base/fail.h"

struct lk_journal {
  pthread_mutex_t mutex;
  pthread_cond_t ended; /* a group's writing */
  lk_folder folder;     /* that has it */
  uint32_t id;
  const lk_disk *disk;
  int fd; /* stands at the end of what was written */
  char path[PATH_MAX];
  lk_journal_place end; /* behind all that was added; `synced` is where the group begins that collects now */
  lk_buffer group;      /* that collects */
  size_t group_bytes;
  lk_buffer spare;  /* memory of the group that was written last */
  uint64_t durable; /* the last record that is on the disk */
  bool writing;     /* a thread writes a group, without the mutex */
  bool failed;
  lk_error why;
};

void lk_journal_name(uint32_t id, char name[LK_JOURNAL_NAME_MAX]) {
  snprintf(name, LK_JOURNAL_NAME_MAX, "journal-%06" PRIu32 ".lkj", id);
}

lk_status lk_journal_create(const lk_folder *folder, lk_journal_header *header, lk_error *error) {
  char name[LK_JOURNAL_NAME_MAX];
  lk_journal_name(header->id, name);
  lk_journal_seal_header(header);
  return lk_folder_replace(folder, name, header, sizeof *header, error);
}

/* Counts while it visits. */
typedef struct reading {
  lk_journal_visit *visit;
  void *context;
  lk_journal_report *report;
} reading;

static lk_status count_record(void *context, uint64_t epoch, uint64_t sequence, const lk_record *record,
                              lk_error *error) {
  const reading *r = context;
  r->report->records++;
  return r->visit != NULL ? r->visit(r->context, epoch, sequence, record, error) : LK_OK;
}

/* Pages of the file that cannot be read look like zeros, thus like a tail: nothing is believed before the map is asked.
 */
static lk_status read_image(const lk_file *file, const char *path, const lk_journal_header *header, reading *r,
                            lk_journal_place *place, lk_error *error) {
  lk_error fault;
  lk_journal_image image = {.name = path, .bytes = file->data, .size = file->size};
  uint64_t epoch = place->offset == 0 ? header->epoch : place->epoch;
  *r->report = (lk_journal_report){0};
  if (file->size < place->offset) return lk_fail(error, LK_ECORRUPT, "%s: it has become shorter", path);
  lk_status status = place->offset == 0 ? lk_journal_begin(&image, header, place, &fault) : LK_OK;
  if (status == LK_OK) status = lk_journal_replay(&image, place, count_record, r, &fault);
  lk_status readable = lk_file_check(file, path, error);
  if (readable != LK_OK) return readable;
  if (status != LK_OK) return lk_fail(error, status, "%s", fault.text);
  r->report->batches = place->epoch - epoch;
  r->report->whole_bytes = place->offset;
  r->report->tail_bytes = file->size - place->offset;
  r->report->sealed = place->sealed;
  return LK_OK;
}

lk_status lk_journal_follow(const lk_folder *folder, const lk_journal_header *header, lk_journal_place *place,
                            lk_journal_visit *visit, void *context, lk_journal_report *report, lk_error *error) {
  char name[LK_JOURNAL_NAME_MAX], path[PATH_MAX];
  lk_file file;
  reading r = {.visit = visit, .context = context, .report = report};
  lk_journal_name(header->id, name);
  lk_status status = lk_file_join(path, folder->path, name, error);
  if (status == LK_OK) status = lk_folder_map(folder, name, &file, error);
  if (status != LK_OK) return status;
  status = read_image(&file, path, header, &r, place, error);
  lk_file_unmap(&file);
  return status;
}

lk_status lk_journal_read(const lk_folder *folder, const lk_journal_header *header, lk_journal_visit *visit,
                          void *context, lk_journal_report *report, lk_error *error) {
  lk_journal_place place = {0};
  return lk_journal_follow(folder, header, &place, visit, context, report, error);
}

static lk_status fail_call(const char *path, const char *what, lk_error *error) {
  return lk_fail(error, LK_EIO, "%s: cannot %s: %s", path, what, strerror(errno));
}

/* Opens the file once: what is read is what will be written to. */
static lk_status open_file(lk_journal *journal, const lk_folder *folder, const char *name, lk_file *file,
                           lk_error *error) {
  lk_status status = lk_file_join(journal->path, folder->path, name, error);
  if (status != LK_OK) return status;
  journal->fd = lk_folder_open_file(folder, name, O_RDWR);
  if (journal->fd >= 0) journal->fd = lk_file_raise(journal->fd);
  if (journal->fd < 0) return fail_call(journal->path, "open", error);
  int second = fcntl(journal->fd, F_DUPFD_CLOEXEC, 3);
  if (second < 0) return fail_call(journal->path, "open", error);
  return lk_file_map_open(second, journal->path, file, error);
}

lk_status lk_journal_cut(const lk_folder *folder, uint32_t id, uint64_t bytes, lk_error *error) {
  char name[LK_JOURNAL_NAME_MAX], path[PATH_MAX];
  lk_journal_name(id, name);
  lk_status status = lk_file_join(path, folder->path, name, error);
  if (status != LK_OK) return status;
  int fd = lk_folder_open_file(folder, name, O_RDWR);
  if (fd < 0) return fail_call(path, "open", error);
  if (folder->disk->truncate(fd, (off_t)bytes) != 0)
    status = fail_call(path, "cut off entries of the log", error);
  else if (folder->disk->sync(fd) != 0)
    status = fail_call(path, "fsync", error);
  close(fd);
  return status;
}

/* Cuts the tail off and writes the last group again. Its fsync may have failed in a process before: then this machine's
 * memory has the group, but the disk does not, and no later fsync would bring it there. The group goes through a copy,
 * as the map shows the file that is written to. */
static lk_status settle(lk_journal *journal, const lk_file *file, lk_error *error) {
  uint64_t from = journal->end.synced, end = journal->end.offset;
  void *copy = lk_buffer_grow(&journal->spare, end - from, 1);
  if (copy == NULL) return lk_fail_memory(error);
  memcpy(copy, (const char *)file->data + from, end - from);
  lk_status status = lk_file_check(file, journal->path, error);
  if (status != LK_OK) return status;
  if (file->size > end && journal->disk->truncate(journal->fd, (off_t)end) != 0)
    return fail_call(journal->path, "cut off the torn tail", error);
  if (lseek(journal->fd, (off_t)from, SEEK_SET) < 0) return fail_call(journal->path, "seek", error);
  if (!lk_disk_write_all(journal->disk, journal->fd, copy, end - from)) return fail_call(journal->path, "write", error);
  if (journal->disk->sync(journal->fd) != 0) return fail_call(journal->path, "fsync", error);
  journal->end.synced = end;
  journal->durable = journal->end.sequence;
  return LK_OK;
}

static lk_status start(lk_journal *journal, const lk_folder *folder, const lk_journal_header *header, reading *r,
                       lk_error *error) {
  char name[LK_JOURNAL_NAME_MAX];
  lk_file file;
  lk_journal_name(header->id, name);
  lk_status status = open_file(journal, folder, name, &file, error);
  if (status != LK_OK) return status;
  status = read_image(&file, journal->path, header, r, &journal->end, error);
  if (status == LK_OK) status = settle(journal, &file, error);
  lk_file_unmap(&file);
  /* Who made the file may have failed to put its name on the disk. */
  return status == LK_OK ? lk_folder_sync(folder, error) : status;
}

lk_status lk_journal_open(const lk_folder *folder, const lk_journal_header *header, lk_journal_visit *visit,
                          void *context, lk_journal_report *report, lk_journal **journal, lk_error *error) {
  lk_journal *opened = calloc(1, sizeof *opened);
  reading r = {.visit = visit, .context = context, .report = report};
  if (opened == NULL) return lk_fail_memory(error);
  opened->fd = opened->folder.fd = -1;
  opened->id = header->id;
  opened->disk = folder->disk;
  pthread_mutex_init(&opened->mutex, NULL);
  pthread_cond_init(&opened->ended, NULL);
  lk_status status = lk_folder_copy(folder, &opened->folder, error);
  if (status == LK_OK) status = start(opened, folder, header, &r, error);
  if (status == LK_OK)
    *journal = opened;
  else
    lk_journal_close(opened);
  return status;
}

void lk_journal_close(lk_journal *journal) {
  if (journal == NULL) return;
  if (journal->fd >= 0) close(journal->fd);
  if (journal->folder.fd >= 0) lk_folder_close(&journal->folder);
  lk_buffer_free(&journal->group);
  lk_buffer_free(&journal->spare);
  pthread_cond_destroy(&journal->ended);
  pthread_mutex_destroy(&journal->mutex);
  free(journal);
}

static lk_status check_usable(const lk_journal *journal, lk_error *error) {
  if (!journal->failed) return LK_OK;
  return lk_fail(error, LK_EIO, "the journal failed and takes no changes until it is opened again: %s",
                 journal->why.text);
}

/* `bytes` receives the size that the batch will have. */
static lk_status check_batch(lk_shape shape, const lk_record *records, uint32_t count, size_t *bytes, lk_error *error) {
  *bytes = 0;
  if (count == 0) return lk_fail(error, LK_EINVAL, "a batch without records");
  for (uint32_t i = 0; i < count; i++) {
    lk_error fault;
    lk_status status = lk_record_check(shape, &records[i], &fault);
    if (status != LK_OK) return lk_fail(error, status, "record %" PRIu32 " of the batch: %s", i, fault.text);
    if (records[i].kind == LK_RECORD_SEAL && count > 1)
      return lk_fail(error, LK_EINVAL, "record %" PRIu32 " of the batch: a seal among other records", i);
    *bytes += sizeof(lk_record_header) + lk_record_bytes(shape, &records[i]);
    if (*bytes > LK_JOURNAL_BATCH_BYTES)
      return lk_fail(error, LK_EINVAL, "a batch of more than %" PRIu32 " bytes; make fewer changes at once",
                     LK_JOURNAL_BATCH_BYTES);
  }
  return LK_OK;
}

lk_status lk_journal_check(const lk_journal *journal, const lk_record *records, uint32_t count, lk_error *error) {
  size_t bytes;
  return check_batch(journal->end.shape, records, count, &bytes, error);
}

/* Appends a record to the group, which has room. */
static void append(lk_journal *journal, const lk_record *record, uint32_t left) {
  lk_journal_place *end = &journal->end;
  char *at = (char *)journal->group.data + journal->group_bytes, *content = at + sizeof(lk_record_header);
  lk_record_header header = {.magic = LK_RECORD_MAGIC,
                             .kind = record->kind,
                             .sequence = end->sequence + 1,
                             .synced = end->synced,
                             .left = left,
                             .bytes = lk_record_bytes(end->shape, record),
                             .link = end->link};
  lk_record_encode(end->shape, record, content);
  header.content = XXH3_64bits(content, header.bytes);
  header.checksum = XXH3_64bits_withSeed(&header, offsetof(lk_record_header, checksum), end->seed);
  memcpy(at, &header, sizeof header);
  journal->group_bytes += sizeof header + header.bytes;
  end->offset += sizeof header + header.bytes;
  end->sequence = header.sequence;
  end->link = header.checksum;
  end->sealed = record->kind == LK_RECORD_SEAL;
}

static lk_status add(lk_journal *journal, const lk_record *records, uint32_t count, size_t bytes, lk_error *error) {
  lk_status status = check_usable(journal, error);
  if (status != LK_OK) return status;
  if (journal->end.sealed) return lk_fail(error, LK_EINVAL, "%s: the journal is sealed", journal->path);
  if (lk_buffer_grow(&journal->group, journal->group_bytes + bytes, 1) == NULL) return lk_fail_memory(error);
  for (uint32_t i = 0; i < count; i++) append(journal, &records[i], count - 1 - i);
  journal->end.epoch++;
  return LK_OK;
}

lk_status lk_journal_add(lk_journal *journal, const lk_record *records, uint32_t count, uint64_t *sequence,
                         uint64_t *epoch, lk_error *error) {
  size_t bytes;
  lk_status status = check_batch(journal->end.shape, records, count, &bytes, error);
  if (status != LK_OK) return status;
  pthread_mutex_lock(&journal->mutex);
  status = add(journal, records, count, bytes, error);
  if (status == LK_OK && sequence != NULL) *sequence = journal->end.sequence;
  if (status == LK_OK && epoch != NULL) *epoch = journal->end.epoch;
  pthread_mutex_unlock(&journal->mutex);
  return status;
}

/* Whether whoever opens the gallery later will find the file that was written to. */
static bool has_its_name(const lk_journal *journal) {
  char name[LK_JOURNAL_NAME_MAX];
  struct stat ours, named;
  lk_journal_name(journal->id, name);
  if (fstat(journal->fd, &ours) != 0 || fstatat(journal->folder.fd, name, &named, AT_SYMLINK_NOFOLLOW) != 0)
    return false;
  errno = ESTALE;
  return ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

/* Takes the group that has collected, so that another can collect while this one goes to the disk. Called and left with
 * the mutex. */
static void write_group(lk_journal *journal) {
  lk_buffer group = journal->group;
  size_t bytes = journal->group_bytes;
  uint64_t last = journal->end.sequence;
  journal->group = journal->spare;
  journal->group_bytes = 0;
  journal->end.synced = journal->end.offset;
  journal->writing = true;
  pthread_mutex_unlock(&journal->mutex);
  const char *failed = NULL;
  if (!lk_disk_write_all(journal->disk, journal->fd, group.data, bytes))
    failed = "write";
  else if (journal->disk->sync(journal->fd) != 0)
    failed = "fsync";
  else if (!has_its_name(journal))
    failed = "find under its name what was written";
  int saved = errno;
  pthread_mutex_lock(&journal->mutex);
  errno = saved;
  if (failed != NULL) {
    journal->failed = true;
    fail_call(journal->path, failed, &journal->why);
  } else {
    journal->durable = last;
  }
  journal->spare = group;
  journal->writing = false;
  pthread_cond_broadcast(&journal->ended);
}

lk_status lk_journal_commit(lk_journal *journal, uint64_t sequence, lk_error *error) {
  lk_status status = LK_OK;
  pthread_mutex_lock(&journal->mutex);
  if (sequence > journal->end.sequence)
    status = lk_fail(error, LK_EINVAL, "%s: no record %" PRIu64 " was added", journal->path, sequence);
  while (status == LK_OK && journal->durable < sequence) {
    status = check_usable(journal, error);
    if (status == LK_OK && journal->writing)
      pthread_cond_wait(&journal->ended, &journal->mutex);
    else if (status == LK_OK)
      write_group(journal);
  }
  pthread_mutex_unlock(&journal->mutex);
  return status;
}

uint64_t lk_journal_sequence(lk_journal *journal) {
  pthread_mutex_lock(&journal->mutex);
  uint64_t sequence = journal->end.sequence;
  pthread_mutex_unlock(&journal->mutex);
  return sequence;
}
