#include <criterion/criterion.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <xxhash.h>

#include "index/journal/record.h"
#include "index/storage/state.h"
#include "tests/support/files.h"

TestSuite(state, .init = files_setup, .fini = files_teardown);

enum { COUNT = 5, SIZE = sizeof(lk_state_header) + COUNT * sizeof(lk_state_entry) };

static lk_manifest_segment segments[] = {{.id = 2, .rows = 10}, {.id = 9, .rows = 1}, {.id = 7, .rows = UINT32_MAX}};
static lk_manifest manifest = {
    .id = {1, 2, 3}, .next_file = 10, .segments = segments, .segments_count = 3, .state = {.id = 4}};

static const lk_state_entry entries[COUNT] = {
    {.segment = 2, .row = 0, .died = 7, .expires_ms = 1, .tags = UINT64_MAX},
    {.segment = 2, .row = 9, .died = LK_NEVER, .expires_ms = LK_NEVER, .tags = 0},
    {.segment = 7, .row = 3, .died = LK_NEVER, .expires_ms = 1700000000000, .tags = 5},
    {.segment = 7, .row = UINT32_MAX - 1, .died = 1, .expires_ms = LK_NEVER, .tags = 1},
    {.segment = 9, .row = 0, .died = 2, .expires_ms = 3, .tags = 4}};

static lk_status write_entries(const lk_state_entry *from, uint32_t count, lk_error *error) {
  return lk_state_write(files_folder(files_root), manifest.state.id, manifest.id, from, count, &manifest.state.checksum,
                        error);
}

static lk_status read_state(lk_state *state, lk_error *error) {
  return lk_state_read(files_folder(files_root), &manifest, state, error);
}

/* The bytes of a good file. */
static char *written(void) {
  size_t size;
  cr_assert_eq(write_entries(entries, COUNT, NULL), LK_OK);
  char *bytes = files_read(files_path("state-000004.lkx"), &size);
  cr_assert_eq(size, SIZE);
  return bytes;
}

Test(state, what_is_written_is_read) {
  lk_state state;
  lk_error error = {0};
  free(written());
  cr_assert_eq(read_state(&state, &error), LK_OK, "%s", error.text);
  cr_assert_eq(state.count, COUNT);
  cr_assert_arr_eq(state.entries, entries, sizeof entries);
  cr_assert_eq(lk_state_check(&state, &manifest, &error), LK_OK, "%s", error.text);
  lk_state_free(&state);
  cr_assert_eq(files_count(files_root), 1);
}

Test(state, without_entries) {
  lk_state state;
  cr_assert_eq(write_entries(NULL, 0, NULL), LK_OK);
  cr_assert_eq(read_state(&state, NULL), LK_OK);
  cr_assert_eq(state.count, 0);
  cr_assert_eq(lk_state_check(&state, &manifest, NULL), LK_OK);
  lk_state_free(&state);
}

/* A gallery of 0.3.0 has it so. */
Test(state, its_bytes_are_those_of_the_document) {
  static const unsigned char start[] = "LKSTATE\0"
                                       "\1\0\0\0\4\0\0\0"
                                       "\1\2\3\0\0\0\0\0\0\0\0\0\0\0\0\0"
                                       "\5\0\0\0\0\0\0\0";
  static const unsigned char third[] = "\7\0\0\0\3\0\0\0"
                                       "\xff\xff\xff\xff\xff\xff\xff\xff"
                                       "\0\x68\xe5\xcf\x8b\1\0\0"
                                       "\5\0\0\0\0\0\0\0";
  char *bytes = written();
  uint64_t sums[2] = {XXH3_64bits(bytes + 56, COUNT * 32), XXH3_64bits(bytes, 48)};
  cr_assert_arr_eq(bytes, start, 40);
  cr_assert_arr_eq(bytes + 40, sums, sizeof sums);
  cr_assert_arr_eq(bytes + 56 + 2 * 32, third, 32);
  cr_assert_eq(manifest.state.checksum, sums[1]);
  free(bytes);
}

/* A process that died left one; it may be longer. */
Test(state, replaces_a_leftover) {
  char longer[2 * SIZE];
  lk_state state;
  memset(longer, 'x', sizeof longer);
  files_write(files_path("state-000004.lkx"), longer, sizeof longer);
  free(written());
  cr_assert_eq(read_state(&state, NULL), LK_OK);
  lk_state_free(&state);
}

Test(state, without_room_there_is_no_file) {
  lk_error error;
  signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = SIZE - 1, .rlim_max = RLIM_INFINITY});
  cr_assert_eq(write_entries(entries, COUNT, &error), LK_EIO);
  cr_assert_not_null(strstr(error.text, "/state-000004.lkx: cannot reserve space"), "%s", error.text);
  cr_assert_eq(files_count(files_root), 0);
}

Test(state, what_could_not_be_read_is_not_written) {
  lk_error error;
  lk_state_entry bad[COUNT];
  memcpy(bad, entries, sizeof bad);
  bad[1] = bad[0];
  cr_assert_eq(write_entries(bad, COUNT, &error), LK_EINVAL);
  cr_assert_str_eq(error.text, "state-000004.lkx: entry 1, at offset 88, does not come behind the one before it");
  cr_assert_eq(files_count(files_root), 0);
}

static lk_status parse(const void *bytes, size_t size, lk_error *error) {
  lk_state state;
  lk_status status = lk_state_parse("s", bytes, size, &manifest, &state, error);
  if (status == LK_OK) cr_assert(state.count == COUNT && memcmp(state.entries, entries, sizeof entries) == 0);
  return status;
}

Test(state, with_every_bit_flipped) {
  char *bytes = written();
  lk_error error = {0};
  cr_assert_eq(parse(bytes, SIZE, &error), LK_OK, "%s", error.text);
  for (size_t bit = 0; bit < (size_t)8 * SIZE; bit++) {
    bytes[bit / 8] ^= (char)(1 << bit % 8);
    cr_assert_neq(parse(bytes, SIZE, &error), LK_OK, "bit %zu", bit);
    bytes[bit / 8] ^= (char)(1 << bit % 8);
  }
  free(bytes);
}

Test(state, at_every_other_length) {
  char *bytes = written(), *longer = calloc(1, 2 * SIZE);
  lk_error error = {0};
  for (size_t size = 0; size < 2 * SIZE; size++) {
    if (size == SIZE) continue;
    char *cut = malloc(size + 1);
    memcpy(longer, bytes, SIZE);
    memcpy(cut, longer, size);
    cr_assert_neq(parse(cut, size, &error), LK_OK, "%zu bytes", size);
    free(cut);
  }
  cr_assert_str_eq(error.text, "s: 431 bytes, where a state of 5 rows has 216");
  free(bytes);
  free(longer);
}

/* Sets the checksums right, as somebody who forges a file does, and the manifest's. */
static lk_status parse_forged(char *bytes, size_t size, lk_error *error) {
  lk_state_header header;
  memcpy(&header, bytes, sizeof header);
  header.entries = XXH3_64bits(bytes + sizeof header, size - sizeof header);
  header.checksum = XXH3_64bits(&header, offsetof(lk_state_header, checksum));
  memcpy(bytes, &header, sizeof header);
  manifest.state.checksum = header.checksum;
  return parse(bytes, size, error);
}

static void check_forged(size_t offset, uint64_t value, size_t bytes_of_value, lk_status expected, const char *words) {
  char *bytes = written();
  lk_error error = {0};
  memcpy(bytes + offset, &value, bytes_of_value);
  cr_assert_eq(parse_forged(bytes, SIZE, &error), expected, "%zu: %s", offset, error.text);
  cr_assert_not_null(strstr(error.text, words), "%s", error.text);
  free(bytes);
}

Test(state, what_checksums_do_not_find) {
  const size_t second = sizeof(lk_state_header) + sizeof(lk_state_entry), third = second + sizeof(lk_state_entry);
  char *bytes = written();
  cr_assert_eq(parse_forged(bytes, SIZE, NULL), LK_OK, "as it is");
  free(bytes);
  check_forged(0, 'l', 1, LK_EFORMAT, "s: not a state file");
  check_forged(7, ' ', 1, LK_EFORMAT, "s: not a state file");
  check_forged(8, 2, 4, LK_EFORMAT, "s: state version 2; this build reads 1");
  check_forged(12, 5, 4, LK_ECORRUPT, "not the state that the manifest names");
  check_forged(31, 1, 1, LK_ECORRUPT, "it belongs to another gallery");
  check_forged(32, 4, 4, LK_ECORRUPT, "216 bytes, where a state of 4 rows has 184");
  check_forged(32, UINT32_MAX, 4, LK_ECORRUPT, "a state of 4294967295 rows has 137438953496");
  check_forged(36, 1, 4, LK_ECORRUPT, "not the state that the manifest names");
  check_forged(second, 1, 4, LK_ECORRUPT, "s: entry 1, at offset 88, does not come behind the one before it");
  check_forged(second + 4, 0, 4, LK_ECORRUPT, "s: entry 1, at offset 88, does not come behind the one before it");
  check_forged(second, 8, 4, LK_ECORRUPT, "s: entry 2, at offset 120, does not come behind");
  check_forged(third + 16, 0, 8, LK_ECORRUPT, "s: entry 2, at offset 120, has the expiry 0");
}

Test(state, another_of_the_gallery) {
  lk_error error;
  char *bytes = written();
  manifest.state.checksum ^= 1;
  cr_assert_eq(parse(bytes, SIZE, &error), LK_ECORRUPT);
  cr_assert_str_eq(error.text, "s: not the state that the manifest names");
  lk_state state;
  manifest.state.id = 5;
  cr_assert_eq(read_state(&state, &error), LK_EIO);
  cr_assert_not_null(strstr(error.text, "/state-000005.lkx: cannot open"), "%s", error.text);
  free(bytes);
}

Test(state, entries_of_rows_that_no_segment_has) {
  lk_state state;
  lk_error error;
  free(written());
  cr_assert_eq(read_state(&state, NULL), LK_OK);
  segments[2].rows--;
  cr_assert_eq(lk_state_check(&state, &manifest, &error), LK_ECORRUPT);
  cr_assert_not_null(strstr(error.text, "/state-000004.lkx: entry 3, at offset 152, is of a row that its segment"),
                     "%s", error.text);
  segments[2].id = 8;
  cr_assert_eq(lk_state_check(&state, &manifest, &error), LK_ECORRUPT);
  cr_assert_not_null(strstr(error.text, "/state-000004.lkx: entry 2, at offset 120, is of a segment that"), "%s",
                     error.text);
  lk_state_free(&state);
}
