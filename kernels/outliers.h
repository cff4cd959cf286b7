/* The outliers of a block: rows that do not fit their tile (kernels/codes.h). Every search looks at them, whatever the
 * scan says. */
#ifndef KERNELS_OUTLIERS_H
#define KERNELS_OUTLIERS_H

#include <stdbool.h>

#include "kernels/backend.h"

typedef struct lk_outliers {
  uint32_t *rows; /* of the block, ascending */
  uint32_t *ends; /* where the outliers of each run of rows end in `rows` */
  uint32_t count;
} lk_outliers;

/* Lists the outliers, by runs of `run_rows` rows. The caller frees the list, also where this fails. False: out of
 * memory.
 */
bool lk_outliers_list(const lk_block *block, uint32_t run_rows, lk_outliers *outliers);
void lk_outliers_free(lk_outliers *outliers);

#endif
