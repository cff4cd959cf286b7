/* What is read of a journal that was cut, damaged, or made to deceive. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "tests/index/journal/history.h"
#include "tests/support/files.h"

TestSuite(replay, .init = files_setup, .fini = files_teardown);

enum { BATCHES = 9 };

/* A journal of nine batches in four groups, and its bytes. The last batch has one record. */
static history_model model;
static char *bytes;
static size_t size;
static size_t ends[BATCHES + 1];      /* of the header, then of the batches */
static uint32_t records[BATCHES + 1]; /* up to each end */
static size_t last_group;             /* where it begins */

/* Of the changes from `from` on. */
static size_t batch_bytes(uint32_t from) {
  lk_journal_header header = history_header();
  size_t sum = 0;
  for (uint32_t i = from; i < model.count; i++)
    sum += sizeof(lk_record_header) + lk_record_bytes(lk_journal_shape(&header), &model.changes[i]->record);
  return sum;
}

static void make(void) {
  static const uint32_t groups[] = {2, 1, 3, 3};
  random_state random = {21};
  lk_journal_report report;
  lk_journal *journal = history_open(&model, files_folder(files_root), &report);
  uint32_t batch = 0;
  ends[0] = sizeof(lk_journal_header);
  for (int g = 0; g < 4; g++) {
    uint64_t sequence = 0;
    last_group = ends[batch];
    for (uint32_t i = 0; i < groups[g]; i++, batch++) {
      uint32_t from = model.count;
      uint32_t count = batch == BATCHES - 1 ? 1 : 1 + random_below(&random, 4);
      cr_assert_eq(history_add(&model, &random, journal, count, &sequence, NULL), LK_OK);
      ends[batch + 1] = ends[batch] + batch_bytes(from);
      records[batch + 1] = model.count;
    }
    cr_assert_eq(lk_journal_commit(journal, sequence, NULL), LK_OK);
  }
  lk_journal_close(journal);
  bytes = files_read(files_path("journal-000001.lkj"), &size);
  cr_assert(size == ends[BATCHES] && batch == BATCHES);
}

/* The last batch that ends within so many bytes. */
static uint32_t batches_within(size_t length) {
  uint32_t batch = 0;
  while (batch < BATCHES && ends[batch + 1] <= length) batch++;
  return batch;
}

static lk_status read_image(const char *image, size_t length, lk_journal_place *place, lk_error *error) {
  lk_journal_header header = history_header();
  lk_journal_image what = {.name = "j", .bytes = image, .size = length};
  model.visited = 0;
  lk_status status = lk_journal_begin(&what, &header, place, error);
  return status == LK_OK ? lk_journal_replay(&what, place, history_visit, &model, error) : status;
}

Test(replay, at_every_length) {
  make();
  for (size_t length = 0; length <= size; length++) {
    lk_journal_place place;
    lk_error error = {0};
    char *cut = malloc(length + 1); /* so that a read beyond it is found */
    memcpy(cut, bytes, length);
    lk_status status = read_image(cut, length, &place, &error);
    uint32_t batch = batches_within(length);
    cr_assert_eq(status, length < ends[0] ? LK_EFORMAT : LK_OK, "%zu: %s", length, error.text);
    if (status == LK_OK) cr_assert_eq(place.offset, ends[batch], "%zu", length);
    cr_assert_eq(model.visited, status == LK_OK ? records[batch] : 0, "%zu", length);
    free(cut);
  }
}

static int no_sync(int fd) { return fd >= 0 ? 0 : -1; }

/* Cut there, the journal goes on, and is whole. */
Test(replay, at_every_length_it_goes_on) {
  make();
  lk_disk fast = lk_disk_system;
  lk_folder folder = *files_folder(files_root);
  fast.sync = no_sync;
  folder.disk = &fast;
  uint32_t all = model.count;
  for (size_t length = ends[0]; length <= size; length++) {
    random_state random = {length};
    lk_journal_report report;
    uint64_t sequence;
    uint32_t batch = batches_within(length);
    files_write(files_path("journal-000001.lkj"), bytes, length);
    lk_journal *journal = history_open(&model, &folder, &report);
    cr_assert(report.batches == batch && report.whole_bytes == ends[batch] && !report.sealed);
    cr_assert_eq(report.tail_bytes, length - ends[batch]);
    history_model more = {.count = records[batch]};
    more.changes = malloc((records[batch] + 1) * sizeof *more.changes);
    memcpy(more.changes, model.changes, records[batch] * sizeof *more.changes);
    cr_assert_eq(history_add(&more, &random, journal, 3, &sequence, NULL), LK_OK);
    cr_assert_eq(lk_journal_commit(journal, sequence, NULL), LK_OK);
    lk_journal_close(journal);
    lk_journal_close(history_open(&more, &folder, &report));
    cr_assert(report.records == more.count && report.tail_bytes == 0, "%zu", length);
    history_cut(&more, records[batch]);
    free(more.changes);
  }
  cr_assert_eq(model.count, all);
}

/* Which record has this byte, as a message names it. */
static void name_record(size_t offset, char words[64]) {
  size_t at = ends[0];
  uint32_t number = 0;
  for (;; number++) {
    lk_record_header header;
    memcpy(&header, bytes + at, sizeof header);
    if (offset < at + sizeof header + header.bytes) break;
    at += sizeof header + header.bytes;
  }
  snprintf(words, 64, "record %llu, at offset %zu, ", (unsigned long long)history_header().sequence + number + 1, at);
}

/* Before the last group it is damage, which is named; within, nobody can tell it from a write that the power cut off.
 */
Test(replay, with_every_bit_flipped) {
  make();
  for (size_t bit = 0; bit < size * 8; bit++) {
    lk_journal_place place = {0};
    lk_error error = {0};
    size_t offset = bit / 8;
    char words[64] = "j: ";
    bytes[offset] ^= (char)(1 << bit % 8);
    lk_status status = read_image(bytes, size, &place, &error);
    bytes[offset] ^= (char)(1 << bit % 8);
    if (offset >= last_group) {
      cr_assert_eq(status, LK_OK, "offset %zu: %s", offset, error.text);
      cr_assert_eq(place.offset, ends[batches_within(offset)], "offset %zu", offset);
      continue;
    }
    if (offset < ends[0]) {
      cr_assert_eq(status, offset < 12 ? LK_EFORMAT : LK_ECORRUPT, "offset %zu: %s", offset, error.text);
    } else {
      name_record(offset, words);
      cr_assert_eq(status, LK_ECORRUPT, "offset %zu", offset);
    }
    cr_assert_not_null(strstr(error.text, words), "offset %zu: not '%s': %s", offset, words, error.text);
  }
}

/* Reads with another header of the last record; all checksums are right. */
static lk_status read_forged(void (*forge)(lk_record_header *header), lk_error *error) {
  lk_journal_place place;
  lk_journal_header file;
  lk_record_header header;
  char *image = malloc(size);
  memcpy(image, bytes, size);
  memcpy(&file, image, sizeof file);
  memcpy(&header, image + ends[BATCHES - 1], sizeof header);
  forge(&header);
  if (header.bytes <= size - ends[BATCHES - 1] - sizeof header)
    header.content = XXH3_64bits(image + ends[BATCHES - 1] + sizeof header, header.bytes);
  header.checksum = XXH3_64bits_withSeed(&header, offsetof(lk_record_header, checksum), file.checksum);
  memcpy(image + ends[BATCHES - 1], &header, sizeof header);
  lk_status status = read_image(image, size, &place, error);
  free(image);
  return status;
}

static void number(lk_record_header *header) { header->sequence++; }
static void link_(lk_record_header *header) { header->link++; }
static void synced_late(lk_record_header *header) { header->synced = ends[BATCHES - 1] + 8; }
static void synced_early(lk_record_header *header) { header->synced = 0; }
static void synced_never(lk_record_header *header) { header->synced = UINT64_MAX; }
static void kind(lk_record_header *header) { header->kind = 77; }
static void seal(lk_record_header *header) { header->kind = LK_RECORD_SEAL; }
static void shorter(lk_record_header *header) { header->bytes -= 8; }
static void none(lk_record_header *header) { header->bytes = 0; }
static void uneven(lk_record_header *header) { header->bytes -= 1; }

Test(replay, what_checksums_do_not_find) {
  static const struct {
    void (*forge)(lk_record_header *header);
    const char *words;
  } cases[] = {{number, "has another number"},
               {link_, "does not follow"},
               {synced_late, "is of no group"},
               {synced_early, "is of no group"},
               {synced_never, "is of no group"},
               {kind, ": it"},
               {seal, ": it"},
               {shorter, ": it"},
               {none, ": it is too short"},
               {uneven, "multiple of 8"}};
  make();
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    lk_error error = {0};
    lk_status status = read_forged(cases[i].forge, &error);
    cr_assert_eq(status, LK_ECORRUPT, "%s", cases[i].words);
    cr_assert_not_null(strstr(error.text, cases[i].words), "not '%s': %s", cases[i].words, error.text);
    cr_assert_eq(model.visited, records[BATCHES - 1]);
  }
}

static void longer(lk_record_header *header) { header->bytes = UINT32_MAX - 7; }
static void endless(lk_record_header *header) { header->left = UINT32_MAX; }

/* These claim more than there is, as the begin of a write that was cut off does. */
Test(replay, lengths_beyond_the_end) {
  lk_error error = {0};
  make();
  cr_assert_eq(read_forged(longer, &error), LK_OK, "%s", error.text);
  cr_assert_eq(model.visited, records[BATCHES - 1]);
  cr_assert_eq(read_forged(endless, &error), LK_OK, "%s", error.text);
  cr_assert_eq(model.visited, records[BATCHES - 1]);
}

Test(replay, another_journal) {
  static const char *const words[] = {"another gallery", "dimension, metric or store", "another journal",
                                      "another journal", "another journal"};
  make();
  for (int i = 0; i < 5; i++) {
    lk_error error = {0};
    lk_journal_place place;
    lk_journal_header header = history_header();
    lk_journal_image image = {.name = "j", .bytes = bytes, .size = size};
    if (i == 0) header.gallery[3]++;
    if (i == 1) header.dim++;
    if (i == 2) header.id++;
    if (i == 3) header.epoch++;
    if (i == 4) header.sequence++;
    cr_assert_eq(lk_journal_begin(&image, &header, &place, &error), LK_ECORRUPT);
    cr_assert_not_null(strstr(error.text, words[i]), "%s", error.text);
  }
}

/* A group whose later pages reached the disk and whose earlier ones did not is a tail. */
Test(replay, a_group_with_a_hole) {
  lk_journal_place place;
  make();
  memset(bytes + last_group, 0, sizeof(lk_record_header) + 8);
  cr_assert_eq(read_image(bytes, size, &place, NULL), LK_OK);
  cr_assert_eq(place.offset, last_group);
}

/* A vector that looks like a record's header is no evidence: the journal's checksum is its seed. */
Test(replay, content_that_looks_like_a_record) {
  lk_journal_place place;
  make();
  lk_record_header fake = {.magic = LK_RECORD_MAGIC, .kind = 2, .sequence = 99999, .synced = size - 64};
  fake.checksum = XXH3_64bits(&fake, offsetof(lk_record_header, checksum));
  size_t at = size - sizeof fake;
  memset(bytes + last_group, 0, 16);
  memcpy(bytes + at, &fake, sizeof fake);
  cr_assert_eq(read_image(bytes, size, &place, NULL), LK_OK);
  cr_assert_eq(place.offset, last_group);
}
