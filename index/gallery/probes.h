/* Probes on their way into a search: checked and converted once, then in a row in the workspace. */
#ifndef INDEX_GALLERY_PROBES_H
#define INDEX_GALLERY_PROBES_H

#include <fenv.h>

#include "index/gallery/workspace.h"

/* Arithmetic in the caller's thread must not depend on the rounding or flush-to-zero that another library has set
 * there. Sets the default environment and returns the caller's, which fesetenv restores. Pools see to their threads. */
fenv_t lk_enter_arithmetic(void);

/* LK_EMODEL. An empty model is the gallery's. */
lk_status lk_gallery_check_model(const lk_gallery *gallery, lk_text model, lk_error *error);

/* Prepares runs of probes into the workspace, each with this threshold. LK_EINVAL: too many probes. LK_EDIM,
 * LK_EBADPROBE. */
lk_status lk_workspace_prepare(lk_workspace *workspace, const lk_gallery *gallery, const lk_vectors *runs,
                               uint32_t runs_count, float threshold, lk_error *error);

/* Takes runs that are prepared: one where it lies, several as copies in a row. */
lk_status lk_workspace_take(lk_workspace *workspace, const lk_gallery *gallery, const lk_prepared_run *runs,
                            uint32_t runs_count, lk_error *error);

#endif
