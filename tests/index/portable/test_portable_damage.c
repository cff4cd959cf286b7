/* Portable galleries that were cut off, changed, or forged with the right checksums: refused, and no gallery is left.
 */
#include <likeness/owner.h>
#include <likeness/portable.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "index/portable/portable_reader.h"
#include "index/portable/portable_writer.h"
#include "tests/support/files.h"

enum { DIM = 2, ROWS = 3 };

static lk_error error;
static const lk_import unbound;
static const float rows[ROWS * DIM] = {1, 2, 3, 4, 5, 6};

TestSuite(portable_damage, .init = files_setup, .fini = files_teardown);

typedef struct forged {
  lk_portable_header header;
  lk_template templates[ROWS];
} forged;

static forged good(void) {
  forged f = {.header = {.metric = LK_L2,
                         .store = LK_STORE_F32,
                         .dim = DIM,
                         .templates = ROWS,
                         .epoch = 4,
                         .next_number = 9,
                         .name = "g",
                         .model = "m"}};
  static const char *const keys[ROWS] = {"a", "b", "c"};
  for (uint32_t i = 0; i < ROWS; i++)
    f.templates[i] = (lk_template){.number = 2 * i + 1,
                                   .key = lk_text_of(keys[i]),
                                   .subject = lk_text_of("s"),
                                   .expires_ms = LK_NEVER,
                                   .metadata = {.bytes = "\0\xff", .length = 2}};
  return f;
}

static void forge(forged *f, const char *name) {
  lk_output output;
  lk_portable_writer writer;
  cr_assert_eq(lk_output_open(files_folder(files_root), name, &output, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_portable_writer_open(&output, &f->header, &writer, &error), LK_OK, "%s", error.text);
  for (uint32_t i = 0; i < ROWS; i++)
    cr_assert_eq(lk_portable_writer_add(&writer, &f->templates[i], rows + i * DIM, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_portable_writer_end(&writer, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_output_finish(&output, &error), LK_OK, "%s", error.text);
  lk_portable_writer_close(&writer);
  lk_output_close(&output);
}

/* Reads all of it from memory that ends where it does, so that a sanitizer sees what is read beyond. */
static lk_status read_all(const char *data, size_t size) {
  lk_portable_reader reader;
  lk_record record;
  char *copy = malloc(size > 0 ? size : 1);
  memcpy(copy, data, size);
  lk_status status = lk_portable_reader_open("f", copy, size, &reader, &error);
  for (bool over = false; status == LK_OK && !over;) status = lk_portable_reader_next(&reader, &record, &over, &error);
  lk_portable_reader_close(&reader);
  free(copy);
  return status;
}

static lk_status import(const char *file) {
  return lk_gallery_import_file(files_path("h"), files_path(file), &unbound, &error);
}

static void expect_no_gallery(const char *file, lk_status wanted, const char *words) {
  cr_assert_eq(import(file), wanted, "%s", error.text);
  cr_assert_not_null(strstr(error.text, words), "'%s' is not in: %s", words, error.text);
  cr_assert_neq(access(files_path("h"), F_OK), 0, "%s: a folder is left", words);
}

Test(portable_damage, a_good_one_is_imported) {
  forged f = good();
  forge(&f, "f");
  cr_assert_eq(import("f"), LK_OK, "%s", error.text);
  lk_gallery *gallery = files_open(files_path("h"));
  cr_assert_eq(lk_gallery_template(gallery, 2).number, 5);
  cr_assert_eq(lk_gallery_template(gallery, 2).metadata.length, 2);
  lk_gallery_close(gallery);
}

Test(portable_damage, cut_off_at_every_byte) {
  forged f = good();
  size_t size;
  forge(&f, "f");
  char *data = files_read(files_path("f"), &size);
  cr_assert_eq(read_all(data, size), LK_OK, "%s", error.text);
  for (size_t cut = 0; cut < size; cut++) {
    lk_status status = read_all(data, cut);
    cr_assert_eq(status, cut < 8 ? LK_EFORMAT : LK_ECORRUPT, "%zu bytes: %s", cut, error.text);
    if (cut >= 8) cr_assert_not_null(strstr(error.text, "cut off"), "%zu bytes: %s", cut, error.text);
    files_write(files_path("cut"), data, cut);
    expect_no_gallery("cut", status, cut < 8 ? "" : "at offset ");
  }
  free(data);
}

Test(portable_damage, each_bit_in_turn) {
  forged f = good();
  size_t size;
  forge(&f, "f");
  char *data = files_read(files_path("f"), &size);
  for (size_t bit = 0; bit < 8 * size; bit++) {
    data[bit / 8] ^= (char)(1 << bit % 8);
    lk_status status = read_all(data, size);
    cr_assert_eq(status, bit < 12 * 8 ? LK_EFORMAT : LK_ECORRUPT, "bit %zu: %s", bit, error.text);
    if (bit % 64 == 0) {
      files_write(files_path("flipped"), data, size);
      expect_no_gallery("flipped", status, "flipped: ");
    }
    data[bit / 8] ^= (char)(1 << bit % 8);
  }
  free(data);
}

Test(portable_damage, more_at_the_end) {
  forged f = good();
  size_t size;
  forge(&f, "f");
  char *data = files_read(files_path("f"), &size), *longer = calloc(1, size + 1);
  memcpy(longer, data, size);
  cr_assert_eq(read_all(longer, size + 1), LK_ECORRUPT);
  cr_assert_not_null(strstr(error.text, "more follows the end"), "%s", error.text);
  free(data);
  free(longer);
}

/* Whoever forges a file computes its checksums. */
#define EXPECT_FORGED(words, ...)               \
  do {                                          \
    forged f = good();                          \
    __VA_ARGS__;                                \
    forge(&f, "f");                             \
    expect_no_gallery("f", LK_ECORRUPT, words); \
    cr_assert_eq(unlink(files_path("f")), 0);   \
  } while (0)

Test(portable_damage, forged) {
  EXPECT_FORGED("another template with key 'a'", f.templates[2].key = lk_text_of("a"));
  EXPECT_FORGED("its number does not follow", f.templates[1].number = 1);
  EXPECT_FORGED("its number does not follow", f.templates[2].number = 0);
  EXPECT_FORGED("its number was never given", f.header.next_number = 5);
  EXPECT_FORGED("not as many templates", f.header.templates = 4);
  EXPECT_FORGED("more templates than the header says", f.header.templates = 2);
  EXPECT_FORGED("too many templates", f.header.templates = UINT32_MAX);
  EXPECT_FORGED("a number is out of range", f.header.epoch = LK_PORTABLE_NUMBER_MAX + 1);
  EXPECT_FORGED("a number is out of range", f.header.next_number = LK_PORTABLE_NUMBER_MAX + 1);
  EXPECT_FORGED("a number is out of range", f.header.next_number = 2);
  EXPECT_FORGED("no such metric", f.header.metric = 3);
  EXPECT_FORGED("no gallery has such a name", strcpy(f.header.name, "../g"));
  EXPECT_FORGED("no gallery has such a name", f.header.name[0] = '\0');
  EXPECT_FORGED("no gallery has such a name", f.header.name[9] = 'x');
  EXPECT_FORGED("no gallery has such a name", memset(f.header.name, 'x', sizeof f.header.name));
  EXPECT_FORGED("no model has such a name", f.header.model[0] = '\n');
}

/* The highest counts leave room: the gallery is changed, folded and opened again. */
Test(portable_damage, the_highest_counts) {
  forged f = good();
  lk_owner *owner;
  lk_gallery_stat stat;
  lk_change gone = {.kind = LK_CHANGE_DELETE_KEY, .key = {"b", 1}};
  f.header.epoch = f.header.next_number = LK_PORTABLE_NUMBER_MAX;
  f.templates[2].number = LK_PORTABLE_NUMBER_MAX - 1;
  forge(&f, "f");
  cr_assert_eq(import("f"), LK_OK, "%s", error.text);
  cr_assert_eq(lk_owner_open(files_path("h"), &owner, &error), LK_OK, "%s", error.text);
  lk_vectors vectors = files_vectors(rows, 1, DIM);
  lk_label label = {.key = {"new", 3}};
  lk_enrollment enrollment = {.vectors = &vectors, .labels = &label};
  cr_assert_eq(lk_owner_enroll(owner, &enrollment, NULL, NULL, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_owner_change(owner, &gone, 1, NULL, NULL, &error), LK_OK, "%s", error.text);
  cr_assert_eq(lk_owner_compact(owner, NULL, NULL, &error), LK_OK, "%s", error.text);
  lk_owner_close(owner);
  lk_gallery *gallery = files_open(files_path("h"));
  lk_gallery_stat_get(gallery, &stat);
  cr_assert(stat.templates == ROWS && stat.next_number == LK_PORTABLE_NUMBER_MAX + 1);
  cr_assert_gt(stat.epoch, LK_PORTABLE_NUMBER_MAX);
  cr_assert_eq(lk_gallery_check(gallery, &error), LK_OK, "%s", error.text);
  lk_gallery_close(gallery);
}

typedef struct image {
  char bytes[4096];
  size_t size;
  uint64_t link;
} image;

static void put_chunk(image *to, lk_portable_chunk chunk, const char *content) {
  memcpy(&chunk.magic, "LKPC", 4);
  to->link = chunk.checksum = XXH3_64bits_withSeed(&chunk, offsetof(lk_portable_chunk, checksum), to->link);
  memcpy(to->bytes + to->size, &chunk, sizeof chunk);
  memcpy(to->bytes + to->size + sizeof chunk, content, chunk.bytes);
  to->size += sizeof chunk + chunk.bytes;
}

/* A good file with a chunk for each template; `starts` receives where each begins, and the end. */
static image split(size_t starts[ROWS + 1]) {
  forged f = good();
  image made = {.size = sizeof f.header};
  size_t size, at = sizeof f.header + sizeof(lk_portable_chunk);
  forge(&f, "f");
  char *data = files_read(files_path("f"), &size);
  memcpy(made.bytes, data, made.size);
  memcpy(&made.link, data + made.size - 8, 8);
  for (int i = 0; i < ROWS; i++) {
    uint64_t bytes;
    memcpy(&bytes, data + at, sizeof bytes);
    bytes += sizeof bytes;
    starts[i] = made.size;
    put_chunk(&made, (lk_portable_chunk){.templates = 1, .bytes = bytes, .content = XXH3_64bits(data + at, bytes)},
              data + at);
    at += bytes;
  }
  starts[ROWS] = made.size;
  put_chunk(&made, (lk_portable_chunk){.content = XXH3_64bits(made.bytes, made.size)}, "");
  cr_assert_eq(unlink(files_path("f")), 0);
  free(data);
  return made;
}

/* It is seen where the chunk begins, not only at the end. */
#define EXPECT_UNLINKED(size, what)                                                                              \
  do {                                                                                                           \
    cr_assert_eq(read_all(bad.bytes, size), LK_ECORRUPT, what);                                                  \
    cr_assert_not_null(strstr(error.text, "the head of a chunk does not match its checksum"), "%s", error.text); \
  } while (0)

/* Each chunk is right by itself, and does not belong where it is. */
Test(portable_damage, chunks_that_are_missing_or_moved) {
  size_t starts[ROWS + 1];
  image good_one = split(starts), bad = good_one;
  cr_assert_eq(read_all(good_one.bytes, good_one.size), LK_OK, "%s", error.text);
  size_t chunk = starts[1] - starts[0];
  cr_assert_eq(starts[2] - starts[1], chunk);
  memcpy(bad.bytes + starts[0], good_one.bytes + starts[1], chunk);
  memcpy(bad.bytes + starts[1], good_one.bytes + starts[0], chunk);
  EXPECT_UNLINKED(bad.size, "two changed places");
  memcpy(bad.bytes + starts[0], good_one.bytes + starts[1], good_one.size - starts[1]);
  EXPECT_UNLINKED(bad.size - chunk, "the first is missing");
  bad = good_one;
  memcpy(bad.bytes + starts[2], good_one.bytes + starts[3], good_one.size - starts[3]);
  EXPECT_UNLINKED(bad.size - (starts[3] - starts[2]), "the last is missing");
}

Test(portable_damage, forged_chunks) {
  size_t starts[ROWS + 1];
  image f = split(starts);
  const char *content = f.bytes + starts[0] + sizeof(lk_portable_chunk);
  uint64_t bytes = starts[1] - starts[0] - sizeof(lk_portable_chunk);
  static const struct {
    lk_portable_chunk chunk;
    int more; /* bytes */
    const char *words;
  } cases[] = {{{.templates = 2}, 0, "a chunk ends before its templates do"},
               {{.templates = 0}, 0, "of a size that it cannot have"},
               {{.templates = 1}, -8, "larger than its chunk"},
               {{.templates = 1}, 8, "more follows the chunk's templates"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    image forged_one = {.size = sizeof(lk_portable_header)};
    lk_portable_chunk chunk = cases[i].chunk;
    memcpy(forged_one.bytes, f.bytes, forged_one.size);
    memcpy(&forged_one.link, f.bytes + forged_one.size - 8, 8);
    chunk.bytes = (uint64_t)((int64_t)bytes + cases[i].more);
    chunk.content = XXH3_64bits(content, chunk.bytes);
    put_chunk(&forged_one, chunk, content);
    cr_assert_eq(read_all(forged_one.bytes, forged_one.size), LK_ECORRUPT);
    cr_assert_not_null(strstr(error.text, cases[i].words), "'%s' is not in: %s", cases[i].words, error.text);
  }
  image end = {.size = starts[ROWS]};
  memcpy(end.bytes, f.bytes, end.size);
  memcpy(&end.link, end.bytes + starts[ROWS - 1] + offsetof(lk_portable_chunk, checksum), 8);
  put_chunk(&end, (lk_portable_chunk){.content = 7}, "");
  cr_assert_eq(read_all(end.bytes, end.size), LK_ECORRUPT);
  cr_assert_not_null(strstr(error.text, "the file does not match its checksum"), "%s", error.text);
}

/* A version that this build does not know is not called damage. */
Test(portable_damage, other_formats) {
  forged f = good();
  size_t size;
  forge(&f, "f");
  char *data = files_read(files_path("f"), &size);
  data[8] = 2;
  files_write(files_path("newer"), data, size);
  expect_no_gallery("newer", LK_EFORMAT, "newer: a portable gallery of version 2; this build reads 1");
  files_write(files_path("text"), "key,subject\n", 12);
  expect_no_gallery("text", LK_EFORMAT, "text: not a portable gallery");
  expect_no_gallery("none", LK_EIO, "none: cannot open");
  free(data);
}

Test(portable_damage, into_a_folder_that_has_something) {
  forged f = good();
  forge(&f, "f");
  const char *folder = files_gallery("g", LK_COSINE, 7);
  uint64_t before = files_digest(folder);
  cr_assert_eq(lk_gallery_import_file(folder, files_path("f"), &unbound, &error), LK_EEXIST);
  cr_assert_eq(files_digest(folder), before);
  cr_assert_eq(lk_gallery_import_file(files_path("f"), files_path("f"), &unbound, &error), LK_EIO, "a file");
}

/* It was there before, so it stays when the import fails. */
Test(portable_damage, into_a_folder_that_is_empty) {
  forged f = good(), bad = good();
  bad.templates[2].key = bad.templates[0].key;
  forge(&f, "f");
  forge(&bad, "bad");
  cr_assert_eq(mkdir(files_path("h"), 0700), 0);
  cr_assert_eq(import("bad"), LK_ECORRUPT);
  cr_assert_eq(files_count(files_path("h")), 0);
  cr_assert_eq(import("f"), LK_OK, "%s", error.text);
  lk_gallery_close(files_open(files_path("h")));
}
