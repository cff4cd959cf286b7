#include "index/formats/vectors/hdf5_library.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"

static const struct {
  const char *name;
  size_t offset;
} functions[] = {
#define FUNCTION(name) {#name, offsetof(lk_hdf5_library, name)},
    LK_HDF5_FUNCTIONS(FUNCTION)};

lk_status lk_hdf5_library_open(const char *name, lk_hdf5_library *library, lk_error *error) {
  setenv("HDF5_USE_FILE_LOCKING", "FALSE", 1);
  void *opened = dlopen(LIKENESS_HDF5_LIBRARY, RTLD_NOW | RTLD_LOCAL);
  for (size_t i = 0; opened != NULL && i < sizeof functions / sizeof functions[0]; i++) {
    void *function = dlsym(opened, functions[i].name);
    if (function == NULL) opened = NULL;
    memcpy((char *)library + functions[i].offset, &function, sizeof function);
  }
  const hid_t *dataset_access = opened != NULL ? dlsym(opened, "H5P_CLS_DATASET_ACCESS_ID_g") : NULL;
  if (dataset_access == NULL) opened = NULL;
  const char *why = opened == NULL ? dlerror() : library->H5open() < 0 ? "it does not start" : NULL;
  if (why != NULL)
    return lk_fail(error, LK_EIO, "%s: an HDF5 file needs the library " LIKENESS_HDF5_LIBRARY ": %s", name, why);
  library->dataset_access = *dataset_access;
  library->H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
  return LK_OK;
}
