/* Files of a gallery with segments, a state and two journals that were damaged, cut, removed or forged. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "index/gallery/gallery.h"
#include "index/live/fold.h"
#include "index/storage/state.h"
#include "tests/index/live/world.h"
#include "tests/support/files.h"

static char path[PATH_MAX + 2];
static lk_manifest manifest; /* of the gallery as it was made */
static world whole;
static world before;        /* the last group */
static uint64_t last_group; /* where it begins in the last journal */

static bool is_full; /* the disk, for new segments */

static int reserve(int fd, off_t size) {
  errno = ENOSPC;
  return is_full ? -1 : lk_disk_system.reserve(fd, size);
}

static lk_owner *own(void) {
  static lk_disk disk;
  lk_owner *owner;
  lk_error error;
  disk = lk_disk_system;
  disk.reserve = reserve;
  cr_assert_eq(lk_owner_open_on(&disk, path, &owner, &error), LK_OK, "%s", error.text);
  return owner;
}

static uint64_t size_of(const char *name) {
  struct stat found;
  char file[PATH_MAX + 64];
  snprintf(file, sizeof file, "%s/%s", path, name);
  cr_assert_eq(stat(file, &found), 0);
  return (uint64_t)found.st_size;
}

static void change(lk_owner *owner, random_state *random, int times) {
  char name[LK_JOURNAL_NAME_MAX];
  lk_manifest *now = &lk_owner_gallery(owner)->manifest;
  lk_journal_name(now->journals[now->journals_count - 1].id, name);
  for (uint64_t epoch = whole.epoch; times > 0; times -= whole.epoch > epoch, epoch = whole.epoch) {
    world_copy(&before, &whole);
    last_group = size_of(name);
    cr_assert_eq(world_change(&whole, random, owner, NULL), LK_OK);
  }
}

static void setup(void) {
  random_state random = {5};
  files_setup();
  snprintf(path, sizeof path, "%s/g", files_root);
  lk_gallery_options options = {.dim = WORLD_DIM, .metric = LK_COSINE, .store = LK_STORE_F32};
  cr_assert_eq(lk_gallery_create(path, &options, NULL), LK_OK);
  world_open(&whole, LK_COSINE, LK_STORE_F32);
  world_open(&before, LK_COSINE, LK_STORE_F32);
  whole.least = 60;
  lk_owner *owner = own();
  change(owner, &random, 20);
  cr_assert_eq(lk_fold(owner, LK_FOLD_JOURNAL, NULL), LK_OK);
  change(owner, &random, 12);
  cr_assert_eq(lk_fold(owner, LK_FOLD_JOURNAL, NULL), LK_OK);
  change(owner, &random, 12);
  is_full = true;
  cr_assert_eq(lk_fold(owner, LK_FOLD_JOURNAL, NULL), LK_EIO);
  is_full = false;
  change(owner, &random, 4);
  lk_owner_close(owner);
  cr_assert_eq(lk_manifest_read(files_folder(path), &manifest, NULL), LK_OK);
  cr_assert(manifest.journals_count == 2 && manifest.state.id != 0 && manifest.segments_count >= 1);
}

static void teardown(void) {
  lk_manifest_free(&manifest);
  world_close(&whole);
  world_close(&before);
  files_teardown();
}

TestSuite(owner_damage, .init = setup, .fini = teardown);

/* Calls `try` for each file of the gallery, which it leaves as it was. */
static void each_file(void (*try)(const char *name, const char *file, char *data, size_t size)) {
  DIR *entries = opendir(path);
  int tried = 0;
  for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
    char file[PATH_MAX + 300];
    size_t size;
    if (entry->d_name[0] == '.' || strcmp(entry->d_name, LK_FOLDER_LOCK) == 0) continue;
    snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
    char *data = files_read(file, &size);
    try(entry->d_name, file, data, size);
    files_write(file, data, size);
    free(data);
    tried++;
  }
  closedir(entries);
  cr_assert_geq(tried, 5);
}

static bool is_last_journal(const char *name) {
  char last[LK_JOURNAL_NAME_MAX];
  lk_journal_name(manifest.journals[1].id, last);
  return strcmp(name, last) == 0;
}

/* A reader, or the check, refuses the file and names it; so does an owner whom the reader would be. */
static void expect_found(const char *name, const char *how, uint64_t where) {
  lk_gallery *gallery;
  lk_owner *owner;
  lk_error error = {0};
  lk_status status = lk_gallery_open(path, &gallery, &error);
  bool opens = status == LK_OK;
  if (opens) {
    status = lk_gallery_check(gallery, &error);
    lk_gallery_close(gallery);
  }
  cr_assert_neq(status, LK_OK, "%s: %s at %llu was not found", name, how, (unsigned long long)where);
  cr_assert_not_null(strstr(error.text, name), "%s: %s at %llu: %s", name, how, (unsigned long long)where, error.text);
  if (opens) return;
  cr_assert_neq(lk_owner_open(path, &owner, &error), LK_OK, "%s: %s at %llu", name, how, (unsigned long long)where);
}

/* An owner cuts it off, and says how much. */
static void expect_tail(uint64_t where, uint64_t least_bytes) {
  lk_owner *owner;
  lk_error error;
  cr_assert_eq(lk_owner_open(path, &owner, &error), LK_OK, "%llu: %s", (unsigned long long)where, error.text);
  cr_assert_geq(lk_owner_cut_bytes(owner), least_bytes, "%llu", (unsigned long long)where);
  world_expect_templates(&before, lk_owner_gallery(owner), "without the last group");
  lk_owner_close(owner);
}

static void flip_bits(const char *name, const char *file, char *data, size_t size) {
  random_state random = {size};
  for (int i = 0; i < 150; i++) {
    uint64_t at = random_below(&random, (uint32_t)size);
    char bit = (char)(1 << random_below(&random, 8));
    bool may_be_lost = is_last_journal(name) && at >= last_group;
    data[at] ^= bit;
    files_write(file, data, size);
    if (may_be_lost)
      expect_tail(at, 1);
    else
      expect_found(name, "a bit", at);
    data[at] ^= bit;
    files_write(file, data, size);
  }
}

Test(owner_damage, a_bit_in_each_file) { each_file(flip_bits); }

static void cut_off(const char *name, const char *file, char *data, size_t size) {
  random_state random = {size};
  for (int i = 0; i < 60; i++) {
    uint64_t left = i < 2 ? size - 1 - (uint64_t)i * (size - 1) : random_below(&random, (uint32_t)size);
    if (is_last_journal(name) && left > sizeof(lk_journal_header)) continue;
    files_write(file, data, left);
    expect_found(name, "a cut", left);
  }
}

Test(owner_damage, each_file_is_cut_off) { each_file(cut_off); }

/* Without its end the last journal says nothing of what came behind: but it is never half a batch. */
Test(owner_damage, the_last_journal_is_cut_off) {
  char name[LK_JOURNAL_NAME_MAX], file[PATH_MAX + 64];
  size_t size;
  lk_journal_name(manifest.journals[1].id, name);
  snprintf(file, sizeof file, "%s/%s", path, name);
  char *data = files_read(file, &size);
  for (uint64_t left = size - 1; left >= last_group; left--) {
    files_write(file, data, left);
    expect_tail(left, left - last_group);
  }
  free(data);
}

static void take_away(const char *name, const char *file, char *data, size_t size) {
  (void)data, (void)size;
  cr_assert_eq(unlink(file), 0);
  expect_found(name, "its loss", 0);
}

Test(owner_damage, each_file_is_gone) { each_file(take_away); }

/* ---- forged: all checksums match ---- */

/* Puts records at the end of the last journal, each a batch of its own. */
static void forge(const lk_record *records, uint32_t count) {
  lk_journal_header header = lk_manifest_journal_header(&manifest, manifest.journals_count - 1);
  lk_journal_report report;
  lk_journal *journal;
  uint64_t sequence;
  lk_error error;
  cr_assert_eq(lk_journal_open(files_folder(path), &header, NULL, NULL, &report, &journal, NULL), LK_OK);
  for (uint32_t i = 0; i < count; i++)
    cr_assert_eq(lk_journal_add(journal, &records[i], 1, &sequence, NULL, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_journal_commit(journal, sequence, NULL), LK_OK);
  lk_journal_close(journal);
}

static lk_record enrollment(uint64_t number, const char *key) {
  static const float vector[WORLD_DIM] = {1};
  return (lk_record){.kind = LK_RECORD_ENROLL,
                     .number = number,
                     .expires_ms = LK_NEVER,
                     .key = lk_text_of(key),
                     .subject = lk_text_of("forged"),
                     .element = LK_F32,
                     .vector = vector};
}

static void expect_refused(const char *by, bool by_readers) {
  lk_gallery *gallery;
  lk_owner *owner;
  lk_error error = {0};
  char name[LK_JOURNAL_NAME_MAX];
  lk_journal_name(manifest.journals[manifest.journals_count - 1].id, name);
  cr_assert_eq(lk_owner_open(path, &owner, &error), LK_ECORRUPT);
  cr_assert(strstr(error.text, name) != NULL && strstr(error.text, by) != NULL, "%s", error.text);
  if (!by_readers) return;
  cr_assert_eq(lk_gallery_open(path, &gallery, &error), LK_ECORRUPT);
  cr_assert(strstr(error.text, name) != NULL && strstr(error.text, by) != NULL, "%s", error.text);
}

static void fold_all(void) {
  lk_owner *owner = own();
  cr_assert_eq(lk_fold(owner, LK_FOLD_JOURNAL, NULL), LK_OK);
  lk_owner_close(owner);
  lk_manifest_free(&manifest);
  cr_assert_eq(lk_manifest_read(files_folder(path), &manifest, NULL), LK_OK);
  cr_assert_eq(manifest.journals_count, 1);
}

Test(owner_damage, a_number_that_was_given) {
  fold_all();
  lk_record record = enrollment(whole.next_number - 1, "forged");
  forge(&record, 1);
  expect_refused("gives a template's number again", true);
}

Test(owner_damage, numbers_that_fall) {
  lk_record records[] = {enrollment(whole.next_number + 9, "forged-1"), enrollment(whole.next_number + 8, "forged-2")};
  forge(records, 2);
  expect_refused("gives a template's number again", true);
}

Test(owner_damage, a_key_that_lives) {
  lk_record record = enrollment(whole.next_number, whole.living[0].key);
  forge(&record, 1);
  expect_refused("a key that another one has", true);
}

Test(owner_damage, a_key_twice_in_a_journal) {
  lk_record records[] = {enrollment(whole.next_number, "forged"), enrollment(whole.next_number + 1, "forged")};
  forge(records, 2);
  expect_refused("a key that another one has", true);
}

/* Another journal would come in the place of the second one, whose changes would be lost. */
Test(owner_damage, a_second_journal_that_is_sealed) {
  lk_record seal = {.kind = LK_RECORD_SEAL, .number = manifest.next_file};
  forge(&seal, 1);
  expect_refused("its seal does not name the journal that follows", false);
}

Test(owner_damage, a_seal_that_names_a_file_that_is_there) {
  fold_all();
  lk_record seal = {.kind = LK_RECORD_SEAL, .number = manifest.journals[0].id};
  forge(&seal, 1);
  expect_refused("its seal does not name the journal that follows", false);
}

Test(owner_damage, a_seal_that_names_a_later_file) {
  fold_all();
  lk_record seal = {.kind = LK_RECORD_SEAL, .number = manifest.next_file + 1};
  forge(&seal, 1);
  expect_refused("its seal does not name the journal that follows", false);
}

/* What a fold had written already. */
Test(owner_damage, changes_of_what_nobody_has_are_none) {
  lk_owner *owner;
  lk_text nobody = lk_text_of("nobody");
  lk_record records[] = {{.kind = LK_RECORD_DELETE_KEY, .key = nobody},
                         {.kind = LK_RECORD_DELETE_SUBJECT, .subject = nobody},
                         {.kind = LK_RECORD_TAG, .key = nobody, .tags = 1, .mask = 1},
                         {.kind = LK_RECORD_EXPIRE, .key = nobody, .expires_ms = 1}};
  forge(records, 4);
  cr_assert_eq(lk_owner_open(path, &owner, NULL), LK_OK);
  world_expect_templates(&whole, lk_owner_gallery(owner), "nobody");
  lk_owner_close(owner);
}

/* After the last number nothing can be enrolled or folded, and nothing is lost. */
Test(owner_damage, the_last_number) {
  lk_owner *owner;
  lk_error error = {0};
  lk_record record = enrollment(INT64_MAX, "forged");
  fold_all();
  forge(&record, 1);
  for (int time = 0; time < 2; time++) {
    cr_assert_eq(lk_owner_open(path, &owner, &error), LK_OK, "%s", error.text);
    cr_assert_neq(lk_fold(owner, LK_FOLD_ALL, &error), LK_OK);
    lk_owner_close(owner);
  }
}

/* ---- a forged state ---- */

static lk_status open_with_state(const lk_state_entry *entry, lk_error *error) {
  lk_gallery *gallery;
  const lk_folder *folder = files_folder(path);
  cr_assert_eq(lk_state_write(folder, manifest.state.id, manifest.id, entry, 1, &manifest.state.checksum, NULL), LK_OK);
  cr_assert_eq(lk_manifest_write(folder, &manifest, NULL), LK_OK);
  lk_status status = lk_gallery_open(path, &gallery, error);
  if (status == LK_OK) lk_gallery_close(gallery);
  return status;
}

Test(owner_damage, a_state_of_rows_that_are_not_there) {
  lk_error error = {0};
  lk_state_entry entry = {.segment = manifest.segments[0].id, .died = 1, .expires_ms = LK_NEVER};
  entry.row = manifest.segments[0].rows;
  cr_assert_eq(open_with_state(&entry, &error), LK_ECORRUPT);
  cr_assert_not_null(strstr(error.text, "is of a row that its segment does not have"), "%s", error.text);
  entry = (lk_state_entry){.segment = 999, .died = 1, .expires_ms = LK_NEVER};
  cr_assert_eq(open_with_state(&entry, &error), LK_ECORRUPT);
  cr_assert_not_null(strstr(error.text, "is of a segment that the gallery does not have"), "%s", error.text);
}

/* The journal has lost its end, and with it changes that a fold knew of. */
Test(owner_damage, a_state_that_is_ahead_of_the_journal) {
  lk_error error = {0};
  lk_state_entry entry = {.segment = manifest.segments[0].id, .died = whole.epoch + 1, .expires_ms = LK_NEVER};
  cr_assert_eq(open_with_state(&entry, &error), LK_ECORRUPT);
  cr_assert_not_null(strstr(error.text, "changes are lost"), "%s", error.text);
  lk_owner *owner;
  cr_assert_eq(lk_owner_open(path, &owner, &error), LK_ECORRUPT);
}
