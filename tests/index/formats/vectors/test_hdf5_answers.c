/* What a child process may say that a file has made to say anything. */
#include <criterion/criterion.h>
#include <string.h>

#include "index/formats/vectors/hdf5_dataset.h"
#include "tests/index/formats/vectors/open_bytes.h"

static lk_status forged_status;
static lk_hdf5_dataset forged;
static char forged_text[sizeof(lk_error)];

lk_status __wrap_lk_hdf5_dataset_read(const lk_vector_source *, lk_scratch *, lk_hdf5_going *, lk_hdf5_dataset *,
                                      lk_error *);
lk_status __wrap_lk_hdf5_dataset_read(const lk_vector_source *source, lk_scratch *scratch, lk_hdf5_going *going,
                                      lk_hdf5_dataset *dataset, lk_error *error) {
  (void)source, (void)scratch, (void)going;
  memcpy(dataset, &forged, sizeof forged);
  memcpy(error->text, forged_text, sizeof forged_text);
  return forged_status;
}

static const char file[16];

static void begin(void) {
  forged_status = LK_OK;
  forged = (lk_hdf5_dataset){.rows = 2, .dim = 2, .element = LK_F32};
  strcpy(forged_text, "file: a reason");
}

TestSuite(hdf5_answers, .init = begin);

static void check_refused(lk_status status, const char *words) {
  check_bytes_refused(&lk_hdf5_format, file, sizeof file, status, words);
}

Test(hdf5_answers, of_a_good_child) {
  opened from = open_bytes(&lk_hdf5_format, file, sizeof file);
  cr_assert(from.status == LK_OK && from.vectors.rows == 2 && from.vectors.dim == 2);
  close_bytes(&from);
  forged_status = LK_EDIM;
  check_refused(LK_EDIM, "file: a reason");
}

static const char damaged[] = "its library failed on this file: it is damaged";

Test(hdf5_answers, that_mean_nothing) {
  unsigned char two = 2;
  forged.element = (lk_element)(LK_I64 + 1);
  check_refused(LK_EFORMAT, damaged);
  forged.element = (lk_element)-1;
  check_refused(LK_EFORMAT, damaged);
  begin();
  memcpy(&forged.big_endian, &two, 1);
  check_refused(LK_EFORMAT, damaged);
  begin();
  forged_status = (lk_status)77;
  check_refused(LK_EFORMAT, damaged);
}

Test(hdf5_answers, a_text_without_an_end) {
  forged_status = LK_EFORMAT;
  memset(forged_text, 'x', sizeof forged_text);
  memcpy(forged_text, "file: ", 6);
  check_refused(LK_EFORMAT, "file: xxx");
}

Test(hdf5_answers, rows_that_are_not_there) {
  static const char beyond[] = "the dataset's rows are not within the file";
  forged.offset = 1;
  check_refused(LK_EFORMAT, beyond);
  forged.offset = LK_HDF5_COPIED - 1;
  check_refused(LK_EFORMAT, beyond);
  forged.offset = LK_HDF5_COPIED; /* nothing was written */
  check_refused(LK_EFORMAT, beyond);
  begin();
  forged.rows = UINT64_MAX / 2;
  check_refused(LK_EFORMAT, beyond);
  begin();
  forged.dim = UINT64_MAX;
  check_refused(LK_EDIM, "rows of 18446744073709551615 elements");
}
