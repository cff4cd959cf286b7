# Every switch of the build, and the flags they stand for. CMakePresets.json names the useful combinations, and makes
# warnings errors (CMAKE_COMPILE_WARNING_AS_ERROR): another compiler, with warnings of its own, builds without a preset.
option(LIKENESS_TESTS "Build the tests (needs Criterion)" ON)
option(LIKENESS_FUZZ "Build the fuzz targets (needs clang)" OFF)
set(LIKENESS_SANITIZE "" CACHE STRING "Sanitizers, as for -fsanitize=: address,undefined or thread")
set(LIKENESS_CUDA "AUTO" CACHE STRING "CUDA sources: AUTO (where a toolkit is found), ON or OFF")

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

# The score's bits depend on it (kernels/score.h): no contraction, no fast math. Never optional.
add_library(likeness_flags INTERFACE)
target_compile_options(likeness_flags INTERFACE
  $<$<COMPILE_LANGUAGE:C>:-ffp-contract=off -Wall -Wextra -Wshadow -Wstrict-prototypes -Wvla>
  $<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off -Wall -Wextra -Wshadow -Wvla>)
target_compile_definitions(likeness_flags INTERFACE _GNU_SOURCE)
target_include_directories(likeness_flags INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
# -O3 rather than CMake's own -O3 -DNDEBUG: assertions stay.
set(CMAKE_C_FLAGS_RELEASE "-O3 -g1")
set(CMAKE_CXX_FLAGS_RELEASE "-O3 -g1")

# What ships is hardened (tests/check_hardening). Sanitizers bring checks of their own.
if(NOT LIKENESS_SANITIZE)
  include(CheckPIESupported)
  check_pie_supported(LANGUAGES C)
  target_compile_options(likeness_flags INTERFACE
    "$<$<AND:$<CONFIG:Release>,$<COMPILE_LANGUAGE:C,CXX>>:-fstack-protector-strong;-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=2>"
    "$<$<AND:$<CONFIG:Release>,$<COMPILE_LANGUAGE:CUDA>>:-Xcompiler=-fstack-protector-strong>")
  target_link_options(likeness_flags INTERFACE $<$<CONFIG:Release>:-Wl,-z,relro,-z,now,-z,noexecstack>)
endif()

if(LIKENESS_SANITIZE)
  target_compile_options(likeness_flags INTERFACE
    $<$<COMPILE_LANGUAGE:C,CXX>:-fsanitize=${LIKENESS_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer>)
  target_link_options(likeness_flags INTERFACE -fsanitize=${LIKENESS_SANITIZE})
endif()

include(CheckLanguage)
if(NOT LIKENESS_CUDA STREQUAL "OFF")
  check_language(CUDA)
endif()
if(CMAKE_CUDA_COMPILER)
  # With the intermediate code of sm_80, from which the driver makes that of GPUs that are newer than all of these.
  set(CMAKE_CUDA_ARCHITECTURES 80 90a-real)
  enable_language(CUDA)
  set(CMAKE_CUDA_STANDARD 17)
  set(CMAKE_CUDA_VISIBILITY_PRESET hidden)
  set(CMAKE_CUDA_FLAGS_RELEASE "-O3")
  target_compile_options(likeness_flags INTERFACE
    "$<$<COMPILE_LANGUAGE:CUDA>:--fmad=false;-Xcompiler=-ffp-contract=off,-Wall,-Wextra>")
  message(STATUS "CUDA: ${CMAKE_CUDA_COMPILER} (${CMAKE_CUDA_COMPILER_VERSION})")
elseif(LIKENESS_CUDA STREQUAL "ON")
  message(FATAL_ERROR "CUDA: LIKENESS_CUDA is ON and no CUDA toolkit was found")
else()
  message(STATUS "CUDA: left out (no toolkit found, or LIKENESS_CUDA is OFF)")
endif()
