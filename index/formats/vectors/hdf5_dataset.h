/* Finds a dataset in an HDF5 file, by libhdf5. That library has one state for the process, without locks, and cannot be
 * trusted with files from elsewhere: so only hdf5.c's child process calls this, and the fuzzer. */
#ifndef INDEX_FORMATS_VECTORS_HDF5_DATASET_H
#define INDEX_FORMATS_VECTORS_HDF5_DATASET_H

#include "index/formats/vectors/scratch.h"
#include "index/formats/vectors/vector_format.h"

#define LK_HDF5_COPIED UINT64_MAX

typedef struct lk_hdf5_dataset {
  uint64_t rows, dim;
  lk_element element;
  bool big_endian;
  uint64_t offset; /* of the rows in the file; LK_HDF5_COPIED: they are in the scratch */
} lk_hdf5_dataset;

/* What is called before each block of rows is read. */
typedef struct lk_hdf5_going {
  void (*on)(void *context);
  void *context;
} lk_hdf5_going;

/* Describes the dataset that the source names: its member or, without one, `train` (`test` for probes) of a file that
 * has both, or the only one of its kind. Rows that do not lie in the file as they are, are copied into `scratch`, some
 * at a time. LK_EFORMAT, and those of the scratch. */
lk_status lk_hdf5_dataset_read(const lk_vector_source *source, lk_scratch *scratch, lk_hdf5_going *going,
                               lk_hdf5_dataset *dataset, lk_error *error);

#endif
