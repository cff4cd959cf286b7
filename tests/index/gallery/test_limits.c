/* Numbers and texts that do not fit: positions and ranks beyond the end, vectors that memory cannot hold, texts as long
 * as a length can say. Each is an error or nothing; none wraps to something that exists. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/text.h"
#include "tests/support/files.h"

enum { ROWS = 5, DIM = 3, PIECE = 2 << 20 };

static const float rows[ROWS][DIM] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {1, 1, 0}, {1, 1, 1}};
static const char *folder;
static lk_device *device;
static lk_gallery *gallery;
static lk_result *result;

static void setup(void) {
  files_setup();
  folder = files_gallery("g", LK_IP, DIM);
  files_enroll(folder, rows[0], ROWS, DIM, NULL);
  gallery = files_open(folder);
  cr_assert_eq(lk_device_open("cpu", 1, &device, NULL), LK_OK);
  cr_assert_eq(lk_gallery_load(gallery, device, NULL), LK_OK);
  cr_assert_eq(lk_result_open(&result, NULL), LK_OK);
}

static void teardown(void) {
  lk_result_close(result);
  lk_gallery_close(gallery);
  lk_device_close(device);
  files_teardown();
}

TestSuite(limits, .init = setup, .fini = teardown);

Test(limits, positions_beyond_the_last_template) {
  static const uint64_t beyond[] = {ROWS, UINT32_MAX, UINT64_C(1) << 32, UINT64_MAX};
  for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++) {
    lk_template t = lk_gallery_template(gallery, beyond[i]);
    cr_assert(t.key.length == 0 && t.subject.length == 0, "%zu", i);
  }
  cr_assert_eq(lk_gallery_template(gallery, ROWS - 1).number, ROWS - 1);
}

static void check_export(uint64_t position, uint64_t count, lk_status status) {
  float vectors[ROWS * DIM] = {7};
  lk_error error = {0};
  cr_assert_eq(lk_gallery_export(gallery, position, count, NULL, vectors, &error), status, "%s", error.text);
  if (status != LK_OK || count == 0) cr_assert_eq(vectors[0], 7);
}

Test(limits, exports_beyond_the_last_template) {
  check_export(ROWS, 1, LK_EINVAL);
  check_export(ROWS - 1, 2, LK_EINVAL);
  check_export(UINT64_C(1) << 32, 1, LK_EINVAL);
  check_export(2, UINT64_MAX, LK_EINVAL);
  check_export(UINT64_MAX, 2, LK_EINVAL);
  check_export(ROWS, 0, LK_OK);
  check_export(0, ROWS, LK_OK);
}

static lk_status identify(const lk_vectors *probes, uint32_t count, lk_error *error) {
  lk_query query = {.probes = probes, .probes_count = count, .k = 2, .threshold = -INFINITY};
  return lk_gallery_identify(gallery, &query, result, NULL, error);
}

static void check_no_candidate(uint32_t probe, uint32_t rank) {
  uint64_t number = 77;
  float score = 7;
  lk_candidate c = lk_result_candidate(result, probe, rank);
  cr_assert(c.found.key.length == 0 && c.score == -INFINITY, "%u, %u", probe, rank);
  if (rank > 0) return;
  lk_result_list(result, probe, &number, &score);
  cr_assert(number == 77 && score == 7);
}

Test(limits, candidates_beyond_the_lists) {
  check_no_candidate(0, 0);
  lk_vectors probes = files_vectors(rows[0], 2, DIM);
  cr_assert_eq(identify(&probes, 1, NULL), LK_OK);
  check_no_candidate(2, 0);
  check_no_candidate(UINT32_MAX, 0);
  check_no_candidate(0, 2);
  check_no_candidate(1, UINT32_MAX);
  cr_assert_eq(lk_result_candidate(result, 1, 0).found.key.length, 1);
}

static void check_vectors(lk_vectors vectors, const char *words) {
  lk_text none = {0}, subject = lk_text_of("1");
  lk_error errors[4] = {{{0}}};
  cr_assert_eq(identify(&vectors, 1, &errors[0]), LK_EINVAL, "%s", words);
  cr_assert_eq(lk_gallery_verify(gallery, &vectors, subject, NULL, result, &errors[1]), LK_EINVAL, "%s", words);
  cr_assert_eq(lk_gallery_check_probes(gallery, &vectors, none, &errors[2]), LK_EINVAL, "%s", words);
  cr_assert_eq(lk_gallery_enroll(folder, &vectors, NULL, NULL, NULL, NULL, NULL, &errors[3]), LK_EINVAL, "%s", words);
  cr_assert_not_null(strstr(errors[2].text, words), "%s", errors[2].text);
  cr_assert_not_null(strstr(errors[3].text, words), "%s", errors[3].text);
}

Test(limits, vectors_that_are_none) {
  lk_vectors vectors = files_vectors(rows[0], ROWS, DIM);
  vectors.data = NULL;
  check_vectors(vectors, "no data");
  vectors = files_vectors(rows[0], ROWS, DIM);
  vectors.element = (lk_element)(LK_I64 + 1);
  check_vectors(vectors, "invalid element 11");
  vectors.element = (lk_element)-1;
  check_vectors(vectors, "invalid element -1");
}

Test(limits, vectors_beyond_memory) {
  lk_vectors vectors = files_vectors(rows[0], ROWS, DIM);
  vectors.stride_bytes = UINT64_C(1) << 62; /* row 4 is row 0 again */
  check_vectors(vectors, "exceed memory");
  vectors.stride_bytes = 1;
  static const uint64_t counts[] = {UINT64_MAX, UINT64_MAX - ROWS + 2, UINT64_C(1) << 63};
  for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
    vectors.rows = counts[i];
    check_vectors(vectors, "exceed memory");
  }
  lk_vectors runs[] = {vectors, vectors}; /* no rows in total, and none in 64 bits */
  cr_assert_eq(identify(runs, 2, NULL), LK_EINVAL);
}

Test(limits, threads_beyond_any_machine) {
  lk_device *many;
  lk_error error = {0};
  cr_assert_eq(lk_device_open("cpu", LK_THREADS_MAX + 1, &many, &error), LK_EINVAL);
  cr_assert_str_eq(error.text, "4097 threads; at most 4096 are allowed");
  cr_assert_eq(lk_device_open("cpu", UINT32_MAX, &many, NULL), LK_EINVAL);
}

/* `size` bytes 'x' and a NUL, all of them the same few pages. */
static char *map_string(size_t size) {
  int file = memfd_create("string", 0);
  cr_assert(file >= 0 && ftruncate(file, PIECE) == 0);
  size_t pieces = size / PIECE + 1;
  char *string = mmap(NULL, (pieces + 1) * PIECE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  cr_assert_neq(string, MAP_FAILED);
  for (size_t i = 0; i < pieces; i++) {
    int sharing = i < pieces - 1 ? MAP_SHARED : MAP_PRIVATE; /* the last one gets the NUL */
    void *piece = mmap(string + i * PIECE, PIECE, PROT_READ | PROT_WRITE, sharing | MAP_FIXED, file, 0);
    cr_assert_neq(piece, MAP_FAILED);
    if (i == 0) memset(string, 'x', PIECE);
  }
  string[size] = '\0';
  close(file);
  return string;
}

Test(limits, strings_as_long_as_a_length_wraps) {
  const char *model = map_string((UINT64_C(1) << 32) + 2);
  lk_error error = {0};
  lk_gallery_options options = {.dim = DIM, .model = model};
  cr_assert_eq(lk_gallery_create(files_path("other"), &options, &error), LK_EINVAL);
  cr_assert_not_null(strstr(error.text, "longer than 255 bytes"), "%s", error.text);
}

Test(limits, texts_of_four_gigabytes) {
  lk_text text = {.bytes = map_string(UINT32_MAX), .length = UINT32_MAX};
  uint64_t position;
  lk_error error = {0};
  lk_vectors probes = files_vectors(rows[0], 1, DIM);
  cr_assert_eq(lk_gallery_find(gallery, text, &position, &error), LK_ENOTFOUND);
  cr_assert_lt(strlen(error.text), 300, "the message holds the first bytes");
  cr_assert_eq(lk_gallery_verify(gallery, &probes, text, NULL, result, &error), LK_ENOTFOUND);
  cr_assert_eq(lk_gallery_check_probes(gallery, &probes, text, &error), LK_EMODEL);
  cr_assert_lt(strlen(error.text), 400);
}
