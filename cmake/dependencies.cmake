# Everything comes from Debian packages; scripts/packages lists them.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

# What liblikeness is linked with, in this one list: the build, likeness.pc and the CMake package take it from here.
set(LIKENESS_MODULES jansson libsodium libutf8proc libxxhash yaml-0.1 zlib) # as pkg-config names them
set(LIKENESS_LIBS csv pthread m)                                       # those that pkg-config does not know
pkg_check_modules(LIKENESS_MODULES REQUIRED IMPORTED_TARGET ${LIKENESS_MODULES})

# Opened when it is needed (index/formats/vectors/hdf5_library.h), by the name that programs linked with it would use.
pkg_check_modules(HDF5 REQUIRED IMPORTED_TARGET hdf5)
execute_process(COMMAND ${CMAKE_READELF} --dynamic ${HDF5_LINK_LIBRARIES} OUTPUT_VARIABLE hdf5_dynamic
  COMMAND_ERROR_IS_FATAL ANY)
string(REGEX REPLACE ".*SONAME[^[]*\\[([^]]+)\\].*" "\\1" HDF5_SONAME "${hdf5_dynamic}")

# The CUDA runtime is linked in; cuBLAS is opened when it is needed (kernels/cuda/host/blas.h).
if(CMAKE_CUDA_COMPILER)
  find_package(CUDAToolkit REQUIRED)
  set(LIKENESS_CUDA_LIBS ${CUDA_cudart_static_LIBRARY} stdc++ dl rt)
  list(APPEND LIKENESS_LIBS ${LIKENESS_CUDA_LIBS})
  set(CMAKE_CUDA_RUNTIME_LIBRARY None)
endif()

# What else the program and the tests use.
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(HIREDIS REQUIRED IMPORTED_TARGET hiredis)
# For rediss://. Debian 12's hiredis has no TLS.
pkg_check_modules(HIREDIS_SSL QUIET IMPORTED_TARGET hiredis_ssl>=1.0)
pkg_check_modules(OPENSSL QUIET IMPORTED_TARGET openssl>=1.1.1)
if(LIKENESS_TESTS)
  pkg_check_modules(CRITERION REQUIRED IMPORTED_TARGET criterion)
endif()
