#include "kernels/backend.h"

lk_status lk_batch_fail_damaged(const lk_batch *batch, uint64_t row, lk_error *error) {
  const lk_resident_block *const *block = (const lk_resident_block *const *)batch->blocks;
  for (; row >= (*block)->rows; block++) row -= (*block)->rows;
  return lk_fail(error, LK_ECORRUPT, "%s: row %llu: the vector and its code do not agree: one of them was changed",
                 (*block)->name != NULL ? (*block)->name : "a block", (unsigned long long)row);
}
