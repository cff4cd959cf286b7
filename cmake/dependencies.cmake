# Everything comes from Debian packages; scripts/packages lists them.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

# What liblikeness is linked with, in this one list: the build, likeness.pc and the CMake package take it from here.
set(LIKENESS_MODULES jansson libsodium libxxhash) # as pkg-config names them
set(LIKENESS_LIBS csv pthread m)                  # those that pkg-config does not know
pkg_check_modules(LIKENESS_MODULES REQUIRED IMPORTED_TARGET ${LIKENESS_MODULES})

# What else the program and the tests use.
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(HIREDIS REQUIRED IMPORTED_TARGET hiredis)
if(LIKENESS_TESTS)
  pkg_check_modules(CRITERION REQUIRED IMPORTED_TARGET criterion)
endif()
