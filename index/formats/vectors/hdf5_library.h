/* libhdf5, opened when it is needed: it brings thirty libraries along, which no program should load that reads no HDF5
 * file, and it cannot be linked statically. Only the child process of hdf5.c opens it. */
#ifndef INDEX_FORMATS_VECTORS_HDF5_LIBRARY_H
#define INDEX_FORMATS_VECTORS_HDF5_LIBRARY_H

#include <hdf5.h>

#include <likeness/status.h>

#define LK_HDF5_FUNCTIONS(X)    \
  X(H5Dclose)                   \
  X(H5Dget_create_plist)        \
  X(H5Dget_offset)              \
  X(H5Dget_space)               \
  X(H5Dget_storage_size)        \
  X(H5Dget_type)                \
  X(H5Dopen2)                   \
  X(H5Dread)                    \
  X(H5Eset_auto2)               \
  X(H5Ewalk2)                   \
  X(H5Fclose)                   \
  X(H5Fopen)                    \
  X(H5Ovisit2)                  \
  X(H5Pclose)                   \
  X(H5Pcreate)                  \
  X(H5Pget_chunk)               \
  X(H5Pget_external_count)      \
  X(H5Pget_filter2)             \
  X(H5Pget_layout)              \
  X(H5Pget_nfilters)            \
  X(H5Pset_elink_cb)            \
  X(H5Sclose)                   \
  X(H5Screate_simple)           \
  X(H5Sget_simple_extent_dims)  \
  X(H5Sget_simple_extent_ndims) \
  X(H5Sselect_hyperslab)        \
  X(H5Tclose)                   \
  X(H5Tget_class)               \
  X(H5Tget_ebias)               \
  X(H5Tget_fields)              \
  X(H5Tget_offset)              \
  X(H5Tget_order)               \
  X(H5Tget_precision)           \
  X(H5Tget_sign)                \
  X(H5Tget_size)                \
  X(H5Zfilter_avail)            \
  X(H5open)

typedef struct lk_hdf5_library {
#define LK_HDF5_MEMBER(name) __typeof__ (&(name))(name);
  LK_HDF5_FUNCTIONS(LK_HDF5_MEMBER)
#undef LK_HDF5_MEMBER
  hid_t dataset_access; /* H5P_DATASET_ACCESS, which as a macro calls the library */
} lk_hdf5_library;

/* Opens it, with its own messages and its locks of files off. LK_EIO: the machine has not the library that the build
 * knew. */
lk_status lk_hdf5_library_open(const char *name, lk_hdf5_library *library, lk_error *error);

#endif
