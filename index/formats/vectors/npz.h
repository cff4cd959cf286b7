/* The .npz archives of numpy.savez and savez_compressed: zip archives of .npy files. */
#ifndef INDEX_FORMATS_VECTORS_NPZ_H
#define INDEX_FORMATS_VECTORS_NPZ_H

#include "base/file.h"

/* Finds the array `member`, with or without its ".npy"; NULL: the only one. `npy` is its .npy file: it lies within
 * `data`, or is unpacked into `decoded`, which the caller unmaps. A stored array's sum is not checked, as that of an
 * .npy file is not. LK_EFORMAT: there is no such array, or it cannot be unpacked; LK_EIO, LK_ENOMEM. */
lk_status lk_npz_find(const char *name, const void *data, size_t size, const char *member, lk_file *decoded,
                      lk_file *npy, lk_error *error);

#endif
